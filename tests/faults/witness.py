"""The witness of one row: looks at all servers before and after, follows them meanwhile, and judges at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ritilib.gitops.command import run_git
from ritilib.gitops.objects import read_texts
from tests.faults.following import Followed, Written, follow
from tests.faults.judging import (
    Findings,
    Held,
    Notes,
    Seen,
    State,
    Thing,
    Version,
    find_cuts,
    find_deletions,
    find_lost,
)
from tests.faults.servers import Servers, digest
from tests.integration.fleets import Fleet, read_desired_id

# what a controller writes and removes of its own accord, and what nobody loses anything by
SCRATCH = re.compile(r"key riti/[^/]+/(last-good/.*|leader|accepted)")
OPEN, CLOSED = "[door]\nexten => s,1,Return()\n", "[door]\nexten => s,1,Hangup(3)\n"


@dataclass
class Witness:
    """What a row's test tells it is what the test itself does: with `hand`, and what it wishes by a commit.

    fleets are those whose controllers are on trial; everything else on the servers is foreign.
    """

    servers: Servers
    fleets: tuple[Fleet, ...]
    before: State
    followed: Followed
    hand: dict[str, Thing | None] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    going: set[str] = field(default_factory=set)
    going_back: set[str] = field(default_factory=set)
    moving: set[str] = field(default_factory=set)
    held: list[Held] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)

    # what the test's hand does

    def edit_job(self, job_id: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Register a job again, changed by a hand. What no longer bears a fleet's mark is foreign from then on."""
        job = self.servers.get("NOMAD", f"job/{quote(job_id, safe='')}")
        assert job, job_id
        change(job)
        self.register(job)

    def register(self, job: dict[str, Any]) -> None:
        """Register a job by hand, whether or not it is there."""
        self.servers.get("NOMAD", "jobs", "PUT", {"Job": job})
        place = f"job {job['ID']}"
        self.hand[place] = self.servers.read_job(job["ID"])
        if not self._is_marked(job):
            self.foreign.add(place)

    def stop_job(self, job_id: str, purge: bool = False) -> None:
        self.servers.ask(
            "NOMAD", "DELETE", f"job/{quote(job_id, safe='')}?purge={json.dumps(purge)}"
        ).raise_for_status()
        self.hand[f"job {job_id}"] = None

    def write_key(self, key: str, value: bytes) -> None:
        self.servers.ask("CONSUL_HTTP", "PUT", f"kv/{key}", data=value).raise_for_status()
        self.hand[f"key {key}"] = self.servers.read_key(key)

    def delete_key(self, key: str) -> None:
        self.servers.ask("CONSUL_HTTP", "DELETE", f"kv/{key}").raise_for_status()
        self.hand[f"key {key}"] = None

    # what the test wishes

    def let_go(self, fleet: Fleet, *keys: str) -> None:
        """Units whose removal a commit wishes, and that may go."""
        self.going |= {place for key in keys for place in list_places(fleet, key)}

    def let_go_back(self, fleet: Fleet, *keys: str) -> None:
        """Units whose new job is bad, so that they return to what they were."""
        self.going_back |= {place for key in keys for place in list_places(fleet, key)}

    def let_move(self, fleet: Fleet, *keys: str) -> None:
        """Units whose host is lost to Nomad, so that another instance follows: the older one ends with its call."""
        self.moving |= {fleet.names(key).job_id for key in keys}

    # calls

    def hold_calls(self, fleet: Fleet, *keys: str) -> None:
        """From now on each of these PBXes has a call: the test has begun one, or its stand-in says so."""
        jobs = {fleet.names(key).job_id for key in keys}
        now = self.servers.list_allocations()
        found = [Held(name, one.job, one.started) for name, one in now.items() if one.job in jobs]
        found = [one for one in found if now[one.allocation].is_running]
        assert {one.job for one in found} == jobs, f"not all of {jobs} run"
        self.held += found

    def release_calls(self) -> None:
        """All calls have ended of themselves; those that were cut until now are remembered."""
        self.cuts += find_cuts(self.held, State({}, self.servers.list_allocations()), self.moving)
        self.held.clear()

    # the judgement

    def judge(self) -> Findings:
        """Look once more, and compare."""
        after = self.servers.read_state()
        notes = Notes(self.hand, self.foreign, self.going, self.going_back, self.moving)
        writes = self.followed.list_writes()
        before = State(
            {place: one for place, one in self.before.things.items() if not SCRATCH.fullmatch(place)},
            self.before.allocations,
        )
        ours = {place for place in {*before.things, *after.things, *self.hand} if self._is_ours(place)}
        versions = list(self._read_versions(writes))
        return Findings(
            find_deletions(before, after, self._find_gone(writes), notes),
            find_lost(before, after, versions, ours, notes),
            tuple(dict.fromkeys([*self.cuts, *find_cuts(self.held, after, self.moving)])),
        )

    def _is_marked(self, job: Mapping[str, Any]) -> bool:
        """Whether a job bears the whole mark of a unit of one of the fleets."""
        meta = job.get("Meta") or {}
        key = meta.get("riti.box", "")
        return any(
            key.count("/") == 1
            and fleet.names(key).job_id == job["ID"]
            and read_desired_id(fleet.work) == meta.get("riti.fleet")
            for fleet in self.fleets
        )

    def _is_ours(self, place: str) -> bool:
        kind, _, name = place.rpartition(" ")
        heads = {
            "job": "{}--",
            "key": "riti/{}/",
            "consul policy": "pbx-{}--",
            "consul role": "pbx-{}--",
            "document": "{}/",
            "vault": "",
        }[kind]
        name = name.rpartition("/")[2] if kind == "vault" else name
        return any(name.startswith((heads or "pbx-{}--").format(fleet.name)) for fleet in self.fleets)

    def _find_gone(self, writes: Sequence[Written]) -> Iterator[Seen]:
        for one in writes:
            if SCRATCH.fullmatch(one.place):
                continue
            if one.value is None:
                yield Seen(one.place, "gone")
            elif one.place.startswith("job ") and one.value.get("Stop"):
                yield Seen(one.place, "stopped", one.value.get("NomadTokenID") or "")

    def _read_versions(self, writes: Sequence[Written]) -> Iterator[Version]:
        """Of each write of a unit's value, job or record the commits that wish for it, and the leader that wrote it."""
        epochs: dict[str, int] = {}
        for accessor, number in _list_epochs(writes):
            epochs.setdefault(accessor, number)  # whoever leads next names it too, until it is revoked
        for fleet in self.fleets:
            commits = list_commits(fleet)
            wishes = _Wishes(fleet, commits)
            for one in writes:
                if one.value is None or one.place in self.hand:
                    continue
                if found := wishes.find(one):
                    epoch = None
                    if one.place.startswith("job "):
                        epoch = epochs.get(one.value.get("NomadTokenID") or "")
                    yield Version(one.place, found[0], epoch)


class _Wishes:
    """Which commits wish for what was written."""

    def __init__(self, fleet: Fleet, commits: Sequence[str]) -> None:
        self.fleet, self.commits = fleet, list(commits)
        self.plans: dict[tuple[str, str], list[int]] = {}
        self.jobs: dict[tuple[str, str], list[int]] = {}
        for place, commit in enumerate(commits):
            for unit, files in list_units(fleet.work, commit).items():
                key = fleet.names(unit).kv_key
                live = {name[9:]: text for name, text in files.items() if name.startswith("pbx/live/")}
                self.plans.setdefault((f"key {key}", digest(live)), []).append(place)
                rendered = re.search(r'RENDERED += +"?([0-9a-f]{64})', files["pbx/job.nomad.hcl"])
                if rendered:
                    self.jobs.setdefault((f"job {fleet.names(unit).job_id}", rendered[1]), []).append(place)
        self.values = {place for place, _ in self.plans}
        self.known_jobs = {place for place, _ in self.jobs}

    def find(self, one: Written) -> tuple[tuple[int, ...]] | None:
        """The commits' places, in a tuple of one; None where this write is none of a unit."""
        if one.place in self.values:
            said = json.loads(one.value.decode().replace(json.dumps(CLOSED)[1:-1], json.dumps(OPEN)[1:-1]))
            return (tuple(self.plans.get((one.place, digest(said["files"])), ())),)
        if one.place in self.known_jobs and not one.value.get("Stop"):
            environs = [task.get("Env") or {} for group in one.value["TaskGroups"] for task in group["Tasks"]]
            rendered = next((each["RENDERED"] for each in environs if "RENDERED" in each), "")
            return (tuple(self.jobs.get((one.place, rendered), ())),)
        inventory = f"key riti/{self.fleet.name}/inventory/"
        if one.place.startswith(inventory) and not one.place.endswith("/_fleet"):
            commit = json.loads(one.value)["commit"]
            return ((self.commits.index(commit),) if commit in self.commits else (),)
        return None


def list_commits(fleet: Fleet) -> list[str]:
    """The commits of main as the engineer's clone has it, the oldest first: the forge may be what is broken."""
    return run_git(fleet.work, "rev-list", "--reverse", "--first-parent", "main").split()


def list_units(repo: Path, commit: str) -> dict[str, dict[str, str]]:
    """unit → path → text, of what a commit holds below rendered/."""
    units: dict[str, dict[str, str]] = {}
    for path, text in read_texts(repo, commit, "rendered").items():
        parts = path.split("/", 3)
        if len(parts) == 4:
            _, company, box, name = parts
            key = (
                f"lighthouse/{box.removeprefix('lighthouse-')}" if company == "_fleet" else f"{company}/{box}"
            )
            units.setdefault(key, {})[name] = text
    return {key: files for key, files in units.items() if "pbx/job.nomad.hcl" in files}


def list_places(fleet: Fleet, key: str) -> set[str]:
    """Where a unit's things are at the servers."""
    names = fleet.names(key)
    of_box = set() if names.is_lighthouse else {f"key {names.box_kv_key}", f"key {names.generation}"}
    return of_box | {
        f"job {names.job_id}",
        f"key {names.kv_key}",
        f"key riti/{fleet.name}/inventory/{key}",
        f"consul role {names.role}",
        f"consul policy {names.role}",
        f"vault sys/policies/acl/{names.role}",
        f"vault auth/jwt-nomad/role/{names.role}",
        f"document {names.document}",
        f"document {names.box_document}",
    }


def _list_epochs(writes: Sequence[Written]) -> Iterator[tuple[str, int]]:
    """Accessor of a leader's token in Nomad → that leader's epoch, as the lock said it."""
    for one in writes:
        if re.fullmatch(r"key riti/[^/]+/leader", one.place) and one.value:
            said = json.loads(one.value)
            for accessor in said["tokens"].get("nomad", ()):
                yield accessor, said["epoch"]


@contextmanager
def watch(environ: Mapping[str, str], *fleets: Fleet) -> Iterator[Witness]:
    """A witness for what happens within the context. Whoever made it judges."""
    servers = Servers(environ)
    before = servers.read_state()
    with follow(servers) as followed:
        yield Witness(servers, fleets, before, followed)
