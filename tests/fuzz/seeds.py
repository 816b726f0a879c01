"""Real valid inputs of every target, made by the programs that make such files, nothing from elsewhere."""

from __future__ import annotations

import functools
import io
import json
import os
import tarfile
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from genepool import config, provenance
from genepool.provenance import _cosignature, _keyfile
from genepool.provenance._dsse import make_seal
from genepool.provenance._entries import encode
from genepool.provenance._merkle import inclusion_proof, leaf_hashes, memory_fetch, root
from genepool.provenance._note import Signer, sign_note
from genepool.provenance._proof import Proof
from genepool.provenance._tiles import encode_bundle
from support import ledgers, marks

__all__ = ["files_of", "log_in", "log_verifiers", "seeds", "signer"]

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
OTS = b"\x00OpenTimestamps\x00\x00Proof\x00\xbf\x89\xe2\xe8\x84\xe8\x92\x94"
"""Magic of a proof of the OpenTimestamps calendar (its first bytes)."""
COMFY = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 20, "cfg": 8.0, "model": ["4", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5-pruned.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse", "clip": ["4", 1]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
}
WORKFLOW = {
    "last_node_id": 9,
    "nodes": [
        {"id": 3, "type": "KSampler", "widgets_values": [7, "fixed", 20, 8, "euler", "normal", 1]},
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["v1-5-pruned.safetensors"]},
    ],
    "links": [[1, 4, 0, 3, 0, "MODEL"]],
    "definitions": {"subgraphs": [{"nodes": [{"id": 1, "type": "LoadImage"}]}]},
}
SIDECAR = {
    "file": "a.png", "origin": "human_made", "source": "museum", "artist": "Ada", "style": "oil",
    "license": "CC0-1.0", "parents": ["00" * 32], "model": "m", "generation": [0, None], "caption": "a boat",
    "caption_source": "human", "created": "1999-12", "grade": 3,
}  # fmt: skip


def large() -> list[bytes]:
    """Pictures that the models do not turn away: 160 pixels with texture."""
    y, x = np.mgrid[0:160, 0:176]
    rng = np.random.default_rng(6)
    waves = np.stack([np.sin(x / 9 + c) + np.cos(y / (7 + c)) for c in range(3)], -1)
    pixels = np.clip(128 + 40 * waves + rng.normal(0, 9, waves.shape), 0, 255).astype(np.uint8)
    found = []
    for kind, options in (("JPEG", {"quality": 70}), ("WEBP", {"quality": 60}), ("PNG", {}), ("AVIF", {})):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, kind, **options)
        found.append(out.getvalue())
    return found


def _picture(mode: str, kind: str, size: tuple[int, int] = (24, 20), **options: object) -> bytes:
    rng = np.random.default_rng(5)
    base = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8), "RGBA")
    made = Image.new("I;16", size, 40_000) if mode == "I;16" else base.convert(mode)
    out = io.BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def images() -> list[bytes]:
    xmp = marks.source_type_packet(TRAINED)
    frames = [marks.picture(16).convert("P"), marks.picture(16).convert("P")]
    gif = io.BytesIO()
    frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:])
    return [
        _picture("RGB", "JPEG", quality=60, exif=marks.camera(), xmp=xmp),
        _picture("L", "JPEG", quality=60, progressive=True),
        _picture("CMYK", "JPEG", quality=60),
        _picture("RGBA", "PNG"), _picture("LA", "PNG"), _picture("P", "PNG"), _picture("1", "PNG"),
        _picture("I;16", "PNG"),
        _picture("RGB", "WEBP", quality=50, exif=marks.camera(), xmp=xmp),
        _picture("RGBA", "WEBP", lossless=True),
        _picture("RGB", "AVIF", quality=40, exif=marks.camera(), xmp=xmp),
        _picture("RGB", "TIFF", compression="tiff_lzw"), _picture("F", "TIFF"), _picture("I", "TIFF"),
        _picture("RGB", "TIFF", compression="jpeg"), _picture("P", "BMP"), _picture("RGB", "BMP"),
        gif.getvalue(),
        marks.png(parameters=marks.A1111, prompt=json.dumps(COMFY), workflow=json.dumps(WORKFLOW)),
        marks.gif_xmp(xmp),
        marks.with_segments(marks.encode("JPEG"), marks.app11(marks.store())),
    ]  # fmt: skip


@functools.cache
def _signed() -> tuple[bytes, bytes]:
    """A file with a C2PA manifest, and the manifest's JUMBF boxes alone."""
    from c2pa_fixtures import Authority, created, sign

    whole = sign(marks.encode("PNG"), "image/png", Authority.make().credential(), [created(TRAINED)])
    at = whole.index(b"caBX")
    length = int.from_bytes(whole[at - 4 : at], "big")
    return whole, whole[at + 4 : at + 4 + length]


def evidence() -> list[bytes]:
    whole, store = _signed()
    xmp = marks.source_type_packet(TRAINED)
    exif = marks.camera()[6:]
    bodies = {
        0: [*images(), whole], 1: [xmp], 2: [b"Comment\0made by NovelAI", b"Software\0NovelAI"],
        3: [marks.A1111.encode()], 4: [json.dumps(COMFY).encode()], 5: [json.dumps(WORKFLOW).encode()],
        6: [exif], 7: [store, marks.store()], 8: [exif], 9: [store, marks.store(sound=True)], 10: [xmp],
        11: [xmp],
    }  # fmt: skip
    return [bytes([kind]) + body for kind, each in bodies.items() for body in each]


def tars() -> list[bytes]:
    found = []
    for layout in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=layout) as archive:
            for name, data in (
                ("a/one.png", marks.encode("PNG")),
                ("a/one.txt", b"a boat"),
                ("a/one.genepool.json", json.dumps(SIDECAR).encode()),
                (f"{'long/' * 30}two.jpg", marks.encode("JPEG")),
                ("bild-ü.png", marks.encode("PNG")),
            ):
                if layout == tarfile.USTAR_FORMAT and len(name) > 100:
                    name = "two.jpg"
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            for name, kind in (("../up.png", tarfile.REGTYPE), ("link.png", tarfile.SYMTYPE)):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, "/etc/passwd" if kind == tarfile.SYMTYPE else ""
                archive.addfile(member)
        found.append(out.getvalue())
    return found


def sidecars() -> list[bytes]:
    line = json.dumps(SIDECAR).encode()
    return [
        line,
        line + b"\n" + json.dumps({"file": "b.png", "origin": "captured"}).encode() + b"\n",
        b"file_name,caption,artist,genepool\na.png,a boat,Ada,\"{\"\"origin\"\": \"\"captured\"\"}\"\n",
        b'{"file_name": "a.png", "text": "a boat", "source": "museum"}\n',
        b'{"caption": "a boat"}',
        b"a boat\n",
    ]  # fmt: skip


def tomls() -> list[bytes]:
    lines: dict[str, list[str]] = {}
    for key, value, _ in config.describe():
        table, _, name = key.rpartition(".")
        shown = json.dumps(list(value) if isinstance(value, tuple) else value)
        lines.setdefault(table, []).append(f"{name} = {shown}")
    whole = "\n".join(lines.pop("", [])) + "\n"
    whole += "".join(f"[{table}]\n" + "\n".join(rows) + "\n" for table, rows in lines.items() if table)
    inside = "\n[tool.genepool.policy]\nhuman_ratio = 0.8\nslices = ['artist']\n"
    return [whole.encode(), b"[policy]\nhuman_ratio = 0.8\n", inside.encode()]


def panels() -> list[bytes]:
    return [resources.files("genepool.diversity").joinpath("panels", "house.npz").read_bytes()]


# --------------------------------------------------------------------------------------------- log


@functools.cache
def signer() -> Signer:
    """A key whose seed is no secret."""
    return Signer("fuzz", bytes(range(32)))


def _own_home() -> None:
    from fuzz.watch import scratch

    home = scratch() / "home"
    home.mkdir(exist_ok=True)
    os.environ["GENEPOOL_HOME"] = str(home)


def log_in(folder: Path) -> object:
    """A small log with all kinds of entries, in a folder of its own."""
    _own_home()
    folder.mkdir(exist_ok=True)
    return ledgers.small_log(folder)


def files_of(space: object) -> list[Path]:
    return list(ledgers.log_files(space))


@functools.cache
def log_verifiers() -> tuple:
    """The key of all logs made here; whoever calls may have a home of its own by now."""
    certificates()
    _own_home()
    return (provenance.load_key().signer.verifier,)


def _entries() -> list[bytes]:
    who = signer()
    digest = "ab" * 32
    bodies = [
        {"kind": "key", "action": "register", "at": 1, "role": "log", "vkey": who.verifier.vkey},
        {"kind": "origin", "gen": [0, None], "origin": "human_made", "pix": digest, "role": "attest",
         "sha256": digest, "cohort": "a", "parents": [digest]},
        {"kind": "verdict", "answer": "human", "at": 5, "reviewer": "r", "sha256": digest, "prev": 1},
        {"kind": "draw", "at": 5, "n": 3, "population": digest, "seed": "s"},
        {"kind": "model", "at": 5, "gen": [1, 1], "name": "m", "base": "x",
         "trained_on": [{"kind": "cohort", "ppm": 5, "ref": "a"}]},
        {"kind": "dataset", "composition": {"human": 3}, "gen": [0, 1], "n": 3, "policy": digest,
         "root": digest},
        {"kind": "decision", "at": 5, "dataset": digest, "digest": digest, "status": "pass",
         "summary": {"failures": [], "measures": {}}},
        {"kind": "withdraw", "at": 5, "index": 1, "reason": "asked"},
    ]  # fmt: skip
    predicate = {"first": 0, "n": 1, "log": who.verifier.vkey, "role": "attest"}
    return [*map(encode, bodies), make_seal(who, bytes(32), predicate)]


def logs() -> list[bytes]:
    who = signer()
    entries = _entries()
    hashes = leaf_hashes(entries)
    head = provenance.Checkpoint(who.verifier.name, len(entries), root(hashes))
    signed = head.sign(who)
    steps = inclusion_proof(2, len(entries), memory_fetch(hashes))
    proof = Proof(2, tuple(steps), signed, entries[2]).encode()
    cosigned = _cosignature.append_signatures(signed, [_cosignature.cosign(head.text(), who, 1_800_000_000)])
    trust = (f'[[keys]]\nvkey = "{who.verifier.vkey}"\nmay = ["human"]\n').encode()
    witness = _cosignature.WitnessKey.of(who).vkey
    policy = f"log {who.verifier.vkey}\nwitness w {witness}\ngroup g 1 w\nquorum g\n"
    found = {
        0: [bytes([len(entries)]) + encode_bundle(entries)],
        1: entries,
        2: [sign_note("a text\n", [who])],
        3: [head.text().encode()],
        4: [signed, cosigned],
        5: [proof],
        6: list(certificates()),
        7: [who.verifier.vkey.encode(), who.text().encode(), _keyfile.protect(who, "pass").encode()],
        8: [trust],
        9: [bytes(80), OTS + b"\x01\x08" + bytes(32)],
        10: [policy.encode()],
    }  # fmt: skip
    return [bytes([kind]) + body for kind, each in found.items() for body in each]


@functools.cache
def certificates() -> tuple[bytes, ...]:
    """What a passing set is given."""
    from fuzz.watch import scratch

    space = log_in(scratch() / "passed")
    everything = ledgers.images(5, "a")
    decision = {"status": "pass", "measures": {}}
    provenance.seal(space, everything, everything.origins("human_made", 0, 0), decision)
    return ((space.root / "certificate.genepool").read_bytes(),)


def ledger_files() -> list[bytes]:
    from fuzz.watch import scratch

    space = log_in(scratch() / "seeds")
    return [bytes([k]) + path.read_bytes() for k, path in enumerate(files_of(space))]


def seeds(target: str) -> list[bytes]:
    """The valid inputs of a target."""
    makers = {
        "image": images, "models": large, "evidence": evidence, "tar": tars, "sidecar": sidecars,
        "toml": tomls, "panel": panels, "log": logs, "ledger": ledger_files,
    }  # fmt: skip
    return makers[target]()
