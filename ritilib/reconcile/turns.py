"""Which of a PBX's instances is the one that its peers and its box reach. Pure functions of values.

Each instance takes its generation itself, and says so in Consul (jobs/pbx/gate). Where Consul has lost that, or shows
an older state, what the instances have on their own hosts is put there again: peers would else call an address that
nobody has, and the next instance would take one that somebody has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ALIVE = ("pending", "running", "unknown")  # client statuses of what runs or may run
_HELD = re.compile(r"([0-9]{1,9}) (\S+)( ended)?")


@dataclass(frozen=True)
class Instance:
    """One that runs or may run. is_reached: whether new calls go to it; generation mod 2 is which of the two addresses
    it has (None: none yet, or not known)."""

    id: str
    generation: int | None
    is_reached: bool
    state: str


@dataclass(frozen=True)
class Alive:
    """An instance that runs or may run, by its statuses in Nomad."""

    id: str
    client: str
    desired: str

    @property
    def is_readable(self) -> bool:
        """Whether its host can be asked what it has taken."""
        return self.client in ("pending", "running")


@dataclass(frozen=True)
class Half:
    """One address of the pair: which allocation took it last, and whether that one has ended ("": nobody took it)."""

    generation: int = 0
    allocation: str = ""
    has_ended: bool = False

    def __str__(self) -> str:
        return f"{self.generation} {self.allocation}{' ended' * self.has_ended}" if self.allocation else ""


@dataclass(frozen=True)
class Turns:
    """What a PBX's key says (jobs/pbx/gate/generation.go, `taken`)."""

    generation: int = 0
    halves: tuple[Half, Half] = (Half(), Half())

    @property
    def newest(self) -> Half:
        return self.halves[self.generation % 2]

    def find(self, allocation: str) -> int | None:
        """The generation that an allocation took last."""
        return next((one.generation for one in self.halves if one.allocation == allocation), None)

    def put(self, half: Half) -> Turns:
        """The same, with one address another's."""
        first, second = self.halves
        halves = (first, half) if half.generation % 2 else (half, second)
        return Turns(max(self.generation, half.generation), halves)

    def to_bytes(self) -> bytes:
        """To the byte as gate writes it: templates look for the generation by a pattern."""
        return json.dumps({"generation": self.generation, "held": [str(one) for one in self.halves]}).encode()


def read_turns(value: bytes | None) -> Turns | None:
    """What a key says; None where it is not there, or is nothing that an instance writes."""
    try:
        said = json.loads(value or b"null")
        generation, (first, second) = said["generation"], said["held"]
        halves = _read_half(first), _read_half(second)
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(generation, int) or halves[generation % 2].generation != generation:
        return None
    is_right = all(
        not one.allocation or (one.generation % 2 == place and one.generation <= generation)
        for place, one in enumerate(halves)
    )
    turns = Turns(generation, halves)
    return turns if is_right and turns.newest.allocation else None


def read_taken(content: bytes | None, allocation: str) -> int | None:
    """The generation that an allocation's own file says it has (jobs/pbx/gate/take.go); None where it has none yet."""
    found = re.fullmatch(rb"([0-9]{1,9}) (\S+)\n", content or b"")
    return int(found[1]) if found and found[2] == allocation.encode() else None


def list_unheld(now: Turns | None, alive: Iterable[Alive]) -> tuple[str, ...]:
    """The instances that may have taken a generation of which the key says nothing: what their files say is asked."""
    return tuple(one.id for one in alive if one.is_readable and (now is None or now.find(one.id) is None))


def mend_turns(now: Turns | None, alive: Sequence[Alive], taken: Mapping[str, int]) -> Turns | None:
    """What the key is to say; None where it is to stay.

    now: what it says; alive: a PBX's instances, oldest first; taken: of list_unheld, those that have one. The newest of
    those that are to run is reached, at its own address. No generation is lowered, since instances count on from it: it
    is raised to the next that has the address. An instance that ends, or whose host cannot be asked, keeps the other
    address where nobody else is known to have it.
    """
    held = now or Turns()
    known = {one.id: one for one in alive}
    found = [one for one in alive if one.id in taken]
    if not found:
        return None
    newest = known.get(held.newest.allocation)
    if newest is None or newest.desired != "run":
        wanted = [one for one in found if one.desired == "run"] or found
        first = max(wanted, key=lambda one: taken[one.id])
        generation = max(taken[first.id], held.generation, 1)
        generation += (generation - taken[first.id]) % 2
        held = held.put(Half(generation, first.id))
    other = held.halves[(held.generation + 1) % 2]
    if other.allocation not in known or other.has_ended:
        more = [one for one in found if held.find(one.id) is None and (taken[one.id] - held.generation) % 2]
        away = [one for one in alive if one.client == "unknown" and held.find(one.id) is None]
        if both := [*away, *more]:
            held = held.put(Half(held.generation - 1, both[-1].id))
    return held if held != now else None


def describe_instances(
    allocations: Iterable[tuple[str, str, str]], value: bytes | None
) -> tuple[Instance, ...]:
    """Those of a PBX that run or may run, in the order given: id, client status and desired status as Nomad has them;
    value is the PBX's generation in Consul. What cannot be read says nothing: it is only shown."""
    turns = read_turns(value)
    found = []
    for one, client, desired in allocations:
        if client in ALIVE:
            generation = turns.find(one) if turns else None
            is_reached = turns is not None and generation == turns.generation
            found.append(Instance(one, generation, is_reached, _say(client, desired, generation)))
    return tuple(found)


def _read_half(said: object) -> Half:
    if said == "":
        return Half()
    found = _HELD.fullmatch(str(said))
    if not found:
        raise ValueError(said)
    return Half(int(found[1]), found[2], bool(found[3]))


def _say(client: str, desired: str, generation: int | None) -> str:
    if client == "unknown":
        return "its host has lost Nomad's servers" + ("" if desired == "run" else ", and it was given up")
    if desired != "run":
        return "it ends with its last call" if client == "running" else "it ends"
    return "it runs" if generation is not None else "it has no address yet"
