"""A stack that has taken a fleet's merged commit and its tokens, ready to be synced; and the requests it costs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.lab.fleets import write_offices
from bench.measure import hold_stack
from ritilib.clients.settings import Server, read_settings
from ritilib.devstack.demo.deploy import make_repository, propose_and_merge
from ritilib.devstack.demo.lab import Lab
from ritilib.devstack.demo.verdicts import Step
from ritilib.devstack.servers.http_api import call, expect
from ritilib.devstack.stack import Stack
from ritilib.gitops.desired import Desired, read_desired
from ritilib.sync.connect import connect_servers
from ritilib.sync.lead.election import Candidate, take_lead
from ritilib.sync.unit.apply import Servers

BRANCH = "main"


@dataclass
class Count:
    """HTTP requests that this process has sent, but for what a leader's clock asks for."""

    requests: int = 0


@contextmanager
def hold_lab(report: Callable[[str], None]) -> Iterator[Lab]:
    """A lab with a stack that is up and no fleet yet; all of it ends with the context."""
    with hold_stack(report) as stack, tempfile.TemporaryDirectory(prefix="riti-bench.") as folder:
        yield Lab(Path(folder), stack.state, report, stack)


def merge_fleet(lab: Lab, boxes: int, lone: bool = False) -> Desired:
    """Write a repository with so many boxes, merge it, bootstrap the servers, and read what is merged.

    lone: one of them is make_lone_office's.
    """
    steps = Step(1, "fleet")
    with tempfile.TemporaryDirectory(prefix="riti-bench.") as example:
        write_offices(Path(example), boxes, lone)
        make_repository(lab, steps, Path(example))
    propose_and_merge(lab, steps)
    tokens = lab.folder / "controller.json"
    words = (
        "bootstrap",
        "--repo",
        str(lab.forge),
        "--jwks-url",
        lab.running.jwks_url,
        "--tokens",
        str(tokens),
    )
    lab.run_riti(*words, extra=lab.management)
    lab.tokens = lab.management | json.loads(tokens.read_text())
    return read_desired(lab.forge, BRANCH)


@contextmanager
def lead_servers(lab: Lab, fleet: str) -> Iterator[Servers]:
    """What a sync needs, with a leader's tokens, as long as the context lasts."""
    with lead_crew(lab, fleet, 1) as [servers]:
        yield servers


@contextmanager
def lead_crew(lab: Lab, fleet: str, count: int) -> Iterator[list[Servers]]:
    """The same so many times, each with connections of its own."""
    with take_lead(Candidate(read_settings(lab.tokens), fleet, "bench", lab.report)) as leadership:
        yield [connect_servers(leadership.settings, fleet, lab.overlay) for _ in range(count)]


def refuse_work(stack: Stack) -> None:
    """Make the stack's one node ineligible: jobs are registered and evaluated, and nothing starts."""
    ask = ("X-Nomad-Token", stack.nomad_token)
    nodes = expect(*call("GET", f"{stack.nomad_address}/v1/nodes", *ask), "list Nomad's nodes")
    for node in nodes:
        body = {"NodeID": node["ID"], "Eligibility": "ineligible"}
        url = f"{stack.nomad_address}/v1/node/{node['ID']}/eligibility"
        expect(*call("POST", url, *ask, body), "make the node ineligible")


def open_session(server: Server) -> requests.Session:
    """A bare session for the floors: kept connections and the token, nothing of ours. Answers come unpacked, which is
    quicker here: a floor is what nobody goes below."""
    session = requests.Session()
    session.trust_env = False
    tokens = {"X-Nomad-Token": server.token, "X-Consul-Token": server.token}
    session.headers.update(tokens | {"Accept-Encoding": "identity"})
    return session


def post_job(session: requests.Session, server: Server, job: dict[str, Any]) -> None:
    """The floor of a registration: the client's body, for a job that is not there yet, and nothing else."""
    body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": 0}
    session.post(f"{server.address}/v1/job/{job['ID']}", json=body).raise_for_status()


@contextmanager
def count_requests() -> Iterator[Count]:
    """Count what all clients of this process send; they have `requests` in common."""
    count = Count()
    send = requests.Session.send

    def counted(
        self: requests.Session, request: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        count.requests += "/v1/session/renew/" not in str(request.url)
        return send(self, request, **options)  # type: ignore[arg-type]  # passed on as it came

    requests.Session.send = counted  # type: ignore[method-assign]
    try:
        yield count
    finally:
        requests.Session.send = send  # type: ignore[method-assign]
