# From a check to a certificate, and what a model loses.
# `marimo edit notebooks/certificate_and_degradation.py`, or as a script:
# `python notebooks/certificate_and_degradation.py --data FOLDER`.
# FOLDER holds human work, 120 images or more; without --data it is that of the demo (extra `demo`).

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
    # From a check to a certificate, and what a model loses

    A folder of human work is attested, checked, and gets a certificate that anybody can verify offline. Then
    a small model is trained on it, the next on its output, and each generation is measured against human
    work.
    """)
    return


@app.cell
def _(mo):
    import tempfile
    from pathlib import Path

    import numpy as np
    from PIL import Image

    import genepool as gp
    from genepool import config, report

    given = mo.cli_args().get("data")
    if given is None:
        from genepool import demo

        folder = demo.make_gallery(Path(tempfile.mkdtemp()) / "demo").root / "human"
    else:
        folder = Path(given)
    settings = config.load(mo.cli_args().get("config"))
    dataset = gp.open(folder)
    dataset
    return Image, config, dataset, folder, gp, np, report, settings


@app.cell
def _(mo):
    mo.md("""
    ## Attest, check, certify

    `register_human` signs one statement for each image with your key, which is made on first use.
    """)
    return


@app.cell
def _(dataset, gp, settings):
    from genepool import provenance, scan

    catalogue = scan.scan(dataset, config=settings)
    provenance.register_human(catalogue, catalogue.workspace, cohort="photographs", config=settings)
    decision = gp.check(dataset, config=settings)
    decision
    return catalogue, decision, provenance


@app.cell
def _(decision, report):
    report.plot(decision)
    return


@app.cell
def _(decision, folder, mo, provenance, settings):
    place = decision.extra["ledger"]["certificate"]
    if place:
        # Here the key is ours; somebody else would be given it by another way: `genepool verify --vkey KEY`.
        ours = provenance.load_public(settings)
        verified = provenance.verify_certificate(provenance.read_certificate(place), folder, verifiers=ours)
        word = "verified" if verified else "does NOT verify"
        shown = mo.md(f"Certificate `{place}`: **{word}**, {len(verified.findings)} things looked at.")
    else:
        shown = mo.md("The set did not pass, so that there is no certificate: see the decision above.")
    shown
    return


@app.cell
def _(mo):
    mo.md("""
    ## What a model keeps

    Each generation here is a principal-component model of the one before it: it keeps the directions of
    largest variance and draws new pictures from them. Real models fail in richer ways; what is measured is
    the same.
    """)
    return


@app.cell
def _(Image, dataset, np):
    side, parts, drawn = 32, 12, 80

    def pictures(samples):
        """The set as (n, 32, 32, 3) pictures."""
        import io

        small = [
            Image.open(io.BytesIO(s.data)).convert("RGB").resize((side, side)) for s in samples if s.data
        ]
        return np.stack([np.asarray(one) for one in small])

    def model(training, seed):
        """Fit, and draw as many pictures as are asked for."""
        flat = training.reshape(len(training), -1).astype(np.float64)
        middle = flat.mean(axis=0)
        _, spread, axes = np.linalg.svd(flat - middle, full_matrices=False)
        rng = np.random.default_rng(seed)
        scale = spread[:parts] / np.sqrt(len(flat))
        found = middle + rng.normal(size=(drawn, len(scale))) * scale @ axes[:parts]
        return found.clip(0, 255).astype(np.uint8).reshape(-1, side, side, 3)

    human = pictures(dataset)
    generations = [human[::2]]
    for seed in range(3):
        generations.append(model(generations[-1], seed))
    return generations, human


@app.cell
def _(generations, human, settings):
    from genepool import degradation

    found = degradation.measure(
        generations[1:],
        human[1::2],
        names=["first", "second", "third"],
        human=[1.0, 0.0, 0.0],
        votes=False,
        config=settings,
    )
    print("\n".join(found.table()))
    return (found,)


@app.cell
def _(found, report):
    report.plot(found)
    return


@app.cell
def _(found, report):
    report.plot(found, "mechanisms")
    return


if __name__ == "__main__":
    app.run()
