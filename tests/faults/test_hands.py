"""Rows about what others do in Nomad: their hands on our jobs, and jobs of theirs that look like ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ritilib.devstack.stack import Stack
from tests.faults.lab import Controller, Lab, hold_lab
from tests.faults.standins import StandinFleet, find_standin
from tests.faults.witness import Witness
from tests.integration.fleets import read_desired_id

MONTEVIDEO, RIVERA, SALTO = "acme/montevideo", "acme/rivera", "acme/salto"
OFFICES = {MONTEVIDEO: "101", RIVERA: "301", SALTO: "201"}
LATER = timedelta(days=8)  # longer than a grace period and the week before a purge


@pytest.fixture
def lab(stack: Stack, tmp_path: Path) -> Iterator[Lab]:
    with hold_lab(stack, tmp_path, OFFICES) as made:
        yield made


@pytest.fixture
def neighbour(request: pytest.FixtureRequest, stack: Stack, tmp_path: Path, lab: Lab) -> Iterator[Lab]:
    """Another fleet, whose name begins as the first one's."""
    folder = tmp_path / "neighbour"
    folder.mkdir()
    offices = {SALTO: "201", "acme-sur/salto": "301"}
    with hold_lab(stack, folder, offices, f"{lab.fleet.name}-sur") as made:
        yield made


@pytest.fixture
def fleets(request: pytest.FixtureRequest, lab: Lab) -> tuple[StandinFleet, ...]:
    """Whose controllers are on trial."""
    if "neighbour" in request.fixturenames:
        return (lab.fleet, request.getfixturevalue("neighbour").fleet)
    return (lab.fleet,)


def make_job(job_id: str, meta: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Somebody's job: one task that sleeps."""
    task = {
        "Name": "sleep",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sleep", "args": ["1000000"]},
        "Resources": {"CPU": 1, "MemoryMB": 10},
    }
    group = {"Name": "theirs", "Count": 1, "Tasks": [task]}
    job = {"ID": job_id, "Name": job_id, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}
    return {**job, "Meta": meta, **more}


def wait_healed(lab: Lab, one: Controller, key: str, act: Callable[[], object]) -> None:
    """Do it, and wait until the controller has noticed and put it back."""
    known = len(one.events("cycle"))
    act()
    lab.wait(
        lambda: any(key in (told.get("healed") or ()) for told in one.events("cycle")[known:]),
        f"waiting until {key} is healed",
    )
    lab.wait(lambda: lab.is_running(key), f"waiting until {key} runs")


@pytest.mark.row("job edited, stopped, purged, or its mark stripped by hand")
def test_a_job_that_a_hand_changed_is_put_back(lab: Lab, witness: Witness) -> None:
    """In place (no call is cut by the healing either), so that it is replaced, stopped, and purged."""
    salto, rivera = lab.fleet.names(SALTO).job_id, lab.fleet.names(RIVERA).job_id
    witness.hold_calls(lab.fleet, MONTEVIDEO, RIVERA)
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        wait_healed(lab, one, RIVERA, lambda: witness.edit_job(rivera, lambda job: job.update(Priority=60)))

        def edit_task(job: dict[str, Any]) -> None:
            find_standin(job)["Env"]["BY_HAND"] = "1"

        wait_healed(lab, one, SALTO, lambda: witness.edit_job(salto, edit_task))
        wait_healed(lab, one, SALTO, lambda: witness.stop_job(salto))
        wait_healed(lab, one, SALTO, lambda: witness.stop_job(salto, purge=True))
        job = witness.servers.get("NOMAD", f"job/{salto}")
        assert "BY_HAND" not in find_standin(job)["Env"]
        assert witness.servers.get("NOMAD", f"job/{rivera}")["Priority"] == 50


@pytest.mark.row("job edited, stopped, purged, or its mark stripped by hand")
def test_a_job_that_a_hand_changed_while_nobody_led_is_put_back(lab: Lab, witness: Witness) -> None:
    salto = lab.fleet.names(SALTO).job_id
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    for purge in (False, True):
        witness.stop_job(salto, purge)
        with lab.serve() as one:
            wait_healed(lab, one, SALTO, lambda: None)


@pytest.mark.row("job edited, stopped, purged, or its mark stripped by hand")
def test_a_job_whose_mark_was_stripped_is_nobodys_any_more(lab: Lab, witness: Witness) -> None:
    """It is neither put back nor removed, not even when its office closes; when it is gone, the unit is made anew."""
    salto = lab.fleet.names(SALTO).job_id
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        for what in ("riti.fleet", "riti.box"):
            witness.edit_job(salto, lambda job: job["Meta"].pop(what))  # noqa: B023
            one.wait_problem(f"job {salto} exists and does not carry this fleet's mark")
            lab.fleet.write_box("acme", "salto", "201", "202")
            lab.merge(f"Salto gets a telephone ({what})")
            one.cycle()
            lab.remove_box(SALTO)
            lab.merge(f"Salto closes ({what})")
            for _ in range(2):
                lab.clock.ahead += LATER / 4
                one.cycle()
            lab.wait(lambda: lab.is_running(SALTO), "waiting until it runs as the hand wants it")
            lab.fleet.write_box("acme", "salto", "201")
            commit = lab.merge(f"Salto opens again ({what})")
            one.cycle()
            witness.stop_job(salto, purge=True)
            witness.foreign.clear()
            one.settle(commit)
            lab.wait(lambda: lab.is_running(SALTO), "waiting until Salto is made anew")


@pytest.mark.row("a foreign job with our name")
def test_a_foreign_job_with_our_name_is_left_alone(lab: Lab, witness: Witness) -> None:
    """Without a mark, with another fleet's, with another unit's of ours; wished, and wished no more."""
    names = lab.fleet.names("acme/tacna")
    ours = read_desired_id(lab.fleet.work)
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        marks = (
            None,
            {"riti.fleet": "another", "riti.box": names.key},
            {"riti.fleet": ours, "riti.box": SALTO},
        )
        for number, mark in enumerate(marks):
            witness.register(make_job(names.job_id, mark))
            one.cycle()
            lab.fleet.write_box("acme", "tacna", "401")
            lab.fleet.write_box("acme", "salto", "201", f"21{number}")
            lab.merge(f"Tacna opens ({mark})")
            one.wait_problem(f"job {names.job_id} exists and does not carry this fleet's mark")
            lab.wait(lambda: f"21{number}" in read_value(lab, SALTO), "waiting for the other office")  # noqa: B023
            lab.remove_box("acme/tacna")
            lab.merge(f"Tacna closes ({mark})")
            for _ in range(2):
                lab.clock.ahead += timedelta(hours=1)
                one.cycle()
            witness.stop_job(names.job_id, purge=True)
        # and what bears the mark of a unit in full, and another name
        witness.register(make_job(f"{lab.fleet.name}--acme--copy", {"riti.fleet": ours, "riti.box": SALTO}))
        one.wait_problem("carries this fleet's mark for `acme/salto`, and is not its job")
        lab.clock.ahead += LATER
        one.cycle()


def read_value(lab: Lab, key: str) -> str:
    return lab.holdings.read_kv()[lab.fleet.names(key).kv_key]


@pytest.mark.row("two fleets in one cluster, one company's name a prefix of another's")
def test_a_company_goes_and_those_whose_names_begin_alike_stay(
    lab: Lab, neighbour: Lab, witness: Witness
) -> None:
    """Two controllers at work at once, of fleets whose names begin alike; from one a whole company is taken out."""
    witness.hold_calls(neighbour.fleet, SALTO)
    lab.fleet.write("companies/acme-sur.yaml", "name: Acme Sur\n")
    lab.fleet.write_box("acme-sur", "salto", "401")
    with ExitStack() as running:
        one, other = running.enter_context(lab.serve()), running.enter_context(neighbour.serve())
        one.settle(lab.merge("a company whose name begins alike"))
        lab.wait(lambda: lab.is_running("acme-sur/salto"), "waiting for it")
        (lab.fleet.work / "fleet/companies/acme.yaml").unlink()
        for key in OFFICES:
            lab.remove_box(key)
        file = lab.fleet.work / "fleet/fleet.yaml"
        file.write_text(file.read_text() + "removals: [acme]\n")
        witness.let_go(lab.fleet, *OFFICES)
        lab.merge("Acme leaves, which is approved")
        lab.wait(lambda: any(told["commit"] for told in one.events("cycle")), "waiting for a cycle")
        one.wait_for("cycle", waiting=3)
        for ahead in (timedelta(minutes=11), LATER):
            lab.clock.ahead += ahead
            neighbour.clock.ahead += ahead
            one.cycle()
            other.cycle()
        lab.wait(
            lambda: not any(lab.fleet.names(key).kv_key in lab.holdings.read_kv() for key in OFFICES),
            "waiting until Acme is purged",
        )
        assert lab.is_running("acme-sur/salto")
        assert neighbour.is_running(SALTO) and neighbour.is_running("acme-sur/salto")
        neighbour.fleet.write_box("acme", "salto", "201", "202")
        other.settle(neighbour.merge("the neighbour goes on"))


@pytest.mark.row("periodic and dispatched children")
def test_children_of_jobs_are_left_alone(lab: Lab, witness: Witness) -> None:
    """Of foreign names, and of names and marks that look like ours: a child bears its parent's mark."""
    ours = read_desired_id(lab.fleet.work)
    parents = {
        "nightly": None,
        f"{lab.fleet.name}--acme--nightly": None,
        f"{lab.fleet.name}--acme--copied": {"riti.fleet": ours, "riti.box": SALTO},
        f"{lab.fleet.name}--acme--other": {"riti.fleet": "another", "riti.box": "acme/other"},
    }
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    children: list[str] = []
    for parent, mark in parents.items():
        cron = {"Enabled": True, "SpecType": "cron", "Spec": "0 0 1 1 *", "TimeZone": "UTC"}
        witness.register(make_job(f"{parent}-p", mark, Type="batch", Periodic=cron))
        witness.register(
            make_job(f"{parent}-d", mark, Type="batch", ParameterizedJob={"Payload": "optional"})
        )
        witness.servers.get("NOMAD", f"job/{parent}-p/periodic/force", "PUT", {})
        told = witness.servers.get("NOMAD", f"job/{parent}-d/dispatch", "PUT", {})
        children.append(told["DispatchedJobID"])

    def list_jobs() -> list[str]:
        return [one["ID"] for one in witness.servers.get("NOMAD", "jobs")]

    lab.wait(
        lambda: sum("/periodic-" in one for one in list_jobs()) == 4, "waiting for the periodic children"
    )
    children += [one for one in list_jobs() if "/periodic-" in one]
    assert len(children) == 8
    for child in children:
        witness.hand[f"job {child}"] = witness.servers.read_job(child)
        witness.foreign.add(f"job {child}")
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        lab.remove_box(SALTO)
        witness.let_go(lab.fleet, SALTO)
        lab.merge("Salto closes, and is purged")
        one.wait_for("cycle", waiting=1)
        for ahead in (timedelta(minutes=11), LATER, LATER / 2):
            lab.clock.ahead += ahead
            one.cycle()
        lab.wait(lambda: lab.fleet.names(SALTO).job_id not in list_jobs(), "waiting until Salto is purged")
    assert set(children) <= set(list_jobs())
