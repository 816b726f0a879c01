"""The graph under a pedigree: registering cohorts, refusing loops, walking from ancestors down."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeVar

from genepool.errors import UsageError
from genepool.lineage._nodes import Mixture, Node, mixture_of

__all__ = ["Graph"]

SCHEMA = "genepool.pedigree/1"
T = TypeVar("T")


class Graph:
    """Cohorts and who descends from whom; `Pedigree` adds the numbers."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._mentioned: dict[str, None] = {}
        self._bases: set[str] = set()
        self._cache: dict[str, Any] = {}

    # ------------------------------------------------------------------------------- registering

    def add_founders(self, name: str, size: float) -> None:
        """Register a cohort of human work.

        Args:
            name: Unique name.
            size: Number of unrelated founders in it, at least 1 (images, or artists where images of one
                artist are taken as relatives).

        Raises:
            UsageError: The name is taken or empty, or the size is below 1.
        """
        self._add(Node(name, "founders", _size(size, name), {}))

    def add_dataset(self, name: str, mixture: Mixture) -> None:
        """Register a dataset.

        Args:
            name: Unique name.
            mixture: Cohort → share (None: share not known), at most 1 in all; what is missing to 1 is
                unknown ancestry. A single name stands for share 1.

        Raises:
            UsageError: The name is taken, a share is impossible, or the mixture closes a loop.
        """
        parts, rest, vague = mixture_of(mixture, name)
        self._add(Node(name, "dataset", 1.0, parts, rest, vague))

    def add_model(
        self,
        name: str,
        trained_on: Mixture | None,
        base: str | None = None,
        effective_size: float | None = None,
    ) -> None:
        """Register a model; the name also stands for the cohort of its outputs.

        Args:
            name: Unique name.
            trained_on: A cohort or dataset, or a mixture as in `add_dataset`; None: unknown.
            base: The model it was fine-tuned from, or a reference mixture.
            effective_size: Number of independent ancestors that its outputs pass on, at least 1. None counts
                as 1: one individual, the textbook pedigree, and the most inbreeding that is possible.

        Raises:
            UsageError: The name is taken, a share is impossible, or the ancestry closes a loop.
        """
        parts, rest, vague = mixture_of(trained_on, name)
        if base == name:
            raise UsageError(f"pedigree: expected no cycle, found {name} → {name}")
        size = 1.0 if effective_size is None else _size(effective_size, name)
        self._add(Node(name, "model", size, parts, rest, vague, base or ""))

    def _add(self, node: Node) -> None:
        name: Any = node.name
        if not isinstance(name, str) or not name:
            raise UsageError(f"pedigree: expected a name, found {node.name!r}")
        if node.name in self._nodes:
            raise UsageError(
                f"pedigree: {node.name} is already registered as {self._nodes[node.name].kind}",
                hint="cohorts never change: give the new one another name",
            )
        if node.name in self._mentioned and (loop := self._path(node)):
            raise UsageError(f"pedigree: expected no cycle, found {' → '.join(loop)}")
        self._nodes[node.name] = node
        self._mentioned.update(dict.fromkeys(node.parents()))
        if node.base:
            self._bases.add(node.base)
        self._cache.clear()

    def _path(self, node: Node) -> list[str]:
        """How ``node`` would descend from itself, or an empty list."""
        came: dict[str, str] = dict.fromkeys(node.parents(), node.name)
        stack = list(came)
        while stack:
            name = stack.pop()
            if name == node.name:
                path = [name]
                while True:
                    path.append(came[path[-1]])
                    if path[-1] == node.name:
                        return path
            for parent in self._nodes[name].parents() if name in self._nodes else ():
                if parent not in came:
                    came[parent] = name
                    stack.append(parent)
        return []

    # ----------------------------------------------------------------------------------- reading

    @property
    def names(self) -> tuple[str, ...]:
        """Registered cohorts, in the order in which they were added."""
        return tuple(self._nodes)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Ancestors that were named but never registered."""
        return tuple(name for name in self._mentioned if name not in self._nodes)

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def ancestors(self, names: Iterable[str]) -> list[str]:
        """Registered cohorts that some of these descend from, themselves included, ancestors first.

        Raises:
            UsageError: Nobody ever named one of them.
        """
        wanted: set[str] = set()
        stack = list(names)
        for name in stack:
            self._known(name)
        while stack:
            name = stack.pop()
            if name in self._nodes and name not in wanted:
                wanted.add(name)
                stack.extend(self._nodes[name].parents())
        return [name for name in self._order() if name in wanted]

    def only(self, names: Iterable[str]) -> Self:
        """The pedigree of these cohorts and all their ancestors."""
        part = type(self)()
        for name in self.ancestors(names):
            part._add(self._nodes[name])
        return part

    def parts(self, name: str) -> dict[str, float | None]:
        """What a dataset holds or a model was trained on, with shares (None: not known); a base is not in it.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        self._known(name)
        node = self._nodes.get(name)
        if node is None:
            return {}
        return dict.fromkeys(node.parts) if node.vague else dict(node.parts)

    def kind(self, name: str) -> str:
        """``founders``, ``dataset``, ``model``, or ``unknown`` for an ancestor that nobody registered.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        self._known(name)
        return self._nodes[name].kind if name in self._nodes else "unknown"

    def base(self, name: str) -> str:
        """The model that a model was fine-tuned from; empty: none."""
        self._known(name)
        return self._nodes[name].base if name in self._nodes else ""

    def size(self, name: str) -> float:
        """Unrelated founders of a cohort of human work, or a model's effective size; 0 for the unknown."""
        self._known(name)
        return self._nodes[name].size if name in self._nodes else 0.0

    def rest(self, name: str) -> float:
        """Share of a mixture that nobody named, in [0, 1]."""
        self._known(name)
        return self._nodes[name].rest if name in self._nodes else 1.0

    def _known(self, name: str) -> None:
        if name not in self._nodes and name not in self._mentioned:
            near = difflib.get_close_matches(str(name), self._nodes, n=1)
            raise UsageError(
                f"pedigree: no cohort is called {name!r}", hint=f"did you mean {near[0]!r}?" if near else ""
            )

    def _order(self) -> list[str]:
        """Registered names, ancestors first."""
        if "order" not in self._cache:
            order: list[str] = []
            done: set[str] = set()
            for root in self._nodes:
                stack = [root]
                while stack:
                    name = stack[-1]
                    missing = [p for p in self._nodes[name].parents() if p in self._nodes and p not in done]
                    if name in done or not missing:
                        stack.pop()
                        if name not in done:
                            done.add(name)
                            order.append(name)
                    else:
                        stack.extend(missing)
            self._cache["order"] = order
        return list(self._cache["order"])

    def _fold(
        self, key: str, rule: Callable[[Node, Callable[[str], T]], T], unknown: Callable[[str], T]
    ) -> dict[str, T]:
        """A value for every registered cohort, computed from its parents' values, once."""
        if key not in self._cache:
            values: dict[str, T] = {}

            def value(name: str) -> T:
                return values[name] if name in values else unknown(name)

            for name in self._order():
                values[name] = rule(self._nodes[name], value)
            self._cache[key] = values
        found: dict[str, T] = self._cache[key]
        return found

    def _is_model(self, name: str) -> bool:
        # A base that nobody registered is taken for a model: that is what a base usually is.
        return self._nodes[name].kind == "model" if name in self._nodes else name in self._bases

    # -------------------------------------------------------------------------------------- JSON

    def to_json(self) -> dict[str, Any]:
        """Plain data: ``{"schema", "nodes": [...]}``, nodes in the order in which they were added."""
        return {"schema": SCHEMA, "nodes": [node.to_json() for node in self._nodes.values()]}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Inverse of `to_json`; nodes may come in any order.

        Raises:
            UsageError: Another format, a node without what it needs, or a loop.
        """
        nodes = data.get("nodes") if isinstance(data, Mapping) and data.get("schema") == SCHEMA else None
        if not isinstance(nodes, list):
            raise UsageError(f"pedigree: expected {SCHEMA} with a list of nodes, found something else")
        pedigree = cls()
        for node in nodes:
            try:
                kind, name = node["kind"], node["name"]
                if kind == "founders":
                    pedigree.add_founders(name, node["size"])
                elif kind == "dataset":
                    pedigree.add_dataset(name, node["mixture"])
                elif kind == "model":
                    pedigree.add_model(name, node["trained_on"], node.get("base"), node.get("effective_size"))
                else:
                    raise UsageError(f"pedigree: expected founders, dataset or model, found {kind!r}")
            except (KeyError, TypeError, AttributeError) as error:
                raise UsageError(
                    f"pedigree: a node lacks something: {type(error).__name__}: {error}"
                ) from None
        return pedigree


def _size(size: Any, name: str) -> float:
    if isinstance(size, bool) or not isinstance(size, int | float) or not 1 <= size < math.inf:
        raise UsageError(f"pedigree: {name}: expected a size of at least 1, found {size!r}")
    return float(size)
