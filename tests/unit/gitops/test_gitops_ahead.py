"""How a branch stands to what was applied, in a real repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritilib.errors import GitopsError
from ritilib.gitops.ahead import count_ahead, read_fleet_name


def test_commits_that_are_not_applied_are_counted(clone) -> None:
    applied = clone.git("rev-parse", "HEAD")
    assert count_ahead(clone.folder, "main", applied) == 0
    clone.commit("one")
    clone.commit("two")
    assert count_ahead(clone.folder, "main", applied) == 2
    clone.git("checkout", "--quiet", "-b", "side", applied)
    clone.commit("three")
    clone.commit("four")
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "-m", "a merge", "side")
    assert count_ahead(clone.folder, "main", applied) == 3


def test_a_commit_that_the_repository_does_not_know_is_not_counted(clone) -> None:
    assert count_ahead(clone.folder, "main", "0" * 40) is None
    assert count_ahead(clone.folder, "main", "") is None


def test_the_fleets_name_is_that_of_the_commit(clone) -> None:
    assert read_fleet_name(clone.folder, "main") == "lab"
    clone.write("fleet/fleet.yaml", "no: fleet\n")
    assert read_fleet_name(clone.folder, "main") == "lab"
    clone.commit("broken")
    with pytest.raises(GitopsError, match=r"fleet/fleet\.yaml"):
        read_fleet_name(clone.folder, "main")
    clone.git("rm", "--quiet", "fleet/fleet.yaml")
    clone.commit("gone")
    with pytest.raises(GitopsError, match=r"holds no fleet/fleet\.yaml"):
        read_fleet_name(clone.folder, "main")


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitopsError, match="no Git repository"):
        read_fleet_name(tmp_path, "main")
