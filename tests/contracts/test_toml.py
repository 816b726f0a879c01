"""Settings files of strangers: bounded, refused with a sentence, and nothing sound is refused."""

from __future__ import annotations

import tomllib

import pytest

from genepool import economics, lab
from genepool._toml import MAX_TOML, TomlProblem, parse_toml
from genepool.errors import ConfigError, UsageError

LONG = ".".join("a" * 65)
ALLOWED = ".".join("a" * 64)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 3000, "nested too deeply"),
        ("x = " + "9" * 5000, "4300"),
        (f"{LONG} = 1", "at most 64 parts"),
        (f"[policy]\n[{LONG}]", "line 2"),
        (f"x = {{{LONG} = 1}}", "at most 64 parts"),
        (f"x = {{a = 1, {LONG} = 1}}", "at most 64 parts"),
        (f"\t[[ {LONG} ]]", "at most 64 parts"),
        (" . ".join(['"a"'] * 65) + " = 1", "at most 64 parts"),
        (".".join(['"a\\"b"'] * 65) + " = 1", "at most 64 parts"),
        (".".join(["'a.b'"] * 65) + " = 1", "at most 64 parts"),
        ("#" * (MAX_TOML + 1), "at most 1,048,576 characters"),
        ("x = ", "Invalid value"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(TomlProblem, match=said):
        parse_toml(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{ALLOWED} = 1",
        "x = '" + "." * 500 + "'",
        'x = """\n' + "\n".join(["a.b.c"] * 500) + '\n"""',
        "x = [" + "1.5, " * 500 + "]",
        "x = '" + " ".join(["word."] * 500) + "'",
        "[a.b]\n'c.d'.\"e\" = 1979-05-27T07:32:00Z",
    ],
)
def test_what_is_sound_reads_as_ever(text):
    assert parse_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize("data", [b"x = " + b"[" * 3000, b"\xff", b"x = " + b"9" * 5000])
def test_every_reader_says_it_in_its_own_words(tmp_path, data):
    path = tmp_path / "x.toml"
    path.write_bytes(data)
    with pytest.raises((ConfigError, UsageError), match=r"x\.toml"):
        lab.load_preset(str(path))
    with pytest.raises((ConfigError, UsageError), match=r"x\.toml"):
        economics.Assumptions.load(path)
