"""sync: one cycle, or the controller as a service."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Literal

import click

from ritilib.cli.options import json_option, repo_option, rev_option
from ritilib.cli.printing import print_json, print_problems, report
from ritilib.cli.servers import find_overlay_tool, print_suspended, print_waiting
from ritilib.clients.forge import FORGE_NAMES
from ritilib.clients.settings import read_settings
from ritilib.gitops.desired import read_desired, read_newer
from ritilib.gitops.repository import BASE
from ritilib.reconcile.lost import LOST_AFTER
from ritilib.sync.connect import connect_servers
from ritilib.sync.heap import share_heap
from ritilib.sync.journal import Journal
from ritilib.sync.lead.election import Candidate, take_lead
from ritilib.sync.once import sync_once
from ritilib.sync.running import POLL_S, Options, run_controller
from ritilib.sync.seen.once import publish_cycle
from ritilib.sync.service import CREW, MOST_CREW, Service
from ritilib.sync.tell.settings import FORGE_VARIABLE, read_tell_settings
from ritilib.sync.web.settings import LISTEN_VARIABLE, read_web_settings

PATIENCE_S = 60.0  # a controller that was killed leads for up to 31 s more (ritilib.reconcile.leading.Timing)
OF_ONCE = ("rev", "as_json", "replace", "wait")
OF_SERVICE = (
    "remote",
    "branch",
    "mirror",
    "listen",
    "forge",
    "poll",
    "accept_rewritten",
    "crew",
    "nomad_rate",
    "lost_after",
    "log",
)


@click.command()
@repo_option
@rev_option
@json_option
@click.option(
    "--once", is_flag=True, help="One cycle, and no service: with --rev, --json, --replace, --wait."
)
@click.option(
    "--replace",
    multiple=True,
    metavar="UNIT",
    help="A unit that is replaced although it has calls: from then on it takes none, and it ends with its last one, an "
    "hour later at the most. New calls meanwhile take their next way.",
)
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Stay until Nomad has judged the deployments."
)
@click.option(
    "--remote",
    metavar="URL",
    envvar="RITI_REMOTE",
    help="The repository that is followed, without a credential in its address; --repo, if it is on this machine.",
)
@click.option(
    "--branch", envvar="RITI_BRANCH", default=BASE, show_default=True, help="The branch that is followed."
)
@click.option(
    "--mirror",
    envvar="RITI_MIRROR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of this instance alone for its copy of the repository, kept between two starts.",
)
@click.option(
    "--listen",
    metavar="ADDR:PORT",
    envvar=LISTEN_VARIABLE,
    help="Answer /healthz, /readyz, /metrics and the forges' hooks, whose secrets are in RITI_HOOK_GITHUB, _GITEA, "
    "_GITLAB, or the same with _FILE.",
)
@click.option(
    "--forge",
    type=click.Choice(list(FORGE_NAMES)),
    envvar=FORGE_VARIABLE,
    help="Tell the forge how each commit fares, with the token in RITI_FORGE_TOKEN, or the same with _FILE. "
    "API and project follow from --remote, or are RITI_FORGE_URL and RITI_FORGE_PROJECT. RITI_NOTIFY_URL: who is "
    "notified too.",
)
@click.option(
    "--poll",
    type=click.FloatRange(min=1.0),
    envvar="RITI_POLL",
    default=POLL_S,
    show_default=True,
    help="Seconds between two looks at the repository; a hook is faster.",
)
@click.option(
    "--accept-rewritten",
    metavar="COMMIT",
    help="The full id of a commit that a person looked at, and whose rewritten history is accepted.",
)
@click.option(
    "--crew",
    type=click.IntRange(1, MOST_CREW),
    envvar="RITI_CREW",
    default=CREW,
    show_default=True,
    help="How many boxes are written at the same time, over a connection each to each server.",
)
@click.option(
    "--nomad-rate",
    type=click.FloatRange(min=0.1),
    envvar="RITI_NOMAD_RATE",
    help="Requests a second to Nomad at the most; without it as many as it answers.",
)
@click.option(
    "--lost-after",
    type=click.FloatRange(min=1.0),
    envvar="RITI_LOST_AFTER",
    default=LOST_AFTER.total_seconds(),
    show_default=True,
    help="Seconds without its host's word until a PBX gets another host, where there is one.",
)
@click.option(
    "--log",
    type=click.Choice(["json", "plain"]),
    envvar="RITI_LOG",
    default="json",
    show_default=True,
    help="The form of the lines on standard output.",
)
@click.pass_context
def sync(
    context: click.Context,
    repo: Path,
    rev: str,
    as_json: bool,
    once: bool,
    replace: tuple[str, ...],
    wait: bool,
    remote: str | None,
    branch: str,
    mirror: Path | None,
    listen: str | None,
    forge: str | None,
    poll: float,
    accept_rewritten: str | None,
    crew: int,
    nomad_rate: float | None,
    lost_after: float,
    log: Literal["json", "plain"],
) -> None:
    """Make Nomad, Consul and Vault equal to the merged commit, and keep them so until it is ended (SIGTERM).

    With --once: one cycle. One controller writes at a time; others wait, and follow when it ends.

    \b
    Example: riti sync --remote https://forge.example/telephones.git --mirror /var/lib/riti --listen 0.0.0.0:8080
    Example: riti sync --once --repo telephones.git
    """
    _refuse_mixed(context, once)
    if once:
        _sync_once(repo, rev, as_json, replace, wait)
        return
    if mirror is None:
        raise click.UsageError(
            "name a folder of this instance for its copy of the repository: --mirror DIR; or --once"
        )
    overlay = find_overlay_tool()
    web = read_web_settings({**os.environ, LISTEN_VARIABLE: listen or ""})
    followed = remote or str(repo)
    options = Options(
        followed,
        mirror,
        _name_instance(),
        branch,
        poll,
        accept_rewritten,
        web,
        crew,
        nomad_rate,
        read_tell_settings({**os.environ, FORGE_VARIABLE: forge or ""}, followed, branch),
        timedelta(seconds=lost_after),
    )
    read = partial(read_settings, os.environ)
    share_heap()
    with run_controller(read, overlay, options, Journal(sys.stdout, log)) as service:
        _serve(service)


def _refuse_mixed(context: click.Context, once: bool) -> None:
    """UsageError where an option of the other way was typed; variables of a service's environment harm no --once."""
    foreign = [
        option.opts[0]
        for option in context.command.params
        if option.name in (OF_SERVICE if once else OF_ONCE)
        and context.get_parameter_source(option.name) == click.core.ParameterSource.COMMANDLINE
    ]
    if foreign:
        way = "is for the service, without --once" if once else "is for --once"
        raise click.UsageError(f"{', '.join(foreign)} {way}")


def _serve(service: Service) -> None:
    """Until SIGTERM or SIGINT. A thread of its own tells the service: the handler may hold what `stop` needs."""
    tellers: list[threading.Thread] = []

    def end(_number: int, _frame: FrameType | None) -> None:
        teller = threading.Thread(target=service.stop, name="end")
        tellers.append(teller)
        teller.start()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        service.serve()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for teller in tellers:
            teller.join()


def _name_instance() -> str:
    """What people are shown of it; in a Nomad job, whose processes all have the same number, by its allocation."""
    allocation = os.environ.get("NOMAD_ALLOC_ID", "")
    return f"{socket.gethostname()}:{allocation[:8] or os.getpid()}"


def _sync_once(repo: Path, rev: str, as_json: bool, replace: tuple[str, ...], wait: bool) -> None:
    settings = read_settings(os.environ)
    desired, tool = read_desired(repo, rev), find_overlay_tool()
    candidate = Candidate(settings, desired.fleet, _name_instance(), report)
    newest = partial(read_newer, repo, rev)
    journal = Journal(sys.stderr, "plain", least="warning")
    with take_lead(candidate, PATIENCE_S) as leadership:
        servers = connect_servers(leadership.settings, desired.fleet, tool)
        run = partial(sync_once, desired, servers, replace, report, wait, newest=newest)
        done = publish_cycle(desired, servers.consul, leadership, journal, run)
    if as_json:
        print_json(done)
    else:
        gone = (
            f"{len(done.stopped)} stopped, {len(done.purged)} removed, "
            if done.stopped or done.purged
            else ""
        )
        click.echo(f"{done.commit[:12]}: {len(done.changed)} changed, {gone}{done.unchanged} as wished")
        print_waiting(done.waiting)
        print_suspended(done.pauses)
    print_problems((*done.held, *done.problems, *done.down))
    if not done.is_clean:
        sys.exit(1)
