"""riti init: the whole repository or nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from ruamel.yaml import YAML

from ritilib.errors import GitopsError
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.source import Source, build_model, parse_source
from ritilib.gitops.layout import init_repository, write_layout


def keep_silent(_: str) -> None: ...


def refuse(target: Path, fleet: str = "lab", remote: str | None = None) -> str:
    with pytest.raises(GitopsError) as caught:
        init_repository(target, fleet, remote, keep_silent)
    assert all(problem.mend for problem in caught.value.problems)
    return str(caught.value)


def test_root_commit_and_fleet_file_hold_the_same_new_id(run_git, tmp_path: Path) -> None:
    made = init_repository(tmp_path / "new" / "fleet", "lab", None, keep_silent)
    folder = tmp_path / "new" / "fleet"
    assert run_git(folder, "rev-list", "main").split() == [made.root_commit]
    assert f"RITI-Fleet: {made.fleet_id}" in run_git(folder, "show", "-s", "--format=%B", "main")
    source = parse_source("fleet/fleet.yaml", (folder / "fleet/fleet.yaml").read_bytes())
    assert isinstance(source, Source)
    said, problems = build_model(source, FleetFile)
    assert said is not None and not problems
    assert (said.id, said.name) == (UUID(made.fleet_id), "lab")
    assert run_git(folder, "status", "--porcelain") == ""
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["fleet"]


def test_two_repositories_are_two_fleets(tmp_path: Path) -> None:
    first, second = (init_repository(tmp_path / name, "lab", None, keep_silent) for name in ("a", "b"))
    assert first.fleet_id != second.fleet_id and first.root_commit != second.root_commit


def test_the_skeleton_is_there_and_no_placeholder_is_left(run_git, tmp_path: Path) -> None:
    init_repository(tmp_path / "r", "lab", None, keep_silent)
    tracked = run_git(tmp_path / "r", "ls-files").split()
    for path in (".github/workflows/riti.yml", ".gitlab-ci.yml", ".gitea/workflows/riti.yml", "CODEOWNERS"):
        assert path in tracked
    for folder in ("companies", "boxes", "claims/overlay", "claims/number", "claims/serial"):
        assert f"fleet/{folder}/.gitkeep" in tracked
    for path in tracked:
        assert not path.endswith(".j2")
        assert "{{ fleet" not in (tmp_path / "r" / path).read_text(encoding="utf-8")
    asked = ("check-attr", "linguist-generated", "text", "diff", "--", "rendered/a/b.conf")
    attributes = run_git(tmp_path / "r", *asked)
    assert "linguist-generated: set" in attributes and "text: unset" in attributes
    assert "diff: unspecified" in attributes


@pytest.mark.parametrize(
    "path", [".github/workflows/riti.yml", ".gitlab-ci.yml", ".gitea/workflows/riti.yml"]
)
def test_every_pipeline_runs_the_one_check(tmp_path: Path, path: str) -> None:
    init_repository(tmp_path / "r", "lab", None, keep_silent)
    text = (tmp_path / "r" / path).read_text(encoding="utf-8")
    said = YAML(typ="safe").load(text)
    job = said["jobs"]["check"] if "jobs" in said else said["riti"]
    steps = [step.get("run", "") for step in job["steps"]] if "steps" in job else job["script"]
    assert any("sh ci/check" in step for step in steps)
    assert "RITI_BASE" in text
    check = (tmp_path / "r" / "ci/check").read_text(encoding="utf-8")
    assert "*) riti validate ;;\n" in check and "riti render --check\n" in check


def test_the_check_runs_on_the_result_of_the_merge(run_git, tmp_path: Path) -> None:
    """`riti` is a program that writes down what it was asked, and which files it saw."""
    forge, one, two = tmp_path / "forge", tmp_path / "one", tmp_path / "two"
    run_git(tmp_path, "init", "--bare", "-q", "-b", "main", "forge")
    init_repository(one, "lab", str(forge), keep_silent)
    run_git(tmp_path, "clone", "-q", str(forge), "two")
    for folder, name, branch in ((one, "mine", "change"), (two, "theirs", "main")):
        run_git(folder, "switch", "-q", "-C", branch)
        (folder / name).write_text(name)
        run_git(folder, "add", name)
        run_git(folder, "commit", "-q", "-m", name)
    run_git(two, "push", "-q", "origin", "main")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "riti").write_text(f'#!/bin/sh\necho "$@ $(ls mine theirs | xargs)" >>{tmp_path}/asked\n')
    (programs / "riti").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "RITI_BASE": "main"}
    subprocess.run(["sh", "ci/check"], cwd=one, env=environment, check=True, capture_output=True)
    assert (tmp_path / "asked").read_text() == "validate mine theirs\nrender --check mine theirs\n"
    (two / "mine").write_text("another")
    run_git(two, "add", "mine")
    run_git(two, "commit", "-q", "-m", "conflict")
    run_git(two, "push", "-q", "origin", "main")
    run_git(
        one, "reset", "-q", "--hard", "HEAD~1" if run_git(one, "rev-list", "--merges", "HEAD") else "HEAD"
    )
    done = subprocess.run(
        ["sh", "ci/check"], cwd=one, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1 and "riti propose --update" in done.stderr


@pytest.mark.parametrize(
    ("form", "status", "asked"),
    [
        ("", 0, ["validate", "render --check"]),
        ("github", 0, ["validate --format github", "render --check"]),
        ("gitlab", 0, ["validate --format gitlab", "render --check"]),
        ("github", 1, ["validate --format github"]),
        ("gitlab", 1, ["validate --format gitlab", "validate"]),
    ],
)
def test_the_check_shows_problems_as_the_forge_reads_them(
    form: str, status: int, asked: list[str], tmp_path: Path
) -> None:
    """`riti` is a program that says what it was asked, and finds a problem or none."""
    write_layout(tmp_path / "r", {"fleet": "lab", "fleet_id": "x", "riti_version": "0"})
    (tmp_path / "riti").write_text(f'#!/bin/sh\necho "$@" | tee -a {tmp_path}/asked\nexit {status}\n')
    (tmp_path / "riti").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RITI_FORMAT": form}
    done = subprocess.run(["sh", "ci/check"], cwd=tmp_path / "r", env=environment, check=False)
    assert done.returncode == status
    assert (tmp_path / "asked").read_text().splitlines() == asked
    report = tmp_path / "r/codequality.json"
    assert report.exists() == (form == "gitlab")
    assert form != "gitlab" or report.read_text() == "validate --format gitlab\n"


def test_the_remote_gets_main(run_git, forge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = init_repository(tmp_path / "deep" / "clone", "lab", "forge.git", keep_silent)
    assert run_git(forge, "rev-parse", "main") == made.root_commit
    assert run_git(tmp_path / "deep/clone", "rev-parse", "main@{upstream}") == made.root_commit
    run_git(tmp_path, "clone", "-q", str(forge), "again")
    assert (tmp_path / "again/fleet/fleet.yaml").is_file()


def test_a_folder_that_holds_something_is_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty" in refuse(tmp_path)
    assert "is no folder" in refuse(tmp_path / "notes.txt")
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_the_folder_one_stands_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "the folder you are in" in refuse(Path())


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    init_repository(tmp_path / "r", "lab", None, keep_silent)
    assert (tmp_path / "r/fleet/fleet.yaml").is_file()


@pytest.mark.parametrize("fleet", ["Lab", "a--b", "-a", "", "a" * 25, "lab\n"])
def test_a_name_that_servers_cannot_use_is_refused(tmp_path: Path, fleet: str) -> None:
    assert "cannot be a fleet's name" in refuse(tmp_path / "r", fleet)
    assert not any(tmp_path.iterdir())


def test_nobody_known_to_git_is_refused(own_settings: Path, tmp_path: Path) -> None:
    own_settings.write_text("")
    assert "git config --global user.name" in refuse(tmp_path / "r")
    assert not any(tmp_path.iterdir())


def test_a_remote_that_does_not_answer_leaves_nothing(tmp_path: Path) -> None:
    message = refuse(tmp_path / "r", remote="file://user:hunter2@/nowhere/forge.git")
    assert "ls-remote" in message and "hunter2" not in message
    assert not any(tmp_path.iterdir())


def test_a_remote_with_another_fleet_is_refused(forge: Path, tmp_path: Path) -> None:
    init_repository(tmp_path / "a", "lab", str(forge), keep_silent)
    assert "holds a branch already" in refuse(tmp_path / "b", remote=str(forge))
    assert not (tmp_path / "b").exists()


def test_a_remote_that_refuses_the_push_leaves_nothing(forge: Path, tmp_path: Path) -> None:
    (forge / "hooks/pre-receive").write_text("#!/bin/sh\necho no thanks >&2\nexit 1\n")
    (forge / "hooks/pre-receive").chmod(0o755)
    assert "no thanks" in refuse(tmp_path / "r", remote=str(forge))
    assert [entry.name for entry in tmp_path.iterdir()] == ["forge.git"]


def test_a_git_hook_around_us_does_not_lead_us_astray(
    run_git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_git(tmp_path, "init", "-q", "-b", "main", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    init_repository(tmp_path / "r", "lab", None, keep_silent)
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert not (tmp_path / "other/.git/refs/heads/main").exists()
    assert run_git(tmp_path / "r", "rev-list", "--count", "main") == "1"
