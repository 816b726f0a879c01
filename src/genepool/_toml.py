"""TOML of strangers: read with bounds. `tomllib` itself has none.

It recurses per level of nesting, converts integers of any length, and keeps a set per part of a dotted key,
so that one line of 40 kB can take a gigabyte and a half (docs/fuzzing.md).
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

__all__ = ["MAX_TOML", "TomlProblem", "parse_toml"]

MAX_TOML = 1 << 20
"""Characters of one file."""
_PARTS = 64
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.){0,256}+"|'[^'\n]*+')"""
# Only where a key may begin (prose with many full stops is none), possessive and bounded: each character is
# looked at a bounded number of times. Longer quoted parts are not counted: too few fit in a file to do harm.
_LONG_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*+{_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_PARTS}}}", re.MULTILINE)


class TomlProblem(ValueError):
    """Text that is not TOML, or more than a settings file needs; the message says which."""


def parse_toml(text: str) -> dict[str, Any]:
    """Read one TOML 1.0 document.

    Raises:
        TomlProblem: Not TOML, longer than `MAX_TOML`, a key of more than 64 parts, nested too deeply, or an
            integer of thousands of digits.
    """
    if len(text) > MAX_TOML:
        raise TomlProblem(f"expected at most {MAX_TOML:,} characters, found {len(text):,}")
    if found := _LONG_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise TomlProblem(f"expected keys of at most {_PARTS} parts, found more (line {line})")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise TomlProblem("nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError is one; an integer that is too long is another
        raise TomlProblem(str(error)) from None
