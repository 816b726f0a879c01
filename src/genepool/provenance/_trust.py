"""Whose word counts: the trust policy.

A TOML file (``ledger.trust`` of the configuration, else ``trust.toml`` beside the user's key)::

    schema = 1

    [[keys]]
    vkey = "studio+1a2b3c4d+AY…"
    may = ["human"]        # claims of human work by this key count
    revoked = false
    comment = "the studio's scanner"

    [witnesses]
    policy = "witnesses.txt"   # tlog-policy file, beside this one: which must have cosigned a certificate

``may`` holds ``human`` (its claims of human work count) and ``decision`` (its certificates count). The user's
own key is trusted without being named. Trust in a log's key follows its signed rotations, unless the policy
revokes the old key. That an image is AI is believed from anyone.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from genepool._toml import TomlProblem, parse_toml
from genepool.config import Config, config_directory
from genepool.errors import ConfigError, PolicyError, SignatureError
from genepool.provenance._note import Verifier
from genepool.provenance._quorum import LogPolicy, load_policy
from genepool.provenance._rotation import Rotation

__all__ = ["Trust", "load_trust"]

_CLAIMS = ("human", "decision")
_TABLES = ("schema", "keys", "witnesses")
_FIELDS = ("vkey", "may", "revoked", "comment")


@dataclass(frozen=True, slots=True)
class Trust:
    """Which public keys may make which claims.

    Attributes:
        may: Public key (32 bytes) → claims that count.
        revoked: Public keys whose claims no longer count.
        verifiers: The keys with their names, to verify logs with.
        witnesses: Who must have cosigned a certificate; None: nobody.
    """

    may: Mapping[bytes, frozenset[str]] = field(default_factory=dict)
    revoked: frozenset[bytes] = frozenset()
    verifiers: tuple[Verifier, ...] = ()
    witnesses: LogPolicy | None = None

    def allows(self, public: bytes, claim: str = "human") -> bool:
        """Whether a claim by this key counts."""
        return public not in self.revoked and claim in self.may.get(public, frozenset())

    def following(self, rotations: Sequence[Rotation]) -> Trust:
        """The policy with what a log's old keys may do carried over to the keys that replaced them."""
        may = dict(self.may)
        for rotation in rotations:
            if rotation.old.public in may and rotation.old.public not in self.revoked:
                heir = may.get(rotation.new.public, frozenset())
                may[rotation.new.public] = heir | may[rotation.old.public]
        return replace(self, may=may)


def load_trust(config: Config | None, own: Sequence[Verifier] | Verifier | None, *, path: str = "") -> Trust:
    """Read the trust policy.

    Args:
        config: ``ledger.trust`` may name a file.
        own: The user's own keys, trusted for everything unless the file revokes them.
        path: A file that is read instead.

    Raises:
        PolicyError: The file is missing, malformed, or holds an unknown key.
    """
    may: dict[bytes, frozenset[str]] = {}
    revoked: set[bytes] = set()
    verifiers: list[Verifier] = []
    for key in (own,) if isinstance(own, Verifier) else own or ():
        may[key.public] = frozenset(_CLAIMS)
        verifiers.append(key)
    named = path or (config.ledger.trust if config is not None else "")
    place = Path(named).expanduser() if named else config_directory() / "trust.toml"
    if not named and not place.exists():
        return Trust(may, frozenset(), tuple(verifiers))
    entries, witnesses = _read(place)
    for number, entry in enumerate(entries, 1):
        where = f"{place}: keys entry {number}"
        verifier, claims, dead = _entry(entry, where)
        if dead:
            revoked.add(verifier.public)
        else:
            may[verifier.public] = may.get(verifier.public, frozenset()) | claims
        verifiers.append(verifier)
    return Trust(may, frozenset(revoked), tuple(verifiers), witnesses)


def _read(path: Path) -> tuple[list[Any], LogPolicy | None]:
    try:
        data = parse_toml(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such trust policy") from None
    except (OSError, UnicodeDecodeError, TomlProblem) as error:
        raise PolicyError(f"{path}: not a readable TOML file: {error}") from None
    _only(data, _TABLES, str(path))
    if data.get("schema", 1) != 1 or not isinstance(data.get("keys", []), list):
        raise PolicyError(f"{path}: expected schema = 1 and tables [[keys]]")
    return list(data.get("keys", [])), _witnesses(data.get("witnesses"), path)


def _witnesses(table: Any, path: Path) -> LogPolicy | None:
    if table is None:
        return None
    if not isinstance(table, dict) or not isinstance(table.get("policy"), str):
        raise PolicyError(
            f"{path}: `witnesses` must be a table with `policy`, the path of a tlog-policy file"
        )
    _only(table, ("policy",), f"{path}: witnesses")
    try:
        return load_policy(path.parent / table["policy"])
    except ConfigError as error:
        raise PolicyError(f"{path}: witnesses: {error.message}") from None


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
