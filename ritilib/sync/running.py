"""The whole controller put together: Git's mirror, the watches, the web, the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from ritilib.clients.consul import Consul
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.rate import Bucket
from ritilib.clients.settings import Settings
from ritilib.errors import RitiError
from ritilib.gitops.desired import Reader
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.remote import Remote
from ritilib.gitops.repository import BASE
from ritilib.reconcile.lost import LOST_AFTER
from ritilib.sync.chronicle import Chronicle
from ritilib.sync.connect import connect_servers
from ritilib.sync.drift import watch_drift
from ritilib.sync.enroll.registry import Registry
from ritilib.sync.journal import Journal
from ritilib.sync.lead.election import Candidate, shorten
from ritilib.sync.passing import Passing, run_passing
from ritilib.sync.service import CREW, Service
from ritilib.sync.source import Source
from ritilib.sync.tell.channels import list_channels
from ritilib.sync.tell.outbox import Outbox
from ritilib.sync.tell.settings import TellSettings
from ritilib.sync.tell.teller import Teller
from ritilib.sync.wake import Wakeups
from ritilib.sync.web.app import BODY_LIMIT, Web
from ritilib.sync.web.board import Board
from ritilib.sync.web.listen import listen
from ritilib.sync.web.metrics import Metrics
from ritilib.sync.web.settings import WebSettings

POLL_S = 30.0
PASS_TIMEOUT_S = 5.0  # so long a stop may have to wait for a webhook that is passed on


@dataclass(frozen=True)
class Options:
    """remote: the repository's address; mirror: a folder of this instance alone; poll_s: between two looks at it.

    who: what people are shown of this instance ("host:pid"). web: where it listens (None: nowhere). rewritten: a commit
    whose rewritten history is accepted. crew: units written at the same time; nomad_per_s: requests a second to Nomad
    at the most (None: as many as it answers). tell: who is told how it goes. lost_after: as sync_once has it.
    """

    remote: str
    mirror: Path
    who: str
    branch: str = BASE
    poll_s: float = POLL_S
    rewritten: str | None = None
    web: WebSettings | None = None
    crew: int = CREW
    nomad_per_s: float | None = None
    tell: TellSettings = field(default_factory=TellSettings)
    lost_after: timedelta = LOST_AFTER


@contextmanager
def run_controller(
    read: Callable[[], Settings], overlay: OverlayTool, options: Options, journal: Journal
) -> Iterator[Service]:
    """A service whose `serve` may be called while this lasts; all its threads have ended when it is over.

    read gives the servers with the standing tokens as they are now: it is called at each election, since Nomad renews
    the tokens of a task. Raises what it raises, GitopsError for an address or a folder that cannot be used, and
    RitiError where it cannot listen.
    """
    bucket = Bucket(options.nomad_per_s) if options.nomad_per_s else None
    wakeups, asks, passed = Wakeups(), Wakeups(), Wakeups()
    metrics = Metrics()
    tell = options.tell
    journal.hide(tell.list_secrets())

    def report(name: str, error: RitiError) -> None:
        chronicle.report(name, error)

    outbox = Outbox(list_channels(tell, journal.hide), metrics, report)
    teller = Teller(outbox, options.who, journal.redact, tell.limits)
    chronicle = Chronicle(journal, metrics, Board(), teller)
    remote = Remote(options.remote, options.branch, lambda: asks.is_closed)
    source = Source(
        Mirror(options.mirror, remote),
        asks,
        wakeups,
        chronicle.report,
        options.poll_s,
        options.rewritten,
        Reader().read,
        judged=teller.note_look,
    )

    def read_standing() -> Settings:
        settings = read()
        journal.hide(one.token for one in vars(settings).values())
        with suppress(RitiError):  # these keep nobody from leading; web and outbox report it
            journal.hide(tell.list_secrets())
            if options.web:
                journal.hide(one for secrets in options.web.read_secrets().values() for one in secrets)
        if bucket:
            settings = replace(settings, nomad=replace(settings.nomad, bucket=bucket))
        return settings

    read_standing()  # what is wrong with them is said at once
    service = Service(
        source,
        lambda fleet: Candidate(read_standing(), fleet, options.who, chronicle.note_waiting),
        lambda held, fleet: connect_servers(held, fleet, overlay),
        partial(watch_drift, asks=asks),
        wakeups,
        chronicle,
        crew=options.crew,
        enroll=Registry,
        lost_after=options.lost_after,
    )
    with ExitStack() as running:
        if options.web:
            web = Web(
                asks,
                chronicle.board,
                chronicle.metrics,
                options.web.read_secrets,
                options.branch,
                chronicle.report,
                leader=passed,
            )

            def say(words: str) -> None:
                journal.note("warning", "web", says=words)

            passing = Passing(
                passed,
                lambda: desired.fleet if (desired := source.desired) else None,
                lambda: Consul(shorten(read_standing(), PASS_TIMEOUT_S)),
                options.who,
            )
            running.enter_context(run_passing(passing, passed, chronicle.report))
            port = running.enter_context(listen(web, options.web.host, options.web.port, BODY_LIMIT, say))
            journal.note("info", "listening", host=options.web.host, port=port)
        running.enter_context(outbox)
        running.enter_context(source)
        yield service
