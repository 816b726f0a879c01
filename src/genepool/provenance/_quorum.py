"""Which logs and how many witnesses a verifier asks for (C2SP tlog-policy).

A policy file is line based: ``log <vkey> [url]``, ``witness <name> <vkey> [url]``,
``group <name> all|any|<k> <member>…``, ``quorum <name>|none`` (exactly one). Names are defined before they
are used and belong to one group at most, so each witness counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from genepool.errors import ConfigError, SignatureError
from genepool.provenance._cosignature import WitnessKey, read_cosignatures
from genepool.provenance._note import Verifier

__all__ = ["LogPolicy", "load_policy", "parse_policy"]


@dataclass(frozen=True, slots=True)
class _Group:
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """A parsed policy.

    Attributes:
        logs: Log keys that are accepted, with the URL if one is given.
        witnesses: Witness keys by their name in the file, with the URL.
        quorum: Name of the witness or group that must have cosigned; ``none`` asks for nobody.
    """

    logs: tuple[tuple[Verifier, str], ...] = ()
    witnesses: dict[str, tuple[WitnessKey, str]] = field(default_factory=dict)
    groups: dict[str, _Group] = field(default_factory=dict)
    quorum: str = "none"

    def satisfied(self, cosigned: Iterable[WitnessKey]) -> bool:
        """Whether the witnesses that cosigned make up the quorum."""
        have = set(cosigned)

        def holds(name: str) -> bool:
            if name in self.witnesses:
                return self.witnesses[name][0] in have
            group = self.groups[name]
            return sum(holds(member) for member in group.members) >= group.threshold

        return self.quorum == "none" or holds(self.quorum)

    def require(self, note: bytes, *, now: int | None = None) -> tuple[str, ...]:
        """Check a signed checkpoint's cosignatures against the quorum.

        Returns:
            Names of the witnesses that cosigned.

        Raises:
            SignatureError: A wrong cosignature, or too few.
        """
        good = read_cosignatures(note, [key for key, _ in self.witnesses.values()], now=now)
        keys = {c.key for c in good}
        if not self.satisfied(keys):
            raise SignatureError(
                f"witnesses: the quorum {self.quorum!r} is not reached, "
                f"cosigned by {', '.join(sorted(k.name for k in keys)) or 'nobody'}",
                hint="ask the witnesses: genepool ledger witness submit --policy FILE",
            )
        return tuple(sorted(name for name, (key, _) in self.witnesses.items() if key in keys))


def load_policy(path: str | Path) -> LogPolicy:
    """Read a policy file.

    Raises:
        ConfigError: Missing or malformed.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: not a readable policy file: {error.strerror}") from None
    return parse_policy(data, where=str(path))


def parse_policy(data: bytes, *, where: str = "policy") -> LogPolicy:
    """Read a policy.

    Raises:
        ConfigError: Control characters, an unknown word, a name used before it is defined or twice, duplicate
            keys, a threshold out of range, no quorum line or several.
    """
    if any((byte < 0x20 and byte not in (0x09, 0x0A)) or byte == 0x7F for byte in data):
        raise ConfigError(f"{where}: expected no control characters but tab and newline")
    parser = _Parser()
    words: dict[str, Callable[[list[str]], None]] = {
        "log": parser.log,
        "witness": parser.witness,
        "group": parser.group,
        "quorum": parser.set_quorum,
    }
    # Names are opaque octets in the specification; latin-1 keeps every octet as it is.
    for number, line in enumerate(data.decode("latin-1").split("\n"), 1):
        parts = line.replace("\t", " ").split(" ")
        parts = [part for part in parts if part]
        if not parts or parts[0].startswith("#"):
            continue
        try:
            if parts[0] not in words:
                raise ConfigError(f"expected log, witness, group or quorum, found {parts[0][:40]!r}")
            words[parts[0]](parts[1:])
        except (ConfigError, SignatureError) as error:
            raise ConfigError(f"{where} line {number}: {error.message}") from None
    if parser.quorum is None:
        raise ConfigError(f"{where}: expected one quorum line, found none")
    return LogPolicy(tuple(parser.logs), parser.witnesses, parser.groups, parser.quorum)


class _Parser:
    """The state of one reading."""

    def __init__(self) -> None:
        self.logs: list[tuple[Verifier, str]] = []
        self.witnesses: dict[str, tuple[WitnessKey, str]] = {}
        self.groups: dict[str, _Group] = {}
        self.members: set[str] = set()
        self.quorum: str | None = None

    def log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            raise ConfigError("expected log <vkey> [<url>]")
        key = Verifier.parse(words[0])
        if any(key.public == other.public for other, _ in self.logs):
            raise ConfigError("the same log key stands twice")
        self.logs.append((key, words[1] if len(words) == 2 else ""))

    def witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise ConfigError("expected witness <name> <vkey> [<url>]")
        name = self._new(words[0])
        key = WitnessKey.parse(words[1])
        if any(key.public == other.public for other, _ in self.witnesses.values()):
            raise ConfigError("the same witness key stands twice")
        self.witnesses[name] = (key, words[2] if len(words) == 3 else "")

    def group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise ConfigError("expected group <name> all|any|<k> <member>…")
        name, rule, *members = words
        self._new(name)
        for member in members:
            self._known(member)
            if member in self.members:
                raise ConfigError(f"{member!r} is a member of two groups, or twice of one")
            self.members.add(member)
        if rule in ("all", "any"):
            threshold = len(members) if rule == "all" else 1
        elif rule.isascii() and rule.isdecimal() and len(rule) < 7 and 1 <= int(rule) <= len(members):
            threshold = int(rule)
        else:
            raise ConfigError(f"expected all, any or a number from 1 to {len(members)}, found {rule[:20]!r}")
        self.groups[name] = _Group(threshold, tuple(members))

    def set_quorum(self, words: list[str]) -> None:
        if self.quorum is not None:
            raise ConfigError("expected one quorum line, found two")
        if len(words) != 1:
            raise ConfigError("expected quorum <name>")
        if words[0] != "none":
            self._known(words[0])
        self.quorum = words[0]

    def _new(self, name: str) -> str:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise ConfigError(f"the name {name!r} is taken")
        return name

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise ConfigError(f"{name!r} is not defined above")
