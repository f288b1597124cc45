"""1,000 boxes of which 10 never come up: the others do, and the 10 are tried once and cost nothing from then on.

Nomad keeps an executor of its own beside each task, of 13.5 MB of memory that nobody shares, and as much again for its
log, where it is to keep one: so it is not. So many as fit into the machine's memory are run, up to 1,000, and how many
that were is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab.fleets import write_offices
from ritilib.devstack.controllers import SECRET, start_controller
from ritilib.devstack.processes import poll, wait_until
from ritilib.devstack.stack import Stack
from tests.faults.servers import Servers
from tests.faults.standins import StandinFleet, swap_job
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet, know_author, make_fleet
from tests.integration.relay import Ledger, hold_relays

NAME = "many"
FAILING = 10
MOST_BOXES, LEAST_BOXES = 1_000, 100
EXECUTOR_MB, OTHERS_MB = 15, 4_000  # the servers, the controller and the test are the others
DEADLINE_S = 3_600.0  # the first sync of them, on a machine that does something else too
QUIET_S = 5.0
# what Nomad, Consul and Vault are asked for by a cycle that finds nothing to do, and by the commit that began it
QUIET_REQUESTS = 12
_BODY = re.compile(r"    restart \{.*\Z", re.DOTALL)
# with the 50 MB of a PBX, the disk of a machine would be what stops them
_DISK = re.compile(r"(ephemeral_disk \{\n +size += )\d+\n")
_ALONE = """\
    restart {{
      attempts = 0
      mode     = "fail"
    }}
    reschedule {{
      attempts  = 0
      unlimited = false
    }}
    task "pbx" {{
      driver = "raw_exec"
      config {{
        command = "/bin/sleep"
        args    = ["{argument}"]
      }}
      logs {{
        disabled      = true
        max_files     = 1 # counted all the same
        max_file_size = 1
      }}
      resources {{
        cpu    = 1
        memory = 10
      }}
    }}
  }}
}}
"""


def count_fitting() -> int:
    """How many sleeping boxes the machine has memory for."""
    [available_kb] = re.findall(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    fitting = min(MOST_BOXES, (int(available_kb) // 1024 - OTHERS_MB) // EXECUTOR_MB)
    assert fitting >= LEAST_BOXES, "this row needs 6 GB of free memory"
    return fitting


class SleepingFleet(StandinFleet):
    """Its PBXes sleep; those of `find_failing` end at once with an error."""

    def count_boxes(self) -> int:
        return len(list((self.work / "fleet/boxes").glob("*/*.yaml")))

    def find_failing(self) -> list[str]:
        """FAILING boxes, spread over all companies."""
        boxes = sorted((self.work / "fleet/boxes").glob("*/*.yaml"))
        return [f"{one.parent.name}/{one.stem}" for one in boxes[:: len(boxes) // FAILING][:FAILING]]

    def swap(self, key: str, text: str) -> str:
        swapped = swap_job(text, self.calls)
        if key.startswith("_fleet/"):
            return swapped
        argument = "never" if key in self.find_failing() else "infinity"
        return _BODY.sub(lambda _: _ALONE.format(argument=argument), _DISK.sub(r"\g<1>10\n", swapped))


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SleepingFleet]:
    with know_author():
        made = make_fleet(stack, tmp_path_factory.mktemp(NAME), NAME, 4339)
        fleet = SleepingFleet(**vars(made))
        (fleet.work / "fleet/companies/acme.yaml").unlink()
        boxes = count_fitting()
        print(f"\n{boxes} boxes of which {FAILING} fail")
        write_offices(fleet.work / "fleet", boxes)
        fleet.merge_change("all offices")
        yield fleet


@pytest.fixture(scope="module")
def fleets(fleet: SleepingFleet) -> tuple[Fleet, ...]:
    return (fleet,)


def count_running(servers: Servers) -> int:
    listed = servers.get("NOMAD", f"jobs?prefix={NAME}--c") or []
    return sum(group["Running"] for job in listed for group in job["JobSummary"]["Summary"].values())


@pytest.mark.slow
@pytest.mark.row("1,000 boxes of which 10 always fail")
def test_ten_boxes_that_never_come_up_stop_no_other_and_are_tried_once(
    fleet: SleepingFleet, witness: Witness, env: dict[str, str], tmp_path: Path
) -> None:
    servers, ledger = Servers(env), Ledger()
    failing = fleet.find_failing()
    assert len(failing) == FAILING
    boxes = fleet.count_boxes()
    with hold_relays(env, ledger) as through:
        environ = {**fleet.controller, **through, "RITI_HOOK_GITEA": SECRET}
        options = ("--listen", "127.0.0.1:0", "--poll", "3600")
        controller = start_controller(tmp_path, "controller", str(fleet.forge), environ, options)
        try:
            log = controller.log

            def has_all_but_them() -> bool:
                return count_running(servers) == boxes - FAILING

            wait_until(has_all_but_them, DEADLINE_S, "waiting until all others run", log)

            def is_quiet() -> bool:
                ledger.clear()
                return not poll(lambda: bool(ledger.requests), QUIET_S)

            wait_until(is_quiet, DEADLINE_S, "waiting until there is nothing to do", log)
            for round_ in range(3):
                commit = fleet.push(f"nothing changes, {round_}")
                controller.tell_push()
                controller.wait_for("cycle", commit=commit)
                wait_until(lambda: bool(ledger.requests), DEADLINE_S, "waiting for its requests", log)
            assert len(ledger.requests) <= 3 * QUIET_REQUESTS, ledger.requests
            ids = [fleet.names(key).job_id for key in failing]
            assert not [one for one in ledger.requests if any(job_id in one for job_id in ids)]
            assert [servers.get("NOMAD", f"job/{job_id}")["Version"] for job_id in ids] == [0] * FAILING
            assert has_all_but_them()
        finally:
            controller.end()
            fleet.forget_leader()
