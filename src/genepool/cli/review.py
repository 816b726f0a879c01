"""`genepool review`: people look at images, in a browser or on contact sheets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genepool.cli import _options

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.dataset import Dataset
    from genepool.store import Catalogue, Workspace

__all__ = ["command"]


@click.command("review")
@click.argument("path")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; another one needs --user.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port (0: a free one).")
@click.option("--user", "users", multiple=True, metavar="NAME", help="Invite this person (repeat for more).")
@click.option("--controls", metavar="DIR", help="Known images: folders DIR/human and DIR/ai.")
@click.option("--ladder", metavar="DIR", help="Your own ladder for Compare (frozen at first use).")
@click.option("--qualify", is_flag=True, help="Ask about controls only: measures reviewers.")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@click.option("--plain", is_flag=True, help="No browser: contact sheets, and a CSV to fill in.")
@click.option("--out", metavar="DIR", help="With --plain: where to write (default: in the workspace).")
@click.option("-n", "count", type=click.IntRange(1, 5000), default=45, help="With --plain: how many images.")
@click.option("--answers", metavar="CSV", help="Read a filled-in CSV of --plain.")
@click.option("--export", "export_to", metavar="FILE", help="Write all verdicts: .jsonl, .csv, .json.")
@click.option("--import", "import_from", metavar="FILE", help="Read verdicts: .jsonl, .csv, .json.")
@click.option("--export-votes", "votes_to", metavar="FILE", help="Write all votes of Compare: .jsonl, .csv.")
@click.option("--scores", metavar="FILE", help="Write preference scores as CSV: people, proxy, each model.")
@click.option(
    "--preference",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Published preference model beside people: onnx:FILE, transformers:FOLDER (repeat for more).",
)
@click.option(
    "--qualified-in",
    "qualified",
    multiple=True,
    metavar="DIR",
    help="Workspace (or set) whose controls the reviewers have judged already (repeat for more).",
)
@click.option("--plan", "planning", is_flag=True, help="Print how many answers it takes, and end.")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["jsonl", "csv", "labelstudio"]),
    help="Format of --export and --import.",
)
@_options.workspace_option
@_options.config_option
@_options.workers_option
def command(path: str, workspace: str | None, config_file: str | None, workers: int | None, **o: Any) -> None:
    """Let people judge the images of PATH that nobody has verified.

    Opens a page on this machine: one image, one key, blind. With --host and --user others take part, each
    through an invitation. Verdicts go into the workspace and, signed, into the log.
    """
    from genepool import dataset, store

    opened = dataset.open(path)
    place = store.workspace_for(opened, workspace)
    if o["import_from"] or o["export_to"] or o["votes_to"]:
        _exchange(opened, place, o)
        return
    config = _options.settings(config_file, workers)
    if o["models"]:
        config = config.with_(review__preferences=tuple(o["models"]))
    for other in o["qualified"]:
        _carry(place, other, config)
    catalogue, origins, controls = _opened(opened, place, config, o["controls"])
    if o["planning"]:
        _plan(place, catalogue, origins, config)
    elif o["scores"]:
        _scores(place, catalogue, origins, config, o)
    elif o["plain"] or o["answers"]:
        _plain(place, catalogue, origins, controls, config, o)
    else:
        _serve(place, catalogue, origins, controls, config, o)


def _opened(
    opened: Dataset, place: Workspace, config: Config, folder: str | None
) -> tuple[Catalogue, Any, dict[str, Catalogue]]:
    """The set scanned and settled, and the controls scanned into the same workspace."""
    from dataclasses import replace

    from genepool import dataset, origin, scan
    from genepool.cli._progress import progress
    from genepool.errors import UsageError

    controls = {}
    with place.lock(), progress() as report:
        catalogue = scan.scan(opened, place, config=config, progress=report)
        origins = origin.settle(catalogue, place, config)
        for truth in ("human", "ai") if folder else ():
            part = Path(str(folder)) / truth
            if not part.is_dir():
                raise UsageError(
                    f"--controls: expected the folders human and ai in {folder}, found no {truth}"
                )
            held = replace(dataset.open(str(part)), workspace=str(place.root))
            controls[truth] = scan.scan(held, place, config=config)
    return catalogue, origins, controls


def _mixture(o: dict[str, Any]) -> Any:
    from genepool.review import Mixture

    return Mixture(only_controls=bool(o["qualify"]))


def _serve(
    place: Workspace, catalogue: Catalogue, origins: Any, controls: Any, config: Config, o: dict[str, Any]
) -> None:
    from genepool import web
    from genepool.errors import UsageError

    # Refused before anything is opened.
    if not web.is_loopback(o["host"]) and not o["users"]:
        raise UsageError(
            f"review: expected named users for the address {o['host']}, found none",
            hint="genepool review PATH --host HOST --user NAME: each gets an invitation",
        )
    room = web.open_room(
        place, catalogue, origins, config, controls=controls, ladder=o["ladder"], mixture=_mixture(o)
    )
    with web.serve(room, host=o["host"], port=o["port"], users=o["users"]) as serving:
        for user, link in serving.links.items():
            click.echo(f"{user}: {link}" if user else link)
        if o["host"] and not web.is_loopback(o["host"]):
            click.echo("→ plain HTTP: put a TLS proxy in front of it outside a trusted network", err=True)
        click.echo("→ Ctrl-C ends it; every acknowledged verdict is kept", err=True)
        sys.stdout.flush()
        if "" in serving.links and not o["no_browser"]:
            import webbrowser

            webbrowser.open(serving.links[""])
        serving.wait()


def _plain(
    place: Workspace, catalogue: Catalogue, origins: Any, controls: Any, config: Config, o: dict[str, Any]
) -> None:
    import getpass

    from genepool import review

    who = o["users"][0] if o["users"] else getpass.getuser()
    truths = {
        digest.hex(): truth
        for truth, held in controls.items()
        for digest in held.table(["sha256"]).column("sha256").to_pylist()
    }
    validator = review.HumanInLoopValidator(place.root, config=config)
    queue = validator.questions(catalogue, origins, controls=truths, mixture=_mixture(o))
    try:
        if o["answers"]:
            kept, left = review.read_sheet(queue, o["answers"], who)
            review.judge_standings(queue.record)
            review.record_in_log(place, queue.record, config)
            click.echo(f"{kept} verdicts by {who} kept, {left} rows still open")
            return
        folder = Path(o["out"]) if o["out"] else place.root / "sheets"
        pictures = review.Pictures([catalogue, *controls.values()])
        target, n = review.write_sheets(queue, pictures, folder, who, o["count"])
        click.echo(f"{n} images on the sheets in {folder}")
        click.echo(f"→ write human, ai or unsure in {target}, then:")
        click.echo(f"  genepool review {catalogue.dataset.uri} --answers {target} --user {who}")
    finally:
        queue.record.close()


def _carry(place: Workspace, other: str, config: Config) -> None:
    """Take over what reviewers said to controls of another set."""
    from genepool import dataset, review, store
    from genepool.errors import UsageError

    root = Path(other)
    held = store.Workspace(root) if (root / "reviews.sqlite").is_file() else None
    if held is None and root.exists():
        held = store.find_workspace(dataset.open(other))
    if held is None or not held.reviews.is_file():
        raise UsageError(f"--qualified-in: expected a workspace with verdicts, found none at {other}")
    taken = review.carry_qualification(place, held, config)
    people = ", ".join(f"{name} {n}" for name, n in sorted(taken.items()))
    click.echo(f"controls carried over: {people or 'none that are new'}")


def _plan(place: Workspace, catalogue: Catalogue, origins: Any, config: Config) -> None:
    from genepool.prevalence import ReviewedSet

    policy = config.policy
    reviewed = ReviewedSet.of(catalogue, origins, place)
    for line in reviewed.planning(floor=policy.human_ratio, alpha=policy.alpha).lines():
        click.echo(line)


def _scores(place: Workspace, catalogue: Catalogue, origins: Any, config: Config, o: dict[str, Any]) -> None:
    from genepool import review, store
    from genepool.errors import UsageError

    digests = [digest.hex() for digest in origins.column("sha256").to_pylist()]
    names = dict(zip(reversed(digests), reversed(origins.column("uri").to_pylist()), strict=True))
    images = list(dict.fromkeys(digests))
    ladder = review.load_ladder(o["ladder"], place)
    pictures = review.Pictures([catalogue], {r.sha256: r.path for r in ladder.rungs})
    with store.ReviewRecord(place) as record:
        judges = review.judge_images(
            record,
            ladder,
            pictures,
            images,
            embedder=config.diversity.embedder,
            models=config.review.preferences,
            workspace=place,
            captions=review.captions_of(catalogue, images),
            command=f"genepool review {catalogue.dataset.uri}",
        )
    for spec, why in judges.problems.items():
        click.echo(f"{spec}: {why}", err=True)
    try:
        Path(o["scores"]).write_text(review.scores_table(judges, images, names), "utf-8")
    except OSError as error:
        raise UsageError(f"{o['scores']}: cannot be written: {error.strerror}") from error
    click.echo(f"{len(images)} images written to {o['scores']}")
    click.echo(judges.people.needs or f"people: {judges.people.votes} votes by {judges.people.raters}")
    proxy = judges.proxy
    click.echo(f"proxy: {proxy.agreement.sentence() if proxy else judges.proxy_note}")
    for column in judges.models:
        click.echo(f"published model {column.title}: {column.agreement.sentence()}")


def _exchange(opened: Dataset, place: Workspace, o: dict[str, Any]) -> None:
    from genepool import review

    if o["import_from"]:
        new, known = review.import_verdicts(place, o["import_from"], format=o["kind"])
        click.echo(f"{new} verdicts imported, {known} known already")
    if o["export_to"]:
        n = review.export_verdicts(place, o["export_to"], format=o["kind"], names=_names(opened, place))
        click.echo(f"{n} verdicts written to {o['export_to']}")
    if o["votes_to"]:
        click.echo(f"{review.export_votes(place, o['votes_to'])} votes written to {o['votes_to']}")


def _names(opened: Dataset, place: Workspace) -> dict[str, str]:
    """Digest → place of the image, from the last scan; empty where there was none."""
    from genepool import store
    from genepool.errors import WorkspaceError

    try:
        listing = store.read_listing(place, opened)
        if listing is None:
            return {}
        table = store.Catalogue(opened, place, listing).table(["sha256", "place"])
    except WorkspaceError:
        return {}
    digests, places = (table.column(name).to_pylist() for name in ("sha256", "place"))
    return {digest.hex(): where for digest, where in zip(digests, places, strict=True)}
