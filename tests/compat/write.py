"""Write what this release writes, for later ones to read: run once at each release, never over an old one.

    python tests/compat/write.py

Makes ``tests/compat/fixtures/<version>/``: pictures with every form of sidecar, the workspace of a check (its
catalogue, log, verdicts, decision, certificate), and ``expected.json``: what must be read from them.
The key that signs is made for this run and thrown away; its public half stays in ``trust.toml``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent / "fixtures"
# The catalogue remembers where images lay; the same place on every machine keeps fixtures alike.
PLACE = Path(tempfile.gettempdir()) / "genepool-compat"


def pictures(root: Path) -> None:
    """Twelve small textures, their captions and claims in every place where a sidecar may stand."""
    rng = np.random.default_rng(20261128)
    (root / "more").mkdir(parents=True)
    for i in range(12):
        base = rng.integers(0, 256, (6, 6, 3), np.uint8)
        image = Image.fromarray(base).resize((48, 48), Image.Resampling.BICUBIC)
        image.save(root / ("more" if i % 2 else ".") / f"{i:02}.png")
    (root / "00.txt").write_text("a caption beside the image\n")
    (root / "02.png.genepool.json").write_text('{"artist": "Ada", "created": "2019-05"}\n')
    lines = [
        {"file": "04.png", "origin": "human_made", "license": "CC-BY-4.0", "caption": "in the table"},
        {"file": "more/01.png", "source": "studio", "style": "ink", "parents": ["00.png"]},
        {"file": "more/03.png", "generation": [1, None], "model": "brush-2", "caption_source": "machine"},
    ]
    (root / "genepool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write(target: Path) -> None:
    """Check the pictures once and keep what that left behind."""
    shutil.rmtree(PLACE, ignore_errors=True)
    os.environ["GENEPOOL_HOME"] = str(PLACE / "home")
    os.environ.pop("GENEPOOL_WORKSPACE", None)
    pictures(PLACE / "pictures")
    from genepool import config, dataset, gate, pipeline, provenance, scan, store
    from genepool.records import Verdict

    quick = {"detection__detector": "none", "diversity__embedder": "classical", "engine__workers": 1}
    settings = config.Config().with_(**quick, policy__human_ratio=0.5, policy__diversity=0.0)
    opened = dataset.open(PLACE / "pictures")
    place = store.workspace_for(opened)
    catalogue = scan.scan(opened, place, config=settings)
    uris = catalogue.table(["uri"]).column("uri").to_pylist()
    human = catalogue.select(uri for uri in uris if uri != "more/03.png")
    provenance.register_human(human, place, cohort="studio", artist="Ada Adams", config=settings)
    provenance.register_model(place, "brush-2", [("studio", 1.0)], config=settings)
    made = catalogue.select(["more/03.png"])
    provenance.register_outputs(made, place, model="brush-2", config=settings)
    pixels = {row["uri"]: row["pixel"].hex() for row in catalogue.table(["uri", "pixel"]).to_pylist()}
    first = {row["uri"]: row["sha256"].hex() for row in catalogue.table(["uri", "sha256"]).to_pylist()}
    with store.Verdicts(place) as verdicts:
        verdicts.add(Verdict(first["04.png"], "human", "test:compat", at=1_796_000_000))
    decision = pipeline.check(opened, config=settings)
    ledger = decision.extra["ledger"]
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copytree(PLACE / "pictures", target / "pictures")
    ignore = shutil.ignore_patterns("lock", ".lock", "report.html", "lookup")
    shutil.copytree(place.root, target / "workspace", ignore=ignore)
    (target / "decision.json").write_text(json.dumps(decision.to_json(), indent=1, sort_keys=True) + "\n")
    vkey = provenance.load_public(settings)[0].vkey
    claims = '["human", "decision"]'
    (target / "trust.toml").write_text(f'schema = 1\n\n[[keys]]\nvkey = "{vkey}"\nmay = {claims}\n')
    samples = {s.item.uri: [s.caption, dict(s.declared or {})] for s in opened}
    rows = catalogue.origins().to_pylist()
    expected = {
        "uri": opened.uri,
        "status": decision.status,
        "n": decision.n,
        "root": decision.root,
        "human_ratio": decision.measures["human_ratio"].to_json(),
        "log": {"size": ledger["size"], "root": ledger["root"], "name": ledger["log"]},
        "sha256": first,
        "pixel": pixels,
        "samples": samples,
        "origins": {
            row["uri"]: [row["origin"], row["tier"], row["human"], row["lo"], row["hi"]] for row in rows
        },
        "columns": list(catalogue.columns),
        "codes": [f.code for f in gate.load_decision(place).failures],
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(PLACE)


if __name__ == "__main__":
    from genepool import __version__

    where = HERE / __version__
    if where.exists() and "--again" not in sys.argv:
        sys.exit(f"{where} is there: what a release wrote is never changed (before the release: --again)")
    write(where)
    print(f"{where}: {sum(p.stat().st_size for p in where.rglob('*') if p.is_file()):,} bytes")
