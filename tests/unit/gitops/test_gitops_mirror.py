"""The controller's mirror: what was accepted stays readable whatever the remote, the network or the disk does."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from ritilib.errors import GitopsError, HistoryRefused, Unreachable
from ritilib.gitops import remote as remotes
from ritilib.gitops.desired import read_desired
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.remote import Remote
from tests.git_server import GitServer
from tests.unit.gitops.mirroring import list_places, push_change, rewrite


def test_the_first_fetch_gives_the_branch_with_its_root(mirror: Mirror, clone) -> None:
    found = mirror.fetch()
    assert found.commit == clone.git("rev-parse", "main")
    assert found.root == clone.git("rev-list", "--max-parents=0", "main")
    assert mirror.last == found
    desired = read_desired(mirror.repo, found.commit)
    assert (desired.commit, desired.root_commit, desired.fleet_id) == (
        found.commit,
        found.root,
        found.fleet_id,
    )
    assert list_places(mirror.repo.parent) == {"mirror.git", "accepted.json", "lock"}


def test_a_merge_is_followed_and_nothing_new_is_one_question(
    by_http: Mirror, clone, server: GitServer
) -> None:
    first = by_http.fetch()
    server.requests.clear()
    assert by_http.fetch() == first
    assert [one.split("?")[0] for one in server.requests] == [
        "GET /forge.git/info/refs",
        "POST /forge.git/git-upload-pack",
    ]
    commit = push_change(clone)
    assert by_http.fetch().commit == commit
    assert read_desired(by_http.repo, "main").commit == commit


def test_another_process_goes_on_where_one_stopped(mirror: Mirror, clone) -> None:
    first = mirror.fetch()
    rewrite(clone)
    again = Mirror(mirror.repo.parent, mirror.remote)
    assert again.last == first
    with pytest.raises(HistoryRefused):
        again.fetch()


def test_a_remote_that_is_gone_leaves_the_last_good(mirror: Mirror, forge: Path, tmp_path: Path) -> None:
    good = mirror.fetch()
    forge.rename(tmp_path / "elsewhere")
    with pytest.raises(Unreachable, match="could not be fetched"):
        mirror.fetch()
    assert mirror.last == good
    assert len(read_desired(mirror.repo, good.commit).units) == 4


@pytest.mark.parametrize("trouble", ["error", "cut"])
def test_a_server_that_fails_in_the_middle_leaves_the_last_good(
    by_http: Mirror, clone, server: GitServer, trouble: str
) -> None:
    good = by_http.fetch()
    commit = push_change(clone)
    server.trouble = trouble
    with pytest.raises(Unreachable):
        by_http.fetch()
    assert by_http.last == good and len(read_desired(by_http.repo, "main").units) == 4
    server.trouble = ""
    assert by_http.fetch().commit == commit


def test_a_first_fetch_that_is_cut_leaves_nothing(by_http: Mirror, server: GitServer) -> None:
    server.trouble = "cut"
    with pytest.raises(Unreachable):
        by_http.fetch()
    assert by_http.last is None and list_places(by_http.repo.parent) == {"lock"}


def test_a_server_that_says_nothing_is_given_up_with_all_that_git_started(
    by_http: Mirror, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_http.fetch()
    server.trouble = "hang"
    monkeypatch.setattr(remotes, "ASK_TIMEOUT_S", 0.3)
    with pytest.raises(Unreachable, match="no answer within"):
        by_http.fetch()
    asking = subprocess.run(["pgrep", "-f", server.url], capture_output=True, text=True, check=False)
    assert asking.stdout == ""


def test_a_branch_that_is_gone_or_an_emptied_repository_is_no_empty_fleet(
    mirror: Mirror, forge: Path, run_git
) -> None:
    good = mirror.fetch()
    run_git(forge, "update-ref", "-d", "refs/heads/main")
    with pytest.raises(GitopsError, match="has no branch main"):
        mirror.fetch()
    assert mirror.last == good


def test_a_branch_of_a_longer_name_is_not_taken_for_main(mirror: Mirror, forge: Path, run_git) -> None:
    mirror.fetch()
    run_git(forge, "update-ref", "refs/heads/x/refs/heads/main", "main")
    run_git(forge, "update-ref", "-d", "refs/heads/main")
    with pytest.raises(GitopsError, match="has no branch main"):
        mirror.fetch()


def test_one_controller_at_a_time_uses_a_folder(mirror: Mirror) -> None:
    mirror.fetch()
    other = os.open(mirror.repo.parent / "lock", os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(GitopsError, match="in use"):
        mirror.fetch()
    os.close(other)
    mirror.fetch()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, forge: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GitopsError, match="cannot be written"):
        Mirror(tmp_path / "file" / "state", Remote(str(forge)))
