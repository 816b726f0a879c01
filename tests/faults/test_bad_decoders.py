"""A decoder that crashes or hangs on one image, and one image too large for a worker's memory.

The fault happens inside the real decoder of a real worker process. The image is quarantined with the reason,
all others are rows like in a run without it, and the next scan does not meet it again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from genepool.config import Config
from support.decoders import DecoderProbe, SmallProbe
from support.probes import MeanProbe
from support.scans import encoded, fill, picture, rows, scanned, use_probes


def poisoned(folder: Path) -> Path:
    """A sound JPEG whose comment the test's decoder takes offence at, in the middle of the set."""
    data = encoded(picture(9, 48))
    comment = DecoderProbe.poison
    place = folder / "005-poison.jpg"
    place.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:])
    return place


@pytest.mark.parametrize("how", ["segfault", "hang", pytest.param("abort", marks=pytest.mark.soak)])
def test_a_decoder_that_crashes_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    folder = fill(tmp_path / "set", 10, size=48)
    place = poisoned(folder)
    use_probes(monkeypatch, DecoderProbe(how))
    limit = 1.0 if how == "hang" else 60.0
    found = scanned(folder, tmp_path / "w", workers=1, timeout=limit)
    [case] = found.cases()
    assert (case.uri, case.reason) == ("005-poison.jpg", "quarantined")
    word = {"segfault": "SIGSEGV", "hang": "no progress for 1 s", "abort": "SIGABRT"}[how]
    assert word in case.message
    # It is remembered: a crash is met once, not once a day. What it would say of itself is tried by --rescan.
    again = scanned(folder, tmp_path / "w", workers=1, timeout=limit)
    assert (again.stats.n_new, again.cases()) == (0, [case])
    place.unlink()
    use_probes(monkeypatch, MeanProbe())
    assert rows(found) == rows(scanned(folder, tmp_path / "fresh"))


def test_an_image_too_large_for_the_workers_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RLIMIT_AS: the allocation fails inside the decoder, as it would under a control group's limit."""
    folder = fill(tmp_path / "set", 6, size=48)
    Image.new("L", (12_000, 12_000)).save(folder / "large.png", compress_level=1)
    use_probes(monkeypatch, SmallProbe(400 << 20))
    settings = Config().with_(scan__max_pixels=300_000_000)
    found = scanned(folder, tmp_path / "w", workers=1, config=settings)
    [case] = found.cases()
    assert (case.uri, case.reason) == ("large.png", "quarantined")
    assert "exit status 137" in case.message
    (folder / "large.png").unlink()
    use_probes(monkeypatch, MeanProbe())
    assert rows(found) == rows(scanned(folder, tmp_path / "fresh"))
