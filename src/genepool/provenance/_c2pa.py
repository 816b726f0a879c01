"""Signing a model's outputs with C2PA manifests, before they are registered.

Signing changes a file's bytes, never its raster. So signed files are written first and registered then, with
their new digests. Parents in the same set are signed before their children, which name the signed digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from genepool.config import Config
from genepool.errors import SignatureError, SourceError, UsageError, WorkspaceError
from genepool.provenance._credential import Credential, load_credential
from genepool.provenance._files import atomic_write
from genepool.provenance._lineages import Interval
from genepool.provenance._manifest import MIME, Ingredient, carried, make_context, sign_image, statement
from genepool.provenance._parentage import Parentage, descend, known_model
from genepool.provenance._trail import open_trail
from genepool.records import Case
from genepool.store import Workspace

if TYPE_CHECKING:
    from genepool.store import Catalogue

__all__ = ["SignedOutputs", "sign_outputs"]


@dataclass(frozen=True, slots=True)
class SignedOutputs:
    """What a signing did.

    Attributes:
        folder: Where the signed files lie.
        n: Images signed now.
        already: Images that carried this very statement, by this signer, before.
        model: The model.
        generation: Of its outputs, ``(lo, hi)``; single images with parents may be later.
        ingredients: Parents that were bound into manifests.
        signer: Common name in the certificate.
        key_place: File that the private key came from.
        authority: Certificate to trust, for a self-made signer (strangers see it as untrusted); else empty.
        created: Whether the self-made certificate is new.
        cases: Images that were not signed, and why.
        notes: Sentences for the user.
    """

    folder: str
    n: int
    already: int
    model: str
    generation: Interval
    ingredients: int
    signer: str
    key_place: str
    authority: str
    created: bool
    cases: tuple[Case, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def sign_outputs(
    catalogue: Catalogue,
    workspace: Workspace,
    *,
    model: str,
    out: str | Path | None = None,
    inputs: Iterable[Catalogue] = (),
    cert: str | None = None,
    key: str | None = None,
    config: Config | None = None,
) -> SignedOutputs:
    """Sign every readable image of a folder as made by a registered model.

    Args:
        catalogue: The scanned folder. Register the signed files afterwards: their digests are new.
        workspace: Whose logs know the model.
        model: The model's name.
        out: A new or empty folder for signed copies, with one sidecar that keeps what was declared; None:
            each file is replaced in one step, which leaves its pixels and its other metadata as they are.
        inputs: Scanned folders that hold images which the sidecar names as parents by their digest: with
            the file at hand, the manifest that a parent carries becomes part of the child's.
        cert: PEM file of the user's own certificate chain, signer first; None: a self-made one.
        key: PEM file of its private key.
        config: Key and trust policy, for reading the logs.

    Raises:
        UsageError: Not a local folder, the model is not registered, ``out`` cannot be used, or an image is
            named as its own ancestor.
        SignatureError: Certificate or key cannot be used.
        SourceError: No readable image.
        WorkspaceError: Files cannot be written; those that were signed before stay signed.
    """
    source = Path(catalogue.dataset.uri)
    if getattr(catalogue.dataset.source, "kind", "") != "folder" or not source.is_dir():
        raise UsageError(
            f"{catalogue.dataset.uri}: expected a local folder of image files to sign, "
            f"found {getattr(catalogue.dataset.source, 'kind', 'something else')}",
            hint="genepool export writes a folder",
        )
    if not catalogue.n:
        raise SourceError(f"{catalogue.dataset.uri}: expected at least one readable image, found none")
    target = source if out is None else _new_folder(Path(out).absolute(), source)
    trail = open_trail(workspace, config, dataset=catalogue.dataset)
    generation = known_model(trail, model).generation
    table = catalogue.table(["uri", "sha256", "place", "format", "declared", "caption"])
    rows = {name: table[name].to_pylist() for name in table.column_names}
    family, order, notes = descend(rows["uri"], rows["sha256"], rows["declared"], generation, trail)
    credential = load_credential(cert, key)
    work = _Signing(rows, family, model, credential, source, target)
    work.refuse_lost_links(in_place=out is None)
    work.learn(inputs)
    for at in order:
        work.sign(at)
    if out is not None:
        work.write_sidecar()
    return SignedOutputs(
        folder=str(target),
        n=work.n,
        already=work.already,
        model=model,
        generation=generation,
        ingredients=work.ingredients,
        signer=credential.name,
        key_place=credential.place,
        authority=credential.authority,
        created=credential.created,
        cases=tuple(work.cases),
        notes=tuple(notes),
    )


def _new_folder(path: Path, source: Path) -> Path:
    here, there = path.resolve(), source.resolve()
    if here == there or there in here.parents or here in there.parents:
        raise UsageError(f"{path}: expected a folder apart from {source}", hint="--out DIR beside it")
    try:
        if path.exists() and any(path.iterdir()):
            raise UsageError(f"{path}: expected a new or empty folder, found files in it")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be written: {error.strerror}") from None
    return path


class _Signing:
    """The run over one folder."""

    def __init__(
        self,
        rows: Mapping[str, list[Any]],
        family: Sequence[Parentage],
        model: str,
        credential: Credential,
        source: Path,
        target: Path,
    ) -> None:
        self.rows, self.family, self.model, self.credential = rows, family, model, credential
        self.source, self.target = source, target
        self.context = make_context()
        self.digest: dict[int, str] = {}  # of files as they are when this run is over
        self.known: dict[str, tuple[str, str]] = {}
        self.cases: list[Case] = []
        self.n = self.already = self.ingredients = 0

    def refuse_lost_links(self, *, in_place: bool) -> None:
        """In place, a sidecar that names parents of the same set by digest would point to nothing."""
        if not in_place:
            return
        for at, text in enumerate(self.rows["declared"]):
            for parent in self.family[at].inside:
                if self.rows["sha256"][parent].hex() in (text or ""):
                    raise UsageError(
                        f"{self.rows['uri'][at]}: the sidecar names a parent of the same folder by its "
                        "digest, which signing in place would change",
                        hint="sign into another folder (--out DIR), or name parents by their file names",
                    )

    def learn(self, inputs: Iterable[Catalogue]) -> None:
        """Note where parents from other folders lie."""
        wanted = {digest for one in self.family for digest in one.outside}
        for catalogue in inputs:
            table = catalogue.table(["sha256", "place", "format"])
            columns = (table[name].to_pylist() for name in ("sha256", "place", "format"))
            for sha, place, kind in zip(*columns, strict=True):
                if sha.hex() in wanted:
                    self.known[sha.hex()] = (place, kind)

    def sign(self, at: int) -> None:
        """Sign one image, or set it aside with a reason."""
        uri = self.rows["uri"][at]
        try:
            data = self._read(at)
            mime = MIME.get(self.rows["format"][at], "")
            if not mime:
                raise _Aside("unsupported", f"expected a format that C2PA embeds in, found {mime!r}")
            missing = [parent for parent in self.family[at].inside if parent not in self.digest]
            if missing:
                raise _Aside("parent-not-signed", f"its parent {self.rows['uri'][missing[0]]} was set aside")
            signed = self._signed(at, data, mime)
        except _Aside as aside:
            self.cases.append(Case(uri, aside.reason, aside.message))
            return
        if signed is not None:
            self._write(uri, signed)
        self.digest[at] = sha256(data if signed is None else signed).hexdigest()

    def _read(self, at: int) -> bytes:
        path = Path(self.rows["place"][at])
        if self.target == self.source and path.is_symlink():
            raise _Aside("link", "expected a file, found a link; sign into another folder (--out DIR)")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _Aside("unreadable", f"cannot be read: {error.strerror}") from None
        if sha256(data).digest() != self.rows["sha256"][at]:
            raise _Aside("changed", "its bytes changed since it was scanned")
        return data

    def _signed(self, at: int, data: bytes, mime: str) -> bytes | None:
        """The signed bytes; None where the file in place needs nothing."""
        own = self.family[at]
        parents = self._parents(own)
        old = carried(data, mime, self.context)
        if old is not None:
            if not old.sound:
                raise _Aside("bad-manifest", "carries a C2PA manifest that does not verify; strip it first")
            if not old.trained and old.generation is None:
                raise _Aside("contradiction", "carries a C2PA manifest that does not say a model made it")
            said = statement(self.model, own.generation, [parent.digest for parent in parents])
            if old.generation == said and old.signer == self.credential.name:
                self.already += 1
                return None if self.target == self.source else data
        try:
            signed = sign_image(
                data,
                mime,
                Path(self.rows["uri"][at]).name,
                self.credential,
                self.context,
                model=self.model,
                generation=own.generation,
                parents=parents,
                keep=old is not None,
            )
        except SignatureError as error:
            raise _Aside("not-signed", error.message) from None
        self.n += 1
        self.ingredients += len(parents)
        return signed

    def _parents(self, own: Parentage) -> list[Ingredient]:
        found = [(self.digest[at], self._at(self.rows["uri"][at]), at) for at in own.inside]
        near = [
            Ingredient(digest, path.read_bytes(), MIME[self.rows["format"][at]]) for digest, path, at in found
        ]
        return sorted([*near, *map(self._far, own.outside)], key=lambda one: one.digest)

    def _far(self, digest: str) -> Ingredient:
        place, kind = self.known.get(digest, ("", ""))
        if place and kind in MIME:
            try:
                data = Path(place).read_bytes()
            except OSError:
                return Ingredient(digest)
            if sha256(data).hexdigest() == digest:
                return Ingredient(digest, data, MIME[kind])
        return Ingredient(digest)

    def _at(self, uri: str) -> Path:
        return self.target / uri

    def _write(self, uri: str, data: bytes) -> None:
        path = self._at(uri)
        try:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, data, mode=mode)
        except OSError as error:
            raise WorkspaceError(f"{path}: cannot be written: {error.strerror or error}") from None

    def write_sidecar(self) -> None:
        """What was declared about the images, with parents by their new digests, beside the copies."""
        lines = []
        for at in sorted(self.digest):
            declared = orjson.loads(self.rows["declared"][at] or "{}")
            if self.rows["caption"][at]:
                declared.setdefault("caption", self.rows["caption"][at])
            own = self.family[at]
            if own.inside or own.outside:
                declared["parents"] = sorted([*own.outside, *(self.digest[parent] for parent in own.inside)])
            if declared:
                lines.append(orjson.dumps({"file": self.rows["uri"][at], **declared}))
        if lines:
            self._write("genepool.jsonl", b"\n".join(lines) + b"\n")


class _Aside(Exception):
    """Why one image is not signed."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
