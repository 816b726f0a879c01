"""What users paste into their CI: the action's own shell steps, GitLab's script, and pre-commit itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from genepool.testing import picture

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS = ACTION["runs"]["steps"]
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text("utf-8"))["genepool"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))


def environment(**more: object) -> dict[str, str]:
    """The environment of a shell in which ``genepool`` is this one."""
    bin_ = str(Path(sys.executable).parent)
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "GENEPOOL_WORKSPACE", "PRE_COMMIT"))
    }
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "OMP_NUM_THREADS": "1"} | {k: str(v) for k, v in more.items()}


@pytest.fixture
def project(tmp_path):
    """A repository with two pictures and a quick policy, as a runner checks it out."""
    root = tmp_path / "project"
    (root / "pictures").mkdir(parents=True)
    for i in range(2):
        Image.fromarray(picture(64, 64, i)).save(root / "pictures" / f"{i}.png")
    (root / "genepool.toml").write_text(
        '[detection]\ndetector = "none"\n[diversity]\nembedder = "classical"\n'
        "[engine]\nworkers = 1\n[policy]\ndiversity = 0.0\n"
    )
    return root


# --------------------------------------------------------------------------------------- GitHub


def test_the_action_keeps_text_from_outside_out_of_its_scripts():
    for step in STEPS:
        assert "${{" not in step.get("run", ""), "an input would become part of a script"
        if "run" in step:
            assert step["shell"] == "bash"
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+(/[a-z]+)?@v\d+", step["uses"])
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text("utf-8")))
    assert used == set(ACTION["inputs"])
    assert all(text["description"] for text in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))


def test_the_caches_hold_what_was_scanned_and_no_log():
    """A log belongs to the key that began it, and the next runner may have another."""
    caches = [step for step in STEPS if "actions/cache" in step.get("uses", "")]
    assert [step["uses"].split("@")[0] for step in caches] == ["actions/cache/restore", "actions/cache/save"]
    assert {step["with"]["path"] for step in caches} == {"${{ inputs.workspace }}/catalogue"}
    assert len({step["with"]["key"] for step in caches}) == 1
    assert caches[1]["if"].startswith("always()")
    checked = next(i for i, step in enumerate(STEPS) if step.get("id") == "check")
    assert STEPS.index(caches[0]) < checked < STEPS.index(caches[1])
    assert GITLAB["cache"]["when"] == "always"


def github(project: Path, tmp_path: Path, *, home: str = "home", **inputs: str):
    """Run the action's check step as the runner does: bash -e -o pipefail, files for outputs and summary."""
    step = next(step for step in STEPS if step.get("id") == "check")
    given = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()} | inputs
    filled = {
        key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for key, value in step["env"].items()
    }
    script = tmp_path / "step.sh"
    script.write_text(step["run"])
    files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
        cwd=project,
        env=environment(**filled, **files, GENEPOOL_HOME=tmp_path / home),
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return done, outputs, files["GITHUB_STEP_SUMMARY"].read_text("utf-8")


@pytest.mark.soak
def test_the_action_annotates_summarises_and_ends_as_it_was_asked(project, tmp_path):
    done, outputs, summary = github(project, tmp_path, path="pictures", undecided="pass")
    assert outputs == {"status": "undecided", "exit-code": "5"}, done.stderr
    assert done.returncode == 0, "undecided = pass"
    assert re.search(r"^::warning title=GP101::human share", done.stdout, re.MULTILINE)
    assert re.search(r"^::notice title=genepool::UNDECIDED", done.stdout, re.MULTILINE)
    assert "### genepool\n\n```text\n" in summary
    assert "UNDECIDED" in summary
    assert summary.count("```") == 2
    uploaded = next(step for step in STEPS if "upload-artifact" in step.get("uses", ""))["with"]["path"]
    for line in uploaded.split():
        assert (project / line.replace("${{", "").replace("}}", "").strip("/ ").split("/")[-1]).name
    assert (project / ".genepool-workspace" / "report.html").is_file()
    decision = json.loads((project / ".genepool-workspace" / "decision.json").read_bytes())
    assert decision["status"] == "undecided"


@pytest.mark.soak
def test_the_action_in_every_ending(project, tmp_path):
    done, outputs, _ = github(project, tmp_path, path="pictures")
    assert (done.returncode, outputs["status"]) == (5, "undecided")
    done, outputs, summary = github(project, tmp_path, path="nowhere; echo owned > owned")
    assert (done.returncode, outputs) == (3, {"status": "", "exit-code": "3"})
    assert summary == ""
    assert not (project / "owned").exists()
    decision = project / ".genepool-workspace" / "decision.json"
    shutil.copy(decision, project / "baseline.json")
    done, outputs, _ = github(project, tmp_path, path="pictures", baseline="baseline.json")
    assert (done.returncode, outputs["status"]) == (0, "pass")
    (project / "strict.toml").write_text("[policy]\nhuman_ratio = 2.0\n")
    done, outputs, _ = github(project, tmp_path, path="pictures", config="strict.toml")
    assert (done.returncode, outputs["status"]) == (2, "")


def next_runner(project: Path, cached: str) -> None:
    """A fresh checkout, into which the cache brings back the one folder it holds."""
    workspace = project / ".genepool-workspace"
    folder = project / cached
    assert folder.parent == workspace
    kept = shutil.copytree(folder, project.parent / "cache", dirs_exist_ok=True)
    shutil.rmtree(workspace)
    shutil.copytree(kept, folder)


@pytest.mark.soak
def test_the_action_on_a_second_runner_with_another_home(project, tmp_path):
    cached = next(step for step in STEPS if "cache/restore" in step.get("uses", ""))["with"]["path"]
    cached = cached.replace("${{ inputs.workspace }}", ".genepool-workspace")
    for home in ("one", "two"):
        done, outputs, _ = github(project, tmp_path, path="pictures", home=home)
        assert (done.returncode, outputs["status"]) == (5, "undecided"), done.stdout + done.stderr
        decision = json.loads((project / ".genepool-workspace" / "decision.json").read_bytes())
        assert decision["timing"]["scanned"] == (2 if home == "one" else 0), "nothing is read twice"
        next_runner(project, cached)


@pytest.mark.soak
def test_the_action_goes_on_with_a_log_where_it_is_given_the_key(project, tmp_path):
    """The whole workspace is kept, the home is not."""
    done, _, _ = github(project, tmp_path, path="pictures", home="one")
    assert done.returncode == 5
    done, outputs, _ = github(project, tmp_path, path="pictures", home="two")
    assert (done.returncode, outputs["status"]) == (4, "")
    assert "GENEPOOL_KEY" in done.stderr
    key = {"signing-key": (tmp_path / "one" / "key").read_text()}
    done, outputs, _ = github(project, tmp_path, path="pictures", home="three", **key)
    assert (done.returncode, outputs["status"]) == (5, "undecided"), done.stdout + done.stderr


# --------------------------------------------------------------------------------------- GitLab


def test_gitlabs_job_is_whole():
    assert GITLAB["allow_failure"] == {"exit_codes": [5]}
    assert GITLAB["artifacts"]["paths"] == ["genepool-report.html", "decision.json"]
    assert GITLAB["cache"]["paths"] == [f"{GITLAB['variables']['GENEPOOL_WORKSPACE']}/catalogue"]


@pytest.mark.soak
def test_gitlabs_script_runs_as_printed(project, tmp_path):
    lines = [line for line in GITLAB["script"] if "pip install" not in line]
    assert len(lines) == len(GITLAB["script"]) - 1
    script = tmp_path / "job.sh"
    script.write_text("set -eo pipefail\n" + "\n".join(lines))
    for home in ("one", "two"):  # the cache is kept between runners, the home is not
        done = subprocess.run(
            ["bash", script],
            cwd=project,
            env=environment(**GITLAB["variables"], GENEPOOL_HOME=tmp_path / home),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 5, done.stderr
        if home == "one":
            next_runner(project, *GITLAB["cache"]["paths"])
    assert json.loads((project / "decision.json").read_bytes())["status"] == "undecided"
    assert (project / "genepool-report.html").stat().st_size > 1000


# ------------------------------------------------------------------------------------ pre-commit


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, env=environment())


def repository_of_hooks(folder: Path, language: str) -> Path:
    """Our hooks as pre-commit fetches them: a git repository with ``.pre-commit-hooks.yaml``."""
    folder.mkdir()
    text = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    assert text.count("language: python") == len(HOOKS) == 2
    (folder / ".pre-commit-hooks.yaml").write_text(text.replace("language: python", f"language: {language}"))
    return folder


def committed(folder: Path) -> Path:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    return folder


def try_hooks(project: Path, hooks: Path, home: Path, **more: str):
    """``pre-commit try-repo`` on what is staged, without a network."""
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "try-repo", "--color", "never", hooks],
        cwd=project,
        env=environment(PRE_COMMIT_HOME=home / "cache", GENEPOOL_HOME=home / "keys", **more),
        capture_output=True,
        text=True,
        check=False,
    )


def test_pre_commit_refuses_a_new_image_without_provenance(project, tmp_path):
    pytest.importorskip("pre_commit")
    hooks = committed(repository_of_hooks(tmp_path / "hooks", "system"))
    committed(project)  # what is in the repository already is nobody's new image
    Image.fromarray(picture(64, 64, 9)).save(project / "pictures" / "new.png")
    git(project, "add", "-A")
    done = try_hooks(project, hooks, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "GP202 pictures/new.png: nothing says what made it" in done.stdout
    assert "0.png" not in done.stdout
    assert re.search(r"genepool.toml can be read\.+\(no files to check\)Skipped", done.stdout)

    (project / "genepool.jsonl").write_text('{"file": "pictures/new.png", "origin": "human_made"}\n')
    (project / "genepool.toml").write_text("[policy]\nhuman_ratio = 0.5\n")
    git(project, "add", "-A")
    done = try_hooks(project, hooks, tmp_path)
    assert re.search(r"new images carry provenance\.+Passed", done.stdout), done.stdout
    assert re.search(r"genepool.toml can be read\.+Passed", done.stdout)
    assert done.returncode == 0


@pytest.mark.soak
def test_pre_commit_installs_the_hooks_as_users_have_them(project, tmp_path):
    """``language: python``: pre-commit makes an environment and installs this repository into it."""
    pytest.importorskip("pre_commit")
    hooks = tmp_path / "hooks"
    keep = shutil.ignore_patterns("__pycache__", "*.genepool")
    shutil.copytree(ROOT / "src", hooks / "src", ignore=keep)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, hooks / name)
    (hooks / "docs").mkdir()
    shutil.copytree(ROOT / "docs", hooks / "docs", dirs_exist_ok=True)
    committed(hooks)
    committed(project)
    Image.fromarray(picture(64, 64, 9)).save(project / "pictures" / "new.png")
    git(project, "add", "-A")
    # Its requirements are lent from here, so that nothing is fetched; genepool itself is the installed one.
    lent = os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
    done = try_hooks(
        project,
        hooks,
        tmp_path,
        PIP_NO_DEPS="1",
        PIP_NO_INDEX="1",
        PIP_NO_BUILD_ISOLATION="0",
        PYTHONPATH=lent,
    )
    assert "GP202 pictures/new.png: nothing says what made it" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
