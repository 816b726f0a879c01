"""Attesting folders: human work, and the outputs of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genepool.config import Config
from genepool.errors import SourceError, UsageError
from genepool.provenance._blockchain import report_origins
from genepool.provenance._entries import clean, encode, name_of
from genepool.provenance._fold import CLASSES
from genepool.provenance._lineages import Interval
from genepool.provenance._parentage import Parentage, descend, known_model
from genepool.provenance._sidecar import Sidecar, commit_details
from genepool.provenance._trail import Index, as_digests, open_trail
from genepool.provenance._writer import Writer, open_writer
from genepool.store import Workspace

if TYPE_CHECKING:
    from genepool.store import Catalogue

__all__ = ["Registration", "register_human", "register_outputs", "registration"]


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registration did.

    Attributes:
        name: Cohort or model.
        origin: Class that was attested; empty for a model.
        n: Images in the folder that could be read (parts for a model's training set).
        new: Entries of images added now.
        known: Images that this key had already attested so.
        model: The model, for outputs.
        generation: Claimed ``(lo, hi)``; hi None = unbounded.
        key: Id of the key that signed.
        key_place: Where the private key lies.
        key_created: Whether it was made just now: say so aloud.
        ledger: Folder of the log.
        log: The log's name.
        size: Entries in the log now.
        root: Its root hash now, hex.
        set_aside: Files that could not be read and are not attested.
        notes: Sentences for the user.
    """

    name: str
    origin: str
    n: int
    new: int
    known: int
    model: str
    generation: Interval
    key: str
    key_place: str
    key_created: bool
    ledger: str
    log: str
    size: int
    root: str
    set_aside: int = 0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def register_human(
    catalogue: Catalogue,
    workspace: Workspace,
    *,
    cohort: str | None = None,
    artist: str | None = None,
    origin: Literal["human_made", "captured"] = "human_made",
    config: Config | None = None,
) -> Registration:
    """Attest that every readable image of a set is human work.

    One ``origin`` entry for each image (generation 0) and one signature over the batch. Names of artists and
    files go into the erasable sidecar. Images that this key has attested so before are not entered again.

    Args:
        catalogue: The scanned set.
        workspace: Where the log lies.
        cohort: Name of the collection; None: the folder's name.
        artist: The artist of all of them, if there is one.
        origin: ``human_made`` (drawn, painted) or ``captured`` (photographed, scanned).
        config: Key and trust policy.

    Raises:
        UsageError: A name that cannot be used, a cohort of another kind, or images that are already attested
            as made by a model: both claims together would only make them disputed.
        SourceError: No readable image.
        IntegrityError: The log does not verify.
    """
    if origin not in ("human_made", "captured"):
        raise UsageError(f"origin: expected human_made or captured, found {origin!r}")
    made = report_origins(catalogue, open_trail(workspace, config, dataset=catalogue.dataset)).n_ai
    if made:
        raise UsageError(
            f"{catalogue.dataset.uri}: expected human work, found {made:,} images attested as a model's",
            hint="leave them out, or take the wrong claim back: genepool ledger withdraw --help",
        )
    name = name_of(cohort, "cohort") if cohort is not None else _folder_name(catalogue)
    detail = {"artist": name_of(artist, "artist")} if artist is not None else {}
    return _register_images(
        catalogue,
        workspace,
        config,
        name=name,
        origin=origin,
        model="",
        generation=(0, 0),
        detail=detail,
        notes=(),
    )


def register_outputs(
    catalogue: Catalogue,
    workspace: Workspace,
    *,
    model: str,
    cohort: str | None = None,
    config: Config | None = None,
    details: Mapping[str, Mapping[str, str]] | None = None,
) -> Registration:
    """Attest that every readable image of a set was made by a registered model.

    The generation is computed from what the model was trained on and from the parents that the sidecar
    names, never asked for.

    Args:
        catalogue: The scanned set.
        workspace: Where the log lies.
        model: The registered model.
        cohort: Name of this collection; None: the folder's name.
        config: Key and trust policy.
        details: Uri → how the image was made; kept erasable, beside the log, which commits to it.

    Raises:
        UsageError: The model is not registered, the cohort is of another kind, or an image is named as its
            own ancestor.
        SourceError: No readable image.
        IntegrityError: A log does not verify.
    """
    trail = open_trail(workspace, config, dataset=catalogue.dataset)
    generation = known_model(trail, model).generation
    notes: tuple[str, ...] = ()
    if generation[1] is None:
        notes = (
            f"part of what {model} was trained on is unknown: "
            f"its outputs may be of any generation from {generation[0]}",
        )
    table = catalogue.table(["uri", "sha256", "declared"])
    uris, shas, declared = (table[column].to_pylist() for column in ("uri", "sha256", "declared"))
    family, _, lost = descend(uris, shas, declared, generation, trail)
    name = name_of(cohort, "cohort") if cohort is not None else _folder_name(catalogue)
    return _register_images(
        catalogue,
        workspace,
        config,
        name=name,
        origin="synthetic",
        model=model,
        generation=generation,
        detail={},
        notes=(*notes, *lost),
        family=family,
        details=details or {},
    )


def _folder_name(catalogue: Catalogue) -> str:
    uri = catalogue.dataset.uri
    return clean(uri.rstrip("/").rpartition("/")[2] if "/" in uri else uri) or "images"


def _register_images(
    catalogue: Catalogue,
    workspace: Workspace,
    config: Config | None,
    *,
    name: str,
    origin: str,
    model: str,
    generation: Interval,
    detail: Mapping[str, str],
    notes: Sequence[str],
    family: Sequence[Parentage] = (),
    details: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Registration:
    if not catalogue.n:
        raise SourceError(f"{catalogue.dataset.uri}: expected at least one readable image, found none")
    aside = len(catalogue.cases())
    table = catalogue.table(["uri", "sha256", "pixel"])
    uris = table["uri"].to_pylist()
    shas, pixels = table["sha256"].to_pylist(), table["pixel"].to_pylist()
    with open_writer(workspace, config) as writer:
        _check_cohort(writer, name, origin, model)
        known: set[bytes] = set()
        ends = [one.generation for one in family] or [generation] * len(shas)
        for end in set(ends):
            same = [sha for sha, one in zip(shas, ends, strict=True) if one == end]
            known |= _already(writer, same, name, origin, model, end)
        fresh = list({sha: at for at, sha in enumerate(shas) if sha not in known}.values())
        if fresh:
            looks = _looks(catalogue, fresh)
            committed = commit_details(
                [
                    {**detail, **details.get(uris[at], {}), **look, "uri": uris[at]}
                    for at, look in zip(fresh, looks, strict=True)
                ]
            )
            Sidecar(workspace.root).add(committed)
            common: dict[str, Any] = {
                "kind": "origin",
                "cohort": name,
                "origin": origin,
                "role": "attest",
                **({"model": model} if model else {}),
            }
            entries = []
            for at, (det, _, _) in zip(fresh, committed, strict=True):
                parents = {"parents": digests} if family and (digests := family[at].digests(shas)) else {}
                own = {"det": det, "gen": list(ends[at]), "pix": pixels[at].hex(), "sha256": shas[at].hex()}
                entries.append(encode({**common, **own, **parents}))
            predicate = {"cohort": name, "dataset": catalogue.root().hex(), "model": model, "origin": origin}
            writer.append(entries, "attest", predicate)
        return registration(
            writer,
            name=name,
            origin=origin,
            n=len(shas),
            new=len(fresh),
            known=sum(sha in known for sha in shas),
            model=model,
            generation=generation,
            set_aside=aside,
            notes=tuple(notes),
        )


def _looks(catalogue: Catalogue, rows: Sequence[int]) -> list[dict[str, str]]:
    """The perceptual hashes of these rows as detail, where the scan made them."""
    if "phash" not in getattr(catalogue, "columns", ()):
        return [{}] * len(rows)
    hashes = catalogue.table(["phash"])["phash"].to_pylist()
    return [{"phash": hashes[at].hex()} if hashes[at] else {} for at in rows]


def registration(writer: Writer, **fields: Any) -> Registration:
    """A `Registration` with the log's and the key's fields filled in."""
    ledger, key = writer.ledger, writer.key
    return Registration(
        key=key.signer.verifier.id,
        key_place=key.place,
        key_created=key.created,
        ledger=str(ledger.path),
        log=ledger.origin,
        size=ledger.size,
        root=ledger.root.hex(),
        **fields,
    )


def _check_cohort(writer: Writer, name: str, origin: str, model: str) -> None:
    """A cohort's name stands for one kind of image."""
    claims = writer.state.claims
    if name not in claims.names:
        return
    rows = np.flatnonzero(claims.attested & (claims.cohort == claims.names.index(name)))
    for code, maker in set(zip(claims.origin[rows].tolist(), claims.model[rows].tolist(), strict=True)):
        human = {CLASSES[code], origin} <= {"human_made", "captured"}
        if (CLASSES[code] != origin and not human) or claims.names[maker] != model:
            made = f" by {claims.names[maker]}" if claims.names[maker] else ""
            raise UsageError(
                f"cohort {name!r}: expected a new name, found one of {CLASSES[code]} images{made}",
                hint="give this folder another name: --cohort NAME",
            )


def _already(
    writer: Writer, shas: Sequence[bytes], name: str, origin: str, model: str, generation: Interval
) -> set[bytes]:
    """Digests that this key, or one that it replaced, has attested in just this way, and not withdrawn."""
    state, claims = writer.state, writer.state.claims
    mine = [n for n, batch in enumerate(state.batches) if batch.key in writer.key.verifiers]
    wanted = claims.attested & (claims.origin == CLASSES.index(origin)) & np.isin(claims.batch, mine)
    wanted &= (claims.lo == generation[0]) & (claims.hi == (-1 if generation[1] is None else generation[1]))
    for column, value in ((claims.cohort, name), (claims.model, model)):
        code = claims.names.index(value) if value in claims.names else -1
        wanted &= column == code
    index = Index(claims.sha[wanted])
    return {shas[at] for at in index.pairs(as_digests(shas))[0].tolist()}
