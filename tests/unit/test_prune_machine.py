"""Whatever happens, in whatever order: no stop of what is wished, none over the limit, none of what is not ours.

Merges, approvals, stale companies, hands on jobs and on the inventory, a clock that jumps, merges while a sync runs,
servers that vanish and syncs that die after any write. Each removal is judged at the moment when it is made.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ritilib.errors import RitiError, Unreachable
from ritilib.gitops.desired import Desired
from tests.unit.removing import FLEET_ID, GRACE, WEEK, World, make_desired, name

# Fewer than 20: one at a time may go.
KEYS = (
    "lighthouse/one",
    "lighthouse/two",
    "acme/a",
    "acme/b",
    "acme/b-2",
    "acme-sur/a",
    "acme-sur/b",
    "zorro/a",
)
OURS = st.sampled_from(KEYS)
SOME = st.sets(OURS, min_size=0, max_size=3)
ENDS = st.sampled_from([timedelta(), timedelta(), GRACE / 2, WEEK])


class Died(Exception):
    """The process ended right after a write."""


class Removing(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.elapsed = timedelta()  # as the clock would show it if it never went back
        self.commits = 0
        self.keys: set[str] = set(KEYS)
        self.removals: set[str] = set()
        self.stale: set[str] = set()
        self.head = self.commit()
        self.coming: Desired | None = None
        self.unapproved: list[timedelta] = []
        self.absent: dict[str, timedelta] = {}  # since when each sync saw that it is wished by nothing
        self.foreign: dict[str, Any] = {}
        stop_job, purge_job = self.world.nomad.stop_job, self.world.nomad.purge_job

        def stop(job_id: str, index: int):
            key = self.judge(job_id)
            assert self.elapsed - self.absent[key] >= GRACE, f"{key} is absent for a short time only"
            try:
                return stop_job(job_id, index)
            finally:  # a sync that dies of it has stopped it all the same
                if self.world.nomad.jobs[job_id]["Stop"] and not self.is_approved(job_id):
                    self.unapproved.append(self.elapsed)

        def purge(job_id: str, index: int):
            self.judge(job_id)
            assert self.world.nomad.jobs[job_id]["Stop"], f"{job_id} runs and is purged"
            return purge_job(job_id, index)

        self.world.nomad.stop_job, self.world.nomad.purge_job = stop, purge  # type: ignore[method-assign]

    def commit(self) -> Desired:
        self.commits += 1
        return make_desired(f"c{self.commits}", self.keys, self.removals, self.stale)

    @property
    def newest(self) -> Desired:
        return self.world.newest or self.head

    def is_approved(self, job_id: str) -> bool:
        _, company, box = job_id.split("--")
        return bool({company, f"{company}/{box}"} & set(self.newest.removals))

    def judge(self, job_id: str) -> str:
        """At the moment of a removal: is it ours, is it wished by nothing that counts? The unit's key."""
        job = self.world.nomad.jobs[job_id]
        key = (job["Meta"] or {}).get("riti.box", "")
        assert (job["Meta"] or {}).get("riti.fleet") == FLEET_ID, f"{job_id} is not ours"
        assert job_id == name(key).job_id, f"{job_id} is the job of no unit"
        assert key not in {unit.key for unit in self.newest.units}, f"{key} is wished"
        homes = {"lighthouse" if company == "_fleet" else company for company, _ in self.newest.held}
        assert key.split("/")[0] not in homes, f"{key} is of a stale company"
        assert "lighthouse" not in homes, "the fleet's own manifest is stale"
        return key

    @initialize()
    def begin(self) -> None:
        assert self.world.sync(self.head).is_clean

    @rule(gone=SOME, back=SOME)
    def merge(self, gone: set[str], back: set[str]) -> None:
        self.keys = (self.keys - gone) | back | {"lighthouse/one"}
        self.removals -= self.keys | {key.split("/")[0] for key in self.keys}
        self.head = self.commit()

    @rule(removals=SOME, companies=st.sets(st.sampled_from(["acme", "acme-sur", "zorro"]), max_size=1))
    def approve(self, removals: set[str], companies: set[str]) -> None:
        living = self.keys | {key.split("/")[0] for key in self.keys}
        self.removals = (removals | companies) - living
        self.head = self.commit()

    @rule(stale=st.sets(st.sampled_from(["acme", "acme-sur", "zorro", "_fleet"]), max_size=1))
    def merge_without_rendering(self, stale: set[str]) -> None:
        self.stale = stale
        self.head = self.commit()

    @rule(time=st.sampled_from([GRACE / 3, GRACE / 2, GRACE, 2 * GRACE, WEEK]))
    def pass_time(self, time: timedelta) -> None:
        self.world.now += time
        self.elapsed += time

    @rule(time=st.sampled_from([GRACE / 2, GRACE, timedelta(days=30)]))
    def turn_the_clock_back(self, time: timedelta) -> None:
        self.world.now -= time

    @rule(key=OURS, hand=st.sampled_from(["edit", "stop", "start", "strip", "rename", "purge"]))
    def lay_hand_on_a_job(self, key: str, hand: str) -> None:
        job = self.world.nomad.jobs.get(name(key).job_id)
        if job is None:
            return
        if hand == "purge":
            del self.world.nomad.jobs[name(key).job_id]
            return
        changes: dict[str, dict[str, Any]] = {
            "edit": {"Priority": job["Priority"] + 1},
            "stop": {"Stop": True},
            "start": {"Stop": False},
            "strip": {"Meta": None},
            "rename": {"Meta": {"riti.fleet": FLEET_ID, "riti.box": "acme/other"}},
        }
        self.world.edit(key, **changes[hand])

    @rule(key=OURS, mark=st.sampled_from(["none", "other fleet", "child"]))
    def register_a_foreign_job(self, key: str, mark: str) -> None:
        job_id = f"{name(key).job_id}/periodic-1" if mark == "child" else f"{name(key).job_id}-x"
        fleet = FLEET_ID if mark == "child" else "other"
        meta = None if mark == "none" else {"riti.fleet": fleet, "riti.box": key}
        if job_id not in self.world.nomad.jobs:
            self.world.nomad.register({**self.world.nomad.parse(f'job "{job_id}" {{\n}}\n'), "Meta": meta}, 0)
        self.foreign[job_id] = dict(self.world.nomad.jobs[job_id])

    @rule(keys=SOME, whole=st.booleans())
    def lose_inventory(self, keys: Collection[str], whole: bool) -> None:
        consul = self.world.consul
        for key in list(consul.entries):
            below = key.removeprefix("riti/demo/inventory/")
            if below != key and (whole or below in keys):
                consul.delete(key, consul.entries[key].modify_index)

    @precondition(lambda self: self.coming is None)
    @rule(gone=SOME, back=SOME)
    def merge_while_the_next_sync_runs(self, gone: set[str], back: set[str]) -> None:
        self.keys = (self.keys - gone) | back | {"lighthouse/one"}
        self.removals -= self.keys | {key.split("/")[0] for key in self.keys}
        self.coming = self.commit()

    @rule(floor=st.booleans())
    def sync(self, floor: bool) -> None:
        self.run_sync(self.world.consul.index + 1 if floor and self.commits % 3 == 0 else 0)

    @rule(last=st.integers(1, 12), ends=st.sampled_from(["dies", "vanishes"]))
    def sync_and_fail(self, last: int, ends: str) -> None:
        self.world.journal.writes.clear()

        def fail(_words: str) -> None:
            if len(self.world.journal.writes) >= last:
                raise Died if ends == "dies" else Unreachable.because("no answer", "wait")

        self.world.journal.on_write = fail
        self.run_sync(0)
        self.world.journal.on_write = lambda _words: None

    @rule(gone=st.sets(OURS, min_size=1, max_size=2), approved=st.booleans(), ends=ENDS)
    def take_out_in_peace(self, gone: set[str], approved: bool, ends: timedelta) -> None:
        """What people do on most days, so that the days above have something to disturb."""
        self.mend()
        self.merge(gone, set())
        if approved:
            self.approve(gone, set())
        for _ in range(3):
            self.run_sync(0)
            self.pass_time(GRACE / 2)
        self.pass_time(ends)

    def mend(self) -> None:
        """Take away the jobs that are in the way, and render what is stale."""
        for key in KEYS:
            job = self.world.nomad.jobs.get(name(key).job_id)
            if job and (job["Meta"] or {}).get("riti.box") != key:
                del self.world.nomad.jobs[name(key).job_id]
        self.stale = set()
        self.head = self.commit()

    def run_sync(self, floor: int) -> None:
        self.world.newest = self.coming
        homes = {"lighthouse" if company == "_fleet" else company for company, _ in self.head.held}
        wished = {unit.key for unit in self.head.units}
        for key in KEYS:
            if key in wished or key.split("/")[0] in homes:
                self.absent.pop(key, None)
            else:
                self.absent.setdefault(key, self.elapsed)
        with suppress(Died, RitiError):
            self.world.sync(self.head, floor)
        if self.coming:
            self.head, self.coming, self.world.newest = self.coming, None, None
        self.judge_the_whole()

    def judge_the_whole(self) -> None:
        for early, late in zip(self.unapproved, self.unapproved[1:], strict=False):
            assert late - early >= GRACE, f"two went without approval: {early}, {late}"
        for job_id, job in self.foreign.items():
            assert self.world.nomad.jobs[job_id] == job, f"{job_id} is another's"


TestRemoving = Removing.TestCase
TestRemoving.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
