"""Real PBXes whose offices are offline are replaced in a rollout: each is judged by itself, and none goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.sync.observe import Places
from tests.faults.rows import SERVERS
from tests.faults.servers import Servers
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet, hold_image, know_author, make_fleet
from tests.integration.holdings import Holdings

OFFLINE = SERVERS[5]
NAME = "offline"
OFFICES = ("acme/montevideo", "acme/salto")
DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two offices whose boxes were never plugged in, and all PBXes in one wave."""
    folder = tmp_path_factory.mktemp(NAME)
    with know_author():
        made = make_fleet(stack, folder, NAME, 4336, lambda text: text + "rollout: {canaries: 2}\n")
        for number, office in enumerate(OFFICES):
            made.write_box(*office.split("/"), f"{number + 1}01")
        made.merge_change("two offices")
    holdings = Holdings(NAME, stack.environment())
    try:
        assert made.sync().is_clean
        yield made
    finally:
        holdings.remove(folder / "log")


@pytest.fixture(scope="module")
def fleets(fleet: Fleet) -> tuple[Fleet, ...]:
    return (fleet,)


def read_words(fleet: Fleet, servers: Servers) -> dict[str, dict[str, Any]]:
    """unit → what the watcher in its running PBX says."""
    units = {fleet.names(key).job_id: key for key in OFFICES}
    found = {}
    for one in servers.get("NOMAD", "allocations"):
        if one["JobID"] in units and (one["ClientStatus"], one["DesiredStatus"]) == ("running", "run"):
            said = servers.ask("NOMAD", "GET", f"client/fs/cat/{one['ID']}?path=alloc/data/pbx.json")
            found[units[one["JobID"]]] = json.loads(said.text) if said.status_code == 200 else {}
    return found


@pytest.mark.row(OFFLINE)
def test_an_offline_office_marks_no_good_spec_as_bad(
    stack: Stack, fleet: Fleet, witness: Witness, tmp_path: Path
) -> None:
    servers = Servers(stack.environment())

    def is_offline() -> bool:
        words = read_words(fleet, servers)
        return len(words) == 2 and all(
            (one.get("status"), one.get("link")) == ("idle", "down") for one in words.values()
        )

    wait_until(is_offline, DEADLINE_S, "waiting for PBXes that miss their boxes", tmp_path)
    with hold_image(stack, NAME) as image:
        file = fleet.work / "fleet/fleet.yaml"
        file.write_text(file.read_text().replace("pbx: riti/pbx:dev", f"pbx: {image}"))
        with know_author():
            fleet.merge_change("the next image")
        done = fleet.sync()
        assert (done.is_clean, sorted(done.changed)) == (True, sorted(OFFICES)), done
        for key in OFFICES:
            record = servers.ask("CONSUL_HTTP", "GET", f"kv/{Places(NAME).record(key)}?raw").json()
            assert (record["judged"], record["bad_job"], record["commit"]) == ("good", "", done.commit)
            job = servers.get("NOMAD", f"job/{fleet.names(key).job_id}")
            images = [task["Config"]["image"] for task in job["TaskGroups"][0]["Tasks"]]
            assert image in images
        wait_until(is_offline, DEADLINE_S, "waiting for the next PBXes' words", tmp_path)
        assert fleet.sync().changed == ()
