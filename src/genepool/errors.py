"""Every deliberate error of genepool.

The tree::

    GenepoolError                        code, message, hint, exit_code
    ├── UsageError               GP001   2   wrong arguments
    │   ├── ConfigError          GP002   2   genepool.toml: unknown key, wrong type or range
    │   └── PolicyError          GP003   2   a policy that cannot be met or is empty
    ├── CannotFinish             GP010   3   the run could not be completed
    │   ├── MissingExtra         GP011   3   an optional dependency is not installed
    │   ├── SourceError          GP012   3   the dataset cannot be read at all, or holds no image
    │   ├── WorkspaceError       GP013   3   the workspace is damaged, busy or not writable
    │   ├── EngineError          GP014   3   workers failed again and again
    │   ├── PluginError          GP015   3   a plug-in cannot be loaded or broke its contract
    │   └── MeasureError         GP016   3   a number cannot be computed from these data
    ├── IntegrityError           GP020   4   something signed or hashed does not verify
    │   ├── LogError             GP021   4   the log: an entry, a tile, a checkpoint
    │   ├── SignatureError       GP022   4   a signature or a key
    │   └── CertificateError     GP023   4   a certificate does not match its data
    └── GateError (ValueError)   GP100   1   the data failed the policy
        ├── InsufficientHumanContent  GP101   1
        └── Undecided            GP005   5   evidence too thin to decide either way

A foreign library's exception never leaves genepool unwrapped. Each code is explained in
``explanations.toml`` and by ``genepool explain GPnnn``.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "CannotFinish",
    "CertificateError",
    "ConfigError",
    "EngineError",
    "GateError",
    "GenepoolError",
    "InsufficientHumanContent",
    "IntegrityError",
    "LogError",
    "MeasureError",
    "MissingExtra",
    "PluginError",
    "PolicyError",
    "SignatureError",
    "SourceError",
    "Undecided",
    "UsageError",
    "WorkspaceError",
]


class GenepoolError(Exception):
    """Base of every deliberate error.

    Attributes:
        code: Rule or error code, ``GPnnn``; ``genepool explain`` knows it.
        exit_code: What the command line returns.
        message: What is wrong, with what was expected and what was found.
        hint: What to do next, often a command; may be empty.
    """

    code: ClassVar[str] = "GP000"
    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries: the default reduction would drop the keyword-only hint.
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[GenepoolError], message: str, hint: str) -> GenepoolError:
    return kind(message, hint=hint)


class UsageError(GenepoolError):
    """Wrong arguments or options."""

    code = "GP001"
    exit_code = 2


class ConfigError(UsageError):
    """The configuration holds an unknown key, or a value of the wrong type or range."""

    code = "GP002"


class PolicyError(UsageError):
    """A policy that is empty or contradicts itself."""

    code = "GP003"


class CannotFinish(GenepoolError):
    """The run could not be completed; nothing is known about the data."""

    code = "GP010"


class MissingExtra(CannotFinish):
    """An optional dependency is not installed; the message is the line that installs it."""

    code = "GP011"

    def __init__(self, message: str = "", *, hint: str = "", needs: str = "", extra: str = "") -> None:
        if not message:
            message = f"{needs} is not installed"
            hint = f"pip install 'genepool[{extra}]'"
        super().__init__(message, hint=hint)


class SourceError(CannotFinish):
    """The dataset cannot be read at all, or holds no image."""

    code = "GP012"


class WorkspaceError(CannotFinish):
    """The workspace is damaged, busy or not writable."""

    code = "GP013"


class EngineError(CannotFinish):
    """Workers failed again and again."""

    code = "GP014"


class PluginError(CannotFinish):
    """A plug-in cannot be loaded or broke its contract."""

    code = "GP015"


class MeasureError(CannotFinish):
    """A number cannot be computed from these data (too few images, NaN features, mismatched panel)."""

    code = "GP016"


class IntegrityError(GenepoolError):
    """Something signed or hashed does not verify. Nothing can mask this."""

    code = "GP020"
    exit_code = 4


class LogError(IntegrityError):
    """An entry, a tile or a checkpoint of the log is damaged or contradicts another."""

    code = "GP021"


class SignatureError(IntegrityError):
    """A signature or a key does not verify."""

    code = "GP022"


class CertificateError(IntegrityError):
    """A certificate does not match its data, its log or itself."""

    code = "GP023"


class GateError(GenepoolError, ValueError):
    """The data failed the policy."""

    code = "GP100"
    exit_code = 1


class InsufficientHumanContent(GateError):
    """The guaranteed human share is below the floor."""

    code = "GP101"


class Undecided(GateError):
    """The evidence is too thin to decide either way: people or more provenance can settle it."""

    code = "GP005"
    exit_code = 5
