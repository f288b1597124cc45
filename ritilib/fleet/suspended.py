"""What the fleet's files suspend, by themselves: also of a fleet that cannot be rendered just now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ritilib.errors import FleetError, Problem
from ritilib.fleet.load import FLEET_PATH
from ritilib.fleet.source import Source, parse_source


def list_paths(scope: str) -> list[str]:
    """The files that may suspend a scope: the fleet's (scope "", "lighthouse"), a company's ("acme"), a box's."""
    company, _, box = scope.partition("/")
    paths = [FLEET_PATH]
    if company and company != "lighthouse":
        paths.append(f"fleet/companies/{company}.yaml")
        if box:
            paths.append(f"fleet/boxes/{company}/{box}.yaml")
    return paths


def find_fleet_name(files: Mapping[str, bytes]) -> str:
    """The name that fleet.yaml says, whatever else is wrong with it; FleetError where it says none."""
    source = parse_source(FLEET_PATH, files.get(FLEET_PATH, b""))
    if isinstance(source, Problem):
        raise FleetError([source])
    name = source.tree.get("name")
    if not isinstance(name, str):
        raise FleetError([source.problem((), "says no `name` of the fleet", "say which with --fleet")])
    return name


def find_suspending(files: Mapping[str, bytes], scope: str) -> Iterator[Problem]:
    """A problem for each of the files (path → content) that suspends the scope, at its line."""
    for path in list_paths(scope):
        source = parse_source(path, files[path]) if path in files else None
        sync = source.tree.get("sync") if isinstance(source, Source) else None
        why = sync.get("suspended") if isinstance(sync, dict) else None
        if isinstance(source, Source) and why:
            what = f"Git suspends {scope or 'the fleet'}: {why}"
            yield source.problem(("sync", "suspended"), what, "take it out, render and merge")
