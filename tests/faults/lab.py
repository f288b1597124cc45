"""A fleet of stand-ins, and the controller as a service in this process, whose clock is the test's."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ritilib.clients.nebula import OverlayTool
from ritilib.clients.settings import read_settings
from ritilib.devstack.controllers import DEADLINE_S, Told
from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.sync.journal import Journal
from ritilib.sync.running import Options, run_controller
from ritilib.sync.service import Service
from tests.faults.standins import StandinFleet
from tests.integration.fleets import know_author, make_fleet
from tests.integration.holdings import Holdings

POLL_S = 1.0
MONTEVIDEO, RIVERA, SALTO = "acme/montevideo", "acme/rivera", "acme/salto"
ESTE, OESTE = "zorro/este", "zorro/oeste"
OFFICES = {MONTEVIDEO: "101", RIVERA: "301", SALTO: "201", ESTE: "401", OESTE: "402"}


@dataclass
class Clock:
    """This machine's time, and how far the test has set it off."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Controller(Told):
    """A service that runs in a thread of this process."""

    service: Service

    def count_cycles(self) -> int:
        read = self.service.chronicle.metrics.registry.get_sample_value
        counts = [
            read("riti_cycles_total", {"outcome": outcome}) for outcome in ("clean", "problems", "failed")
        ]
        return int(sum(one or 0.0 for one in counts))

    def cycle(self) -> dict[str, Any]:
        """A cycle that begins from now on, whole; what it told ({}: it failed as a whole)."""
        for _ in range(2):  # one may have begun before
            before = self.count_cycles()
            told = len(self.events("cycle"))
            self.service.wakeups.wake("drift")
            wait_until(lambda: self.count_cycles() > before, DEADLINE_S, "waiting for a cycle", self.log)  # noqa: B023
        cycles = self.events("cycle")
        return cycles[-1] if len(cycles) > told else {}

    def settle(self, commit: str) -> None:
        """Until a cycle with this commit has done all, or finds nothing more that it can do."""

        def is_settled() -> bool:
            last = (self.events("cycle") or [{}])[-1]
            is_quiet = not last.keys() & {"changed", "left", "stopped", "purged"}
            return last.get("commit") == commit and (is_quiet or last["whole"])

        wait_until(is_settled, DEADLINE_S, f"waiting until {commit[:12]} is applied", self.log)

    def list_problems(self, event: str = "problem") -> list[str]:
        return [one["what"] for one in self.events(event)]

    def wait_problem(self, words: str, event: str = "problem") -> None:
        """event: "problem" of a cycle, "not-done" of a part ("git", a watch), "held"."""
        wait_until(
            lambda: any(words in one for one in self.list_problems(event)),
            DEADLINE_S,
            f"waiting for `{words}`",
            self.log,
        )


@dataclass
class Lab:
    """Offices of one or more companies, with stand-ins for their PBXes."""

    fleet: StandinFleet
    holdings: Holdings
    folder: Path
    clock: Clock = field(default_factory=Clock)

    @contextmanager
    def serve(
        self,
        name: str = "one",
        remote: str = "",
        environ: Mapping[str, str] | None = None,
        rewritten: str | None = None,
        mirror: Path | None = None,
        poll_s: float = POLL_S,
    ) -> Iterator[Controller]:
        """The whole controller (`run_controller`) while it lasts; it is as kept as its mirror, and the log goes on.

        environ: addresses that differ, such as a relay's.
        """
        settings = read_settings({**self.fleet.controller, **(environ or {})})
        tool = OverlayTool(Path(self.fleet.controller["RITI_NEBULA_CERT"]))
        folder = mirror or self.folder / f"mirror-{name}"
        options = Options(remote or str(self.fleet.forge), folder, name, poll_s=poll_s, rewritten=rewritten)
        log = self.folder / f"{name}.log"
        failures: list[BaseException] = []
        with (
            log.open("a") as stream,
            run_controller(
                lambda: settings, tool, options, Journal(stream, "json", least="debug")
            ) as service,
        ):
            service.clock = self.clock
            thread = threading.Thread(target=_run, args=(service.serve, failures), name=f"controller {name}")
            thread.start()
            try:
                yield Controller(log, service)
            finally:
                service.stop()
                thread.join(DEADLINE_S)
        assert not thread.is_alive(), f"the controller {name} does not end"
        assert not failures, failures

    def merge(self, message: str = "a change") -> str:
        return self.fleet.merge_change(message)

    def remove_box(self, key: str) -> None:
        (self.fleet.work / f"fleet/boxes/{key}.yaml").unlink()

    def is_running(self, key: str) -> bool:
        job = self.fleet.names(key).job_id
        return any(
            one["JobID"] == job and one["ClientStatus"] == "running"
            for one in self.holdings.list_allocations()
        )

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        wait_until(holds, DEADLINE_S, what, self.folder / "one.log")


def _run(serve: Callable[[], None], failures: list[BaseException]) -> None:
    try:
        serve()
    except BaseException as error:
        failures.append(error)


@contextmanager
def hold_lab(
    stack: Stack,
    folder: Path,
    offices: Mapping[str, str],
    name: str = "",
    settings: Callable[[str], str] = str,
) -> Iterator[Lab]:
    """A fleet that was synced once; offices: key ("acme/salto") → its extension. All of it goes with the context.

    name: "" for one that no fleet had before; settings: what becomes of fleet.yaml's text.
    """
    name = name or f"f{uuid.uuid4().hex[:6]}"
    with know_author():
        made = make_fleet(stack, folder, name, 4242, settings)  # no lighthouse listens: it is a stand-in too
    fleet = StandinFleet(**vars(made))
    for company in sorted({key.split("/")[0] for key in offices}):
        fleet.write(f"companies/{company}.yaml", f"name: {company}\n")
    for key, number in offices.items():
        fleet.write_box(*key.split("/"), number)
    lab = Lab(fleet, Holdings(name, stack.environment()), folder)
    lab.merge("the offices")
    try:
        done = fleet.sync()
        assert done.is_clean, done.problems
        yield lab
    finally:
        lab.holdings.remove(folder / "one.log")
