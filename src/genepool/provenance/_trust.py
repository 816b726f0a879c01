"""Whose word counts: the trust policy.

A TOML file (``ledger.trust`` of the configuration, else ``trust.toml`` beside the user's key)::

    schema = 1

    [[keys]]
    vkey = "studio+1a2b3c4d+AY…"
    may = ["human"]        # claims of human work by this key count
    revoked = false
    comment = "the studio's scanner"

The user's own key is trusted without being named. That an image is AI is believed from anyone.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genepool.config import Config, config_directory
from genepool.errors import PolicyError, SignatureError
from genepool.provenance._note import Verifier

__all__ = ["Trust", "load_trust"]

_CLAIMS = ("human", "decision")
_FIELDS = ("vkey", "may", "revoked", "comment")


@dataclass(frozen=True, slots=True)
class Trust:
    """Which public keys may make which claims.

    Attributes:
        may: Public key (32 bytes) → claims that count.
        revoked: Public keys whose claims no longer count.
        verifiers: The keys with their names, to verify logs with.
    """

    may: Mapping[bytes, frozenset[str]] = field(default_factory=dict)
    revoked: frozenset[bytes] = frozenset()
    verifiers: tuple[Verifier, ...] = ()

    def allows(self, public: bytes, claim: str = "human") -> bool:
        """Whether a claim by this key counts."""
        return public not in self.revoked and claim in self.may.get(public, frozenset())


def load_trust(config: Config | None, own: Verifier | None) -> Trust:
    """Read the trust policy.

    Args:
        config: ``ledger.trust`` may name a file.
        own: The user's own key, trusted for everything unless the file revokes it.

    Raises:
        PolicyError: The file is missing, malformed, or holds an unknown key.
    """
    may: dict[bytes, frozenset[str]] = {}
    revoked: set[bytes] = set()
    verifiers: list[Verifier] = []
    if own is not None:
        may[own.public] = frozenset(_CLAIMS)
        verifiers.append(own)
    named = config.ledger.trust if config is not None else ""
    path = Path(named).expanduser() if named else config_directory() / "trust.toml"
    if not named and not path.exists():
        return Trust(may, frozenset(), tuple(verifiers))
    for number, entry in enumerate(_read(path), 1):
        where = f"{path}: keys entry {number}"
        verifier, claims, dead = _entry(entry, where)
        if dead:
            revoked.add(verifier.public)
        else:
            may[verifier.public] = may.get(verifier.public, frozenset()) | claims
        verifiers.append(verifier)
    return Trust(may, frozenset(revoked), tuple(verifiers))


def _read(path: Path) -> list[Any]:
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such trust policy") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PolicyError(f"{path}: not a readable TOML file: {error}") from None
    _only(data, ("schema", "keys"), str(path))
    if data.get("schema", 1) != 1 or not isinstance(data.get("keys", []), list):
        raise PolicyError(f"{path}: expected schema = 1 and tables [[keys]]")
    return list(data.get("keys", []))


def _entry(entry: Any, where: str) -> tuple[Verifier, frozenset[str], bool]:
    if not isinstance(entry, dict):
        raise PolicyError(f"{where}: expected a table")
    _only(entry, _FIELDS, where)
    try:
        verifier = Verifier.parse(str(entry.get("vkey", "")))
    except SignatureError as error:
        raise PolicyError(f"{where}: {error.message}") from None
    claims = entry.get("may", ["human"])
    if not isinstance(claims, list) or not set(map(str, claims)) <= set(_CLAIMS):
        raise PolicyError(f"{where}: `may` must be a list of {', '.join(_CLAIMS)}, found {claims!r}")
    revoked = entry.get("revoked", False)
    if not isinstance(revoked, bool):
        raise PolicyError(f"{where}: `revoked` must be true or false, found {revoked!r}")
    return verifier, frozenset(claims), revoked


def _only(data: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}"
            raise PolicyError(f"{where}: unknown key `{key}`", hint=hint)
