"""What the mirror accepts of a branch: what goes on from the last, on the fleet's own root, or is named by a person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ritilib.errors import GitopsError, HistoryRefused
from ritilib.gitops.desired import read_desired
from ritilib.gitops.history import Accepted
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.remote import Remote
from tests.unit.gitops.mirroring import push_change, rewrite


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
