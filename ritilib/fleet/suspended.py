"""What the fleet's files suspend, by themselves: also of a fleet that cannot be rendered just now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ritilib.errors import FleetError, Problem
from ritilib.fleet.inherited import Settings
from ritilib.fleet.source import Source, parse_source

_FLEET = "fleet/fleet.yaml"


def list_paths(scope: str) -> list[str]:
    """The files that may suspend a scope: the fleet's (scope "", "lighthouse"), a company's ("acme"), a box's."""
    company, _, box = scope.partition("/")
    paths = [_FLEET]
    if company and company != "lighthouse":
        paths.append(f"fleet/companies/{company}.yaml")
        if box:
            paths.append(f"fleet/boxes/{company}/{box}.yaml")
    return paths


def find_fleet_name(files: Mapping[str, bytes]) -> str:
    """The name that fleet.yaml says, whatever else is wrong with it; FleetError where it says none."""
    source = parse_source(_FLEET, files.get(_FLEET, b""))
    if isinstance(source, Problem):
        raise FleetError([source])
    name = source.tree.get("name")
    if not isinstance(name, str):
        raise FleetError(
            [source.problem((), "says no `name` of the fleet", "name it with --fleet", "missing-key")]
        )
    return name


def find_suspending(files: Mapping[str, bytes], scope: str) -> Iterator[Problem]:
    """A problem for each of the files (path → content) that suspends the scope, at its line."""
    for path in list_paths(scope):
        source = parse_source(path, files[path]) if path in files else None
        sync = source.tree.get("sync") if isinstance(source, Source) else None
        why = sync.get("suspended") if isinstance(sync, dict) else None
        if isinstance(source, Source) and why:
            what = f"Git suspends {scope or 'the fleet'}: {why}"
            yield source.problem(
                ("sync", "suspended"), what, "take it out, render and merge", "still-suspended"
            )


def judge_suspended(source: Source, said: Settings) -> Iterator[Problem]:
    """A `suspended` without a value, which would suspend nothing, whatever was meant by it."""
    if "suspended" in said.sync.model_fields_set and said.sync.suspended is None:
        mend = "write why, in words, or take the key out"
        yield source.problem(
            ("sync", "suspended"), "`sync.suspended` has no value", mend, "suspended-for-nothing"
        )
