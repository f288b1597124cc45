"""Whether a commit is signed by one of those whom the fleet itself names (`signers` in fleet.yaml)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ritilib.errors import GitopsError, HistoryRefused, Problem
from ritilib.fleet.fleet_file import FleetFile
from ritilib.fleet.source import build_model, parse_source
from ritilib.gitops.command import ask_git, run_git
from ritilib.gitops.remote import add_settings

Signers = tuple[str, ...]
_FLEET = "fleet/fleet.yaml"


def check_signed(repo: Path, last: str | None, trusted: Signers, tip: str) -> Signers:
    """The signers who count after tip. trusted count after last (a commit that tip goes on from; None: the first).

    tip must be signed by one of them; nobody trusted: by nobody. Whoever changes the signers on the way (along the
    first parents, as merges go) must be trusted before that change. Raises HistoryRefused where it is not so, and
    GitopsError where this machine cannot tell.
    """
    for commit in _list_changes(repo, last, tip) if last else ():
        changed = read_signers(repo, commit)
        if changed is not None and changed != trusted:
            _check(repo, commit, trusted, "changes the fleet's signers")
            trusted = changed
            if commit == tip:
                return trusted
    _check(repo, tip, trusted, "is what would be applied")
    own = read_signers(repo, tip)
    return trusted if own is None else own


def read_signers(repo: Path, commit: str) -> Signers | None:
    """The public keys that the commit's fleet.yaml names, without their comments; None where it cannot be read."""
    asked = ask_git(repo, "cat-file", "blob", f"{commit}:{_FLEET}")
    if asked.status != 0:
        return None
    source = parse_source(_FLEET, asked.output.encode("utf-8", "surrogateescape"))
    if isinstance(source, Problem):
        return None
    said, _ = build_model(source, FleetFile)
    return tuple(" ".join(key.split()[:2]) for key in said.signers) if said else None


def _list_changes(repo: Path, last: str, tip: str) -> Iterable[str]:
    """The commits after last that change fleet.yaml, the oldest first."""
    words = ("rev-list", "--reverse", "--first-parent", f"{last}..{tip}", "--", _FLEET)
    return run_git(repo, *words).split()


def _check(repo: Path, commit: str, trusted: Signers, role: str) -> None:
    if not trusted:
        return
    if shutil.which("ssh-keygen") is None:
        what = "the fleet asks for signed commits, and ssh-keygen is not on PATH"
        raise GitopsError.because(what, "install it: apt-get install openssh-client")
    with tempfile.TemporaryDirectory(prefix="riti-") as folder:
        allowed = Path(folder) / "signers"
        allowed.write_text("".join(f'* namespaces="git" {key}\n' for key in trusted))
        settings = {
            "gpg.ssh.allowedSignersFile": str(allowed),
            "gpg.ssh.program": "ssh-keygen",
            "gpg.ssh.revocationFile": "",
            "gpg.minTrustLevel": "fully",
            # a signature of another kind is none, whoever this machine's keyrings trust
            "gpg.program": "false",
            "gpg.openpgp.program": "false",
            "gpg.x509.program": "false",
        }
        asked = ask_git(repo, "verify-commit", commit, environment=add_settings(os.environ, settings))
    if asked.status != 0:
        said = " ".join(asked.errors.split())[:200] or "it has no signature"
        what = f"{commit[:12]} {role}, and none of the fleet's {len(trusted)} signers signed it: {said}"
        mend = "let one of them sign and push a commit on top: git commit --allow-empty -S"
        raise HistoryRefused.because(what, mend)
