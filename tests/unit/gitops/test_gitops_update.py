"""riti propose --update: what is taken over, what is pushed, and what stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ritilib.cli.main import riti
from ritilib.errors import GitopsError
from ritilib.gitops.combine import carry_claims, combine, find_renames
from ritilib.gitops.forge import merge
from ritilib.gitops.lines import find_meeting
from ritilib.gitops.pull import pull_base
from ritilib.gitops.update import update_proposal
from tests.unit.gitops.concurrent import (
    VERSION,
    Desk,
    copy_fleet,
    git,
    judge,
    keep_silent,
    say_box,
)


@pytest.fixture
def late(small_fleet: Path, tmp_path: Path) -> tuple[Path, Desk, Desk]:
    """(forge, Ana's desk, Bob's desk): Ana's new box of Acme is merged, Bob's of Zorro (branch `tala`) lacks it."""
    forge, ana, bob = copy_fleet(small_fleet, tmp_path / "fleet")
    ana.write("boxes/acme/artigas.yaml", say_box("Artigas", "501"))
    bob.write("boxes/zorro/tala.yaml", say_box("Tala", "601"))
    ana.propose("artigas")
    bob.propose("tala")
    merge(forge, "artigas")
    return forge, ana, bob


def refuse(desk: Desk, branch: str | None = None) -> str:
    with pytest.raises(GitopsError) as caught:
        desk.update(branch)
    assert all(problem.mend for problem in caught.value.problems)
    return str(caught.value)


def test_an_address_that_main_gave_away_is_replaced_and_told(late: tuple[Path, Desk, Desk]) -> None:
    forge, _, bob = late
    main = git(forge, "rev-parse", "main")
    old = git(forge, "rev-parse", "tala")
    said: list[str] = []
    updated = update_proposal(bob.folder, "tala", None, True, VERSION, said.append)
    taken = git(forge, "ls-tree", "--name-only", f"{main}:fleet/claims/overlay").split()
    assert set(updated.addresses) == {"zorro/tala box", "zorro/tala pbx-0", "zorro/tala pbx-1"}
    assert not set(updated.addresses.values()) & set(taken)
    assert (updated.base, updated.replaced) == (main, old)
    assert any("zorro/tala box: " in line and "gave" in line for line in said)
    assert git(forge, "rev-parse", "tala") == updated.commit == git(bob.folder, "rev-parse", "tala")
    changed = git(forge, "diff", "--name-only", main, "tala").split()
    assert changed and not any("acme" in path for path in changed)


def test_words_and_author_stay_and_new_words_may_be_given(late: tuple[Path, Desk, Desk]) -> None:
    _, _, bob = late
    asked = ("show", "-s", "--format=%an %ae %aI %s", "tala")
    before = git(bob.folder, *asked)
    bob.update()
    assert git(bob.folder, *asked) == before
    bob.write("boxes/zorro/toledo.yaml", say_box("Toledo", "602"))
    bob.propose("toledo")
    other = update_proposal(bob.folder, "toledo", "In other words", True, VERSION, keep_silent)
    assert git(bob.folder, "show", "-s", "--format=%s", other.commit) == "In other words"


def test_the_work_tree_goes_along_and_pull_takes_the_merge_over(late: tuple[Path, Desk, Desk]) -> None:
    forge, _, bob = late
    (bob.folder / "README.md").write_text("mine\n")
    (bob.folder / "notes.txt").write_text("mine\n")
    updated = bob.update()
    assert git(bob.folder, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert git(bob.folder, "rev-parse", "main") == updated.base
    git(bob.folder, "add", "--all", "fleet", "rendered")
    assert git(bob.folder, "diff", "--name-only", "--cached", updated.commit) == ""
    assert (bob.folder / "README.md").read_text() == "mine\n" and (bob.folder / "notes.txt").exists()
    merged = merge(forge, "tala")
    assert pull_base(bob.folder, keep_silent) == merged


def test_a_file_of_ones_own_in_the_way_leaves_the_work_tree_as_it_was(late: tuple[Path, Desk, Desk]) -> None:
    forge, ana, bob = late
    pull_base(ana.folder, keep_silent)
    git(ana.folder, "switch", "--quiet", "--create", "notes")
    (ana.folder / "notes.txt").write_text("hers\n")
    git(ana.folder, "add", "notes.txt")
    git(ana.folder, "commit", "--quiet", "--message", "notes")
    git(ana.folder, "push", "--quiet", "origin", "notes")
    merge(forge, "notes")
    (bob.folder / "notes.txt").write_text("mine\n")
    before = git(bob.folder, "status", "--porcelain"), git(bob.folder, "rev-parse", "main")
    bob.update()
    assert (git(bob.folder, "status", "--porcelain"), git(bob.folder, "rev-parse", "main")) == before
    assert (bob.folder / "notes.txt").read_text() == "mine\n"
    assert git(forge, "show", "tala:notes.txt") == "hers"


def test_another_work_tree_is_not_touched(late: tuple[Path, Desk, Desk]) -> None:
    _, _, bob = late
    bob.write("boxes/zorro/toledo.yaml", say_box("Toledo", "602"))
    before = git(bob.folder, "status", "--porcelain"), git(bob.folder, "rev-parse", "main", "HEAD")
    bob.update("tala")
    assert (git(bob.folder, "status", "--porcelain"), git(bob.folder, "rev-parse", "main", "HEAD")) == before


def test_a_second_time_changes_nothing(late: tuple[Path, Desk, Desk]) -> None:
    forge, _, bob = late
    first = bob.update()
    before = git(forge, "for-each-ref"), git(bob.folder, "for-each-ref", "refs/heads")
    again = bob.update()
    assert again.commit == first.commit and again.addresses == {}
    assert (git(forge, "for-each-ref"), git(bob.folder, "for-each-ref", "refs/heads")) == before


def test_somebody_elses_push_is_never_overwritten(late: tuple[Path, Desk, Desk]) -> None:
    forge, ana, bob = late
    git(ana.folder, "fetch", "--quiet")
    git(ana.folder, "stash", "--quiet", "--include-untracked")
    git(ana.folder, "switch", "--quiet", "tala")
    ana.edit("boxes/zorro/tala.yaml", "Phone 601", "Taller")
    ana.render()
    git(ana.folder, "commit", "--quiet", "--all", "--message", "a better name")
    git(ana.folder, "push", "--quiet", "origin", "tala")
    updated = bob.update("tala")
    assert "Taller" in git(forge, "show", f"{updated.commit}:fleet/boxes/zorro/tala.yaml")
    # Ana does not know that: hers is the old one with another change now.
    ana.edit("boxes/zorro/tala.yaml", "Taller", "Depósito")
    git(ana.folder, "commit", "--quiet", "--all", "--message", "a still better name")
    said = refuse(ana, "tala")
    assert "pushed" in said and "git branch --force tala origin/tala" in said
    assert git(forge, "rev-parse", "tala") == updated.commit


def test_a_push_in_between_is_never_overwritten(late: tuple[Path, Desk, Desk]) -> None:
    """The lease: between the fetch and the push somebody else is quicker."""
    forge, _, bob = late
    other = git(forge, "rev-parse", "artigas")

    def push_meanwhile(line: str) -> None:
        if line.startswith("pushing"):
            git(forge, "update-ref", "refs/heads/tala", other)

    with pytest.raises(GitopsError, match="did not take the branch tala"):
        update_proposal(bob.folder, "tala", None, True, VERSION, push_meanwhile)
    assert git(forge, "rev-parse", "tala") == other
    assert git(bob.folder, "rev-parse", "tala") != other


def test_an_update_that_died_behind_its_push_goes_on(late: tuple[Path, Desk, Desk]) -> None:
    forge, _, bob = late
    old = git(bob.folder, "rev-parse", "tala")
    done = bob.update("tala")
    git(bob.folder, "update-ref", "refs/heads/tala", old)
    assert bob.update("tala").commit == done.commit == git(bob.folder, "rev-parse", "tala")
    assert git(forge, "rev-parse", "tala") == done.commit


def test_a_push_that_failed_changes_nothing_here(late: tuple[Path, Desk, Desk]) -> None:
    forge, _, bob = late
    before = git(bob.folder, "for-each-ref", "refs/heads"), git(bob.folder, "status", "--porcelain")
    hook = forge / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho closed for today >&2\nexit 1\n")
    hook.chmod(0o755)
    assert "closed for today" in refuse(bob)
    assert (git(bob.folder, "for-each-ref", "refs/heads"), git(bob.folder, "status", "--porcelain")) == before
    hook.unlink()
    bob.update()
    merge(forge, "tala")
    assert judge(forge, "main").right


def test_a_colleagues_branch_is_updated_from_the_remote(late: tuple[Path, Desk, Desk]) -> None:
    forge, ana, _ = late
    updated = ana.update("tala")
    assert git(forge, "rev-parse", "tala") == updated.commit
    merge(forge, "tala")
    assert judge(forge, "main").right


def test_files_elsewhere_are_taken_over_with_their_mode(late: tuple[Path, Desk, Desk]) -> None:
    """A pull request that brings a new RITI changes requirements.txt as well."""
    forge, _, bob = late
    git(bob.folder, "stash", "--quiet", "--include-untracked")
    git(bob.folder, "switch", "--quiet", "tala")
    (bob.folder / "ci/check").chmod(0o755)
    (bob.folder / "requirements.txt").write_text("ritilib==9\n")
    git(bob.folder, "commit", "--quiet", "--all", "--message", "a new RITI")
    updated = bob.update("tala")
    assert git(forge, "show", "tala:requirements.txt") == "ritilib==9"
    assert git(forge, "ls-tree", "tala", "ci/check").startswith("100755")
    # The branch is checked out and was clean, so the work tree is the new commit's.
    assert git(bob.folder, "rev-parse", "HEAD") == updated.commit
    assert git(bob.folder, "status", "--porcelain") == ""


def test_a_branch_checked_out_with_changes_is_refused(late: tuple[Path, Desk, Desk]) -> None:
    _, _, bob = late
    git(bob.folder, "stash", "--quiet", "--include-untracked")
    git(bob.folder, "switch", "--quiet", "tala")
    bob.edit("boxes/zorro/tala.yaml", "Phone 601", "Taller")
    assert "not just as it was committed" in refuse(bob, "tala")


def test_without_a_remote_the_local_main_counts(late: tuple[Path, Desk, Desk]) -> None:
    _, _, bob = late
    git(bob.folder, "fetch", "--quiet")
    git(bob.folder, "stash", "--quiet", "--include-untracked")
    git(bob.folder, "merge", "--quiet", "--ff-only", "origin/main")
    git(bob.folder, "remote", "remove", "origin")
    assert bob.update("tala").base == git(bob.folder, "rev-parse", "main")


def test_what_is_no_proposal_is_refused(late: tuple[Path, Desk, Desk]) -> None:
    forge, ana, bob = late
    assert "there is no branch `nowhere`" in refuse(bob, "nowhere")
    assert "itself" in refuse(bob, "main")
    assert "main holds artigas already" in refuse(ana)
    bob.write("boxes/zorro/toledo.yaml", say_box("Toledo", "602"))
    assert "is on no branch" in refuse(bob)
    git(forge, "branch", "twin", "tala")
    bob.remove("boxes/zorro/toledo.yaml")
    git(bob.folder, "fetch", "--quiet")
    assert "is that of tala, twin" in refuse(bob)


def test_a_change_that_main_holds_by_now_is_said(late: tuple[Path, Desk, Desk]) -> None:
    forge, ana, bob = late
    pull_base(ana.folder, keep_silent)
    ana.write("boxes/zorro/tala.yaml", say_box("Tala", "601"))
    ana.propose("the-same")
    merge(forge, "the-same")
    assert "main holds everything that tala changes" in refuse(bob)


def test_the_command_reports_json_and_wants_a_message_without_update(
    late: tuple[Path, Desk, Desk], capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, bob = late
    where = ["--repo", str(bob.folder)]
    assert riti.main(["propose", *where, "--update", "--json"], standalone_mode=False) is None
    said = json.loads(capsys.readouterr().out)
    assert said["branch"] == "tala" and said["commit"] == git(bob.folder, "rev-parse", "tala")
    assert set(said) == {"addresses", "base", "branch", "commit", "renames", "replaced", "url"}
    with pytest.raises(SystemExit) as ended:
        riti.main(["propose", *where])
    assert ended.value.code == 2


ONE, TWO, THREE = (("100644", digit * 40) for digit in "123")


def test_a_company_is_renamed_only_where_every_office_went_along() -> None:
    gone = {"fleet/companies/a.yaml": (ONE, None), "fleet/boxes/a/x.yaml": (TWO, None)}
    came = {"fleet/companies/b.yaml": (None, THREE), "fleet/boxes/b/x.yaml": (None, TWO)}
    assert find_renames(gone | came) == {"a": "b"}
    assert find_renames(gone | came | {"fleet/boxes/b/x.yaml": (None, THREE)}) == {}
    assert find_renames(gone | came | {"fleet/boxes/a/y.yaml": (THREE, None)}) == {}
    twin = {"fleet/companies/c.yaml": (None, THREE), "fleet/boxes/c/x.yaml": (None, TWO)}
    assert find_renames(gone | came | twin) == {}


def test_two_new_names_of_one_company_are_not_followed() -> None:
    gone = {"fleet/companies/a.yaml": (ONE, None), "fleet/boxes/a/x.yaml": (TWO, None)}
    first = gone | {"fleet/companies/b.yaml": (None, ONE), "fleet/boxes/b/x.yaml": (None, TWO)}
    other = gone | {"fleet/companies/c.yaml": (None, ONE), "fleet/boxes/c/x.yaml": (None, TWO)}
    combined = combine(first, other)
    assert combined.renames == {} and "fleet/boxes/c/x.yaml" in combined.entries


def test_a_copy_of_an_office_is_no_renamed_office() -> None:
    """Git would take an edit of a removed office over to whatever resembles it, in another company even."""
    main = {"fleet/boxes/a/x.yaml": (ONE, None), "fleet/boxes/b/y.yaml": (None, ONE)}
    combined = combine(main, {"fleet/boxes/a/x.yaml": (ONE, TWO)})
    assert [one.path for one in combined.collisions] == ["fleet/boxes/a/x.yaml"] and combined.entries == {}


def test_claims_of_main_stay_whoever_proposes_otherwise() -> None:
    before = {"o/1": "lighthouse/one\n", "o/2": "a/x box\n", "o/3": "a/gone box\n"}
    main = before | {"o/4": "b/y box\n"}
    branch = {"o/1": "lighthouse/one\n", "o/2": "b/thief box\n", "o/4": "a/z box\n", "o/5": "a/z pbx-0\n"}
    assert carry_claims(before, main, branch, {"a": "c"}) == {
        "o/1": "lighthouse/one\n",
        "o/2": "a/x box\n",
        "o/4": "b/y box\n",
        "o/5": "c/z pbx-0\n",
    }
    assert carry_claims({}, {"o/1": "a/z box\n"}, {"o/2": "a/z box\n"}, {}) == {"o/1": "a/z box\n"}


def test_where_two_changes_meet_is_the_branchs_own_line() -> None:
    before = b"a\nb\nc\nd\n"
    assert find_meeting(before, b"a\nb\nC\nd\n", b"new\na\nb\nx\nd\n") == 4
    assert find_meeting(before, b"A\nb\nc\nd\n", b"a\nb\nc\nD\n") == 0
