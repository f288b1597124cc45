"""The controller's mirror: what was accepted stays readable whatever the remote, the network or the disk does."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ritilib.errors import Denied, GitopsError, HistoryRefused, RitiError, Unreachable
from ritilib.gitops import remote as remotes
from ritilib.gitops.desired import read_desired
from ritilib.gitops.history import Accepted
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.remote import Remote, add_settings, check_address
from tests.git_server import GitServer, serve_git


@pytest.fixture
def mirror(tmp_path: Path, pushed, forge: Path) -> Mirror:
    """A mirror of the forge that has not fetched yet."""
    return Mirror(tmp_path / "state", Remote(str(forge)))


@pytest.fixture
def server(tmp_path: Path, forge: Path) -> Iterator[GitServer]:
    with serve_git(tmp_path) as served:
        yield served


@pytest.fixture
def by_http(tmp_path: Path, pushed, server: GitServer) -> Mirror:
    return Mirror(tmp_path / "state", Remote(f"{server.url}/forge.git"))


def push_change(clone, message: str = "a change") -> str:
    commit = clone.commit(message)
    clone.git("push", "--quiet", "--force", "origin", "main")
    return commit


def rewrite(clone, depth: int = 1) -> str:
    """Another commit in the place of the last ones, pushed with force."""
    clone.git("reset", "--quiet", "--hard", f"HEAD~{depth}")
    return push_change(clone, "written anew")


def list_places(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


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


def test_a_rewritten_history_is_refused_until_a_person_names_it(mirror: Mirror, clone) -> None:
    good = mirror.fetch()
    tip = rewrite(clone)
    for _ in range(2):
        with pytest.raises(HistoryRefused, match=f"--accept-rewritten {tip}"):
            mirror.fetch()
        assert mirror.last == good and read_desired(mirror.repo, "main").commit == good.commit
    with pytest.raises(GitopsError, match="no full id"):
        mirror.fetch(rewritten=tip[:12])
    with pytest.raises(HistoryRefused):
        mirror.fetch(rewritten=good.commit)
    assert mirror.fetch(rewritten=tip).commit == tip
    assert mirror.fetch().commit == tip


def test_what_goes_on_from_a_named_commit_is_accepted_but_the_word_counts_once(mirror: Mirror, clone) -> None:
    mirror.fetch()
    named = rewrite(clone)
    later = push_change(clone, "one more")
    assert mirror.fetch(rewritten=named).commit == later
    rewrite(clone)
    with pytest.raises(HistoryRefused):
        mirror.fetch(rewritten=named)
    assert mirror.last is not None and mirror.last.commit == later


def test_going_back_to_an_older_commit_is_a_rewritten_history(mirror: Mirror, clone) -> None:
    older = clone.git("rev-parse", "main")
    push_change(clone)
    mirror.fetch()
    clone.git("push", "--quiet", "--force", "origin", f"{older}:main")
    with pytest.raises(HistoryRefused):
        mirror.fetch()
    assert mirror.fetch(rewritten=older).commit == older


def test_another_root_is_refused_even_by_name(mirror: Mirror, clone) -> None:
    good = mirror.fetch()
    clone.git("checkout", "--quiet", "--orphan", "other")
    clone.git("commit", "--quiet", "-m", f"Start\n\nRITI-Fleet: {good.fleet_id}")
    clone.git("push", "--quiet", "--force", "origin", "other:main")
    tip = clone.git("rev-parse", "HEAD")
    with pytest.raises(HistoryRefused, match="another root commit"):
        mirror.fetch(rewritten=tip)
    assert mirror.last == good


def test_a_second_root_that_was_merged_in_is_refused(mirror: Mirror, clone) -> None:
    good = mirror.fetch()
    clone.git("checkout", "--quiet", "--orphan", "other")
    clone.git("commit", "--quiet", "-m", "Another")
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--allow-unrelated-histories", "-s", "ours", "-m", "both", "other")
    clone.git("push", "--quiet", "origin", "main")
    with pytest.raises(HistoryRefused, match="2 root commits"):
        mirror.fetch()
    assert mirror.last == good


def test_a_repository_that_is_no_fleet_is_refused(tmp_path: Path, forge: Path, run_git) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    run_git(plain, "init", "--quiet", "--initial-branch=main")
    run_git(plain, "commit", "--quiet", "--allow-empty", "-m", "no fleet")
    mirror = Mirror(tmp_path / "state", Remote(str(plain)))
    with pytest.raises(HistoryRefused, match="no fleet's"):
        mirror.fetch()
    assert mirror.last is None


def test_an_empty_folder_knows_what_another_controller_applied(mirror: Mirror, clone, tmp_path: Path) -> None:
    good = mirror.fetch()
    rewrite(clone)
    fresh = Mirror(tmp_path / "fresh", mirror.remote)
    with pytest.raises(HistoryRefused, match="was rewritten"):
        fresh.fetch(applied=good)
    assert fresh.last is None
    stranger = Accepted("1" * 40, "2" * 40, good.fleet_id)
    with pytest.raises(HistoryRefused, match="another root"):
        fresh.fetch(applied=stranger)


def test_a_tip_older_than_what_another_applied_is_refused(mirror: Mirror, clone, tmp_path: Path) -> None:
    first = mirror.fetch()
    push_change(clone)
    other = Mirror(tmp_path / "other", mirror.remote).fetch()
    assert mirror.fetch(applied=first).commit == other.commit
    assert mirror.fetch(applied=first).commit == other.commit
    clone.git("push", "--quiet", "--force", "origin", f"{first.commit}:main")
    late = Mirror(tmp_path / "late", mirror.remote)
    assert late.fetch() == first
    with pytest.raises(HistoryRefused):
        late.fetch(applied=other)


def spoil_pack(repo: Path) -> None:
    (pack,) = repo.glob("objects/pack/*.pack")
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.chmod(0o644)
    pack.write_bytes(content)


def lose_pack(repo: Path) -> None:
    for path in repo.glob("objects/pack/*"):
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        spoil_pack,
        lose_pack,
        shutil.rmtree,
        lambda repo: (repo / "HEAD").unlink(),
        lambda repo: (repo / "HEAD").write_bytes(b"\0" * 20),
        lambda repo: shutil.rmtree(repo / "objects"),
        lambda repo: shutil.rmtree(repo / "refs"),
        lambda repo: (repo / "config").write_text("[core\n"),
    ],
    ids=["spoilt", "lost", "deleted", "no-head", "head-of-zeros", "no-objects", "no-refs", "config"],
)
@pytest.mark.parametrize("moved", [False, True], ids=["same-tip", "new-tip"])
def test_a_damaged_mirror_is_made_again(mirror: Mirror, clone, damage, moved: bool) -> None:
    good = mirror.fetch()
    damage(mirror.repo)
    commit = push_change(clone) if moved else good.commit
    if not moved:
        mirror.heal()
    assert mirror.fetch().commit == commit
    if damage is spoil_pack and moved:
        mirror.heal()  # a fetch need not read the damaged object; whoever reads the commit does
    assert mirror.heal() is False
    assert len(read_desired(mirror.repo, commit).units) == 4
    assert list_places(mirror.repo.parent) == {"mirror.git", "accepted.json", "lock"}


def test_a_damaged_mirror_of_a_rewritten_branch_stays_refused(mirror: Mirror, clone) -> None:
    mirror.fetch()
    rewrite(clone)
    lose_pack(mirror.repo)
    with pytest.raises(HistoryRefused):
        mirror.fetch()
    assert mirror.last is None


def test_a_damaged_mirror_of_a_remote_that_is_gone_is_left_as_it_is(
    mirror: Mirror, forge: Path, tmp_path
) -> None:
    mirror.fetch()
    spoil_pack(mirror.repo)
    before = list_places(mirror.repo.parent)
    forge.rename(tmp_path / "elsewhere")
    with pytest.raises(Unreachable):
        mirror.heal()
    assert list_places(mirror.repo.parent) == before


def test_a_damaged_mirror_inside_a_checkout_is_not_taken_for_it(clone, pushed, forge: Path) -> None:
    mirror = Mirror(clone.folder / "state", Remote(str(forge)))
    mirror.fetch()
    (mirror.repo / "HEAD").unlink()
    before = clone.git("for-each-ref")
    assert mirror.last is None
    mirror.fetch()
    assert clone.git("for-each-ref") == before


def test_a_folder_that_was_deleted_is_made_again(mirror: Mirror) -> None:
    good = mirror.fetch()
    shutil.rmtree(mirror.repo.parent)
    assert mirror.fetch() == good


def test_what_a_killed_fetch_leaves_is_swept_away(mirror: Mirror, clone) -> None:
    mirror.fetch()
    remains = (
        "objects/pack/tmp_pack_x",
        "refs/heads/main.lock",
        "refs/riti/fetched.lock",
        "packed-refs.lock",
        "HEAD.lock",
    )
    for name in remains:
        (mirror.repo / name).write_bytes(b"half")
    (mirror.repo.parent / ".new-half").mkdir()
    commit = push_change(clone)
    assert mirror.fetch().commit == commit
    assert not any((mirror.repo / name).exists() for name in remains)
    assert list_places(mirror.repo.parent) == {"mirror.git", "accepted.json", "lock"}


def test_a_note_that_cannot_be_read_lets_no_rewritten_branch_pass(mirror: Mirror, clone) -> None:
    good = mirror.fetch()
    note = mirror.repo.parent / "accepted.json"
    note.write_text(json.dumps({"commit": 7}))
    rewrite(clone)
    assert mirror.last is None
    with pytest.raises(GitopsError, match="cannot be read"):
        mirror.fetch()
    with pytest.raises(HistoryRefused):
        mirror.fetch(applied=good)
    clone.git("push", "--quiet", "--force", "origin", f"{good.commit}:main")
    assert mirror.fetch(applied=good) == good


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


def test_credentials_come_from_gits_own_settings_and_are_shown_nowhere(
    by_http: Mirror, server: GitServer, own_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.password = "plum-tree-17"
    with pytest.raises(Denied) as caught:
        by_http.fetch()
    held = tmp_path / "credentials"
    held.write_text(f"{server.url.replace('://', f'://controller:{server.password}@')}\n")
    traced = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE", str(traced))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "credential.helper")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"store --file={held}")
    by_http.fetch()
    assert "git-remote-http" in traced.read_text()
    shown = traced.read_text() + str(caught.value) + by_http.repo.joinpath("config").read_text()
    assert server.password not in shown


@pytest.mark.parametrize(
    "url",
    [
        "https://token@forge.example/f.git",
        "https://ana:secret@forge.example/f.git",
        "ssh://git:secret@forge.example/f",
    ],
)
def test_an_address_with_a_credential_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(GitopsError) as caught:
        Remote(url)
    assert "secret" not in str(caught.value) and "token" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["git@forge.example:f.git", "ssh://git@forge.example/f", "https://forge.example/f.git", "/srv/f.git"],
)
def test_an_address_without_a_secret_is_fine(url: str) -> None:
    check_address(url)


@pytest.mark.parametrize("url", ["ext::sh -c 'echo x'", "git://127.0.0.1:1/f.git"])
def test_protocols_that_run_programs_or_know_no_identity_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(RitiError, match="not allowed"):
        Mirror(tmp_path / "state", Remote(url)).fetch()


def test_settings_are_added_to_those_of_the_environment() -> None:
    given = add_settings({"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b"}, {"c.d": "e"})
    assert given == {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_1": "c.d", "GIT_CONFIG_VALUE_1": "e"}
