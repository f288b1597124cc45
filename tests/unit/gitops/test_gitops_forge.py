"""The demo's forge, and how a clone comes back to main after a merge."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritilib.errors import GitopsError
from ritilib.gitops.desired import read_desired
from ritilib.gitops.forge import create_forge, merge
from ritilib.gitops.propose import propose
from ritilib.gitops.pull import pull_base


def keep_silent(_: str) -> None: ...


def propose_box(clone, box: str = "artigas", address: str = "100.80.0.9") -> str:
    clone.add_box("acme", box, address)
    clone.render()
    return propose(clone.folder, f"Open {box}", None, True, keep_silent).branch


def test_a_merged_proposal_is_the_new_main(pushed, forge: Path, run_git) -> None:
    base = run_git(forge, "rev-parse", "main")
    branch = propose_box(pushed)
    merged = merge(forge, branch)
    assert run_git(forge, "show", "-s", "--format=%P", "main").split() == [
        base,
        run_git(forge, "rev-parse", branch),
    ]
    assert read_desired(forge, "main").commit == merged
    assert len(read_desired(forge, "main").units) == 5


def test_a_branch_that_lacks_commits_of_main_is_refused(pushed, forge: Path, run_git) -> None:
    first = propose_box(pushed)
    second = propose_box(pushed, "durazno", "100.80.0.10")
    merge(forge, second)
    before = run_git(forge, "rev-parse", "main")
    with pytest.raises(GitopsError, match="not up to date"):
        merge(forge, first)
    assert run_git(forge, "rev-parse", "main") == before


def test_what_cannot_be_merged_is_refused(pushed, forge: Path) -> None:
    with pytest.raises(GitopsError, match="no branch"):
        merge(forge, "nowhere")
    branch = propose_box(pushed)
    merge(forge, branch)
    with pytest.raises(GitopsError, match="holds nothing"):
        merge(forge, branch)
    with pytest.raises(GitopsError, match="checked out"):
        merge(pushed.folder, branch)


def test_a_folder_that_holds_something_is_no_new_forge(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(GitopsError, match="is not empty"):
        create_forge(tmp_path)


def test_two_changes_in_a_row_from_one_clone(pushed, forge: Path) -> None:
    """Propose, merge, catch up, propose again: the demo's way."""
    for number, box in enumerate(("artigas", "durazno")):
        merged = merge(forge, propose_box(pushed, box, f"100.80.1.{number}"))
        assert pull_base(pushed.folder, keep_silent) == merged
        assert pushed.git("status", "--porcelain") == ""
        assert pushed.git("rev-parse", "main") == merged
    assert len(read_desired(forge, "main").units) == 6


def test_the_readmes_way_of_catching_up(pushed, forge: Path) -> None:
    (pushed.folder / "fleet/boxes/acme/salto.yaml").unlink()
    merged = merge(forge, propose_box(pushed))
    pushed.git("add", "fleet", "rendered")
    pushed.git("pull", "-q", "--ff-only")
    assert pushed.git("rev-parse", "HEAD") == merged and pushed.git("status", "--porcelain") == ""


def test_a_change_of_ones_own_stops_catching_up_and_is_kept(pushed, forge: Path) -> None:
    merge(forge, propose_box(pushed))
    pushed.write("fleet/companies/zorro.yaml", "name: edited since\n")
    before = pushed.git("status", "--porcelain")
    with pytest.raises(GitopsError) as caught:
        pull_base(pushed.folder, keep_silent)
    assert [problem.file for problem in caught.value.problems] == ["fleet/companies/zorro.yaml"]
    assert pushed.git("status", "--porcelain") == before


def test_catching_up_is_refused_away_from_main(pushed, clone) -> None:
    pushed.git("commit", "-q", "--allow-empty", "-m", "of my own")
    with pytest.raises(GitopsError, match="commits that the remote"):
        pull_base(pushed.folder, keep_silent)
    pushed.git("switch", "-q", "-c", "elsewhere")
    with pytest.raises(GitopsError, match="is on `elsewhere`"):
        pull_base(pushed.folder, keep_silent)


def test_catching_up_without_a_remote_is_refused(clone) -> None:
    with pytest.raises(GitopsError, match="has no remote"):
        pull_base(clone.folder, keep_silent)
