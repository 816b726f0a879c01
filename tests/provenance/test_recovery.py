"""Finding by looks: the index is exact within its radius, trusts nothing, and proves no human work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genepool import provenance
from genepool.errors import LogError, WorkspaceError
from genepool.provenance import Ledger, Lookup
from genepool.provenance._looks import RADIUS, LookIndex, tells
from genepool.provenance._members import holds_exactly, keep_members, read_members
from genepool.provenance._trust import load_trust
from support.ledgers import Images, digest, images, workspace


class Seen(Images):
    """Made-up images that have made-up looks."""

    columns = ("uri", "sha256", "pixel", "phash", "declared")

    def table(self, columns):
        whole = super().table(["uri", "sha256", "pixel", "declared"])
        return whole.append_column("phash", pa.array(self.looks, pa.binary(32))).select(columns)

    @property
    def looks(self) -> list[bytes]:
        return [digest(f"{name} looks") for name in self.names]


def seen(count: int, prefix: str = "image") -> Seen:
    return Seen("/data/pictures", images(count, prefix).names)


def flipped(look: bytes, bits: list[int]) -> bytes:
    array = np.unpackbits(np.frombuffer(look, np.uint8))
    array[bits] ^= 1
    return np.packbits(array).tobytes()


# ------------------------------------------------------------------------------------------- the index


@given(st.integers(0, 39), st.sets(st.integers(0, 255), max_size=40))
def test_everything_within_the_radius_is_found_and_nothing_beyond(at: int, bits: set[int]) -> None:
    known = np.frombuffer(b"".join(digest(f"look {i}") for i in range(40)), np.uint8).reshape(-1, 32)
    index = LookIndex(known)
    wanted = np.frombuffer(flipped(known[at].tobytes(), sorted(bits)), np.uint8).reshape(1, 32)
    true = np.bitwise_count(known ^ wanted).sum(axis=1)
    image, place, distance = index.nearest(wanted)
    if true.min() > RADIUS:
        assert not len(image)
    else:
        assert distance.tolist() == [true.min()] * len(image)
        assert sorted(place.tolist()) == np.flatnonzero(true == true.min()).tolist()


def test_bits_spread_as_badly_as_can_be_are_still_found() -> None:
    """31 bits over 16 bands: fifteen bands differ in two bits, one in one."""
    look = digest("worst")
    bits = [16 * band + bit for band in range(16) for bit in (0, 9)][:-1]
    index = LookIndex(np.frombuffer(look, np.uint8).reshape(1, 32))
    wanted = np.frombuffer(flipped(look, bits), np.uint8).reshape(1, 32)
    assert index.nearest(wanted)[2].tolist() == [31]


def test_flat_pictures_look_like_nothing(tmp_path: Path) -> None:
    flat = np.zeros((2, 32), np.uint8)
    flat[1, 0] = 255
    assert not tells(flat).any()
    assert not len(LookIndex(flat).nearest(flat)[0])
    assert not len(LookIndex(np.zeros((0, 32), np.uint8)).nearest(flat)[0])
    known = np.frombuffer(digest("a") + digest("b"), np.uint8).reshape(-1, 32)
    LookIndex(known).save(tmp_path)
    assert LookIndex.load(tmp_path).nearest(known)[1].tolist() == [0, 1]


# --------------------------------------------------------------------------------------------- the trail


def test_looks_recover_ai_claims_and_never_make_a_human(tmp_path: Path) -> None:
    from genepool.origin._witnesses import attested

    space = workspace(tmp_path)
    provenance.register_human(seen(3, "h"), space, cohort="human")
    provenance.register_model(space, "m", [("human", None)])
    provenance.register_outputs(seen(4, "o"), space, model="m", cohort="outputs")
    trail = provenance.open_trail(space)
    outputs, people = seen(4, "o"), seen(3, "h")
    strange = [digest("x1"), digest("x2"), digest("x3")]
    looks = [flipped(outputs.looks[1], [3, 77, 200]), flipped(people.looks[0], [5]), digest("nothing")]
    one, two, three = trail.attestations(strange, strange, looks)
    assert [(c.matched_by, c.origin, c.model, c.generation) for c in one] == [
        ("phash", "synthetic", "m", (1, 1))
    ]
    assert [(c.matched_by, c.origin) for c in two] == [("phash", "human_made")]
    assert three == ()
    found = attested(one[0])
    assert found is not None
    assert (found.kind, found.claim, found.hard) == ("recovered", "ai", False)
    said = attested(two[0])
    assert said is not None
    assert (said.kind, said.claim, said.hard, said.llr) == ("recovered", "none", False, 0.0)
    # Known by its bytes: its looks are not asked.
    (known,) = trail.attestations(people.shas[:1], people.pixels[:1], outputs.looks[:1])
    assert [c.matched_by for c in known] == ["sha256"]
    # Erased with the rest of the detail.
    provenance.withdraw(space, cohort="outputs")
    assert provenance.open_trail(space).attestations(strange[:1], strange[:1], looks[:1]) == [()]


# --------------------------------------------------------------------------------------------- look-up


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Ledger, Seen]:
    space = workspace(tmp_path)
    found = seen(300)
    provenance.register_human(found, space, cohort="a", artist="Ada")
    return Ledger.open(space.ledger), found


def trust() -> provenance.Trust:
    return load_trust(None, provenance.load_public())


def test_a_look_up_proves_what_it_says(asked: tuple[Ledger, Seen]) -> None:
    ledger, found = asked
    first = Lookup(ledger, trust())
    assert first.rebuilt
    again = Lookup(ledger, trust())
    assert not again.rebuilt
    for index in (first, again):
        (one,) = index.find(found.shas[7])
        assert (one.matched_by, one.status, one.cohort) == ("sha256", "attested", "a")
        assert ledger.entry(one.index) == one.entry
        (one,) = index.find(digest("other"), found.pixels[8])
        assert (one.matched_by, one.status) == ("pixel", "attested")
        (one,) = index.find(digest("other"), digest("other"), flipped(found.looks[9], [1, 2, 3]))
        assert (one.matched_by, one.status, one.distance) == ("phash", "recovered", 3)
        assert index.find(digest("other"), digest("other"), digest("other")) == []


def test_a_grown_log_makes_the_index_anew(asked: tuple[Ledger, Seen]) -> None:
    ledger, _ = asked
    Lookup(ledger, trust())
    space = workspace(Path(ledger.path).parent.parent)
    provenance.register_human(seen(2, "more"), space, cohort="b")
    ledger.reload()
    index = Lookup(ledger, trust())
    assert index.rebuilt
    assert index.find(seen(2, "more").shas[1])[0].cohort == "b"


def test_a_changed_index_cannot_lie(asked: tuple[Ledger, Seen]) -> None:
    ledger, found = asked
    Lookup(ledger, trust())
    folder = Path(ledger.path).parent / "lookup"
    order = np.load(folder / "sha_order.npy")
    np.save(folder / "sha_order.npy", np.roll(order, 1))
    assert Lookup(ledger, trust()).find(found.shas[7]) == []  # another image's entry is not about this one
    words = np.load(folder / "look-words.npy")
    np.save(folder / "look-words.npy", words[::-1].copy())
    np.save(folder / "look-order.npy", np.load(folder / "look-order.npy")[:, ::-1] * 0 + 5)
    index = Lookup(ledger, trust())
    row = index._look_row[5]
    look = index._looks.words[5].tobytes()
    assert found.looks[row] != look
    index._looks = LookIndex(np.array(index._looks.words).view(np.uint8).reshape(-1, 32))
    with pytest.raises(WorkspaceError, match="not the one that entry"):
        index.find(digest("other"), None, look)
    for name in ("stamp.json", "index.npy"):
        (folder / name).write_bytes(b"\x00" * 20)
        assert Lookup(ledger, trust()).rebuilt


# --------------------------------------------------------------------------------------------- members


def test_a_list_of_members_says_whether_a_set_is_the_one(tmp_path: Path) -> None:
    found = images(9)
    root = found.root().hex()
    digests = np.frombuffer(b"".join(found.shas), np.uint8).reshape(-1, 32)
    assert not holds_exactly(tmp_path, root, digests)  # none is kept
    keep_members(tmp_path, found.root(), found.shas)
    assert holds_exactly(tmp_path, root, digests)
    assert holds_exactly(tmp_path, root, digests[::-1])
    other = digests.copy()
    other[3, 31] ^= 1
    for wrong in (digests[1:], other, np.concatenate([digests, digests[:1]]), digests[[0, *range(8)]]):
        assert not holds_exactly(tmp_path, root, wrong)
    (tmp_path / "elsewhere").write_bytes((tmp_path / "members" / root).read_bytes())
    assert not holds_exactly(tmp_path, "../elsewhere", digests)


def test_member_lists_are_bound_by_their_root(tmp_path: Path) -> None:
    found = images(9)
    keep_members(tmp_path, found.root(), found.shas)
    kept = read_members(tmp_path, found.root().hex())
    assert kept is not None
    assert sorted(found.shas) == [row.tobytes() for row in kept]
    assert read_members(tmp_path, "00" * 32) is None
    place = tmp_path / "members" / found.root().hex()
    data = bytearray(place.read_bytes())
    data[40] ^= 1
    place.write_bytes(data)
    with pytest.raises(LogError, match="do not have this root"):
        read_members(tmp_path, found.root().hex())
