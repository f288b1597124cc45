"""A fleet as whoever looks sees it: the leader's view, whether anybody leads, and what moved since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from ritilib.clients.protocols import ConsulClient, NomadClient
from ritilib.errors import Denied, GitopsError, Problem, RitiError, ServerError
from ritilib.reconcile.authority import Standing, describe_standing
from ritilib.reconcile.leading import Lead, read_lead
from ritilib.reconcile.plan import find_drift
from ritilib.reconcile.state import Record
from ritilib.reconcile.wording import count
from ritilib.render.names import UnitNames
from ritilib.sync.lead.rights import Rights
from ritilib.sync.observe import Places, observe
from ritilib.sync.seen.boxes import BoxLook, look_at_boxes
from ritilib.sync.seen.status import Status, read_status

Verdict = Literal["well", "pending", "failed"]


@dataclass(frozen=True)
class Branch:
    """Where the branch stands: its commit, and how many it has that are not applied (None: not known)."""

    commit: str
    ahead: int | None


@dataclass(frozen=True)
class FleetLook:
    """leads: who holds the lock now (None: nobody). said: the view that was published last (None: none), age_s seconds
    ago; it is_fresh where whoever said it leads. drift: unit → what somebody else changed. records are the inventory.

    problems: what could not be read. boxes: all of which anything is known. authority: how far the overlay's are
    (None: there never was but one).
    """

    fleet: str
    at: datetime
    leads: Lead | None
    said: Status | None
    is_fresh: bool
    age_s: int | None
    drift: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)
    branch: Branch | None = None
    problems: tuple[Problem, ...] = ()
    boxes: tuple[BoxLook, ...] = ()
    authority: Standing | None = None

    def judge(self) -> tuple[Verdict, tuple[str, ...]]:
        """How it stands, and why it is not well: nobody leads or something failed; else something is to come."""
        bad = tuple(self._list_failures())
        if bad:
            return "failed", bad
        pending = tuple(self._list_pending())
        return ("pending" if pending else "well"), pending

    def _list_failures(self) -> list[str]:
        failures = [problem.what for problem in self.problems if problem.severity == "error"]
        if self.leads is None:
            failures.append("nobody leads: nothing is applied or healed")
        failures += [f"{one.key}: {one.why}" for one in self.boxes if one.grade == "failed"]
        if said := self.said:
            if said.failing:
                verb = "fails" if said.counts.failing == 1 else "fail"
                failures.append(f"{count(said.counts.failing, 'unit')} {verb}")
            if said.down:
                failures.append(f"nothing runs of {count(said.counts.down, 'unit')}")
            if said.rollout.stopped:
                failures.append(f"the rollout has stopped: {said.rollout.stopped}")
            failures += [one.what for one in said.problems]
            for spell in (said.failed_cycle, said.git):
                if spell and not spell.until:
                    failures += [one.what for one in spell.problems]
        return failures

    def _list_pending(self) -> list[str]:
        changed = count(len(self.drift), "unit")
        pending = [f"{changed} changed by somebody else"] if self.drift else []
        pending += [f"{one.key}: {one.why or one.state}" for one in self.boxes if one.grade == "pending"]
        if self.authority and self.authority.phase != "settled":
            pending.append(describe_standing(self.authority))
        said = self.said
        if said is None or not self.is_fresh:
            pending.append("who leads has not said yet how the fleet stands")
        if said and not said.whole:
            counts = said.counts
            pending.append(
                f"{counts.as_wished} of {counts.units} units are as {said.commit.wanted[:12]} wants them"
            )
        if self.branch and self.branch.ahead:
            pending.append(f"the branch is {count(self.branch.ahead, 'commit')} ahead of what is applied")
        return pending


def look_at_fleet(fleet: str, nomad: NomadClient, consul: ConsulClient, now: datetime) -> FleetLook:
    """What Consul and Nomad show of a fleet now, in seven requests, and one more where a value has moved and
    for each 64 boxes that say how they are.

    Needs in Consul `key_prefix "riti/FLEET/" { policy = "read" }`, in Nomad list-jobs of the namespace `default`. Where
    Nomad does not answer, or may not be asked, the rest is shown. Raises what Consul raises, and GitopsError where
    there is nothing of this fleet.
    """
    places = Places(fleet)
    problems: list[Problem] = []
    leads = find_leader(fleet, consul)
    said: Status | None = None
    entry = consul.read(places.status)
    try:
        said = read_status(entry.key, entry.value) if entry else None
    except GitopsError as error:
        problems += error.problems
    drift: dict[str, tuple[str, ...]] = {}
    records: Mapping[str, Record] = {}
    authority: Standing | None = None
    try:
        observed = observe(fleet, nomad, consul, now).observed
        records, authority = observed.records, observed.authority
        for key, record in records.items():
            if key.count("/") == 1 and (
                found := find_drift(UnitNames(fleet, *key.split("/")), record, observed)
            ):
                drift[key] = tuple(found)
        if observed.fleet is None and entry is None and leads is None:
            mend = "look at the name, and at what the token in CONSUL_HTTP_TOKEN may read"
            raise GitopsError.because(f"Consul holds nothing of a fleet `{fleet}`", mend)
    except ServerError as error:
        problems += warn(error, "take a token with list-jobs in NOMAD_TOKEN: drift is not seen without it")
    boxes, unread = look_at_boxes(fleet, consul)
    is_fresh = said is not None and leads is not None and leads.epoch == said.leader.epoch
    return FleetLook(
        fleet,
        now,
        leads,
        said,
        is_fresh,
        find_age(said, now),
        drift,
        records,
        None,
        (*problems, *unread),
        boxes,
        authority,
    )


def find_leader(fleet: str, consul: ConsulClient) -> Lead | None:
    """Who holds the leader's lock now; None where nobody does."""
    lock = consul.read(Rights(fleet).lock)
    return read_lead(lock.key, lock.value) if lock and lock.session else None


def find_age(said: Status | None, now: datetime) -> int | None:
    """Whole seconds since the view was published, 0 at the least: clocks of two machines differ a little."""
    if said is None or not said.written:
        return None
    return max(0, int((now - datetime.fromisoformat(said.written)).total_seconds()))


def warn(error: RitiError, lacks: str) -> list[Problem]:
    """The problems of an error that leaves the rest to be shown; what a token may not read is a warning, whose mend is
    lacks."""
    if isinstance(error, Denied):
        return [replace(one, mend=lacks, severity="warning") for one in error.problems]
    return list(error.problems)
