"""What FiftyOne and Label Studio read from our exports, each in an environment of its own.

    python tests/support/exports.py .oracles/exports fiftyone label-studio     (genepool's environment)
    python tests/references/oracles/make_exports.py fiftyone|label-studio .oracles/exports

Writes ``tests/references/fixtures/export_<tool>.json``: the tool's version, SHA-256 of the index that it
read, and what it made of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib import metadata
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fiftyone(folder: Path) -> dict:
    """FiftyOne's own importer; only its database, which needs a MongoDB server, is not asked."""
    os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
    import fiftyone.utils.data as foud

    importer = foud.FiftyOneImageClassificationDatasetImporter(
        dataset_dir=str(folder.resolve()), data_path="data", labels_path="labels.json"
    )
    samples = {}
    with importer:
        for path, _, label in importer:
            held = label.to_dict()
            names = set(label._fields_ordered) | set(label._dynamic_fields)
            samples[str(Path(path).relative_to(folder.resolve()))] = {
                name: held.get(name, getattr(label, name, None))
                for name in sorted(names)
                if name not in ("id", "_cls", "logits", "confidence", "tags") and not name.startswith("_")
            }
    return {
        "version": metadata.version("fiftyone"),
        "index": digest(folder / "labels.json"),
        "samples": samples,
    }


def label_studio(folder: Path) -> dict:
    """The SDK's interface: parses the labelling interface and validates every task against it."""
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface((folder / "label-config.xml").read_text("utf-8"))
    interface.validate()
    tasks = json.loads((folder / "tasks.json").read_bytes())
    found = []
    for task in tasks:
        valid = interface.validate_task(task)
        loaded = interface.load_task(task["data"])
        objects = {obj.name: obj.value for obj in loaded.objects}
        found.append({"valid": bool(valid), "objects": {k: str(v) for k, v in sorted(objects.items())}})
    return {
        "version": metadata.version("label-studio-sdk"),
        "index": digest(folder / "tasks.json"),
        "config": digest(folder / "label-config.xml"),
        "controls": sorted(interface._controls),
        "tasks": found,
    }


if __name__ == "__main__":
    tool, root = sys.argv[1], Path(sys.argv[2])
    answer = {"fiftyone": fiftyone, "label-studio": label_studio}[tool](root / tool)
    name = f"export_{tool.replace('-', '_')}.json"
    (FIXTURES / name).write_text(
        json.dumps(answer, indent=1, ensure_ascii=False, default=str) + "\n", "utf-8"
    )
    print(f"{name}: {len(answer.get('samples', answer.get('tasks', [])))} images")
