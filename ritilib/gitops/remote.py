"""A repository somewhere else that a service asks again and again, with nobody there to type a password."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ritilib.errors import Denied, GitopsError, RitiError, Unreachable
from ritilib.gitops.command import TIMED_OUT, Answer, ask_git, hide_credentials
from ritilib.gitops.repository import BASE

ASK_TIMEOUT_S = 20.0
FETCH_TIMEOUT_S = 600.0  # the first fetch of a large fleet; a line that stands still is given up long before
_NAME = "riti-source"
_PROTOCOLS = "file:http:https:ssh"  # git:// knows no identity, and ext:: runs whatever it is told
_DENIED = re.compile(
    r"Authentication failed|could not read (Username|Password)|Permission denied|Host key verification failed"
    r"|returned error: (401|403)|Access denied"
)
_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large")


@dataclass(frozen=True)
class Remote:
    """One branch of a repository at url (https, ssh, http, file, or a path), with no credential in it.

    Who we are comes from the environment, as Git itself has it: a credential helper or http.extraHeader (in a
    configuration file or GIT_CONFIG_COUNT…), an SSH key or agent. Nothing asks on a terminal.
    """

    url: str
    branch: str = BASE

    def __post_init__(self) -> None:
        check_address(self.url)

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    def find_tip(self, folder: Path) -> str:
        """The commit at the branch's tip, as the other side says it now; folder is any folder.

        Raises Unreachable or Denied where nobody says so, GitopsError where there is no such branch.
        """
        given = self._environment() | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
        asked = ask_git(
            folder, "ls-remote", "--quiet", _NAME, self.ref, environment=given, timeout_s=ASK_TIMEOUT_S
        )
        if asked.status != 0:
            raise self._explain(asked, ASK_TIMEOUT_S)
        tips = [line.split("\t")[0] for line in asked.output.splitlines() if line.endswith(f"\t{self.ref}")]
        if not tips:
            raise GitopsError.because(
                f"{self.shown} has no branch {self.branch}", "push the branch again, as it was before"
            )
        return tips[0]

    def fetch(self, git_dir: Path, ref: str) -> None:
        """Bring the branch and all its history into the repository git_dir, as ref; all of it or nothing.

        Every object is checked as it comes. Raises Unreachable, Denied, or GitopsError where the disk is full.
        """
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
        given = self._environment() | {"GIT_DIR": str(git_dir)}
        spec = f"+{self.ref}:{ref}"
        asked = ask_git(git_dir, *words, _NAME, spec, environment=given, timeout_s=FETCH_TIMEOUT_S)
        if asked.status != 0:
            raise self._explain(asked, FETCH_TIMEOUT_S)

    @property
    def shown(self) -> str:
        """The address as a message may show it."""
        return hide_credentials(self.url)

    def _environment(self) -> dict[str, str]:
        """What Git is told by variables, so that no address stands among the arguments of our own process."""
        source = str(Path(self.url).resolve()) if Path(self.url).exists() else self.url
        settings = {
            f"remote.{_NAME}.url": source,
            "fetch.fsckObjects": "true",
            # one pack a fetch: it is synced to the disk and renamed when whole, unlike loose objects
            "fetch.unpackLimit": "1",
            # bytes a second, and for how long less is borne: a server that went away in the middle
            "http.lowSpeedLimit": "100",
            "http.lowSpeedTime": "30",
        }
        asks = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
        return asks | {"GIT_ALLOW_PROTOCOL": _PROTOCOLS} | add_settings(os.environ, settings)

    def _explain(self, asked: Answer, timeout_s: float) -> RitiError:
        words = " ".join(asked.errors.split())[:400] or f"exit status {asked.status}"
        if asked.status in TIMED_OUT:
            words = f"no answer within {timeout_s:.0f} s"
        if _FULL.search(words):
            return GitopsError.because(
                f"the mirror of {self.shown} cannot be written: {words}", "make room on its disk"
            )
        if _DENIED.search(words):
            mend = (
                "see that the credentials in the controller's environment may read it, and have not run out"
            )
            return Denied.because(f"{self.shown} denied: {words}", mend)
        mend = (
            "look at the network and the forge; what was accepted last stays in force, and it is tried again"
        )
        return Unreachable.because(f"{self.shown} could not be fetched: {words}", mend)


def check_address(url: str) -> None:
    """GitopsError where url carries a name or password: Git would show it among its helpers' arguments."""
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or (parts.scheme in ("http", "https") and "@" in parts.netloc)
    except ValueError:
        raise GitopsError.because(
            "the repository's address cannot be read", "write it as https://HOST/PATH"
        ) from None
    if secret:
        what = f"the address {hide_credentials(url)} carries a name or a password"
        mend = "take it out, and give it to Git by a credential helper (git help credentials)"
        raise GitopsError.because(what, mend)


def add_settings(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The variables that add settings (name → value) to those which environ gives Git the same way."""
    before = environ.get("GIT_CONFIG_COUNT", "")
    first = int(before) if before.isdigit() else 0
    given = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (name, value) in enumerate(settings.items(), first):
        given |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return given
