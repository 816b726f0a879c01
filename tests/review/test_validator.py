"""People's verdicts: which images first, kept for good, only from people."""

import itertools

import pytest

from genepool import provenance
from genepool.config import Config
from genepool.errors import UsageError, WorkspaceError
from genepool.review import HumanInLoopValidator
from genepool.store import Verdicts, Workspace
from support.marks import A1111
from support.scans import encoded, fill, picture, scanned


@pytest.fixture
def space(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def gallery(tmp_path, space):
    """Two attested pictures (one with generator parameters), a repeated one, a machine one, three unknown."""
    from PIL.PngImagePlugin import PngInfo

    folder = tmp_path / "set"
    folder.mkdir()
    info = PngInfo()
    info.add_text("parameters", A1111)
    picture(1).save(folder / "disputed.png", pnginfo=info)
    picture(2).save(folder / "human.png")
    provenance.register_human(scanned(folder, space), Workspace(space), cohort="c", config=Config())
    picture(3).save(folder / "machine.png", pnginfo=info)
    for i in range(4, 7):
        (folder / f"u{i}.jpg").write_bytes(encoded(picture(i)))
    (folder / "u6-again.jpg").write_bytes((folder / "u6.jpg").read_bytes())
    return folder


def validator(space, **options):
    return HumanInLoopValidator(space, config=Config().with_(engine__workers=1), **options)


def test_what_settles_most_comes_first_and_always_the_same(gallery, space):
    review = validator(space)
    batch = review.next_batch(gallery, 10, order="triage")
    assert [q.uri for q in batch][:2] == ["disputed.png", "u6-again.jpg"]
    assert {q.uri for q in batch} == {"disputed.png", "u4.jpg", "u5.jpg", "u6-again.jpg"}
    assert [q.copies for q in batch] == [1, 2, 1, 1]
    assert "contradicts itself" in batch[0].why
    assert review.next_batch(gallery, 10, order="triage") == batch
    assert review.next_batch(gallery, 2, order="triage") == batch[:2]


def test_a_verdict_is_durable_and_takes_the_image_off_the_list(gallery, space):
    clock = itertools.count(1000.0)
    review = validator(space, clock=lambda: next(clock))
    first, second = review.next_batch(gallery, 2, order="triage")
    given = review.record(first.sha256, "human", " Ann ", comment="brush strokes")
    assert (given.reviewer, given.at, given.comment) == ("Ann", 1000.0, "brush strokes")
    # Another process, another object: it is there.
    with Verdicts(Workspace(space)) as verdicts:
        assert verdicts.all() == [given]
    assert HumanInLoopValidator(space).verdicts() == [given]
    assert first.sha256 not in [q.sha256 for q in review.next_batch(gallery, 10, order="triage")]
    review.record(bytes.fromhex(second.sha256), "unsure", "Ann")
    assert second.sha256 in [q.sha256 for q in review.next_batch(gallery, 10, order="triage")]
    assert second.sha256 not in [
        q.sha256 for q in review.next_batch(gallery, 10, order="triage", reviewer="Ann")
    ]


def test_disagreement_goes_to_a_third(gallery, space):
    review = validator(space)
    digest = review.next_batch(gallery, 1, order="triage")[0].sha256
    review.record(digest, "human", "Ann")
    review.record(digest, "ai", "Bob")
    assert digest in [q.sha256 for q in review.next_batch(gallery, 10, order="triage", reviewer="Cem")]
    assert digest not in [q.sha256 for q in review.next_batch(gallery, 10, order="triage", reviewer="Bob")]
    assert review.status(gallery).disagreed == 1
    review.record(digest, "ai", "Cem")
    assert digest not in [q.sha256 for q in review.next_batch(gallery, 10, order="triage")]
    # A changed mind counts once.
    review.record(digest, "ai", "Ann")
    assert review.status(gallery).disagreed == 0


def test_status_counts(gallery, space):
    review = validator(space)
    before = review.status(gallery)
    assert (before.n, before.settled_human, before.settled_ai) == (7, 1, 1)
    assert (before.disputed, before.unknown, before.verdicts, before.waiting) == (1, 4, 0, 4)
    repeated = review.next_batch(gallery, 2, order="triage")[1]
    review.record(repeated.sha256, "human", "Ann")
    review.record("00" * 32, "human", "Ann")  # another set's image
    review.record(repeated.sha256, "ai", "Bob", control=True)
    after = review.status(gallery)
    assert (after.verdicts, after.reviewed, after.waiting, after.disagreed) == (1, 2, 3, 0)
    assert after.reviewers == {"Ann": 1}
    assert after.to_json()["unknown"] == 4
    # A look moves the estimate, it proves nothing about the image.
    assert after.settled_human == before.settled_human


@pytest.mark.parametrize(
    ("sha256", "answer", "reviewer"),
    [
        ("ab", "human", "Ann"),
        ("zz" * 32, "human", "Ann"),
        (b"short", "human", "Ann"),
        (None, "human", "Ann"),
        ("ab" * 32, "maybe", "Ann"),
        ("ab" * 32, None, "Ann"),
        ("ab" * 32, "human", ""),
        ("ab" * 32, "human", "   "),
        ("ab" * 32, "human", None),
    ],
)
def test_what_is_no_verdict_is_refused(space, sha256, answer, reviewer):
    review = HumanInLoopValidator(space)
    with pytest.raises(UsageError, match="verdict"):
        review.record(sha256, answer, reviewer)
    assert review.verdicts() == []


def test_upper_case_digests_are_the_same_image(space):
    review = HumanInLoopValidator(space)
    review.record("AB" * 32, "ai", "Ann")
    assert review.verdicts()[0].sha256 == "ab" * 32


def test_without_a_place_to_keep_it_nothing_is_taken(tmp_path):
    review = HumanInLoopValidator()
    with pytest.raises(UsageError, match="workspace"):
        review.record("ab" * 32, "human", "Ann")
    folder = fill(tmp_path / "set", 1)
    review.record("ab" * 32, "human", "Ann", dataset=folder)
    assert len(review.verdicts()) == 1
    assert (tmp_path / "set.genepool" / "reviews.sqlite").exists()


def test_a_damaged_file_is_named(space):
    work = Workspace(space).create()
    work.reviews.write_bytes(b"not a database, certainly not" * 20)
    with pytest.raises(WorkspaceError, match=r"reviews\.sqlite"):
        HumanInLoopValidator(space).verdicts()


@pytest.mark.parametrize("n", [0, -1, 2.5, True, None])
def test_impossible_batches_are_refused(gallery, space, n):
    with pytest.raises(UsageError, match="next batch"):
        validator(space).next_batch(gallery, n)
