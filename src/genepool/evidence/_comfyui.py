"""ComfyUI graphs: ``prompt`` (what ran, node id → class and inputs) and ``workflow`` (what was drawn).

ComfyUI is also used to resize or mask photos, so a graph is evidence only when a node of it *generates*: it
samples from a diffusion model, loads one, or asks a generation service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from genepool.evidence._weights import note
from genepool.records import Evidence

_MAX_NODES = 20_000
_OFF = (2, 4)
"""Modes of drawn nodes that did not run: muted, bypassed."""
_RUN_INPUTS = frozenset({"sampler_name", "noise_seed", "ckpt_name", "unet_name"})
"""Inputs that only nodes of a diffusion run have."""
_MODEL_INPUTS = ("ckpt_name", "unet_name", "model_name", "gguf_name")
_CLASSES = (
    "KSampler", "SamplerCustom", "CheckpointLoader", "UNETLoader", "UnetLoader", "DiffusersLoader",
    "UltimateSDUpscale", "BasicGuider", "CFGGuider", "FluxGuidance",
    "EmptyLatentImage", "EmptySD3LatentImage",
)  # fmt: skip
_SERVICES = (
    "OpenAIDalle", "OpenAIGPTImage", "FluxPro", "FluxKontext", "Flux2", "Ideogram", "StabilityStableImage",
    "RecraftTextToImage", "RecraftImageToImage", "LumaImage", "GeminiImage", "ByteDanceImage",
    "ByteDanceSeedream", "KlingImage", "RunwayTextToImage", "QwenImage", "WanTextToImage",
)  # fmt: skip
_GENERATING = _CLASSES + _SERVICES
"""Beginnings of class names: variants differ in their endings (``KSamplerAdvanced``)."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its class and its literal inputs (``workflow`` graphs have unnamed widget values)."""

    kind: str
    inputs: dict[str, Any]
    widgets: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A structurally valid graph."""

    nodes: tuple[Node, ...]


def graph(data: Any) -> Graph | None:
    """The graph that parsed JSON holds, or None where its structure is not one of ComfyUI's."""
    if not isinstance(data, dict) or not data:
        return None
    if isinstance(data.get("nodes"), list) and isinstance(data.get("links"), list):
        return _drawn_graph(data)
    if len(data) > _MAX_NODES:
        return None
    nodes = tuple(_ran(data))
    return Graph(nodes) if nodes and len(nodes) == len(data) else None


def _ran(data: dict[str, Any]) -> Iterator[Node]:
    for node in data.values():
        if (
            isinstance(node, dict)
            and isinstance(node.get("class_type"), str)
            and isinstance(node.get("inputs"), dict)
        ):
            yield Node(node["class_type"], node["inputs"])


def _drawn_graph(data: dict[str, Any]) -> Graph | None:
    """A ``workflow``: its nodes and those of its subgraphs; a node that is none spoils the whole."""
    drawn = list(data["nodes"])
    definitions = data.get("definitions")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    for subgraph in subgraphs if isinstance(subgraphs, list) else []:
        inner = subgraph.get("nodes") if isinstance(subgraph, dict) else None
        drawn.extend(inner if isinstance(inner, list) else [])
    if not 0 < len(drawn) <= _MAX_NODES:
        return None
    nodes = []
    for node in drawn:
        if not (isinstance(node, dict) and isinstance(node.get("type"), str) and "id" in node):
            return None
        widgets = node.get("widgets_values")
        if node.get("mode") not in _OFF:
            nodes.append(Node(node["type"], {}, tuple(widgets[:64]) if isinstance(widgets, list) else ()))
    return Graph(tuple(nodes))


def generates(found: Graph) -> bool:
    """Whether a node of the graph makes images with a trained model."""
    return any(node.kind.startswith(_GENERATING) or _RUN_INPUTS & node.inputs.keys() for node in found.nodes)


def details(found: Graph) -> dict[str, Any]:
    """Model, steps and seed, where nodes name them."""
    out: dict[str, Any] = {"model": None, "steps": None, "seed": None}
    for node in found.nodes:
        for key in _MODEL_INPUTS:
            if out["model"] is None and isinstance(node.inputs.get(key), str):
                out["model"] = node.inputs[key]
        for key, names in (("steps", ("steps",)), ("seed", ("seed", "noise_seed"))):
            for name in names:
                value = node.inputs.get(name)
                if out[key] is None and isinstance(value, int) and not isinstance(value, bool):
                    out[key] = value
        if out["model"] is None and node.kind.startswith(("CheckpointLoader", "UNETLoader", "UnetLoader")):
            out["model"] = next((w for w in node.widgets if isinstance(w, str)), None)
    return out


def inert(found: Graph, place: str) -> Evidence:
    """The note for a graph in which nothing generates."""
    return note("generator", f"ComfyUI graph of {len(found.nodes)} nodes, none of which generates", place)
