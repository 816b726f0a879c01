# A first look at a dataset: `marimo edit notebooks/first_look.py`, or as a script:
# `python notebooks/first_look.py --data FOLDER`. Without --data it makes and checks the demo.

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    return (mo,)


@app.cell
def _(mo):
    mo.md("""
    # A first look at a dataset

    What is in it, who made it, how varied it is, and whether it may train a model. Everything runs here: no
    image leaves this machine.
    """)
    return


@app.cell
def _(mo):
    import tempfile
    from pathlib import Path

    import genepool as gp
    from genepool import config, report

    given = mo.cli_args().get("data")
    if given is None:
        from genepool import demo

        folder = Path(tempfile.mkdtemp()) / "demo"
        demo.make_gallery(folder)
    else:
        folder = Path(given)
    settings = config.load(mo.cli_args().get("config"))
    dataset = gp.open(folder)
    dataset
    return dataset, report, settings


@app.cell
def _(mo):
    mo.md("""
    ## Scan, origins

    One pass reads every image: digests, metadata, style. A second look at an unchanged set reads nothing
    again. What is known of each image is settled from signatures, the log, sidecars and, last, a detector.
    """)
    return


@app.cell
def _(dataset, settings):
    from genepool import origin, scan

    catalogue = scan.scan(dataset, config=settings)
    origins = origin.settle(catalogue, catalogue.workspace, settings)
    catalogue
    return catalogue, origins


@app.cell
def _(origins, report):
    report.plot(origins)
    return


@app.cell
def _(mo):
    mo.md("""
    ## Styles

    Every image at its style's first two principal components; below, the rarest and the commonest.
    """)
    return


@app.cell
def _(catalogue, report):
    report.plot(catalogue)
    return


@app.cell
def _(catalogue, report):
    report.plot(catalogue, "gallery")
    return


@app.cell
def _(mo):
    mo.md("""
    ## The decision

    The same as `genepool check`: each number with its interval and its floor, and the next command where a
    rule does not hold.
    """)
    return


@app.cell
def _(dataset, settings):
    import genepool

    decision = genepool.check(dataset, config=settings)
    decision
    return (decision,)


@app.cell
def _(decision, report):
    report.plot(decision)
    return


@app.cell
def _(decision, report):
    report.plot(decision, "generations")
    return


if __name__ == "__main__":
    app.run()
