# Two commands: `make demo` sets everything up and runs the main job; `make test` sets up and passes the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
ORACLES ?= .oracles
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint bench bench-quick peers oracles typescript browser soak-ledger soak-faults soak-ray soak-stores soak-package soak-notebooks soak-fuzz soak-fuzz-hypothesis clean docs soak-docs

demo: $(VENV)/.demo
	$(BIN)/genepool demo demo

# One worker a core, so one thread of linear algebra each.
test: $(VENV)/.dev browser
	$(MAKE) --no-print-directory lint
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup -q

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every bench, beside its goals; appends to bench/history.jsonl. Hours with full inputs, minutes with the small ones.
bench: $(VENV)/.dev
	$(BIN)/python bench/all.py $(if $(QUICK),--quick)

bench-quick: $(VENV)/.dev
	$(BIN)/python bench/all.py --quick

# What one would take instead, each in an environment of its own; then the comparison and its page.
peers: $(VENV)/.dev
	$(PYTHON) -m venv $(ORACLES)/imagededup && $(ORACLES)/imagededup/bin/python -m pip install -q -c constraints.txt 'torch==2.13.0' 'imagededup==0.3.3.post2'
	$(PYTHON) -m venv $(ORACLES)/fastdup && $(ORACLES)/fastdup/bin/python -m pip install -q 'fastdup==2.54'
	$(PYTHON) -m venv $(ORACLES)/cleanvision && $(ORACLES)/cleanvision/bin/python -m pip install -q 'cleanvision==0.3.7'
	$(PYTHON) -m venv $(ORACLES)/vendi && $(ORACLES)/vendi/bin/python -m pip install -q 'vendi-score==0.0.3'
	$(PYTHON) -m venv $(ORACLES)/datasets && $(ORACLES)/datasets/bin/python -m pip install -q -c constraints.txt -e '.[hf]'
	$(PYTHON) -m venv $(ORACLES)/fidelity && $(ORACLES)/fidelity/bin/python -m pip install -q -c constraints.txt 'torch==2.13.0' scikit-learn && $(ORACLES)/fidelity/bin/python -m pip install -q --no-deps 'prdc==0.2'
	$(BIN)/python bench/peers/compare.py
	$(BIN)/python bench/peers/page.py

# Answers of other programs that the tests compare with. Each has an environment of its own, which nothing imports.
oracles:
	$(PYTHON) -m venv $(ORACLES)/sgkit && $(ORACLES)/sgkit/bin/python -m pip install -q 'sgkit==0.10.0'
	$(ORACLES)/sgkit/bin/python tests/references/oracles/make_sgkit_pedigree.py
	$(PYTHON) -m venv $(ORACLES)/fidelity && $(ORACLES)/fidelity/bin/python -m pip install -q -c constraints.txt 'torch==2.13.0' scikit-learn tqdm pillow requests && $(ORACLES)/fidelity/bin/python -m pip install -q --no-deps 'prdc==0.2' 'torch-fidelity==0.4.0'
	$(ORACLES)/fidelity/bin/python tests/references/oracles/make_set_distances.py
	$(PYTHON) -m venv $(ORACLES)/watermark && $(ORACLES)/watermark/bin/python -m pip install -q -c constraints.txt 'torch==2.13.0' scikit-image opencv-python-headless 'PyWavelets==1.9.0' && $(ORACLES)/watermark/bin/python -m pip install -q --no-deps 'invisible-watermark==0.2.0'
	$(ORACLES)/watermark/bin/python tests/references/oracles/make_watermarks.py
	$(PYTHON) -m venv $(ORACLES)/npv && $(ORACLES)/npv/bin/python -m pip install -q 'numpy-financial==1.0.0'
	$(ORACLES)/npv/bin/python tests/references/oracles/make_npv.py > tests/references/fixtures/npv.json
	rm -rf $(ORACLES)/exports && PYTHONPATH=tests $(BIN)/python tests/support/exports.py $(ORACLES)/exports fiftyone label-studio
	$(PYTHON) -m venv $(ORACLES)/fiftyone && $(ORACLES)/fiftyone/bin/python -m pip install -q 'fiftyone==1.22.1'
	$(ORACLES)/fiftyone/bin/python tests/references/oracles/make_exports.py fiftyone $(ORACLES)/exports
	$(PYTHON) -m venv $(ORACLES)/labelstudio && $(ORACLES)/labelstudio/bin/python -m pip install -q 'label-studio-sdk==2.1.2'
	$(ORACLES)/labelstudio/bin/python tests/references/oracles/make_exports.py label-studio $(ORACLES)/exports

# TypeScript's checker for the review room's ES module; needs node and npm, which nothing else does.
typescript:
	npm install --silent --no-fund --no-audit --prefix $(ORACLES)/typescript typescript@7.0.2

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "genepool needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[demo,hf,webdataset,web,anchors,torch,lab,inject,dedup,s3,ray]' -r requirements-dev.txt
	@touch $@

# The web tests drive a real browser: the system's Chromium, else Debian's package when root, else Playwright's.
browser: $(VENV)/.dev
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	|| $(BIN)/python -m playwright install chromium

# Every flipped bit, 200 kills, power loss at every moment many times over.
soak-ledger: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak -q -n auto tests/attacks tests/faults/test_ledger_faults.py tests/faults/test_power_loss.py tests/provenance

# Checks killed at 50 moments, disks full and frozen before every kind of write, merges killed as each file is published.
soak-faults: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak -q -n auto tests/faults/test_scan_kill.py tests/faults/test_check_kill.py tests/faults/test_disks.py tests/faults/test_bad_decoders.py tests/store/test_compaction.py tests/scan/test_scan.py

# An object store (moto's S3 server on loopback) that fails now and then through forty scans; a killed writer.
soak-stores: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak -q tests/faults/test_object_store.py tests/store/test_remote_workspace.py tests/remote

# Real Ray clusters of several nodes on this machine: results, faults, signals, a lost node, no reports.
soak-ray: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak -q tests/engine

# Pages that say again what the code says, then the site, to be read offline: build/site/index.html.
docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Every session and program of the README and the pages in a real shell, and the site in a browser.
soak-docs: $(VENV)/.dev browser
	$(BIN)/python -m pytest -m soak -q tests/docs

# Wheel and source distribution, built and tested from the unpacked source alone; CONTRIBUTING's hour as printed; CI snippets.
soak-package: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak -q tests/packaging

# What strangers' bytes must not do: ten minutes of processor time for each surface, two at once. Status 1 and the input in
# tests/fuzz/.found where one breaks the rule. atheris has an environment of its own.
FUZZ := image:300 evidence:300 tar:600 sidecar:600 toml:600 log:300 ledger:300 panel:60
soak-fuzz: $(VENV)/.dev
	test -x $(ORACLES)/fuzz/bin/pytest || { $(PYTHON) -m venv $(ORACLES)/fuzz && $(ORACLES)/fuzz/bin/python -m pip install -q -c constraints.txt 'atheris==3.0.0' hypothesis pytest -e .; }
	echo $(FUZZ) | tr ' ' '\n' | OMP_NUM_THREADS=1 xargs -P 2 -I{} sh -c 'T={}; exec $(ORACLES)/fuzz/bin/python tests/fuzz/run.py $${T%%:*} --engine atheris --seconds $${T##*:}'

soak-fuzz-hypothesis: $(VENV)/.dev
	echo $(FUZZ) models:60 | tr ' ' '\n' | OMP_NUM_THREADS=1 xargs -P 2 -I{} sh -c 'T={}; exec $(BIN)/python tests/fuzz/run.py $${T%%:*} --engine hypothesis --seconds $${T##*:}'

clean:
	rm -rf $(VENV) $(ORACLES) demo demo-clean *.genepool build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Both notebooks from the first cell to the last, the second also on the demo's photographs: about a minute.
soak-notebooks: $(VENV)/.dev
	$(BIN)/python -m pytest tests/notebooks -m "soak or not soak"
