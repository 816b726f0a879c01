"""One C2PA manifest: made by a trained model, of this generation, from these parents.

Action ``c2pa.created`` with the IPTC term ``trainedAlgorithmicMedia`` and the model as software agent; each
parent as an ingredient with the relation ``inputTo`` whose instance id is ``sha256:<digest>``; the assertion
``org.genepool.generation`` with ``lo``, ``hi`` (null: unbounded), ``model`` and ``parents`` (digests). A file
that already carries a manifest keeps it: it is opened as the ``parentOf`` ingredient (C2PA 2.2, section 10).
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genepool._version import __version__
from genepool.errors import SignatureError
from genepool.provenance._credential import Credential
from genepool.provenance._lineages import Interval

__all__ = ["GENERATION_LABEL", "MIME", "Carried", "Ingredient", "carried", "make_context", "sign_image"]

GENERATION_LABEL = "org.genepool.generation"
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
}


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A parent: its digest (hex), and its bytes and media type where the file is at hand."""

    digest: str
    data: bytes | None = None
    mime: str = ""


@dataclass(frozen=True, slots=True)
class Carried:
    """The manifest that a file already has.

    Attributes:
        sound: Whether signature and hashes verify.
        trained: Whether its active manifest says that a trained model made the image.
        generation: The data of its assertion ``org.genepool.generation``, if any.
        signer: Common name in the signing certificate.
    """

    sound: bool
    trained: bool
    generation: dict[str, Any] | None
    signer: str


def make_context() -> Any:
    """Settings of the C2PA library: no network, no thumbnails (one would be larger than many a picture)."""
    from c2pa import Context, Settings

    settings = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "core": {
            "decode_identity_assertions": False,
            "allowed_network_hosts": [],
            "allow_redirects": False,
        },
        "builder": {"thumbnail": {"enabled": False}},
    }
    with Settings.from_dict(settings) as made:
        return Context(made)


def carried(data: bytes, mime: str, context: Any) -> Carried | None:
    """The manifest in a file; None where there is none."""
    from c2pa import C2paError, Reader

    try:
        with Reader(mime, io.BytesIO(data), context=context) as reader:
            report = json.loads(reader.json())
    except C2paError.ManifestNotFound:
        return None
    except (C2paError, ValueError, RecursionError) as error:
        if str(error).startswith("Remote:"):
            return None
        return Carried(False, False, None, "")
    active = report.get("manifests", {}).get(report.get("active_manifest"), {})
    stated: dict[str, Any] | None = None
    trained = False
    for assertion in active.get("assertions", ()):
        label, body = str(assertion.get("label", "")).partition("__")[0], assertion.get("data")
        if label == GENERATION_LABEL and isinstance(body, dict):
            stated = body
        elif label in ("c2pa.actions", "c2pa.actions.v2") and isinstance(body, dict):
            terms = [str(action.get("digitalSourceType", "")) for action in body.get("actions", ())]
            trained = trained or any(term.endswith("/trainedAlgorithmicMedia") for term in terms)
    return Carried(
        sound=report.get("validation_state") in ("Valid", "Trusted"),
        trained=trained,
        generation=stated,
        signer=str((active.get("signature_info") or {}).get("common_name", "")),
    )


def statement(model: str, generation: Interval, parents: Sequence[str]) -> dict[str, Any]:
    """The data of ``org.genepool.generation``."""
    said: dict[str, Any] = {"lo": generation[0], "hi": generation[1], "model": model}
    if parents:
        said["parents"] = list(parents)
    return said


def sign_image(
    data: bytes,
    mime: str,
    title: str,
    credential: Credential,
    context: Any,
    *,
    model: str,
    generation: Interval,
    parents: Sequence[Ingredient] = (),
    keep: bool = False,
) -> bytes:
    """A signed copy of an image.

    Args:
        data: The image.
        mime: Its media type, one of `MIME`.
        title: Name in the manifest.
        credential: Who signs.
        context: From `make_context`.
        model: The model that made it.
        generation: ``(lo, hi)``.
        parents: What the model was given.
        keep: The image carries a manifest that must be kept.

    Raises:
        SignatureError: The C2PA library refused.
    """
    from c2pa import Builder, C2paError, C2paSignerInfo, Signer

    labels = [f"parent-{number}" for number in range(len(parents))]
    far = [_described(parent, label) for parent, label in zip(parents, labels, strict=True)]
    action: dict[str, Any] = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["itself", *labels]}}
    if not keep:
        action = {
            "action": "c2pa.created",
            "digitalSourceType": TRAINED,
            "softwareAgent": {"name": model},
            "parameters": {"ingredientIds": labels},
        }
    manifest = {
        "claim_generator_info": [{"name": "genepool", "version": __version__}],
        "title": title,
        "format": mime,
        "ingredients": [one for one, parent in zip(far, parents, strict=True) if parent.data is None],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}},
            {
                "label": GENERATION_LABEL,
                "data": statement(model, generation, [parent.digest for parent in parents]),
            },
        ],
    }
    if not parents and not keep:
        del action["parameters"]
    out = io.BytesIO()
    try:
        info = C2paSignerInfo(credential.algorithm, credential.chain, credential.key, None)
        with Signer.from_info(info) as signer, Builder(json.dumps(manifest), context) as builder:
            if keep:
                itself = {"title": title, "relationship": "parentOf", "label": "itself"}
                builder.add_ingredient(json.dumps(itself), mime, io.BytesIO(data))
            for one, parent in zip(far, parents, strict=True):
                if parent.data is not None:
                    builder.add_ingredient(json.dumps(one), parent.mime, io.BytesIO(parent.data))
            builder.sign(signer, mime, io.BytesIO(data), out)
    except C2paError as error:
        raise SignatureError(f"{title}: the C2PA library would not sign: {error}") from None
    return out.getvalue()


def _described(parent: Ingredient, label: str) -> dict[str, Any]:
    described = {
        "title": f"sha256:{parent.digest[:16]}",
        "relationship": "inputTo",
        "instance_id": f"sha256:{parent.digest}",
        "label": label,
    }
    return {**described, "format": parent.mime} if parent.mime else described
