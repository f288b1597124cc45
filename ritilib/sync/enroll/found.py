"""What Consul holds of who is bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ritilib.clients.consul_values import Entry
from ritilib.clients.protocols import ConsulClient
from ritilib.enroll.binding import Binding, read_binding
from ritilib.errors import EnrollError, Problem
from ritilib.render.names import EnrollmentNames


@dataclass(frozen=True)
class Found:
    """Bindings with their indexes, and what of them cannot be read: those boxes are left alone."""

    bindings: Mapping[str, Binding]
    indexes: Mapping[str, int]
    problems: tuple[Problem, ...] = ()
    unreadable: frozenset[str] = frozenset()


def read_bindings(consul: ConsulClient, fleet: str) -> Found:
    """Every box's binding, in one request."""
    prefix = EnrollmentNames(fleet).bindings
    indexes: dict[str, int] = {}
    problems: list[Problem] = []
    unreadable: set[str] = set()

    def take(entry: Entry) -> Binding | None:
        key = entry.key.removeprefix(prefix)
        try:
            binding = read_binding(entry.value)
        except EnrollError as error:
            unreadable.add(key)
            mend = "see who wrote it; removed, the box needs a new card"
            problems.append(Problem("", 0, 0, f"{entry.key} in Consul: {error.problems[0].what}", mend))
            return None
        indexes[key] = entry.modify_index
        return binding

    _, found = consul.fold_tree(prefix, take)
    bindings = {key.removeprefix(prefix): one for key, one in found.items() if one is not None}
    return Found(bindings, indexes, tuple(problems), frozenset(unreadable))
