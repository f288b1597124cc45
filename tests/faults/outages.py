"""A fleet whose controller reaches its servers through relays that can fail: what the rows of outages start from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ritilib.devstack.controllers import SECRET, Instance, start_controller
from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from tests.faults.failing import Failing, hold_failing, name_addresses
from tests.faults.servers import Servers
from tests.faults.standins import StandinFleet
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet, know_author, make_fleet
from tests.integration.holdings import Holdings

DEADLINE_S = 120.0
MONTEVIDEO, SALTO = "acme/montevideo", "acme/salto"
CONTROLLER = ("--listen", "127.0.0.1:0", "--poll", "3600")


@dataclass
class Served:
    """Two offices and one controller. Montevideo has a call in every row; Salto gets other telephones in each."""

    fleet: StandinFleet
    relays: Mapping[str, Failing]
    servers: Servers
    folder: Path
    controllers: list[Instance] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(300))
    number: str = ""  # the telephone that the newest commit gives Salto

    @property
    def controller(self) -> Instance:
        return self.controllers[-1]

    def start(self, environ: Mapping[str, str] | None = None) -> Instance:
        """One more controller; environ is put over the fleet's own."""
        said = {**self.fleet.controller, **name_addresses(self.relays), "RITI_HOOK_GITEA": SECRET}
        name = f"controller-{len(self.controllers)}"
        remote = str(self.fleet.forge)
        made = start_controller(self.folder, name, remote, {**said, **(environ or {})}, CONTROLLER)
        self.controllers.append(made)
        return made

    def merge(self) -> str:
        """A commit that gives Salto another telephone: its secrets, its dial plan and Montevideo's change."""
        self.number = str(next(self.numbers))
        with know_author():
            self.fleet.write_box(*SALTO.split("/"), "201", self.number)
            return self.fleet.merge_change(f"Salto gets {self.number}")

    def merge_and_tell(self) -> str:
        """The same, and the forge's webhook; the commit."""
        commit = self.merge()
        self.controller.tell_push()
        return commit

    def has_newest(self) -> bool:
        """Whether Salto's value in Consul says what the newest commit wishes."""
        return self.has_number(self.number)

    def has_number(self, number: str) -> bool:
        answer = self.servers.ask("CONSUL_HTTP", "GET", f"kv/{self.fleet.names(SALTO).kv_key}?raw")
        return answer.status_code == 200 and number in json.loads(answer.text)["files"]["extensions.conf"]

    def begin_call(self, witness: Witness) -> None:
        """From here to the end of the row Montevideo's PBX has a call."""
        self.fleet.say_calls(MONTEVIDEO, 2)
        witness.hold_calls(self.fleet, MONTEVIDEO)

    def count_lines(self) -> int:
        return len(self.controller.log.read_text().splitlines())

    def find_told(self, server: str, after: int) -> list[dict[str, Any]]:
        """Lines of the journal from this one on that name the server and say what to do about it."""
        lines = self.controller.log.read_text().splitlines()[after:]
        told = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [one for one in told if server in str(one.get("what", "")) and one.get("mend")]

    def wait_told(self, server: str, after: int) -> None:
        log = self.controller.log
        wait_until(
            lambda: bool(self.find_told(server, after)), DEADLINE_S, f"waiting to hear of {server}", log
        )

    def wait_applied(self, commit: str) -> None:
        """Until a whole cycle has brought everything to this commit, and it is there."""

        def is_applied() -> bool:
            told = self.controller.events("cycle")
            return any(one["commit"] == commit and one["whole"] for one in told)

        wait_until(is_applied, DEADLINE_S, f"waiting for {commit[:12]} to be applied", self.controller.log)
        assert self.has_newest()

    def wait_running(self) -> None:
        """Until the tasks of all units have started: a start that is still to come would look like a second one."""
        keys = (MONTEVIDEO, SALTO, "lighthouse/one")

        def run() -> bool:
            found = self.servers.get("NOMAD", "allocations")
            return {one["JobID"] for one in found if one["ClientStatus"] == "running"} >= {
                self.fleet.names(key).job_id for key in keys
            }

        wait_until(run, DEADLINE_S, "waiting for the PBXes", self.controller.log)

    def find_pids(self) -> dict[str, str]:
        """pid → unit, of the stand-ins that run, as the kernel knows them: no server is asked."""
        jobs = {f"NOMAD_JOB_ID={self.fleet.names(key).job_id}": key for key in (MONTEVIDEO, SALTO)}
        found: dict[str, str] = {}
        parents: dict[str, str] = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if b"standin.sh\0%b\0" % bytes(self.fleet.calls) in (place / "cmdline").read_bytes():
                    environ = (place / "environ").read_bytes().decode(errors="replace").split("\0")
                    parents[place.name] = (place / "stat").read_text().rpartition(")")[2].split()[1]
                    for job in jobs.keys() & set(environ):
                        found[place.name] = jobs[job]
        # a stand-in's own children have its command line for a moment
        return {pid: key for pid, key in found.items() if parents[pid] not in found}

    def assert_alive(self) -> None:
        assert self.controller.process.poll() is None, self.controller.log.read_text()[-2000:]
        assert self.controller.ask("healthz").status_code == 200


def make_standins(
    stack: Stack,
    folder: Path,
    name: str,
    lighthouse_port: int,
    kind: type[StandinFleet] = StandinFleet,
) -> StandinFleet:
    """A fleet of two offices that is merged and bootstrapped, and not synced yet."""
    with know_author():
        made: Fleet = make_fleet(stack, folder, name, lighthouse_port)
        fleet = kind(**vars(made))
        fleet.write_box(*MONTEVIDEO.split("/"), "101")
        fleet.write_box(*SALTO.split("/"), "201")
        fleet.merge_change("two offices")
    return fleet


@contextmanager
def hold_served(
    stack: Stack,
    folder: Path,
    name: str,
    lighthouse_port: int,
    environ: Mapping[str, str] | None = None,
    kind: type[StandinFleet] = StandinFleet,
) -> Iterator[Served]:
    """The fleet, synced, and its controller (environ: put over the fleet's own), while the context lasts."""
    fleet = make_standins(stack, folder, name, lighthouse_port, kind)
    servers = Servers(stack.environment())
    with hold_failing(stack.environment()) as relays:
        served = Served(fleet, relays, servers, folder)
        try:
            served.start(environ)
            served.wait_applied(served.merge_and_tell())
            served.wait_running()
            yield served
        finally:
            for one in served.controllers:
                one.end()
            Holdings(name, stack.environment()).remove(folder / "log")
