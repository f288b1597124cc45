"""Which of a PBX's instances is the one that its peers and its box reach. Pure functions of values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Instance:
    """One that runs or may run. is_reached: whether new calls go to it; generation mod 2 is which of the two addresses
    it has (None: none yet, or not known)."""

    id: str
    generation: int | None
    is_reached: bool
    state: str


def read_holders(value: bytes | None) -> tuple[int | None, Mapping[str, int]]:
    """The newest generation, and allocation → the one that it took last, of a PBX's key (jobs/pbx/gate/generation.go).

    What cannot be read says nothing: it is only shown.
    """
    try:
        said = json.loads(value or b"{}")
        held = (str(one).split() for one in said["held"])
        return int(said["generation"]), {words[1]: int(words[0]) for words in held if len(words) > 1}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, {}


def describe_instances(
    allocations: Iterable[tuple[str, str, str]], value: bytes | None
) -> tuple[Instance, ...]:
    """Those of a PBX that run or may run, in the order given: id, client status and desired status as Nomad has them;
    value is the PBX's generation in Consul."""
    newest, holders = read_holders(value)
    return tuple(
        Instance(
            one,
            holders.get(one),
            newest is not None and holders.get(one) == newest,
            _say(client, desired, holders.get(one)),
        )
        for one, client, desired in allocations
        if client in ("pending", "running", "unknown")
    )


def _say(client: str, desired: str, generation: int | None) -> str:
    if client == "unknown":
        return "its host has lost Nomad's servers" + ("" if desired == "run" else ", and it was given up")
    if desired != "run":
        return "it ends with its last call" if client == "running" else "it ends"
    return "it runs" if generation is not None else "it has no address yet"
