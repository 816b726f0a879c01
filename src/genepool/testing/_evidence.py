"""The kit for evidence readers."""

from __future__ import annotations

from typing import Any

from genepool.records import Evidence, EvidenceReader, ImageView
from genepool.testing._kit import Check, degenerate_images, insist, picture, protocol, tried, view_of

_NAMES = ("name", "version", "ceiling", "prepare", "read")


def check_evidence_reader(reader: EvidenceReader, *, speaks: tuple[ImageView, ...] = ()) -> tuple[Check, ...]:
    """Try an evidence reader against every rule.

    Args:
        reader: Fresh, not yet prepared.
        speaks: Views of images about which it must say something (`view_of` makes one); without any, only
            its manners are tried and not that it finds what it is for.

    Returns:
        One `Check` per rule; those that could not be tried because an earlier one failed are left out.
    """
    from genepool.evidence import reader_fault

    checks = [protocol(reader, EvidenceReader, _NAMES)]
    if not checks[0].ok:
        return tuple(checks)
    fault = reader_fault(reader)
    stated = f"{reader.name}@{reader.version}, at most {reader.ceiling}"
    checks.append(Check("states name, version and a sound weight ceiling", not fault, fault or stated))
    if fault:
        return tuple(checks)

    def judge(part: Any, copy: Any) -> list[Check]:
        return _heard(part, copy, speaks)

    return (*checks, *tried(reader, judge))


def assert_evidence_reader(reader: EvidenceReader, *, speaks: tuple[ImageView, ...] = ()) -> None:
    """Raise an AssertionError that lists every rule that the reader breaks."""
    insist(check_evidence_reader(reader, speaks=speaks), str(getattr(reader, "name", type(reader).__name__)))


def _heard(reader: EvidenceReader, copy: Any, speaks: tuple[ImageView, ...]) -> list[Check]:
    ordinary = view_of(picture(120, 160, 1))
    views = {
        "an ordinary picture": ordinary,
        "bytes after the end": view_of(picture(60, 60, 2), trailing=b"\0AI"),
    }
    views |= {name: view_of(pixels) for name, pixels in degenerate_images().items()}
    views |= {f"image {i} that it is for": view for i, view in enumerate(speaks)}
    checks = []
    for name, view in views.items():
        one, two = _read(reader, view), _read(reader, view)
        problem = one if isinstance(one, str) else _wrong(one, reader.ceiling)
        checks.append(Check(f"{name}: sound evidence or none", not problem, problem or _said(one)))
        checks.append(Check(f"{name}: the same again", one == two))
        if copy is not None:
            checks.append(Check(f"{name}: a copy agrees", one == _again(copy, view)))
        if name.startswith("image "):
            spoke = not isinstance(one, str) and any(e.claim != "none" for e in one)
            checks.append(Check(f"{name}: it speaks", spoke, _said(one)))
    return checks


def _again(copy: Any, view: ImageView) -> list[Evidence] | str:
    try:
        copy.prepare()
    except Exception as error:  # the very thing that is tested
        return f"prepare() raised {type(error).__name__}: {error}"
    return _read(copy, view)


def _read(reader: EvidenceReader, view: ImageView) -> list[Evidence] | str:
    try:
        return list(reader.read(view))
    except Exception as error:  # the very thing that is tested
        return f"raised {type(error).__name__}: {error}"[:200]


def _wrong(said: list[Evidence], ceiling: float) -> str:
    """What the host would have to mend; empty: nothing."""
    from genepool.evidence import held

    item: Any
    for item in said:
        kept = held(item, "reader:kit", ceiling)
        if kept.claim == "none" and getattr(item, "claim", "") != "none":
            return kept.detail
        if abs(item.llr) > ceiling:
            return f"a weight of {item.llr:+.2f} above its ceiling of {ceiling:g}"
        if item.hard:
            return "hard=True: only our own witnesses verify signatures"
        if not item.detail:
            return "evidence without a sentence for people in `detail`"
    return ""


def _said(said: list[Evidence] | str) -> str:
    if isinstance(said, str):
        return said
    return "; ".join(f"{e.claim} {e.llr:+.1f}" for e in said) or "nothing"
