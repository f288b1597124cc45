"""Runs Git (through GitPython) in one folder, and says in words of our own what it refused."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ritilib.errors import GitopsError

# GitPython looks for the program when it is imported, and would end every command, --help included.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from git.cmd import Git
from git.exc import GitCommandNotFound

# What a hook or an alias of Git hands down would point us at its repository instead of the named one.
_INHERITED = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
# A replaced object (refs/replace) would make one commit mean different things in two clones.
_OWN = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_MERGE_AUTOEDIT": "no"}
TIMED_OUT = (
    124,
    137,
)  # exit statuses of coreutils' timeout: ended by TERM, or by KILL when that was not enough
_GRACE_S = 5
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class Answer:
    """What one run of Git gave: exit status and both outputs, the second without credentials in URLs."""

    status: int
    output: str
    errors: str


def ask_git(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdin: BinaryIO | None = None,
    timeout_s: float | None = None,
) -> Answer:
    """Run `git *arguments` in folder, whatever its exit status; environment is added to the process's own.

    stdin is an open file that Git reads; without it, Git finds nothing there. After timeout_s Git and every program
    that it started are ended (GitPython's own way would leave git-remote-https), and the status is in TIMED_OUT.
    """
    given = _OWN | dict(environment or {})
    bound = ["timeout", f"--kill-after={_GRACE_S}", f"{timeout_s:.3f}"] if timeout_s else []
    try:
        status, output, errors = Git(str(folder)).execute(
            [*_shed(given), *bound, "git", *arguments],
            istream=stdin,
            env=given,
            with_extended_output=True,
            with_exceptions=False,
            strip_newline_in_stdout=False,
        )
    except GitCommandNotFound as error:
        raise GitopsError.because("git cannot be run", "install it: apt-get install git") from error
    text = output.decode("utf-8", "surrogateescape") if isinstance(output, bytes) else output
    return Answer(status, text or "", hide_credentials(errors))


def run_git(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdin: BinaryIO | None = None,
    mend: str = "",
) -> str:
    """The standard output of `git *arguments`; GitopsError with Git's own words, and mend, where it fails."""
    answer = ask_git(folder, *arguments, environment=environment, stdin=stdin)
    if answer.status != 0:
        words = " ".join(answer.errors.split()) or f"exit status {answer.status}"
        raise GitopsError.because(
            f"`git {arguments[0]}` failed in {folder}: {words}", mend or "mend that, then again"
        )
    return answer.output


def stream_git(folder: Path, *arguments: str, stdin: BinaryIO) -> Git.AutoInterrupt:
    """`git *arguments` as a running process that reads stdin (an open file); the caller reads its stdout."""
    given = dict(_OWN)
    command = [*_shed(given), "git", *arguments]
    return Git(str(folder)).execute(command, istream=stdin, env=given, as_process=True)


def hide_credentials(text: str) -> str:
    """The text without user names and passwords in URLs."""
    return _CREDENTIALS.sub("", text)


def _shed(given: Mapping[str, str]) -> list[str]:
    """The start of a command that takes inherited variables away: GitPython can only add some."""
    inherited = [name for name in _INHERITED if name in os.environ and name not in given]
    return ["env", *(part for name in inherited for part in ("-u", name))] if inherited else []
