"""Hostile files: bombs, broken structures, misplaced marks, fake manifests. No crash, no false claim."""

from __future__ import annotations

import io
import json
import random
import socket
import struct
import threading
import time
import tracemalloc
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from c2pa_fixtures import CAPTURE, TRAINED, Authority, created, sign
from genepool.evidence import _c2pa, read_evidence
from genepool.evidence._containers import MAX_PART
from support import marks as m

TRAINED_XMP = m.source_type_packet(TRAINED)
KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF")


def quiet(data: bytes, **more):
    """The findings, which must speak for nobody."""
    found = read_evidence(data, **more)
    assert m.claims(found) == []
    return found


# ---------------------------------------------------------------------------------------------- XML

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{i} "{f"&lol{i - 1 or str()};" * 10}">' for i in range(1, 10))
    + "]>"
).encode()
EXTERNAL = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
PARAMETER = b'<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1:9/x.dtd"> %e;]>'


@pytest.mark.parametrize("head", [LAUGHS, EXTERNAL, PARAMETER], ids=["laughs", "external", "parameter"])
@pytest.mark.parametrize("entity", [b"", b"&lol9;", b"&e;"])
def test_entities_are_refused(head, entity):
    body = TRAINED_XMP.partition(b"?>")[2].replace(
        b"></rdf:Description>", b">" + entity + b"</rdf:Description>"
    )
    started = time.process_time()
    found = quiet(m.encode("JPEG", xmp=head + body))
    assert time.process_time() - started < 1
    assert "document type" in found.notes[0]


@pytest.mark.parametrize(
    "xml",
    [
        b"<a>" * 600_000,
        b"<a/>" * 1_000_000,
        b"<a>" * 20_000 + b"</a>" * 20_000,
        b"\xff\xfe<\0a\0",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
        b"<a " + b" ".join(b'x%d="1"' % i for i in range(20_000)) + b"/>",
        b"\0" * 1000,
        b"",
    ],
    ids=["open", "large", "deep", "half", "coding", "utf7", "attributes", "zeros", "empty"],
)
def test_broken_xml_is_at_most_a_note(xml):
    quiet(m.with_chunks(m.encode("PNG"), m.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xml)))


# --------------------------------------------------------------------------------------------- JSON


@pytest.mark.parametrize("keyword", ["prompt", "workflow", "parameters", "invokeai_metadata", "sd-metadata"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"a":' * 1_000_000,
        '{"nodes":' + "[" * 500_000,
        '{"1": {"class_type": "KSampler", "inputs": ' + '{"a":' * 900 + "1" + "}" * 901 + "}",
        '{"seed": ' + "9" * 100_000 + "}",
        '{"nodes": null, "links": []}',
        '{"nodes": [null, 1, "x"], "links": [], "definitions": {"subgraphs": [1, {"nodes": 5}]}}',
        "{}",
        "null",
        '"\\ud800"',
        "\ufeff{}",
    ],
    ids=lambda text: text[:12],
)
def test_hostile_json_makes_no_crash(keyword, text):
    found = read_evidence(
        m.with_chunks(m.encode("PNG"), m.chunk(b"tEXt", keyword.encode() + b"\0" + text.encode()))
    )
    json.dumps([item.to_json() for item in found.evidence]).encode("utf-8")


def test_a_million_commas_are_parsed_in_linear_time():
    line = "Steps: 20, " + ",".join("a:b" for _ in range(10_000)) + '"' * 999 + "{" * 999
    started = time.process_time()
    for text in (line, "Steps: 1\n" * 20_000, "Dream", '"' + "\\" * 60_000 + '"' + " -s" * 2000):
        quiet(m.png(parameters=text, Dream=text))
    assert time.process_time() - started < 2


# ------------------------------------------------------------------------------------------- bombs


def test_a_compressed_text_bomb_is_cut_short():
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"Steps: 20, " * 100_000) for _ in range(200)) + packer.flush()
    bomb = m.chunk(b"zTXt", b"parameters\0\0" + packed)
    data = m.with_chunks(m.encode("PNG"), *[bomb] * 30)
    tracemalloc.start()
    found = quiet(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MAX_PART
    assert "unpacks to more" in found.notes[0]
    assert len(found.notes) <= 8


def test_a_million_chunks_are_not_all_walked():
    data = m.with_chunks(m.encode("PNG"), m.chunk(b"teSt", b"") * 1_000_000)
    started = time.process_time()
    found = quiet(data)
    assert time.process_time() - started < 2
    assert "too many chunks" in found.notes[-1]


def test_a_directory_cannot_copy_the_file_a_thousand_times():
    big = bytes(4_000_000)
    entries = b"".join(struct.pack("<HHII", 0x9286, 7, 900_000, 30_000) for _ in range(1024))
    block = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1024) + entries + big
    tracemalloc.start()
    quiet(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000


@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_that_point_to_themselves_end(order):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHII", 0x8769, 4, 1, 8)
    quiet(mark + struct.pack(f"{order}IH", 8, 1) + entry + struct.pack(f"{order}I", 8))


def test_endless_boxes_end():
    head = struct.pack(">I4s4sI4s", 20, b"ftyp", b"avif", 0, b"avif")
    quiet(head + b"\0\0\0\0meta" + b"\0" * 100)
    quiet(head + struct.pack(">I4sQ", 1, b"meta", 2**63))
    quiet(head + struct.pack(">I4s", 8, b"free") * 100_000)


def test_many_items_of_no_length_cost_little():
    """Extents of width 0 take no bytes, so a small box can ask for a quarter of a million of them."""
    head = struct.pack(">I4s4sI4s", 20, b"ftyp", b"avif", 0, b"avif")
    entry = struct.pack(">I4sB3xHH4sx", 21, b"infe", 2, 1, 0, b"Exif")
    items = box(b"iinf", bytes(4) + struct.pack(">H", 1) + entry)
    places = box(b"iloc", bytes(4) + b"\0\0" + struct.pack(">H", 4096) + struct.pack(">HHH", 1, 0, 64) * 4096)
    meta = box(b"meta", bytes(4) + items + places)
    started = time.process_time()
    quiet(head + meta * 300)
    assert time.process_time() - started < 2


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


# -------------------------------------------------------------------------------- truncated structures


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_survived(kind):
    options = {"exif": m.camera(), "xmp": TRAINED_XMP} if kind in ("JPEG", "WEBP", "AVIF") else {}
    data = m.gif_xmp(TRAINED_XMP) if kind == "GIF" else m.encode(kind, **options)
    for end in range(0, len(data), max(1, len(data) // 400)):
        read_evidence(data[:end])


def test_every_truncation_of_an_exif_block_is_survived():
    block = m.exif({0x010F: "Canon", 0x0110: "EOS"}, {0x9286: b"ASCII\0\0\0" + m.A1111.encode(), 0x8827: 1})
    for end in range(len(block)):
        read_evidence(m.with_segments(m.encode("JPEG"), m.segment(0xE1, block[:end])))


# ------------------------------------------------------------------------------------ injected marks


def injections(rng: random.Random) -> bytes:
    """Something that looks like a mark to whoever searches bytes for words."""
    return rng.choice(
        [
            TRAINED.encode(),
            TRAINED_XMP,
            m.A1111.encode(),
            b"parameters\0" + m.A1111.encode(),
            m.chunk(b"tEXt", b"parameters\0" + m.A1111.encode()),
            m.chunk(b"caBX", m.store()),
            m.app11(m.store()),
            m.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + TRAINED_XMP),
            b"c2pa jumb jumd trainedAlgorithmicMedia",
            b"Midjourney DALL-E Stable Diffusion ComfyUI NovelAI InvokeAI",
            json.dumps(
                {"3": {"class_type": "KSampler", "inputs": {"seed": 1, "sampler_name": "euler"}}}
            ).encode(),
            b'{"digitalSourceType": "trainedAlgorithmicMedia", "c2pa": true}',
        ]
    )


def inject(data: bytes, kind: str, rng: random.Random) -> bytes:
    """A mutant: the payload where a format does not allow a mark of that kind."""
    payload = injections(rng)
    where = rng.randrange(4)
    if where == 0:
        return data + payload
    if where == 1 and kind == "PNG":
        name = rng.choice([b"tEXt", b"iTXt", b"zTXt", b"caBX", b"eXIf"])
        return m.with_chunks(data, m.chunk(name, b"Description\0" + payload), after_end=rng.random() < 0.5)
    if where == 1 and kind == "JPEG":
        return m.with_segments(
            data, m.segment(rng.choice([0xE2, 0xE5, 0xEB, 0xED, 0xEF, 0xFE]), payload[:60_000])
        )
    if where == 2 and kind == "PNG":
        return m.with_chunks(data, m.chunk(b"prVt", payload))
    if where == 2 and kind == "GIF":
        return (
            data[:-1]
            + m.gif_application(b"NETSCAPE2.0", bytes([200]) + payload[:200].ljust(200) + b"\0")
            + b";"
        )
    # Bytes in the middle of the pixels: damage, not metadata.
    at = rng.randrange(3 * len(data) // 4, len(data) - 16)
    return data[:at] + payload + data[at:] if kind == "JPEG" else data + b"\0" * rng.randrange(64) + payload


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_injections_claim_nothing(kind):
    rng = random.Random(20_261_123)
    data = m.encode(kind)
    for _ in range(200):
        found = quiet(inject(data, kind, rng))
        assert found.c2pa in ("absent", "invalid")


@pytest.mark.parametrize(
    "place",
    [
        lambda box: m.with_segments(m.encode("JPEG"), m.app11(box)),
        lambda box: m.with_chunks(m.encode("PNG"), m.chunk(b"caBX", box)),
    ],
    ids=["JPEG", "PNG"],
)
def test_a_fake_manifest_claims_nothing(place):
    for box in (m.store(), m.store(sound=True), m.store()[:40], m.store() + TRAINED.encode() * 50):
        assert quiet(place(box)).c2pa in ("invalid", "absent")


@pytest.fixture(scope="module")
def signed():
    authority = Authority.make()
    credential = authority.credential()
    return authority, [
        sign(m.encode(kind), mime, credential, [created(term)])
        for kind, mime in (("JPEG", "image/jpeg"), ("PNG", "image/png"))
        for term in (TRAINED, CAPTURE)
    ]


def flips(data: bytes, rng: random.Random, count: int, low: int, high: int):
    for _ in range(count):
        at = rng.randrange(low, high)
        yield data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def test_a_flipped_bit_of_the_image_breaks_its_manifest(signed, tmp_path):
    authority, files = signed
    (tmp_path / "root.pem").write_text(authority.root)
    rng = random.Random(7)
    for data in files[:2]:  # JPEG: the manifest comes first, the image behind it
        for mutant in flips(data, rng, 150, len(data) - len(m.encode("JPEG")) + 40, len(data)):
            assert quiet(mutant, trust_anchors=(tmp_path / "root.pem",)).c2pa == "invalid"


def test_a_flipped_bit_of_a_manifest_never_changes_what_is_proven(signed, tmp_path):
    """Padding and unprotected header fields are covered by no hash; a flip there must change no fact."""
    authority, files = signed
    (tmp_path / "root.pem").write_text(authority.root)
    rng = random.Random(8)
    states = set()
    for data in files:
        (before,) = read_evidence(data, trust_anchors=(tmp_path / "root.pem",)).evidence
        for mutant in flips(data, rng, 150, 0, len(data)):
            found = read_evidence(mutant, trust_anchors=(tmp_path / "root.pem",))
            states.add(found.c2pa)
            for item in found.evidence:
                assert not item.hard or (item.claim, item.origin, item.model) == (
                    before.claim,
                    before.origin,
                    before.model,
                )
                assert item.claim in ("none", before.claim)
    assert "invalid" in states


# ------------------------------------------------------------------------------------------- network


class Trap:
    """A listener on this machine that counts who calls."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.calls = 0
        self.open = True
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()
        return self

    def _listen(self):
        while self.open:
            try:
                connection, _ = self.socket.accept()
            except TimeoutError:
                continue
            self.calls += 1
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()

    def __exit__(self, *_):
        self.open = False
        self.thread.join()
        self.socket.close()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/manifest.c2pa"


def test_a_remote_manifest_is_never_fetched():
    import c2pa

    with Trap() as trap:
        spaces = f'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{trap.address}"'
        data = m.encode("JPEG", xmp=m.packet(attributes=spaces))
        assert read_evidence(data).c2pa == "absent"
        assert _c2pa.read_store(data, "image/jpeg", "APP11", "").state == "absent"
        time.sleep(0.3)
        assert trap.calls == 0
        # The trap works: the library with its own defaults walks into it.
        with pytest.raises(c2pa.C2paError), c2pa.Reader("image/jpeg", io.BytesIO(data)):
            pass
        assert trap.calls > 0


# --------------------------------------------------------------------------------------------- fuzz

MAGIC = [
    b"\xff\xd8\xff\xe1",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"RIFF\xff\xff\0\0WEBPVP8X",
    b"GIF89a",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"\0\0\0\x14ftypavif\0\0\0\0mif1",
]
WORDS = [
    b"Exif\0\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"tEXtparameters\0",
    b"eXIf",
    b"caBX",
    b"EXIF",
    b"XMP ",
]
WORDS += [
    b"\x21\xff\x0bXMP DataXMP",
    b"meta",
    b"iinf",
    b"iloc",
    b"infe",
    b"idat",
    b"\xff\xeb",
    m.store(),
    m.camera(),
]
noise = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(WORDS)), max_size=12).map(b"".join)


@settings(max_examples=600, deadline=None)
@given(magic=st.sampled_from(MAGIC), body=noise)
@example(magic=MAGIC[0], body=b"\0\x02\xff\xeb\0\x02\xff\xd9")
def test_random_bytes_behind_any_magic_are_survived(magic, body):
    found = read_evidence(magic + body)
    assert not any(item.hard for item in found.evidence)
    json.dumps([item.to_json() for item in found.evidence]).encode()


@settings(max_examples=300, deadline=None)
@given(
    declared=st.dictionaries(
        st.sampled_from(["origin", "source", "created", "generation", "model"]),
        st.recursive(
            st.one_of(
                st.none(),
                st.booleans(),
                st.integers(),
                st.floats(),
                st.text(),
                st.sampled_from(["a", "1889"]),
            ),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
def test_any_sidecar_is_survived(declared):
    found = read_evidence(m.encode("PNG"), declared, archives=("a",))
    assert not any(item.hard for item in found.evidence)
    json.dumps([item.to_json() for item in found.evidence]).encode("utf-8")
