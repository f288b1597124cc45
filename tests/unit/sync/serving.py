"""A controller on fakes: a repository that a test pushes to, the world of `replacing`, and the loop in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from ritilib.clients.settings import Server, Settings
from ritilib.devstack.processes import poll
from ritilib.errors import GitopsError, HistoryRefused, LeadershipLost, Unreachable
from ritilib.gitops.desired import Desired
from ritilib.gitops.history import Accepted
from ritilib.reconcile.backoff import Backoff
from ritilib.reconcile.leading import Timing, read_lead
from ritilib.sync.chronicle import Chronicle
from ritilib.sync.drift import Watch, follow_suspensions, follow_values
from ritilib.sync.journal import Journal
from ritilib.sync.lead.election import Candidate, Clients
from ritilib.sync.lead.rights import Rights
from ritilib.sync.observe import Places
from ritilib.sync.pace import Pace
from ritilib.sync.service import Service
from ritilib.sync.source import Source
from ritilib.sync.tell.known import Limits
from ritilib.sync.tell.outbox import Channel, Outbox
from ritilib.sync.tell.teller import Teller
from ritilib.sync.unit.apply import Servers
from ritilib.sync.wake import Report, Wakeups
from ritilib.sync.web.board import Board
from ritilib.sync.web.metrics import Metrics
from tests.unit import replacing

RIGHTS = Rights("demo")
SETTINGS = Settings(*(Server("http://127.0.0.1:1", "standing") for _ in range(3)))
TIMING = Timing(renew_s=0.005, lock_delay_s=0.0)
QUICK = Backoff(first_s=0.02, longest_s=0.1)
# long waits are an hour: what happens in a test has another cause
PACE = Pace(busy_s=0.05, watched_s=0.05, longest_s=3600.0, slice_s=0.1, unit=QUICK, cycle=QUICK)
DEADLINE_S = 20.0


@dataclass
class Forge:
    """What Source needs of a Mirror. newest: what was pushed last; is_away: whether nobody answers; commits that
    `read` refuses are in bad; reads: how often each was read."""

    newest: Desired | None = None
    is_away: bool = False
    bad: set[str] = field(default_factory=set)
    known: dict[str, Desired] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    accepted: Accepted | None = None
    repo: Path = Path("mirror.git")
    tip: str = ""

    @property
    def last(self) -> Accepted | None:
        return self.accepted

    def push(self, desired: Desired) -> None:
        self.known[desired.commit] = desired
        self.newest = desired

    def fetch(self, applied: Accepted | None = None, rewritten: str | None = None) -> Accepted:
        if self.is_away or self.newest is None:
            raise Unreachable.because("the forge gave no answer", "wait")
        self.tip = self.newest.commit
        if applied and not self.goes_on(applied.commit, self.newest.commit):
            raise HistoryRefused.because("the branch was rewritten", "push the old history again")
        self.accepted = Accepted(self.newest.commit, self.newest.root_commit, self.newest.fleet_id)
        return self.accepted

    def heal(self) -> bool:
        return False

    def goes_on(self, older: str, newer: str) -> bool:
        """Commits of these tests are called c1, c2, …, and each goes on from those before."""
        return older in self.known and older <= newer

    def read(self, repo: Path, commit: str) -> Desired:
        self.reads.append(commit)
        if commit in self.bad:
            raise GitopsError.because(f"{commit} cannot be used", "render again")
        return self.known[commit]


@dataclass
class World(replacing.World):
    """guard: what a leader's sessions ask before each write; the fakes have no sessions, so a test may ask it.

    told: who is told of it, by channel."""

    forge: Forge = field(default_factory=Forge)
    pace: Pace = PACE
    crew: int = 1  # so that a test knows what comes after what
    log: StringIO = field(default_factory=StringIO)
    guard: Callable[[], None] = lambda: None
    told: dict[str, Channel] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vault.put_token_role(RIGHTS.leader, RIGHTS.vault_token_role(60))
        made = self.nomad.issue_management_token("election")
        self.vault.write_document(RIGHTS.nomad_document, {"token": made.secret, "accessor": made.accessor}, 0)
        self.start_anew()

    def start_anew(self) -> None:
        """Another process, which remembers nothing, with the same servers and the same mirror."""
        self.asks, self.wakeups = Wakeups(), Wakeups()
        self.metrics, self.board = Metrics(), Board()
        self.outbox = Outbox(self.told, self.metrics, lambda name, error: chronicle.report(name, error))
        teller = Teller(self.outbox, "test", str, self.limits)
        chronicle = Chronicle(Journal(self.log, "plain", least="debug"), self.metrics, self.board, teller)
        self.source = Source(
            self.forge,  # type: ignore[arg-type]
            self.asks,
            self.wakeups,
            chronicle.report,
            3600.0,
            read=self.forge.read,
            judged=teller.note_look,
        )
        clients = Clients(self.nomad, self.consul, self.vault)
        self.service = Service(
            self.source,
            lambda fleet: Candidate(SETTINGS, fleet, "test", print, TIMING, lambda _: clients),
            self.connect,
            self.watch,
            self.wakeups,
            chronicle,
            self.pace,
            self.crew,
            clock=lambda: self.now,
        )

    def connect(self, settings: Settings, fleet: str) -> Servers:
        assert fleet == "demo" and settings.consul.guard
        self.guard = settings.consul.guard
        return self.servers

    @contextmanager
    def watch(self, fleet: str, settings: Settings, wakeups: Wakeups, report: Report) -> Iterator[None]:
        """The real watches, of the fake Consul."""
        places = Places(fleet)

        def follow(watch: Watch) -> None:
            follow_values(watch, self.consul, places.live, wakeups)

        def follow_suspended(watch: Watch) -> None:
            follow_suspensions(watch, self.consul, places, wakeups)

        watches = [
            Watch("consul-values", follow, lambda: None, report),
            Watch("suspensions", follow_suspended, lambda: None, report),
        ]
        for watch in watches:
            watch.start()
        try:
            yield
        finally:
            for watch in watches:
                watch.stop()
            assert [watch.join() for watch in watches] == [True, True]

    @contextmanager
    def serve(self) -> Iterator[Service]:
        """The service runs; when it is over, its loop has ended by itself and without an error."""
        errors: list[BaseException] = []

        def run() -> None:
            try:
                self.service.serve()
            except BaseException as error:
                errors.append(error)
                self.log.write(f"{error!r}\n")

        loop = threading.Thread(target=run, name="loop")
        with self.outbox, self.source:
            loop.start()
            try:
                yield self.service
            finally:
                self.service.stop()
                loop.join(DEADLINE_S)
        assert not loop.is_alive()
        assert errors == []

    def push(self, desired: Desired) -> None:
        """A merge, of which the forge tells."""
        self.forge.push(desired)
        self.asks.wake("webhook")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        assert poll(condition, DEADLINE_S), f"{what}:\n{self.log.getvalue()}"

    def count_cycles(self) -> float:
        return sum(
            sample.value
            for family in self.metrics.cycles.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        )

    def wait_cycle(self) -> None:
        """Until a cycle that began after this moment has ended: the first may have begun before."""
        for _ in range(2):
            before = self.count_cycles()
            self.wakeups.wake("drift")
            self.wait(lambda: self.count_cycles() > before, "waiting for a cycle")  # noqa: B023

    def is_quiet(self) -> bool:
        """Whether no cycle ends for a while, which is many cycles long."""
        before = self.count_cycles()
        return not poll(lambda: self.count_cycles() > before, 0.3)

    def has_lost(self) -> bool:
        """Whether the leader knows that it leads no more."""
        try:
            self.guard()
        except LeadershipLost:
            return True
        return False

    def read_epoch(self) -> tuple[int, bool]:
        """The leader's number, and whether the lock is held; 0 before there was any."""
        entry = self.consul.entries.get(RIGHTS.lock)
        if entry is None:
            return 0, False
        return read_lead(entry.key, entry.value).epoch, bool(entry.session)

    def deface(self, key: str) -> None:
        """What a hand does to a value in Consul."""
        entry = self.consul.entries[replacing.name(key).kv_key]
        self.consul.write(entry.key, b'{"files": {}}', entry.modify_index)

    def is_defaced(self, key: str) -> bool:
        return self.consul.entries[replacing.name(key).kv_key].value == b'{"files": {}}'


def make_fleet(commit: str, *boxes: str, image: str = "one") -> Desired:
    """A commit with these boxes, whose PBXes run that image."""
    return replacing.make_desired(commit, image, boxes=boxes)
