"""What benchmarks compute, and the fleets that they make."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from bench.__main__ import list_benchmarks
from bench.enroll import count_errors, find_peak, replay_return
from bench.lab.crowd import find_back
from bench.lab.direct import Ledger, Sent
from bench.lab.fleets import BOXES_PER_COMPANY, LONE, make_fleet, move_lone_route, write_offices
from bench.lab.offices import make_desired
from bench.lab.outside import merge_answers
from bench.levant import JOB, LEVANT, list_values, make_template
from bench.register import find_p95, rename_job
from bench.reload import add_numbers
from bench.render import compute_growth
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree


@pytest.mark.parametrize("boxes", [1, BOXES_PER_COMPANY, BOXES_PER_COMPANY + 1])
def test_fleet_of_any_size_is_one_that_loads(boxes: int) -> None:
    companies = load_fleet(make_fleet(boxes)).fleet.companies
    assert sum(len(company.boxes) for company in companies) == boxes
    assert len(companies) == -(-boxes // BOXES_PER_COMPANY)


def test_fleet_of_larger_companies_is_one_that_loads() -> None:
    companies = load_fleet(make_fleet(51, 50)).fleet.companies
    assert [len(company.boxes) for company in companies] == [50, 1]


def test_the_lone_office_is_a_fleet_that_loads_and_its_change_is_one_pbx(tmp_path: Path) -> None:
    write_offices(tmp_path, 3, lone=True)

    def read() -> dict[str, bytes]:
        fleet = {"fleet/fleet.yaml": make_fleet(1)["fleet/fleet.yaml"]}
        found = (path for path in tmp_path.rglob("*.yaml"))
        return fleet | {f"fleet/{path.relative_to(tmp_path)}": path.read_bytes() for path in found}

    before = render_tree(load_fleet(read()), read(), "0")
    move_lone_route(tmp_path)
    after = render_tree(load_fleet(read()), read(), "0")
    changed = {path for path in before if before[path] != after[path] and "/pbx/" in path}
    assert changed == {f"rendered/{LONE}/b0/pbx/live/extensions.conf"}
    move_lone_route(tmp_path)
    assert render_tree(load_fleet(read()), read(), "0") == before


def test_levants_template_has_the_values_of_every_job() -> None:
    files = make_fleet(BOXES_PER_COMPANY + 1)
    loaded = load_fleet(files)
    tree = render_tree(loaded, files, "0")
    first, *others = (box for company in loaded.fleet.companies for box in company.boxes)
    template = make_template(tree[f"rendered/{first.key}/{JOB}"], list_values("demo", first))
    for box in others:
        job = template
        for name, value in list_values("demo", box).items():
            job = job.replace(f"[[ .{name} ]]", value)
        assert job == tree[f"rendered/{box.key}/{JOB}"]


def test_levant_is_pinned() -> None:
    assert f"github.com/hashicorp/levant v{LEVANT.version}\n" in (LEVANT.folder / "go.mod").read_text()
    assert f"levant v{LEVANT.version} h1:" in (LEVANT.folder / "go.sum").read_text()


def test_growth_is_the_exponent() -> None:
    assert compute_growth(10, 1.0, 100, 10.0) == pytest.approx(1)
    assert compute_growth(10, 1.0, 100, 100.0) == pytest.approx(2)


def test_p95_is_nearly_the_worst() -> None:
    assert find_p95([float(number) for number in range(101)]) == pytest.approx(95)


def test_renamed_job_leaves_the_first_as_it_was() -> None:
    job = {"ID": "one", "Name": "one", "Meta": {"riti.box": "acme/salto"}}
    other = rename_job(job, "two")
    assert (job["ID"], other["ID"], other["Name"], other["Meta"]) == ("one", "two", "two", job["Meta"])


def test_added_numbers_stand_in_the_context_that_a_look_asks_for() -> None:
    files = make_fleet(1)
    plain = render_tree(load_fleet(files), files, "0")["rendered/c0/b0/pbx/live/extensions.conf"]
    more = add_numbers(plain, [700000, 700001])
    context = more.split("[from-box]\n")[1].split("\n[")[0]
    assert context.startswith("exten => 700000,1,Goto(to-box,1000,1)\nexten => 700001,1,")
    assert len(more.splitlines()) == len(plain.splitlines()) + 2


def test_a_peak_is_the_fullest_second() -> None:
    assert find_peak([0.1, 0.9, 1.0, 1.5, 1.99, 7.0]) == 3
    assert find_peak([]) == 0


def test_boxes_come_back_spread_out_by_chance_and_all_together_without_it() -> None:
    chance, boxes, outage_s = random.Random(7).random, 2000, 600.0
    spread = replay_return(boxes, outage_s, chance)
    assert all(outage_s <= at < outage_s + 300 for at in spread)
    assert find_peak(spread) < boxes / 50
    together = replay_return(boxes, outage_s, lambda: 0.0)
    assert find_peak(together) == boxes and len(set(together)) == 1


def test_a_box_is_back_with_the_first_of_the_requests_that_did_not_fail() -> None:
    said = ("lost", "busy", "ok", "denied", "ok", "ok", "")
    ledger = Ledger([Sent(float(at), result) for at, result in enumerate(said)])
    assert find_back(ledger) == 4.0
    assert find_back(Ledger([Sent(1.0, "lost")])) == 0.0


def test_a_no_is_an_error_and_a_later_is_none() -> None:
    assert count_errors({"ok": 5, "busy": 4, "lost": 3, "denied": 2, "error": 1, "held": 9}) == 3


def test_answers_of_several_processes_are_one() -> None:
    answers = [{"at": [1], "n": {"in": 2}, "began": 5.0}, {"at": [2], "n": {"in": 1, "x": 1}, "began": 4.0}]
    assert merge_answers(answers) == {"at": [1, 2], "n": {"in": 3, "x": 1}, "began": 4.0}


def test_ten_thousand_boxes_have_names_and_addresses_of_their_own() -> None:
    units = make_desired(10_000).units
    assert [one.key for one in units] == sorted({one.key for one in units}) and len(units) == 10_000
    networks = {json.loads(one.files["box/secrets.json"])["overlay"]["network"] for one in units}
    assert len(networks) == 10_000 and "100.80.0.1/16" in networks


def test_what_benchmarks_share_is_no_benchmark() -> None:
    expected = {
        "image",
        "levant",
        "reload",
        "start",
        "register",
        "render",
        "sync-apply",
        "sync-live",
        "sync-noop",
        "takeover",
        "failover",
        "enroll",
        "enroll-10000",
    }
    assert expected <= set(list_benchmarks())
    assert "lab" not in list_benchmarks()
