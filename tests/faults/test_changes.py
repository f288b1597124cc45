"""Rows about commits that are merged in earnest and are bad: a task that fails, offices that leave in a crowd."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.faults.lab import ESTE, MONTEVIDEO, OESTE, OFFICES, RIVERA, SALTO, Lab
from tests.faults.standins import find_standin
from tests.faults.witness import Witness

PAUSE, LATER = timedelta(minutes=31), timedelta(days=2)  # certificates are due after a week


def replace_image(lab: Lab, before: str, after: str) -> str:
    """Merge another image for all PBXes."""
    file = lab.fleet.work / "fleet/fleet.yaml"
    file.write_text(file.read_text().replace(f"pbx: riti/pbx:{before}", f"pbx: riti/pbx:{after}"))
    return lab.merge(f"the PBX runs {after}")


def read_images(lab: Lab) -> dict[str, str]:
    """Office → the image that its job wishes."""
    jobs = {one["ID"]: one for one in lab.holdings.read_jobs()}
    return {
        key: find_standin(jobs[lab.fleet.names(key).job_id])["Env"]["IMAGE"].rpartition(":")[2]
        for key in OFFICES
    }


def read_judged(lab: Lab, key: str) -> str:
    """What the inventory says became of the office's last replacement."""
    return str(json.loads(lab.holdings.read_kv()[f"riti/{lab.fleet.name}/inventory/{key}"])["judged"])


def count_versions(lab: Lab) -> dict[str, int]:
    return {one["ID"]: one["Version"] for one in lab.holdings.read_jobs()}


@pytest.mark.row("a spec whose task fails")
def test_a_task_that_fails_is_tried_once_and_goes_back(lab: Lab, witness: Witness) -> None:
    """One canary is tried and goes back, nobody else; nor later, nor by another controller; the next spec is."""
    lab.fleet.say_calls(MONTEVIDEO, 2)
    lab.wait(lambda: says_calls(lab, MONTEVIDEO), "waiting until Montevideo says that it has a call")
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    # a wave without a single one that could be replaced is waited for, so it is not left to chance who is first
    lab.fleet.write(
        f"boxes/{RIVERA}.yaml",
        'name: rivera\ncanary: true\nextensions:\n  - {number: "301", name: Phone 301, phone: sip}\n',
    )
    before = count_versions(lab)
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        witness.let_go_back(lab.fleet, *OFFICES)
        replace_image(lab, "dev", "broken")
        one.wait_problem("did not come up as it is wished, and went back")
        after = count_versions(lab)
        tried = {job: versions - before[job] for job, versions in after.items() if versions != before[job]}
        assert list(tried.values()) == [2], "one canary: the bad one, and back"
        for ahead in (PAUSE, LATER):
            lab.clock.ahead += ahead
            one.cycle()
        assert set(read_images(lab).values()) == {"dev"}
    with lab.serve("two") as two:
        two.cycle()
        two.wait_problem("stays what it was: its wished job did not come up")
        assert count_versions(lab) == after
        replace_image(lab, "broken", "next")
        lab.wait(lambda: "next" in read_images(lab).values(), "waiting until the next one is tried")

        def is_all_but_busy() -> bool:
            two.cycle()
            images = read_images(lab)
            new = [key for key in OFFICES if images[key] == "next"]
            if new and all(read_judged(lab, key) == "good" for key in new):
                lab.clock.ahead += PAUSE  # after each wave
            return [key for key in OFFICES if key not in new] == [MONTEVIDEO]

        lab.wait(is_all_but_busy, "waiting until all but the one with a call are replaced")
        two.wait_problem(f"{MONTEVIDEO} is held back", "held")
        witness.release_calls()
        lab.fleet.say_calls(MONTEVIDEO, 0)
        lab.wait(lambda: read_images(lab)[MONTEVIDEO] == "next", "waiting until its call has ended")


def says_calls(lab: Lab, key: str) -> bool:
    """Whether its word, as the controller reads it, says that it is busy."""
    job = lab.fleet.names(key).job_id
    [alloc] = [
        one["ID"]
        for one in lab.holdings.list_allocations()
        if one["JobID"] == job and one["ClientStatus"] == "running"
    ]
    return lab.holdings.nomad("GET", f"client/fs/cat/{alloc}?path=alloc/data/pbx.json")["channels"] > 0


@pytest.mark.row("mass deletion by an honest commit")
def test_a_mass_deletion_is_held_until_it_is_approved(lab: Lab, witness: Witness) -> None:
    """Three of five offices leave in one merge; weeks pass; then it is approved, and one of them has a call."""
    lab.fleet.say_calls(ESTE, 1)
    lab.wait(lambda: says_calls(lab, ESTE), "waiting until Este says that it has a call")
    witness.hold_calls(lab.fleet, MONTEVIDEO, ESTE)
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        (lab.fleet.work / "fleet/companies/zorro.yaml").unlink()
        for key in (RIVERA, ESTE, OESTE):
            lab.remove_box(key)
        lab.merge("Zorro leaves, and Rivera closes")
        one.wait_problem("all are held: acme/rivera, zorro/este, zorro/oeste", "held")
        for _ in range(2):
            lab.clock.ahead += LATER
            one.cycle()
        assert all(lab.is_running(key) for key in OFFICES)
        file = lab.fleet.work / "fleet/fleet.yaml"
        file.write_text(file.read_text() + "removals: [zorro, acme/rivera]\n")
        witness.let_go(lab.fleet, RIVERA, ESTE, OESTE)
        lab.merge("they may go")
        lab.wait(
            lambda: not (lab.is_running(RIVERA) or lab.is_running(OESTE)), "waiting until they are stopped"
        )
        one.cycle()
        assert lab.is_running(ESTE), "it has a call"
        witness.release_calls()
        witness.hold_calls(lab.fleet, MONTEVIDEO)
        lab.fleet.say_calls(ESTE, 0)

        def is_stopped() -> bool:
            one.cycle()
            return not lab.is_running(ESTE)

        lab.wait(is_stopped, "waiting until Este's call has ended")
        assert lab.is_running(MONTEVIDEO) and lab.is_running(SALTO)
