"""The leader's step that lets boxes in: one list of keys where nothing is new, however many boxes there are."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from queue import SimpleQueue
from typing import Any

from ritilib.clients.protocols import ConsulClient
from ritilib.clients.vault_signing import SigningKey
from ritilib.enroll.binding import Binding, Expected
from ritilib.errors import LeadershipLost, Problem, RitiError, Unreachable
from ritilib.gitops.company import Unit
from ritilib.gitops.desired import Desired
from ritilib.render.names import EnrollmentNames, UnitNames
from ritilib.sync.enroll.duties import Task, awaits, list_tasks
from ritilib.sync.enroll.enroller import Box, Done, Enroller
from ritilib.sync.enroll.found import read_bindings
from ritilib.sync.observe import Places
from ritilib.sync.unit.apply import Servers

SEEN_S = 5.0  # so often is looked whether a bound box is in, while one is not
SEEN_LATE_S = 60.0  # the same of boxes that were bound long ago, and are switched off, or away
LATE_S = 300.0
AGAIN_S = 5.0  # after what failed
REQUEST, REPLY = "/request", "/reply"


@dataclass(frozen=True)
class Step:
    """What a pass did. again_s: when the next one is due although nothing wakes it (None: never)."""

    done: tuple[Done, ...] = ()
    problems: tuple[Problem, ...] = ()
    again_s: float | None = None


class Registry:
    """One leadership's. servers are clients of the leader's tokens, each for one box at a time."""

    def __init__(
        self,
        servers: Sequence[Servers],
        fleet: str,
        fleet_id: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._consul, self._fleet, self._clock = servers[0].consul, fleet, clock
        self._names = EnrollmentNames(fleet)
        key = SigningKey(servers[0].vault, self._names.claim_key)
        self._lock = threading.Lock()
        read = cache(key.read_public_keys)

        def keys() -> Collection[str]:
            with self._lock:
                return read()

        self._crew: SimpleQueue[Enroller] = SimpleQueue()
        self._size = len(servers)
        for one in servers:
            self._crew.put(Enroller(one, fleet, fleet_id, keys, clock))
        self._quiet: tuple[int, str] | None = None
        self._due: datetime | None = None
        self._floor = 0

    def step(self, desired: Desired, go_on: Callable[[], bool] = lambda: True) -> Step:
        """Look, and do what is to be done; go_on is asked before each box.

        A box that fails leaves the others alone, and is in the problems. Raises LeadershipLost, and as reading does.
        """
        keys = self._consul.list_keys(Places(self._fleet).enrollment)
        mark, now = (keys.index, desired.commit), self._clock()
        if mark == self._quiet and not (self._due and now >= self._due):
            return Step(again_s=(self._due - now).total_seconds() if self._due else None)
        may_lock, self._floor = keys.index >= self._floor, keys.index
        found = read_bindings(self._consul, self._fleet)
        units = {unit.key: unit for unit in desired.units if unit.kind == "pbx"}
        expected = {key: _expect(desired, unit) for key, unit in units.items()}
        inside = self._find_inside(found.bindings)
        tasks = {one.key: one for one in list_tasks(expected, found.bindings, inside)}
        folder = f"{Places(self._fleet).enrollment}/"
        asking = {
            key.removeprefix(folder).removesuffix(REQUEST)
            for key in keys.keys
            if key.startswith(folder) and key.endswith(REQUEST)
        }
        replied = {key for key in keys.keys if key.endswith(REPLY)}
        stale = {company for company, _ in desired.held}
        wanted = [
            key
            for key in sorted(tasks.keys() | asking)
            if key.count("/") == 1 and key not in found.unreadable and key.split("/")[0] not in stale
        ]

        def handle(key: str, enroller: Enroller) -> list[Done]:
            names = UnitNames(self._fleet, *key.split("/"))
            unit = units.get(key)
            overlay = _read_overlay(unit) if unit else None
            binding = found.bindings.get(key)
            has_reply = names.enroll_reply in replied
            box = Box(names, expected.get(key), binding, found.indexes.get(key, 0), overlay, has_reply)
            return _handle(box, tasks.get(key), key in asking, enroller, self._consul, may_lock)

        done, problems = self._do(wanted, handle, go_on)
        problems = [*found.problems, *problems]
        again_s = self._find_pause(found.bindings, done, now)
        if problems or not may_lock or len(wanted) > len(done):
            again_s = min(again_s or AGAIN_S, AGAIN_S)
        is_quiet = (
            not problems and may_lock and not any(one.wrote for one in done) and len(done) >= len(wanted)
        )
        self._quiet = mark if is_quiet else None
        self._due = None
        if again_s is not None:
            self._due = datetime.fromtimestamp(now.timestamp() + again_s, UTC)
        return Step(tuple(one for one in done if one.what), tuple(problems), again_s)

    def _do(
        self,
        keys: Sequence[str],
        handle: Callable[[str, Enroller], list[Done]],
        go_on: Callable[[], bool],
    ) -> tuple[list[Done], list[Problem]]:
        """Boxes side by side; after Unreachable, which the others would meet alike, no more are begun."""
        done: list[Done] = []
        problems: list[Problem] = []
        ended = threading.Event()

        def run(key: str) -> None:
            if ended.is_set() or not go_on():
                return
            enroller = self._crew.get()
            try:
                done.extend(handle(key, enroller))
            except LeadershipLost:
                ended.set()
                raise
            except RitiError as error:
                if isinstance(error, Unreachable):
                    ended.set()
                problems.extend(replace(one, what=f"{key}: {one.what}") for one in error.problems)
            finally:
                self._crew.put(enroller)

        if len(keys) < 2 or self._size == 1:
            for key in keys:
                run(key)
        else:
            with ThreadPoolExecutor(min(self._size, len(keys)), "enroll") as threads:
                for running in [threads.submit(run, key) for key in keys]:
                    running.result()
        return sorted(done, key=lambda one: one.key), problems

    def _find_inside(self, bindings: Mapping[str, Binding]) -> frozenset[str]:
        """Boxes that have written, by tokens of their own, what only they may write."""
        if not awaits(bindings):
            return frozenset()
        prefix, end = Places(self._fleet).boxes, "/generation"
        found = self._consul.list_keys(prefix).keys
        return frozenset(key.removeprefix(prefix).removesuffix(end) for key in found if key.endswith(end))

    def _find_pause(
        self, bindings: Mapping[str, Binding], done: Sequence[Done], now: datetime
    ) -> float | None:
        """While a box is on its way in."""
        waiting = [one for one in bindings.values() if one.state == "bound" and one.open]
        if not waiting:
            return SEEN_S if any(one.wrote for one in done) else None
        latest = max(datetime.fromisoformat(one.bound_at) for one in waiting)
        return SEEN_S if (now - latest).total_seconds() < LATE_S else SEEN_LATE_S


def _handle(
    box: Box, task: Task | None, asks: bool, enroller: Enroller, consul: ConsulClient, may_lock: bool
) -> list[Done]:
    done: list[Done] = []
    if task:
        box, said = enroller.carry_out(box, task)
        done.append(said)
    if asks and (request := consul.read(box.names.enroll_request)):
        done.append(enroller.answer(box, request, may_lock))
    return done


def _expect(desired: Desired, unit: Unit) -> Expected:
    said = unit.enrollment
    return Expected(desired.fleet, desired.fleet_id, unit.key, said.serial, said.generation, said.revoked)


def _read_overlay(unit: Unit) -> dict[str, Any] | None:
    """What the box's certificate of the overlay is to say, as render.unit names it; None where it does not."""
    try:
        said = json.loads(unit.files["box/secrets.json"])["overlay"]
        found = {"name": str(said["name"]), "network": str(said["network"]), "groups": list(said["groups"])}
    except (KeyError, ValueError, TypeError):
        return None
    return found
