"""Parameters that local generators leave in their files.

A mark counts when the whole text has the generator's grammar, with the numbers that only a run has (steps,
seed, sampler …). A text that merely mentions a generator is a text.

Formats, as written by the programs themselves: AUTOMATIC1111 web UI (``parameters``; JPEG, WebP and AVIF:
``UserComment``), InvokeAI (``invokeai_metadata``, ``sd-metadata``, ``Dream``), NovelAI (``Software`` and
``Comment``), Fooocus (``parameters`` with ``fooocus_scheme``), ComfyUI (see `genepool.evidence._comfyui`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from genepool.evidence import _comfyui
from genepool.evidence._exif import Exif
from genepool.evidence._weights import GENERATOR, clean, witness
from genepool.records import Evidence

_MAX_LINE = 64 * 1024
_MAX_JSON = 8 * 1024 * 1024
_A1111_KEYS = frozenset({"Sampler", "CFG scale", "Seed", "Size", "Model", "Model hash"})
Graphs = list[tuple[str, _comfyui.Graph]]
_WHOLE = re.compile(r"\d{1,20}")


def testify(texts: Mapping[str, str], exif: Exif | None) -> list[Evidence]:
    """Claims of every generator whose parameters are found.

    Args:
        texts: PNG texts by keyword.
        exif: The file's EXIF block, if any.
    """
    found = []
    graphs = _graphs(texts, exif)
    for name, place, details in _readings(texts, exif, graphs):
        model = clean(details.get("model"), 200)
        numbers = ", ".join(
            f"{k} {clean(details[k], 40)}" for k in ("steps", "seed") if details.get(k) is not None
        )
        found.append(
            witness(
                "generator",
                "ai",
                GENERATOR,
                origin="synthetic",
                model=model or name,
                reference=place,
                detail=f"{name} parameters" + (f" ({numbers})" if numbers else ""),
            )
        )
    found.extend(_comfyui.inert(graph, place) for place, graph in graphs if not _comfyui.generates(graph))
    return found


def _readings(
    texts: Mapping[str, str], exif: Exif | None, graphs: Graphs
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """``(generator, place, details)``, at most one per generator."""
    places = [("PNG text parameters", texts.get("parameters", ""))]
    if exif is not None:
        places.append(("EXIF UserComment", exif.comment))
    scheme = texts.get("fooocus_scheme", "") or (exif.maker_note if exif is not None else "")
    for place, text in places:
        fooocus = _fooocus(text, scheme)
        if fooocus is not None:
            yield "Fooocus", place, fooocus
            break
        a1111 = _a1111(text)
        if a1111 is not None:
            yield ("Fooocus" if scheme == "a1111" else "Stable Diffusion web UI"), place, a1111
            break
    for place, graph in graphs:
        if _comfyui.generates(graph):
            yield "ComfyUI", place, _comfyui.details(graph)
            break
    novelai = _novelai(texts)
    if novelai is not None:
        yield "NovelAI", "PNG text Comment", novelai
    yield from _invoke(texts)


def _graphs(texts: Mapping[str, str], exif: Exif | None) -> Graphs:
    """ComfyUI graphs: PNG texts, or ``prompt:{…}`` in EXIF fields of its WebP writer."""
    places = [(f"PNG text {name}", texts[name]) for name in ("prompt", "workflow") if name in texts]
    if exif is not None:
        for field, text in (
            ("Model", exif.model),
            ("Make", exif.make),
            ("ImageDescription", exif.description),
        ):
            name, colon, body = text.partition(":")
            if colon and name.strip().lower() in ("prompt", "workflow"):
                places.append((f"EXIF {field}", body))
    graphs = ((place, _comfyui.graph(_json(text))) for place, text in places)
    return [(place, graph) for place, graph in graphs if graph is not None]


def _json(text: str) -> Any:
    """Parsed JSON, or None. Deep nesting is refused by the parser's own recursion check.

    The standard library's parser, because ComfyUI writes ``NaN``, which stricter ones refuse.
    """
    if len(text) > _MAX_JSON or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _whole(value: Any) -> bool:
    """Whether a value is a whole number, or text that is one."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and _WHOLE.fullmatch(value.strip()) is not None)


# ------------------------------------------------------------------------------ AUTOMATIC1111 web UI


def _a1111(text: str) -> dict[str, Any] | None:
    """The settings line, ``Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: …``."""
    line = next(
        (line for line in reversed(text[-4 * _MAX_LINE :].splitlines()) if line.startswith("Steps: ")), ""
    )
    if not line or len(line) > _MAX_LINE:
        return None
    settings = dict(_settings(line))
    if not _whole(settings.get("Steps")) or len(_A1111_KEYS & settings.keys()) < 2:
        return None
    if "Seed" in settings and not _whole(settings["Seed"].removeprefix("-")):
        return None
    return {"model": settings.get("Model"), "steps": settings["Steps"], "seed": settings.get("Seed")}


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """``key: value`` pairs of a comma-separated line; commas inside quotes or braces separate nothing."""
    start, depth, quoted, escaped = 0, 0, False, False
    for at, char in enumerate(line + ","):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = quoted
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "{[":
            depth += 1
        elif not quoted and char in "}]":
            depth -= 1
        elif char == "," and not quoted and depth <= 0:
            key, colon, value = line[start:at].partition(":")
            if colon:
                yield key.strip(), value.strip().strip('"')
            start = at + 1


# -------------------------------------------------------------------------------------------- Fooocus


def _fooocus(text: str, scheme: str) -> dict[str, Any] | None:
    data = _json(text)
    if not isinstance(data, dict) or "fooocus" not in (scheme, data.get("metadata_scheme")):
        return None
    if (
        not isinstance(data.get("base_model"), str)
        or not _whole(data.get("steps"))
        or not _whole(data.get("seed"))
    ):
        return None
    return {"model": data["base_model"], "steps": data["steps"], "seed": data["seed"]}


# -------------------------------------------------------------------------------------------- NovelAI


def _novelai(texts: Mapping[str, str]) -> dict[str, Any] | None:
    if texts.get("Software") != "NovelAI":
        return None
    data = _json(texts.get("Comment", ""))
    if not isinstance(data, dict) or not _whole(data.get("steps")) or not _whole(data.get("seed")):
        return None
    if not {"sampler", "scale"} & data.keys():
        return None
    return {"model": texts.get("Source"), "steps": data["steps"], "seed": data["seed"]}


# ------------------------------------------------------------------------------------------- InvokeAI


def _invoke(texts: Mapping[str, str]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for keyword, read in (("invokeai_metadata", _invoke_new), ("sd-metadata", _invoke_old)):
        details = read(_json(texts.get(keyword, "")))
        if details is not None:
            yield "InvokeAI", f"PNG text {keyword}", details
            return
    dream = _dream(texts.get("Dream", ""))
    if dream is not None:
        yield "InvokeAI", "PNG text Dream", dream


def _invoke_new(data: Any) -> dict[str, Any] | None:
    """InvokeAI 3 and later: one flat object."""
    if not isinstance(data, dict) or not _whole(data.get("seed")):
        return None
    if (
        len({"positive_prompt", "steps", "cfg_scale", "scheduler", "generation_mode", "model"} & data.keys())
        < 3
    ):
        return None
    model = data.get("model")
    name = (model.get("name") or model.get("model_name")) if isinstance(model, dict) else model
    return {"model": name, "steps": data.get("steps"), "seed": data["seed"]}


def _invoke_old(data: Any) -> dict[str, Any] | None:
    """InvokeAI 2: the run under ``image``."""
    image = data.get("image") if isinstance(data, dict) else None
    if not isinstance(image, dict) or not _whole(image.get("steps")) or not _whole(image.get("seed")):
        return None
    return {
        "model": data.get("model_weights") or data.get("model"),
        "steps": image["steps"],
        "seed": image["seed"],
    }


def _dream(text: str) -> dict[str, Any] | None:
    """InvokeAI 1 and 2: a command line, ``"a prompt" -s 50 -S 1234 -W 512 -H 512 -C 7.5 -A k_lms``."""
    closing = text.rfind('"')
    if not text.startswith('"') or closing < 1 or len(text) > _MAX_LINE:
        return None
    flags: dict[str, str] = {}
    flag = ""
    for word in text[closing + 1 :].split():
        if word.startswith("-") and word[1:2].isalpha():
            flag = word[1]
            flags[flag] = word[2:]
        elif flag:
            flags[flag] = flags[flag] or word
        else:
            return None
    if not _whole(flags.get("s")) or not _whole(flags.get("S")):
        return None
    return {"model": None, "steps": flags["s"], "seed": flags["S"]}
