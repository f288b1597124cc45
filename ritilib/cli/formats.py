"""Problems as pipelines of the forges read them; each function gives the whole text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable

from ritilib.errors import Problem

# severities of GitLab's Code Quality: info, minor, major, critical, blocker
_PLACE = re.compile(r"(?<=\.yaml):\d+|(?<=at line )\d+")
_GITLAB_SEVERITIES = {"error": "major", "warning": "minor"}


def format_github(problems: Iterable[Problem]) -> str:
    """One workflow command a line; GitHub (and Gitea, in its log) shows each at its line of the pull request.

    Escaped as actions/toolkit does it (packages/core/src/command.ts): what stands in a property is cut by `:`
    and `,` too.
    """
    return "".join(f"{_write_command(problem)}\n" for problem in problems)


def _write_command(problem: Problem) -> str:
    said = {
        "file": problem.file,
        "line": problem.line or "",
        "col": problem.column if problem.line else "",
        "title": problem.rule,
    }
    properties = ",".join(f"{key}={_escape_property(str(value))}" for key, value in said.items() if value)
    message = f"{problem.what}; {problem.mend}" if problem.mend else problem.what
    return f"::{problem.severity} {properties}".rstrip() + f"::{_escape_data(message)}"


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")


def format_gitlab(problems: Iterable[Problem]) -> str:
    """GitLab's Code Quality report, for `artifacts: reports: codequality`.

    The report asks for a rule and a path everywhere: "riti" and "fleet" stand in. A problem keeps its fingerprint
    while lines are added above it or above the place that it names, so that a merge request shows what is new.
    """
    seen: dict[str, int] = {}
    report = []
    for problem in problems:
        identity = "\0".join((problem.rule, problem.file, _PLACE.sub("", problem.what)))
        seen[identity] = seen.get(identity, 0) + 1
        report.append(
            {
                "description": f"{problem.what}; {problem.mend}" if problem.mend else problem.what,
                "check_name": problem.rule or "riti",
                "fingerprint": hashlib.sha256(f"{identity}\0{seen[identity]}".encode()).hexdigest(),
                "severity": _GITLAB_SEVERITIES[problem.severity],
                "location": {"path": problem.file or "fleet", "lines": {"begin": max(problem.line, 1)}},
            }
        )
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"
