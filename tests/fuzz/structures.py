"""Inputs from their grammar, and real files damaged: what `hypothesis` shows the targets."""

from __future__ import annotations

import functools
import json
import struct
import zlib

from hypothesis import strategies as st

from fuzz.seeds import COMFY, SIDECAR, TRAINED, WORKFLOW, seeds
from genepool import config
from support import marks

__all__ = ["STRATEGIES"]

Bytes = st.SearchStrategy[bytes]
EDGES = (0, 1, 2, 7, 8, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
_short = st.binary(max_size=40)
_number = st.sampled_from(EDGES) | st.integers(0, 2**64 - 1)


# ---------------------------------------------------------------------------------------- mutation


@st.composite
def damaged(draw: st.DrawFn, target: str) -> bytes:
    """A valid input after one to six changes of the kinds that files suffer and attackers make."""
    given = _seeds(target)
    data = bytearray(draw(st.sampled_from(given)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        change = draw(st.integers(0, 7))
        if change == 0 and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif change == 1 and at < len(data):
            data[at] = draw(st.sampled_from((0, 1, 0x20, 0x7F, 0x80, 0xFF)))
        elif change == 2:
            del data[at : at + draw(st.integers(1, 64))]
        elif change == 3:
            data[at:at] = draw(_short)
        elif change == 4:
            del data[at:]
        elif change == 5:
            width, order = draw(st.sampled_from((2, 4, 8))), draw(st.sampled_from(("big", "little")))
            data[at : at + width] = (draw(_number) % 256**width).to_bytes(width, order)
        elif change == 6:
            other = draw(st.sampled_from(given))
            start = draw(st.integers(0, len(other)))
            data[at:at] = other[start : start + draw(st.integers(1, 256))]
        else:
            end = min(len(data), at + draw(st.integers(1, 64)))
            data[at:at] = data[at:end] * draw(st.integers(1, 40))
    return bytes(data[: 1 << 17])


@functools.cache
def _seeds(target: str) -> list[bytes]:
    return sorted(seeds(target))


# ------------------------------------------------------------------------------------------ images


@st.composite
def _png(draw: st.DrawFn) -> bytes:
    """A header of any sort, chunks of any sort with sound checksums, pixels that may not be enough."""
    width, height = draw(st.integers(0, 40) | _number) % 2**32, draw(st.integers(0, 40) | _number) % 2**32
    depth, colour = draw(st.sampled_from((1, 2, 4, 8, 16, 3))), draw(st.sampled_from((0, 2, 3, 4, 6, 5)))
    head = struct.pack(
        ">IIBBBBB", width, height, depth, colour, draw(st.integers(0, 1)), 0, draw(st.integers(0, 2))
    )
    kinds = (
        b"PLTE",
        b"tRNS",
        b"tEXt",
        b"zTXt",
        b"iTXt",
        b"eXIf",
        b"caBX",
        b"acTL",
        b"fcTL",
        b"gAMA",
        b"iCCP",
        b"pHYs",
    )
    chunks = [marks.chunk(b"IHDR", head)]
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(kinds))
        body = draw(_short | st.builds(zlib.compress, _short))
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            body = (
                draw(st.sampled_from((b"parameters", b"prompt", b"XML:com.adobe.xmp", b"c")))
                + b"\0" * draw(st.integers(0, 5))
                + body
            )
        chunks.append(marks.chunk(kind, body))
    pixels = draw(st.binary(max_size=200)) + bytes(draw(st.sampled_from((0, 50, 5000))))
    chunks.append(marks.chunk(b"IDAT", zlib.compress(pixels)))
    if draw(st.booleans()):
        chunks.append(marks.chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@st.composite
def _jpeg(draw: st.DrawFn) -> bytes:
    """A sound picture between segments of any sort."""
    whole = marks.encode("JPEG")
    extra = []
    for _ in range(draw(st.integers(1, 5))):
        marker = draw(st.sampled_from((0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE, 0xDB, 0xC0, 0xC4, 0xDD)))
        prefix = draw(
            st.sampled_from(
                (
                    b"",
                    b"Exif\0\0",
                    b"http://ns.adobe.com/xap/1.0/\0",
                    b"JP\0\1\0\0\0\1",
                    b"Adobe\0",
                    b"MPF\0",
                    b"ICC_PROFILE\0\1\1",
                )
            )
        )
        extra.append(marks.segment(marker, prefix + draw(_short | _ifd())))
    return marks.with_segments(whole, *extra)[: draw(st.sampled_from((1 << 20, 200, 700)))]


@st.composite
def _ifd(draw: st.DrawFn) -> bytes:
    """TIFF directories whose offsets may point anywhere, themselves included."""
    order = draw(st.sampled_from("<>"))
    n = draw(st.integers(0, 8))
    tags = (
        0x100, 0x101, 0x102, 0x103, 0x106, 0x10E, 0x10F, 0x110, 0x111, 0x112, 0x115, 0x117, 0x131, 0x13B,
        0x153, 0x2BC, 0x8769, 0x8825, 0x9003, 0x9286, 0x927C, 0xA005, 0xA430,
    )  # fmt: skip
    entries = b"".join(
        struct.pack(
            f"{order}HHII",
            draw(st.sampled_from(tags)),
            draw(st.integers(0, 14)),
            draw(st.integers(0, 16) | _number) % 2**32,
            draw(st.integers(0, 200) | _number) % 2**32,
        )
        for _ in range(n)
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    following = draw(st.sampled_from((0, 8, 4, 2**32 - 1)))
    return (
        mark + struct.pack(f"{order}IH", 8, n) + entries + struct.pack(f"{order}I", following) + draw(_short)
    )


def _box(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    return struct.pack(">I4s", len(body) + 8 if size is None else size % 2**32, kind) + body


@st.composite
def _boxes(draw: st.DrawFn, kinds: tuple[bytes, ...], depth: int = 3) -> bytes:
    """ISO boxes in boxes; one in five says a wrong size."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(kinds))
        inner = draw(_short) if depth == 0 or draw(st.booleans()) else draw(_boxes(kinds, depth - 1))
        size = draw(_number) if draw(st.integers(0, 4)) == 0 else None
        found.append(_box(kind, bytes(draw(st.sampled_from((0, 4)))) + inner, size))
    return b"".join(found)


@st.composite
def _avif(draw: st.DrawFn) -> bytes:
    brand = draw(st.sampled_from((b"avif", b"heic", b"mif1", b"xxxx")))
    ids = draw(st.lists(st.integers(0, 70_000), min_size=1, max_size=4))
    items = b"".join(
        _box(
            b"infe",
            struct.pack(">B3xHH4s", 2, i % 65_536, 0, draw(st.sampled_from((b"Exif", b"mime", b"av01"))))
            + b"\0application/rdf+xml\0",
        )
        for i in ids
    )
    version = draw(st.integers(0, 3))
    places = struct.pack(">B3xBB", version, draw(st.integers(0, 255)), draw(st.integers(0, 255)))
    places += struct.pack(">H", draw(st.integers(0, 65_535))) + draw(st.binary(max_size=120))
    meta = bytes(4) + _box(b"iinf", bytes(4) + struct.pack(">H", len(ids)) + items) + _box(b"iloc", places)
    meta += draw(st.just(b"") | _boxes((b"idat", b"iprp", b"pitm", b"hdlr")))
    return _box(b"ftyp", brand + bytes(4) + brand) + _box(b"meta", meta) + draw(_short)


@st.composite
def _gif(draw: st.DrawFn) -> bytes:
    blocks = []
    for _ in range(draw(st.integers(0, 5))):
        body = draw(_short)
        label = draw(
            st.sampled_from((b"\xf9", b"\xff\x0bXMP DataXMP", b"\xff\x0bNETSCAPE2.0", b"\xfe", b"\x01"))
        )
        blocks.append(b"\x21" + label + bytes([len(body)]) + body + draw(st.sampled_from((b"\0", b""))))
    whole = marks.encode("GIF")
    return whole[:-1] + b"".join(blocks) + draw(st.sampled_from((b";", b"")))


@st.composite
def _riff(draw: st.DrawFn) -> bytes:
    kinds = (b"VP8 ", b"VP8L", b"VP8X", b"EXIF", b"XMP ", b"ANIM", b"ANMF", b"ICCP", b"C2PA", b"ALPH")
    parts = b""
    for _ in range(draw(st.integers(0, 5))):
        body = draw(_short)
        size = draw(_number) % 2**32 if draw(st.integers(0, 4)) == 0 else len(body)
        parts += draw(st.sampled_from(kinds)) + struct.pack("<I", size) + body + b"\0" * (len(body) & 1)
    sound = marks.encode("WEBP")[12:] if draw(st.booleans()) else b""
    return b"RIFF" + struct.pack("<I", len(parts) + len(sound) + 4) + b"WEBP" + sound + parts


_images = st.one_of(
    damaged("image"), _png(), _jpeg(), _avif(), _gif(), _riff(), _ifd(), st.binary(max_size=64)
)


# ---------------------------------------------------------------------------------------- evidence

_word = st.text(max_size=12) | st.sampled_from(
    (TRAINED, "Midjourney", "c2pa", "\0", "\ud7ff", "&amp;", "<a>", "]]>")
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _word,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_word, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def _replaced(draw: st.DrawFn, value: object) -> object:
    """Plain data in which some values are of another kind."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_json)
    if isinstance(value, dict):
        return {key: draw(_replaced(each)) for key, each in value.items() if draw(st.integers(0, 9))}
    if isinstance(value, list):
        return [draw(_replaced(each)) for each in value]
    return value


_SPACES = {
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dcterms": "http://purl.org/dc/terms/",
}


@st.composite
def _xmp(draw: st.DrawFn) -> bytes:
    spaces = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in _SPACES.items())
    names = (
        "Iptc4xmpExt:DigitalSourceType",
        "plus:DataMining",
        "dc:creator",
        "dc:rights",
        "xmp:CreatorTool",
        "xmp:CreateDate",
        "dcterms:provenance",
    )
    escape = str.maketrans({"<": "&lt;", "&": "&amp;", '"': "&quot;"})
    body, attributes = "", spaces
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=5)):
        text = draw(_word).translate(escape)
        shape = draw(st.integers(0, 3))
        if shape == 0:
            attributes += f' {name}="{text}"'
        elif shape == 1:
            body += f"<{name}>{text}</{name}>"
        elif shape == 2:
            body += f"<{name}><rdf:Seq><rdf:li>{text}</rdf:li></rdf:Seq></{name}>"
        else:
            body += f'<{name} rdf:resource="{text}"/>'
    return marks.packet(body, attributes)


@st.composite
def _parameters(draw: st.DrawFn) -> bytes:
    keys = ("Steps", "Sampler", "CFG scale", "Seed", "Size", "Model hash", "Model", "Lora hashes", "Version")
    pairs = [f"{k}: {draw(_word)}" for k in draw(st.lists(st.sampled_from(keys), max_size=8))]
    head = draw(_word) + draw(st.sampled_from(("\n", "\nNegative prompt: x\n", "")))
    return (head + draw(st.sampled_from((", ", ",", "\n"))).join(pairs)).encode("utf-8", "replace")


_JUMBF = (b"jumb", b"jumd", b"json", b"cbor", b"bidb", b"bfdb", b"c2pa")


def _with(kind: int, body: Bytes) -> Bytes:
    return body.map(lambda data: bytes([kind]) + data)


_evidence = st.one_of(
    damaged("evidence"),
    _with(0, _images),
    *[_with(kind, _xmp()) for kind in (1, 10, 11)],
    _with(3, _parameters()),
    _with(
        2,
        st.builds(
            lambda a, b: a.encode("utf-8", "replace") + b"\0" + b.encode("utf-8", "replace"), _word, _word
        ),
    ),
    _with(4, _replaced(COMFY).map(lambda v: json.dumps(v).encode("utf-8", "replace"))),
    _with(5, _replaced(WORKFLOW).map(lambda v: json.dumps(v).encode("utf-8", "replace"))),
    *[_with(kind, _ifd()) for kind in (6, 8)],
    *[_with(kind, _boxes(_JUMBF).map(lambda b: marks.store(sound=True)[:40] + b)) for kind in (7, 9)],
)


# -------------------------------------------------------------------------------------- containers


@st.composite
def _tar(draw: st.DrawFn) -> bytes:
    """Headers of every type with sound checksums; sizes, names and pax records of any sort."""
    found = b""
    for _ in range(draw(st.integers(0, 6))):
        name = draw(
            st.sampled_from(
                (
                    b"a.png",
                    b"a.txt",
                    b"a.json",
                    b"a.genepool.json",
                    b"../u.png",
                    b"/abs.png",
                    b"d/",
                    b"\xff.png",
                    b"",
                )
            )
            | st.binary(max_size=20)
        )
        kind = draw(st.sampled_from(b"0\x001234567xgLKSXA"))
        body = draw(
            st.sampled_from((marks.encode("PNG"), json.dumps(SIDECAR).encode(), b"", b"x" * 600))
            | _pax()
            | _short
        )
        size = draw(_number) % 2**63 if draw(st.integers(0, 5)) == 0 else len(body)
        found += _header(name, kind, size, draw(st.binary(max_size=12))) + body + bytes(-len(body) % 512)
    return found + bytes(draw(st.sampled_from((1024, 512, 0, 100))))


def _header(name: bytes, kind: int, size: int, link: bytes) -> bytes:
    digits = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    head = name[:100].ljust(100, b"\0") + b"0000644\0" * 3 + digits + b"0" * 11 + b"\0" + b" " * 8
    head += bytes([kind]) + link.ljust(100, b"\0") + b"ustar\x0000"
    head = head.ljust(512, b"\0")
    total = sum(head)
    return head[:148] + b"%06o\0 " % total + head[156:]


@st.composite
def _pax(draw: st.DrawFn) -> bytes:
    records = b""
    for _ in range(draw(st.integers(0, 4))):
        key = draw(st.sampled_from((b"path", b"size", b"GNU.sparse.map", b"mtime", b"linkpath")))
        value = draw(st.binary(max_size=20) | _number.map(lambda n: str(n).encode()))
        length = len(key) + len(value) + 3
        length += len(str(length + len(str(length))))
        said = draw(_number) if draw(st.integers(0, 5)) == 0 else length
        records += b"%d %b=%b\n" % (said, key, value)
    return records


@st.composite
def _sidecars(draw: st.DrawFn) -> bytes:
    lines = [json.dumps(draw(_replaced(SIDECAR))) for _ in range(draw(st.integers(1, 4)))]
    text = draw(st.sampled_from(("\n", "\r\n", ",", "\n\n"))).join(lines)
    return (
        draw(st.sampled_from((b"", b"\xef\xbb\xbf")))
        + text.encode("utf-8", "replace")
        + b" " * draw(st.integers(0, 5))
    )


@st.composite
def _csv(draw: st.DrawFn) -> bytes:
    names = draw(
        st.lists(
            st.sampled_from(("file_name", "caption", "text", "genepool", "origin", "x", '"')),
            min_size=1,
            max_size=5,
        )
    )
    rows = [",".join(names)]
    cell = st.sampled_from(("a.png", "../a.png", '"a', '""', "{}", "captured")) | _word
    rows += [",".join(draw(cell) for _ in names) for _ in range(draw(st.integers(0, 4)))]
    return "\n".join(rows).encode("utf-8", "replace")


@st.composite
def _toml(draw: st.DrawFn) -> bytes:
    """Tables and keys of the configuration and others, with values of every kind."""
    known = [key for key, _, _ in config.describe()]
    value = st.one_of(
        st.booleans().map(lambda v: str(v).lower()),
        st.integers().map(str),
        st.sampled_from(
            (
                "nan",
                "inf",
                "-inf",
                "1e999",
                "0x7f",
                "1979-05-27",
                "[]",
                "[1, 'a']",
                "{}",
                "{a = 1}",
                "''",
                "00",
            )
        ),
        _word.map(json.dumps),
        st.lists(_word, max_size=3).map(json.dumps),
    )
    lines = []
    for key in draw(st.lists(st.sampled_from([*known, "x", "policy", "policy.human_ration"]), max_size=6)):
        table, _, name = key.rpartition(".")
        if table and draw(st.booleans()):
            lines += [f"[{table}]", f"{name} = {draw(value)}"]
        else:
            lines.insert(0, f"{key} = {draw(value)}")
    start = draw(st.sampled_from(("", "\n", "\n[tool.genepool]\n", "[tool]\n", "\ufeff")))
    return (start + "\n".join(lines)).encode("utf-8", "surrogatepass")


# --------------------------------------------------------------------------------------------- log


@st.composite
def _entry(draw: st.DrawFn) -> bytes:
    """A record of the log in which values are of another kind, written canonically or nearly so."""
    given = [data[1:] for data in _seeds("log") if data[0] == 1]
    body = draw(_replaced(json.loads(draw(st.sampled_from(given)))))
    text = json.dumps(body, sort_keys=draw(st.integers(0, 9)) > 0, separators=(",", ":"), ensure_ascii=False)
    return b"\x01" + text.encode("utf-8", "replace")


@st.composite
def _lines(draw: st.DrawFn) -> bytes:
    """A text format with lines taken out, doubled, exchanged or replaced."""
    data = draw(st.sampled_from([d for d in _seeds("log") if d[0] in (2, 3, 4, 5, 6, 7, 8)]))
    lines = data[1:].split(b"\n")
    for _ in range(draw(st.integers(1, 3))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        change = draw(st.integers(0, 4))
        if change == 0 and len(lines) > 1:
            del lines[at]
        elif change == 1:
            lines.insert(at, lines[other % len(lines)])
        elif change == 2:
            lines[at], lines[other % len(lines)] = lines[other % len(lines)], lines[at]
        elif change == 3:
            lines[at] = lines[at][: draw(st.integers(0, 30))] + draw(_short)
        else:
            words = lines[at].split(b" ")
            words[draw(st.integers(0, len(words) - 1))] = draw(
                _short | _number.map(lambda n: str(n).encode())
            )
            lines[at] = b" ".join(words)
        if not lines:
            lines = [b""]
    return data[:1] + b"\n".join(lines)


STRATEGIES: dict[str, Bytes] = {
    "image": _images,
    "models": damaged("models"),
    "evidence": _evidence,
    "tar": _tar() | damaged("tar"),
    "sidecar": _sidecars()
    | _csv()
    | damaged("sidecar")
    | _json.map(lambda v: json.dumps(v).encode("utf-8", "replace")),
    "toml": _toml() | damaged("toml"),
    "panel": damaged("panel"),
    "log": _entry() | _lines() | damaged("log"),
    "ledger": damaged("ledger"),
}
