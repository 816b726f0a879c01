"""Signing outputs with C2PA: what is written is read back by the evidence room, and bound to the bytes."""

from __future__ import annotations

import io
import json
import socket
import stat
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from c2pa_fixtures import CAPTURE, TRAINED, Authority, created, sign
from genepool import provenance
from genepool.cli._main import main
from genepool.config import Config
from genepool.engine import LocalEngine
from genepool.errors import SignatureError, UsageError, WorkspaceError
from genepool.evidence import EvidenceProbe, read_evidence
from genepool.origin import settle
from genepool.provenance import SignedOutputs, sign_outputs
from genepool.store import Workspace
from support.scans import encoded, fill, picture, scanned, use_probes

KINDS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF")


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    use_probes(monkeypatch, EvidenceProbe())
    monkeypatch.setattr("genepool.scan._scan.configured", lambda config: LocalEngine(inline=True))


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """A workspace in which ``painter`` was trained on two human images, and ``wild`` on nobody knows what."""
    place = Workspace(tmp_path / "set.genepool").create()
    human = scanned(fill(tmp_path / "human", 2), place.root)
    provenance.register_human(human, place, cohort="human")
    provenance.register_model(place, "painter", [("human", 1.0)])
    provenance.register_model(place, "copyist", [("painter", 1.0)])
    provenance.register_model(place, "wild", [("unknown", None)])
    return place


def outputs(folder: Path, count: int = 3, kind: str = "JPEG") -> Path:
    folder.mkdir()
    for i in range(count):
        (folder / f"{i}.{kind.lower()}").write_bytes(encoded(picture(50 + i), kind))
    return folder


def declare(folder: Path, **parents: list[str]) -> None:
    lines = [json.dumps({"file": name, "parents": named}) for name, named in parents.items()]
    (folder / "genepool.jsonl").write_text("\n".join(lines))


def signed(folder: Path, space: Workspace, model: str = "painter", **more: object) -> SignedOutputs:
    return sign_outputs(scanned(folder, space.root), space, model=model, **more)  # type: ignore[arg-type]


def only(data: bytes, **options: object):
    (item,) = (one for one in read_evidence(data, **options).evidence if one.kind == "c2pa")
    return item


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_says_what_made_it_and_keeps_its_pixels(
    kind: str, tmp_path: Path, space: Workspace
) -> None:
    folder = outputs(tmp_path / "ai", 1, kind)
    path = folder / f"0.{kind.lower()}"
    plain = path.read_bytes()
    done = signed(folder, space)
    assert (done.n, done.cases) == (1, ())
    assert done.created
    data = path.read_bytes()
    assert data != plain
    with Image.open(io.BytesIO(plain)) as a, Image.open(io.BytesIO(data)) as b:
        assert a.tobytes() == b.tobytes()
    found = read_evidence(data)
    assert found.c2pa == "untrusted"
    item = only(data)
    assert (item.claim, item.origin, item.model, item.generation) == ("ai", "synthetic", "painter", (1, 1))
    # Whoever trusts the self-made authority sees a valid signature.
    trusted = read_evidence(data, trust_anchors=(Path(done.authority),))
    assert trusted.c2pa == "valid"
    assert only(data, trust_anchors=(Path(done.authority),)).hard


def test_the_lineage_that_is_written_is_the_lineage_that_is_read(tmp_path: Path, space: Workspace) -> None:
    human = scanned(tmp_path / "human", space.root)
    (photo, *_) = human.table(["sha256"])["sha256"].to_pylist()
    folder = outputs(tmp_path / "ai", 4)
    declare(
        folder,
        **{"1.jpeg": [photo.hex()], "2.jpeg": ["1.jpeg"], "3.jpeg": ["ab" * 32, "0.jpeg"]},
    )
    out = tmp_path / "signed"
    done = signed(folder, space, out=out, inputs=[human])
    assert (done.n, done.ingredients) == (4, 4)
    shas = {path.name: sha256(path.read_bytes()).hexdigest() for path in out.glob("*.jpeg")}
    read = {name: only((out / name).read_bytes()) for name in shas}
    assert {name: item.generation for name, item in read.items()} == {
        "0.jpeg": (1, 1),
        "1.jpeg": (1, 1),  # a person's photograph and a model of generation 1
        "2.jpeg": (2, 2),
        "3.jpeg": (2, None),  # nobody knows what its first parent is
    }
    assert read["1.jpeg"].parents == (photo.hex(),)
    assert read["2.jpeg"].parents == (shas["1.jpeg"],)
    assert set(read["3.jpeg"].parents) == {"ab" * 32, shas["0.jpeg"]}
    assert read["0.jpeg"].parents == ()

    # Registered, the log says the same as the files.
    catalogue = scanned(out, space.root)
    assert provenance.register_outputs(catalogue, space, model="painter").n == 4
    trail = provenance.open_trail(space)
    for name, sha in shas.items():
        (claim,) = trail.attestations([bytes.fromhex(sha)], [])[0]
        assert claim.generation == read[name].generation
        assert set(claim.parents) == set(read[name].parents)
        assert claim.model == read[name].model
    settled = settle(catalogue, space, Config())
    assert set(settled["origin"].to_pylist()) == {"synthetic"}
    assert settled["lo"].to_pylist() == [1, 1, 2, 2]


def test_unknown_ancestry_has_no_upper_end(tmp_path: Path, space: Workspace) -> None:
    folder = outputs(tmp_path / "ai", 1)
    assert signed(folder, space, "wild").generation == (1, None)
    assert only((folder / "0.jpeg").read_bytes()).generation == (1, None)
    other = outputs(tmp_path / "second", 1)
    signed(other, space, "copyist")
    assert only((other / "0.jpeg").read_bytes()).generation == (2, 2)


def test_signing_again_adds_nothing_and_another_statement_keeps_the_first(
    tmp_path: Path, space: Workspace
) -> None:
    folder = outputs(tmp_path / "ai", 2)
    assert not (first := signed(folder, space)).already
    before = (folder / "0.jpeg").read_bytes()
    again = signed(folder, space)
    assert (again.n, again.already, again.created) == (0, 2, False)
    assert again.signer == first.signer
    assert (folder / "0.jpeg").read_bytes() == before
    later = signed(folder, space, "copyist")
    assert (later.n, later.already) == (2, 0)
    data = (folder / "0.jpeg").read_bytes()
    item = only(data)
    assert item.generation == (2, 2)
    assert "inherited" in item.detail  # from the manifest that it had


def test_files_with_foreign_manifests(tmp_path: Path, space: Workspace) -> None:
    stranger = Authority.make().credential()
    folder = tmp_path / "ai"
    folder.mkdir()
    plain = encoded(picture(9))
    (folder / "generated.jpg").write_bytes(sign(plain, "image/jpeg", stranger, [created(TRAINED, "Studio")]))
    (folder / "photo.jpg").write_bytes(sign(plain, "image/jpeg", stranger, [created(CAPTURE, "Camera")]))
    broken = bytearray(sign(encoded(picture(8)), "image/jpeg", stranger, [created(TRAINED, "Studio")]))
    broken[-20] ^= 0x40
    (folder / "torn.jpg").write_bytes(bytes(broken))
    done = signed(folder, space)
    assert done.n == 1
    assert {case.uri: case.reason for case in done.cases} == {
        "photo.jpg": "contradiction",
        "torn.jpg": "bad-manifest",
    }
    item = only((folder / "generated.jpg").read_bytes())
    assert (item.model, item.origin, item.generation) == ("Studio", "synthetic", (1, 1))


def test_no_network_is_touched(tmp_path: Path, space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert signed(outputs(tmp_path / "ai", 1), space).n == 1


# ------------------------------------------------------------------------------------------------- attacks


def test_a_manifest_copied_onto_another_image_proves_nothing(tmp_path: Path, space: Workspace) -> None:
    folder = outputs(tmp_path / "ai", 1)
    done = signed(folder, space)
    data = (folder / "0.jpeg").read_bytes()
    other = encoded(picture(99))
    segments, position = b"", 2
    while data[position] == 0xFF and data[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segments += data[position:end] if data[position + 1] == 0xEB else b""  # APP11 holds the manifest
        position = end
    assert b"org.genepool.generation" in segments
    stolen = other[:2] + segments + other[2:]
    found = read_evidence(stolen, trust_anchors=(Path(done.authority),))
    assert found.c2pa == "invalid"
    assert [one.claim for one in found.evidence if one.kind == "c2pa"] == ["none"]


def test_no_flipped_byte_of_a_signed_file_says_anything_else(tmp_path: Path, space: Workspace) -> None:
    folder = outputs(tmp_path / "ai", 1)
    done = signed(folder, space)
    good = (folder / "0.jpeg").read_bytes()
    anchors = (Path(done.authority),)
    said, unbound = only(good, trust_anchors=anchors), 0
    assert said.hard
    for at in range(3, len(good), len(good) // 60):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        found = read_evidence(bad, trust_anchors=anchors)
        if found.c2pa == "valid":
            # C2PA leaves some bytes of the manifest's own wrapping (numbers of APP11 segments, padding of the
            # signature) outside every hash; they may change, but then nothing that is said has changed.
            unbound += 1
            assert only(bad, trust_anchors=anchors) == said
            with Image.open(io.BytesIO(good)) as a, Image.open(io.BytesIO(bad)) as b:
                assert a.tobytes() == b.tobytes()
    assert unbound < 30


@pytest.mark.parametrize(
    ("parents", "shown"),
    [
        ({"0.jpeg": ["0.jpeg"]}, "0.jpeg ← 0.jpeg"),
        (
            {"0.jpeg": ["1.jpeg"], "1.jpeg": ["2.jpeg"], "2.jpeg": ["0.jpeg"]},
            "0.jpeg ← 1.jpeg ← 2.jpeg ← 0.jpeg",
        ),
    ],
)
def test_nobody_is_their_own_ancestor(
    tmp_path: Path, space: Workspace, parents: dict[str, list[str]], shown: str
) -> None:
    folder = outputs(tmp_path / "ai")
    declare(folder, **parents)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UsageError, match=shown):
        signed(folder, space)
    with pytest.raises(UsageError, match="its ancestors"):
        provenance.register_outputs(scanned(folder, space.root), space, model="painter")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_parent_named_by_its_own_digest_is_a_cycle(tmp_path: Path, space: Workspace) -> None:
    folder = outputs(tmp_path / "ai", 1)
    declare(folder, **{"0.jpeg": [sha256((folder / "0.jpeg").read_bytes()).hexdigest()]})
    with pytest.raises(UsageError, match="ancestors"):
        signed(folder, space)


# --------------------------------------------------------------------------------------------- where and who


def test_signing_into_another_folder(tmp_path: Path, space: Workspace) -> None:
    folder = outputs(tmp_path / "ai", 2)
    (folder / "0.txt").write_text("a caption")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    signed(folder, space, out=tmp_path / "out" / "deep")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    captions = scanned(tmp_path / "out" / "deep", space.root).table(["caption"])["caption"].to_pylist()
    assert captions == ["a caption", None]
    for bad in (folder, folder / "inside", tmp_path, tmp_path / "out"):
        with pytest.raises(UsageError, match="expected a"):
            signed(folder, space, out=bad)


def test_in_place_refuses_what_it_would_break(tmp_path: Path, space: Workspace) -> None:
    folder = outputs(tmp_path / "ai", 2)
    declare(folder, **{"1.jpeg": [sha256((folder / "0.jpeg").read_bytes()).hexdigest()]})
    with pytest.raises(UsageError, match="--out DIR"):
        signed(folder, space)
    done = signed(folder, space, out=tmp_path / "out")
    assert done.ingredients == 1
    told = json.loads((tmp_path / "out" / "genepool.jsonl").read_text())
    assert told["parents"] == [sha256((tmp_path / "out" / "0.jpeg").read_bytes()).hexdigest()]


def test_links_and_changed_files_are_set_aside(tmp_path: Path, space: Workspace) -> None:
    folder = outputs(tmp_path / "ai", 2)
    catalogue = scanned(folder, space.root)
    (folder / "0.jpeg").rename(tmp_path / "elsewhere.jpeg")
    (folder / "0.jpeg").symlink_to(tmp_path / "elsewhere.jpeg")
    (folder / "1.jpeg").write_bytes(encoded(picture(7)))
    kept = (tmp_path / "elsewhere.jpeg").read_bytes()
    done = sign_outputs(catalogue, space, model="painter")
    assert {case.uri: case.reason for case in done.cases} == {"0.jpeg": "link", "1.jpeg": "changed"}
    assert (tmp_path / "elsewhere.jpeg").read_bytes() == kept


def test_ones_own_certificate(tmp_path: Path, space: Workspace) -> None:
    authority = Authority.make("Known Root")
    own = authority.credential("Known Studio")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text(own.chain)
    key.write_text(own.secret)
    key.chmod(0o600)
    (tmp_path / "root.pem").write_text(authority.root)
    folder = outputs(tmp_path / "ai", 1)
    done = signed(folder, space, cert=str(cert), key=str(key))
    assert (done.signer, done.authority, done.created) == ("Known Studio", "", False)
    assert (
        read_evidence((folder / "0.jpeg").read_bytes(), trust_anchors=(tmp_path / "root.pem",)).c2pa
        == "valid"
    )


def test_certificates_that_cannot_be_used(tmp_path: Path, space: Workspace) -> None:
    authority = Authority.make()
    one, two = authority.credential(), authority.credential()
    old = authority.credential(seconds=-3600)
    files = {
        "cert": one.chain, "key": one.secret, "other": two.secret, "old": old.chain, "oldkey": old.secret,
        "nonsense": "nonsense",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    folder = outputs(tmp_path / "ai", 1)
    before = (folder / "0.jpeg").read_bytes()

    def refused(cert: str | None, key: str | None, kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            signed(folder, space, cert=cert and str(tmp_path / cert), key=key and str(tmp_path / key))

    refused("cert", "other", SignatureError, "not the one of the first certificate")
    refused("old", "oldkey", SignatureError, "valid from")
    refused("nonsense", "key", SignatureError, "PEM certificates")
    refused("cert", "nonsense", SignatureError, "PEM private key")
    refused("cert", None, UsageError, "only one of them")
    refused("cert", "missing", WorkspaceError, "cannot be read")
    (tmp_path / "key").chmod(0o644)
    refused("cert", "key", SignatureError, "mode 600")
    assert (folder / "0.jpeg").read_bytes() == before


def test_the_self_made_key_is_private_and_lies_with_the_other_keys(
    tmp_path: Path, space: Workspace, own_home: Path
) -> None:
    done = signed(outputs(tmp_path / "ai", 1), space)
    path = Path(done.key_place)
    assert path.parent == own_home
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"PRIVATE" not in Path(done.authority).read_bytes()
    for file in space.root.rglob("*"):
        assert not file.is_file() or b"PRIVATE KEY" not in file.read_bytes()
    path.chmod(0o644)
    with pytest.raises(SignatureError, match="mode 600"):
        signed(outputs(tmp_path / "more", 1), space)


def test_only_folders_of_files_can_be_signed(tmp_path: Path, space: Workspace) -> None:
    import tarfile

    folder = outputs(tmp_path / "ai", 2)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    with pytest.raises(UsageError, match="local folder"):
        signed(tmp_path / "a.tar", space)
    with pytest.raises(UsageError, match="not registered"):
        signed(folder, space, "paynter")


def test_the_verb(tmp_path: Path, space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = outputs(tmp_path / "ai", 2)

    def run(*more: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(
                [
                    "register",
                    "outputs",
                    str(folder),
                    "--model",
                    "painter",
                    "--workspace",
                    str(space.root),
                    *more,
                ]
            )
        return int(stopped.value.code or 0), capsys.readouterr().out

    code, out = run("--c2pa", "--out", str(tmp_path / "out"))
    assert code == 0, out
    assert "2 files signed" in out
    assert "strangers see these signatures as untrusted" in out
    assert "2 images attested as made by painter, generation 1" in out
    code, out = run("--c2pa", "--format", "json")
    facts = json.loads(out)
    assert (facts["n"], facts["c2pa"]["n"], facts["c2pa"]["generation"]) == (2, 2, [1, 1])
    assert run("--out", str(tmp_path / "x"))[0] == 2
    trail = provenance.open_trail(space)
    for path in (*folder.glob("*.jpeg"), *(tmp_path / "out").glob("*.jpeg")):
        assert trail.attestations([sha256(path.read_bytes()).digest()], [])[0]
