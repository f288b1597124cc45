"""riti propose: one commit on a branch, and nothing of the user's touched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ritilib.errors import GitopsError, Problem
from ritilib.gitops.desired import read_desired
from ritilib.gitops.propose import Proposal, propose


def make(clone, message: str = "A box more", branch: str | None = None, push: bool = True) -> Proposal:
    return propose(clone.folder, message, branch, push, lambda line: None)


def refuse(clone, **options) -> str:
    with pytest.raises(GitopsError) as caught:
        make(clone, **options)
    assert all(problem.mend for problem in caught.value.problems)
    return str(caught.value)


def change(clone, box: str = "artigas", address: str = "100.80.0.9") -> None:
    clone.add_box("acme", box, address)
    clone.render()


def look_at(clone) -> tuple[str, ...]:
    """All that is the user's own: branch, index, work tree."""
    asked = (
        ("symbolic-ref", "HEAD"),
        ("rev-parse", "main"),
        ("ls-files", "-s"),
        ("status", "--porcelain"),
        ("diff",),
    )
    return tuple(clone.git(*words) for words in asked)


def test_a_proposal_is_one_commit_on_top_of_main(pushed, forge: Path, run_git) -> None:
    change(pushed)
    before = look_at(pushed)
    made = make(pushed)
    assert look_at(pushed) == before
    assert re.fullmatch("riti/[0-9a-f]{12}", made.branch)
    assert run_git(forge, "rev-parse", made.branch) == made.commit
    assert pushed.git("show", "-s", "--format=%P %an %s", made.commit).split(" ", 1) == [
        pushed.git("rev-parse", "main"),
        "Ana Engineer A box more",
    ]
    desired = read_desired(forge, made.branch)
    assert "acme/artigas" in {unit.key for unit in desired.units} and desired.held == ()


def test_the_same_proposal_twice_is_one_branch_and_one_commit(pushed, forge: Path, run_git) -> None:
    change(pushed)
    assert make(pushed) == make(pushed, message="In other words")
    assert run_git(forge, "for-each-ref", "--format=%(refname)", "refs/heads/riti").count("\n") == 0


def test_a_change_back_to_an_earlier_tree_is_a_proposal_of_its_own(pushed, forge: Path, run_git) -> None:
    """Where the forge keeps merged branches."""
    made = []
    for text in ("name: One\n", "name: Two\n", "name: One\n"):
        (pushed.folder / "fleet" / "note.yaml").write_text(text)
        made.append(make(pushed))
        run_git(forge, "update-ref", "refs/heads/main", made[-1].commit)
        pushed.git("add", "fleet")
        pushed.git("pull", "-q", "--ff-only", "origin", "main")
    assert len({one.branch for one in made}) == 3
    trees = [pushed.git("rev-parse", f"{one.commit}^{{tree}}") for one in made]
    assert trees[0] == trees[2] != trees[1]


def test_another_clone_finds_the_same_proposal(pushed, forge: Path, run_git, tmp_path: Path) -> None:
    change(pushed)
    made = make(pushed)
    pushed.git("branch", "-q", "-D", made.branch)
    assert make(pushed).commit == made.commit


def test_a_push_that_failed_is_made_good_by_proposing_again(pushed, forge: Path, run_git) -> None:
    change(pushed)
    hook = forge / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho closed for today >&2\nexit 1\n")
    hook.chmod(0o755)
    assert "closed for today" in refuse(pushed)
    hook.unlink()
    made = make(pushed)
    assert run_git(forge, "rev-parse", made.branch) == made.commit


def test_files_elsewhere_are_left_alone_and_named(pushed) -> None:
    change(pushed)
    pushed.write("notes.txt", "mine")
    pushed.write("README.md", "changed")
    pushed.write("ignored~", "an editor's copy")
    said: list[str] = []
    made = propose(pushed.folder, "A box", None, True, said.append)
    assert made.left_alone == ("README.md", "notes.txt")
    assert any("README.md, notes.txt" in line for line in said)
    names = pushed.git("diff", "--name-only", "main", made.commit).split()
    assert names and all(name.startswith(("fleet/", "rendered/")) for name in names)


def test_what_the_user_has_staged_stays_staged(pushed) -> None:
    change(pushed)
    pushed.write("notes.txt", "mine")
    pushed.git("add", "notes.txt", "fleet/boxes")
    before = look_at(pushed)
    assert "notes.txt" not in pushed.git("ls-tree", "-r", "--name-only", make(pushed).commit)
    assert look_at(pushed) == before


def test_deleted_files_are_deleted_in_the_proposal(pushed) -> None:
    (pushed.folder / "fleet/boxes/acme/salto.yaml").unlink()
    pushed.render()
    assert "salto/pbx" not in pushed.git("ls-tree", "-r", "--name-only", make(pushed).commit)


def test_the_users_ignore_rules_take_nothing_out_of_rendered(pushed, own_settings: Path) -> None:
    rules = own_settings.parent / "ignore"
    rules.write_text("*.hcl\n")
    pushed.git("config", "core.excludesFile", str(rules))
    change(pushed)
    assert "rendered/acme/artigas/pbx/job.nomad.hcl" in pushed.git(
        "ls-tree", "-r", "--name-only", make(pushed).commit
    )


def test_without_a_remote_the_branch_stays_here(clone) -> None:
    change(clone)
    made = make(clone)
    assert made.url is None and clone.git("rev-parse", made.branch) == made.commit


def test_without_push_the_forge_hears_nothing(pushed, forge: Path, run_git) -> None:
    change(pushed)
    make(pushed, push=False)
    assert run_git(forge, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_the_forges_address_for_the_pull_request_is_given(pushed, forge: Path) -> None:
    hook = forge / "hooks/post-receive"
    hook.write_text(
        "#!/bin/sh\necho 'Create a pull request:'; echo '  https://u:pw@forge.example/acme/pull/new/x'\n"
    )
    hook.chmod(0o755)
    change(pushed)
    assert make(pushed).url == "https://forge.example/acme/pull/new/x"


def test_a_branch_of_ones_own_name(pushed) -> None:
    change(pushed)
    assert make(pushed, branch="add-artigas").branch == "add-artigas"


def test_nothing_changed_is_said(pushed) -> None:
    assert "nothing changed" in refuse(pushed)
    pushed.write("notes.txt", "mine")
    assert "nothing changed" in refuse(pushed)


def test_drift_is_refused_before_anything_is_done(pushed) -> None:
    change(pushed)
    drift = [Problem("rendered/acme/x", 0, 0, "is not what the fleet renders", "run `riti render`")]
    with pytest.raises(GitopsError) as caught:
        propose(pushed.folder, "m", None, True, lambda line: None, drift)
    assert caught.value.problems == tuple(drift)
    assert pushed.git("branch", "--list", "riti/*") == ""


def test_what_sync_would_hold_or_refuse_is_not_proposed(pushed) -> None:
    pushed.add_box("acme", "artigas", "100.80.0.9")
    assert "stale" in refuse(pushed)
    pushed.render()
    pushed.write("rendered/acme/artigas/pbx/job.nomad.hcl", "by hand")
    assert "its hash differs" in refuse(pushed)
    assert pushed.git("branch", "--list", "riti/*") == ""


def test_a_main_that_moved_on_is_never_taken_back(pushed, forge: Path, run_git, tmp_path: Path) -> None:
    run_git(tmp_path, "clone", "-q", str(forge), "other")
    (tmp_path / "other/README.md").write_text("news")
    run_git(tmp_path / "other", "commit", "-q", "-a", "-m", "news")
    run_git(tmp_path / "other", "push", "-q")
    change(pushed)
    assert "moved on" in refuse(pushed)


@pytest.mark.parametrize(
    ("branch", "said"),
    [("main", "itself"), ("a..b", "cannot be"), ("-x", "cannot be"), ("@{-1}", "cannot be")],
)
def test_a_branch_that_may_not_be_is_refused(pushed, branch: str, said: str) -> None:
    pushed.git("switch", "-q", "-c", "elsewhere")
    pushed.git("switch", "-q", "main")
    change(pushed)
    assert said in refuse(pushed, branch=branch)


def test_a_branch_that_holds_another_change_is_refused(pushed) -> None:
    change(pushed)
    make(pushed, branch="mine")
    change(pushed, "durazno", "100.80.0.10")
    assert "holds another change" in refuse(pushed, branch="mine")


def test_nobody_known_to_git_is_refused(pushed, own_settings: Path) -> None:
    own_settings.write_text("")
    change(pushed)
    assert "git config --global user.name" in refuse(pushed)


def test_a_bare_repository_is_refused(forge: Path) -> None:
    with pytest.raises(GitopsError, match="has no work tree"):
        propose(forge, "m", None, False, lambda line: None)


def test_a_remote_that_does_not_answer_is_refused(pushed) -> None:
    pushed.git("remote", "set-url", "origin", "file://user:hunter2@/nowhere.git")
    change(pushed)
    said = refuse(pushed)
    assert "fetch" in said and "hunter2" not in said
