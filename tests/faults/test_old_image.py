"""A PBX that stays on its old image because of a call, while commits bring it new configuration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ritilib.devstack.processes import poll, wait_until
from ritilib.devstack.stack import Stack
from tests.faults.outages import DEADLINE_S, MONTEVIDEO, SALTO, Served, hold_served
from tests.faults.rows import SERVERS
from tests.faults.standins import find_standin
from tests.faults.witness import Witness
from tests.integration.fleets import Fleet, know_author

OLD = SERVERS[6]
NAME = "image"
QUIET_S = 8.0  # longer than the pause between two questions whether it still has a call


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with hold_served(stack, tmp_path_factory.mktemp(NAME), NAME, 4335) as made:
        yield made


@pytest.fixture(scope="module")
def fleets(served: Served) -> tuple[Fleet, ...]:
    return (served.fleet,)


def read_value(served: Served, key: str) -> str:
    return served.servers.ask("CONSUL_HTTP", "GET", f"kv/{served.fleet.names(key).kv_key}?raw").text


def read_image(served: Served, key: str) -> str:
    """The image that the registered job names."""
    job = served.servers.get("NOMAD", f"job/{served.fleet.names(key).job_id}")
    return str(find_standin(job)["Env"]["IMAGE"])


@pytest.mark.row(OLD)
def test_its_configuration_waits_with_its_image_until_the_call_ends(served: Served, witness: Witness) -> None:
    """Job and value go together (rule 11): the new dial plan may need the new image. The other PBX does not wait."""
    served.begin_call(witness)
    held, pids = read_value(served, MONTEVIDEO), served.find_pids()
    file = served.fleet.work / "fleet/fleet.yaml"
    text = file.read_text().replace("pbx: riti/pbx:dev", "pbx: riti/pbx:next")
    file.write_text(text + "rollout: {canaries: 2}\n")
    served.number = "401"
    with know_author():
        served.fleet.write_box(*SALTO.split("/"), "201", "401")
        served.fleet.merge_change("the next image, and another telephone in Salto")
    served.controller.tell_push()
    log = served.controller.log
    wait_until(
        lambda: read_image(served, SALTO) == "riti/pbx:next",
        DEADLINE_S,
        "waiting for Salto's next image",
        log,
    )
    assert served.has_number("401")
    newest = served.merge_and_tell()
    wait_until(served.has_newest, DEADLINE_S, "waiting for Salto's next configuration", log)

    def is_touched() -> bool:
        return read_value(served, MONTEVIDEO) != held or read_image(served, MONTEVIDEO) != "riti/pbx:dev"

    assert not poll(is_touched, QUIET_S)
    montevideo = {pid for pid, key in pids.items() if key == MONTEVIDEO}
    assert montevideo <= served.find_pids().keys()
    witness.release_calls()
    served.fleet.say_calls(MONTEVIDEO, 0)
    served.wait_applied(newest)
    assert read_image(served, MONTEVIDEO) == "riti/pbx:next"
    assert served.number in read_value(served, MONTEVIDEO)
    assert not montevideo & served.find_pids().keys()
    served.assert_alive()
