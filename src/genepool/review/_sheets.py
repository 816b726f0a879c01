"""Reviewing without a browser: contact sheets to look at, and a CSV to fill in."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from genepool.errors import SourceError, UsageError
from genepool.review._pictures import render

if TYPE_CHECKING:
    from genepool.review._pictures import Pictures
    from genepool.review._queue import ReviewQueue
    from genepool.store import Asked

__all__ = ["read_sheet", "write_sheets"]

_COLUMNS, _ROWS, _TILE, _GAP = 3, 3, 480, 24
_FIELDS = ("number", "answer", "uncanny", "comment", "token")


def write_sheets(
    queue: ReviewQueue, pictures: Pictures, folder: str | Path, reviewer: str, n: int = 45
) -> tuple[Path, int]:
    """Write the next questions for a person as contact sheets of nine, and ``answers.csv`` to fill in.

    The same questions in the same order as in the browser, as blind: controls and repeats among them.

    Args:
        queue: The set's queue.
        pictures: Where its images are found.
        folder: Where to write; made if need be.
        reviewer: Who will look.
        n: How many questions.

    Returns:
        (The CSV, how many questions.)

    Raises:
        UsageError: Nobody named, or the folder cannot be written.
        SourceError: No image left to ask about.
    """
    from PIL import Image, ImageDraw

    if not reviewer.strip():
        raise UsageError("review: expected the name of a person, found none", hint="--user NAME")
    asked = queue.next(reviewer, n)
    if not asked:
        raise SourceError("review: no question is left for this person")
    place = Path(folder)
    per = _COLUMNS * _ROWS
    out = io.StringIO()
    writer = csv.DictWriter(out, _FIELDS, lineterminator="\n")
    writer.writeheader()
    try:
        place.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(asked), per):
            size = (_COLUMNS * (_TILE + _GAP) + _GAP, _ROWS * (_TILE + 2 * _GAP) + _GAP)
            sheet = Image.new("RGB", size, (119, 119, 119))
            pen = ImageDraw.Draw(sheet)
            for offset, question in enumerate(asked[start : start + per]):
                x = _GAP + offset % _COLUMNS * (_TILE + _GAP)
                y = _GAP + offset // _COLUMNS * (_TILE + 2 * _GAP)
                _paste(sheet, pictures, question, x, y)
                pen.text((x, y + _TILE + 2), str(start + offset + 1), fill="white", font_size=20)
                row = dict.fromkeys(_FIELDS, "") | {"number": start + offset + 1, "token": question.token}
                writer.writerow(row)
            sheet.save(place / f"sheet-{start // per + 1:03}.jpg", "JPEG", quality=90, subsampling=0)
        target = place / "answers.csv"
        target.write_text(out.getvalue(), "utf-8")
    except OSError as error:
        raise UsageError(f"{place}: cannot be written: {error.strerror}") from error
    return target, len(asked)


def _paste(sheet: object, pictures: Pictures, question: Asked, x: int, y: int) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(render(pictures.data(question.sha256), _TILE))) as tile:
        left, top = (_TILE - tile.width) // 2, (_TILE - tile.height) // 2
        sheet.paste(tile, (x + left, y + top))  # type: ignore[attr-defined]


_WORDS = {"h": "human", "human": "human", "a": "ai", "ai": "ai", "u": "unsure", "unsure": "unsure"}


def read_sheet(queue: ReviewQueue, path: str | Path, reviewer: str) -> tuple[int, int]:
    """Read a filled-in ``answers.csv``; rows without an answer stay open.

    Args:
        queue: The set's queue.
        path: The CSV.
        reviewer: Who looked.

    Returns:
        (Verdicts kept, rows still open.)

    Raises:
        UsageError: Not such a file, or an answer that is none: then nothing is kept.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    found = []
    for line, row in enumerate(rows, 2):
        word = (row.get("answer") or "").strip().lower()
        if "token" not in row or (word and word not in _WORDS):
            raise UsageError(f"{path} line {line}: expected human, ai or unsure, found {word!r}")
        if word:
            queue.question(row["token"])
            found.append((row, _WORDS[word]))
    for row, answer in found:
        queue.answer(
            row["token"],
            answer,
            reviewer,
            nonce=f"sheet:{row['token']}:{answer}",
            session="plain",
            uncanny=(row.get("uncanny") or "").strip().lower() in ("1", "y", "yes", "x", "true"),
            comment=(row.get("comment") or "").strip(),
        )
    return len(found), len(rows) - len(found)
