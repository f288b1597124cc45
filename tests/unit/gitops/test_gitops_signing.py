"""Only what one of the fleet's signers signed is accepted, and nobody adds a key of his own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ritilib.errors import GitopsError, HistoryRefused
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.signing import read_signers


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    """Private keys by their owners' names; the public one is beside each."""
    made = {}
    for name in ("ana", "bruno", "mallory"):
        made[name] = tmp_path / f"key-{name}"
        words = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            f"{name}@example.org",
            "-f",
            str(made[name]),
        ]
        subprocess.run(words, check=True)
    return made


@pytest.fixture
def write_signers(clone, keys):
    """Replaces the list in fleet.yaml."""
    plain = (clone.folder / "fleet/fleet.yaml").read_text()

    def write(*names: str) -> None:
        lines = "".join(f"  - {keys[name].with_suffix('.pub').read_text()}" for name in names)
        clone.write("fleet/fleet.yaml", plain + (f"signers:\n{lines}" if names else ""))

    return write


@pytest.fixture
def commit(clone, keys):
    """Commits all, signed by that key, or by nobody."""

    def make(signer: str = "", message: str = "a change") -> str:
        clone.git("add", "--all")
        own = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={keys[signer]}") if signer else ()
        sign = ("-S",) if signer else ()
        clone.git(*own, "commit", "--quiet", "--allow-empty", *sign, "-m", message)
        return clone.git("rev-parse", "HEAD")

    return make


@pytest.fixture
def push(clone):
    return lambda: clone.git("push", "--quiet", "--force", "origin", "main")


@pytest.fixture
def guarded(mirror: Mirror, write_signers, commit, push) -> Mirror:
    """A mirror that has accepted a commit in which ana and bruno became the signers."""
    mirror.fetch()
    write_signers("ana", "bruno")
    commit()
    push()
    mirror.fetch()
    return mirror


def test_a_fleet_without_signers_takes_whatever_is_merged(mirror: Mirror, commit, push) -> None:
    assert mirror.fetch().signers == ()
    made = commit("mallory")
    push()
    assert mirror.fetch().commit == made


@pytest.mark.parametrize("signer", ["ana", "bruno"])
def test_what_a_signer_signed_is_accepted(guarded: Mirror, commit, push, signer: str) -> None:
    made = commit(signer)
    push()
    assert guarded.fetch().commit == made


@pytest.mark.parametrize("signer", ["", "mallory"])
def test_what_nobody_or_another_signed_is_refused_and_a_signature_on_top_heals_it(
    guarded: Mirror, commit, push, signer: str
) -> None:
    good = guarded.last
    commit(signer)
    push()
    with pytest.raises(HistoryRefused, match="none of the fleet's 2 signers signed it"):
        guarded.fetch()
    assert guarded.last == good
    made = commit("ana")
    push()
    assert guarded.fetch().commit == made


def test_nobody_adds_a_key_of_his_own(guarded: Mirror, write_signers, commit, push) -> None:
    write_signers("ana", "bruno", "mallory")
    commit("mallory")
    push()
    with pytest.raises(HistoryRefused):
        guarded.fetch()
    commit("mallory", "and one on top")
    push()
    with pytest.raises(HistoryRefused, match="changes the fleet's signers"):
        guarded.fetch()


def test_nobody_takes_the_list_away_by_breaking_the_file(guarded: Mirror, clone, commit, push) -> None:
    clone.write("fleet/fleet.yaml", "signers: []\n: :\n")
    commit()
    push()
    with pytest.raises(HistoryRefused):
        guarded.fetch()
    made = commit("ana")
    push()
    found = guarded.fetch()
    assert found.commit == made and len(found.signers) == 2
    commit()
    push()
    with pytest.raises(HistoryRefused):
        guarded.fetch()


def test_a_change_of_the_list_counts_from_the_next_commit_on(
    guarded: Mirror, write_signers, commit, push
) -> None:
    write_signers("bruno")
    made = commit("ana")
    push()
    for _ in range(2):
        assert guarded.fetch().commit == made
    commit("ana")
    push()
    with pytest.raises(HistoryRefused, match="1 signers"):
        guarded.fetch()


def test_whoever_comes_late_follows_each_change_of_the_list(
    guarded: Mirror, write_signers, commit, push, tmp_path: Path
) -> None:
    early = guarded.last
    write_signers("bruno")
    commit("ana")
    write_signers("mallory")
    commit("bruno")
    made = commit("mallory")
    push()
    assert guarded.fetch().commit == made
    fresh = Mirror(tmp_path / "fresh", guarded.remote)
    assert fresh.fetch(applied=early).commit == made
    assert fresh.fetch(applied=early).commit == made


def test_an_unsigned_change_of_the_list_on_the_way_is_refused(
    guarded: Mirror, write_signers, commit, push
) -> None:
    write_signers()
    commit()
    write_signers("ana", "bruno")
    commit("ana")
    push()
    with pytest.raises(HistoryRefused, match="changes the fleet's signers"):
        guarded.fetch()


def test_a_merge_signed_by_a_signer_carries_unsigned_commits(
    guarded: Mirror, clone, commit, push, keys
) -> None:
    clone.git("switch", "--quiet", "--create", "proposal")
    commit()
    clone.git("switch", "--quiet", "main")
    own = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={keys['ana']}")
    clone.git(*own, "merge", "--quiet", "--no-ff", "-S", "-m", "merged", "proposal")
    push()
    assert guarded.fetch().commit == clone.git("rev-parse", "main")


def test_a_rewritten_history_that_is_named_must_be_signed_too(guarded: Mirror, clone, commit, push) -> None:
    clone.git("reset", "--quiet", "--hard", "HEAD~1")
    tip = commit("mallory")
    push()
    with pytest.raises(HistoryRefused, match="signers signed it"):
        guarded.fetch(rewritten=tip)
    clone.git("reset", "--quiet", "--hard", "HEAD~1")
    tip = commit("ana")
    push()
    assert guarded.fetch(rewritten=tip).commit == tip


def test_the_first_fetch_too_asks_for_a_signature(mirror: Mirror, write_signers, commit, push) -> None:
    write_signers("ana")
    commit("mallory")
    push()
    with pytest.raises(HistoryRefused):
        mirror.fetch()
    made = commit("ana")
    push()
    assert mirror.fetch().commit == made


def test_a_machine_that_cannot_tell_accepts_nothing(
    guarded: Mirror, commit, push, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit("ana")
    push()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "timeout", "env"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (tools / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    good = guarded.last
    with pytest.raises(GitopsError, match="ssh-keygen is not on PATH"):
        guarded.fetch()
    assert guarded.last == good


def test_a_users_own_settings_do_not_make_a_signer(
    guarded: Mirror, commit, push, keys, own_settings: Path, tmp_path: Path
) -> None:
    trusting = tmp_path / "trusting"
    trusting.write_text(f"* {keys['mallory'].with_suffix('.pub').read_text()}")
    commit("mallory")
    push()
    given = (
        f'[gpg]\n\tminTrustLevel = never\n\tprogram = true\n[gpg "ssh"]\n\tallowedSignersFile = {trusting}\n'
    )
    own_settings.write_text(own_settings.read_text() + given)
    with pytest.raises(HistoryRefused):
        guarded.fetch()


def test_signers_are_read_without_their_comments(guarded: Mirror, clone) -> None:
    signers = read_signers(guarded.repo, "main")
    assert signers is not None and [len(key.split()) for key in signers] == [2, 2]
    assert read_signers(guarded.repo, clone.git("hash-object", "-t", "tree", "/dev/null")) is None
