"""How a fleet and a unit stand to whoever looks, on fakes that a controller has just synced."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ritilib.errors import Denied, GitopsError, Unreachable
from ritilib.reconcile.leading import Lead
from ritilib.sync.lead.rights import Rights
from ritilib.sync.pace import Memory
from ritilib.sync.seen.look import Branch, FleetLook, look_at_fleet
from ritilib.sync.seen.publish import Publisher
from ritilib.sync.seen.rows import describe_unit, list_rows
from ritilib.sync.seen.told import read_entries
from ritilib.sync.seen.unit import UnitLook, look_at_unit
from tests.unit.removing import name
from tests.unit.replacing import BOXES, World, make_desired

LEAD = Lead("host:1", "2026-11-23T00:00:00+00:00", 1, {})
A = "acme/a"


class Lab(World):
    """A world that is synced by one who holds the lock and publishes."""

    def start(self) -> None:
        self.session = self.consul.create_session("leader", 15.0, 1.0)
        self.consul.lock(Rights("demo").lock, LEAD.to_bytes(), self.session, 0)
        self.told: list[str] = []
        self.seen = Publisher(
            self.consul,
            "demo",
            LEAD,
            str,
            lambda where, error: self.told.append(f"{where}: {error}"),
            lambda: self.now,
            lambda: 0.0,
            0.0,
        )

    def cycle(self, commit: str = "c1", image: str = "one", **said: object) -> None:
        desired = make_desired(commit, image, **said)  # type: ignore[arg-type]
        self.seen.start_cycle(desired)
        self.seen.note_cycle(self.sync(desired), Memory())
        assert self.told == []

    def look(self) -> FleetLook:
        return look_at_fleet("demo", self.nomad, self.consul, self.now)

    def look_at(self, key: str) -> UnitLook:
        return look_at_unit("demo", key, self.nomad, self.consul)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr("ritilib.sync.unit.begin.CLOSING_S", 0.0)
    made = Lab()
    made.start()
    made.cycle()
    return made


def test_all_is_well_and_little_was_asked(lab: Lab) -> None:
    lab.journal.requests.clear()
    lab.journal.writes.clear()
    look = lab.look()
    assert look.judge() == ("well", ())
    assert (look.is_fresh, look.age_s, list_rows(look)) == (True, 0, ())
    assert len(lab.journal.requests) == 7
    assert lab.journal.writes == []
    assert {row.state for row in list_rows(look, "acme")} == {"well"}
    assert {row.unit for row in list_rows(look, "acme")} == {key for key in BOXES if key.startswith("acme/")}


def test_nobody_leads_and_the_view_is_old(lab: Lab) -> None:
    lab.consul.destroy_session(lab.session)
    lab.pass_time(timedelta(hours=5))
    look = lab.look()
    verdict, why = look.judge()
    assert verdict == "failed" and "nobody leads" in why[0]
    assert (look.is_fresh, look.age_s) == (False, 5 * 3600)


def test_a_new_leader_that_said_nothing_makes_the_view_old(lab: Lab) -> None:
    entry = lab.consul.entries[Rights("demo").lock]
    lab.consul.lock(entry.key, replace(LEAD, epoch=2).to_bytes(), lab.session, entry.modify_index)
    look = lab.look()
    assert not look.is_fresh
    assert look.judge() == ("pending", ("who leads has not said yet how the fleet stands",))


def test_a_fleet_that_nobody_knows_is_refused(lab: Lab) -> None:
    with pytest.raises(GitopsError, match="nothing of a fleet `other`"):
        look_at_fleet("other", lab.nomad, lab.consul, lab.now)


def test_what_a_hand_changed_is_drift(lab: Lab) -> None:
    lab.edit(A, Priority=70)
    entry = lab.consul.entries[name("acme/b").kv_key]
    lab.consul.write(entry.key, b'{"files": {}}', entry.modify_index)
    look = lab.look()
    verdict, _ = look.judge()
    assert verdict == "pending"
    assert [(row.unit, row.state, row.why) for row in list_rows(look)] == [
        (A, "drift", "its job was changed"),
        ("acme/b", "drift", "its value in Consul was changed"),
    ]
    assert lab.look_at(A).lacks == ("its job was changed by somebody else",)
    assert "its value in Consul is not what was written" in lab.look_at("acme/b").lacks


def test_a_rollout_names_its_wave_and_who_waits(lab: Lab) -> None:
    lab.calls["acme/b"] = 1
    lab.cycle("c2", "two", canaries=("acme/b",))
    look = lab.look()
    assert look.judge()[0] == "pending"
    rows = {row.unit: row for row in list_rows(look)}
    assert rows["acme/b"].why == "calls: it has a call"
    assert rows[A].why.startswith("wave: its wave comes after wave 1 of 3")
    assert look.said is not None and look.said.rollout.wave == 1


def test_a_bad_image_fails_with_its_mend(lab: Lab) -> None:
    lab.cycle("c2", "two", bad=BOXES, canaries=(A,))
    assert lab.look().judge()[0] == "failed"
    lab.cycle("c2", "two", bad=BOXES, canaries=(A,))
    look = lab.look()
    verdict, why = look.judge()
    assert verdict == "failed"
    assert "1 unit fails" in why
    assert any(one.startswith("the rollout has stopped: acme/a did not come up") for one in why)
    [bad] = [row for row in list_rows(look) if row.state == "gone-back"]
    assert bad.unit == A and "no such file" in bad.why
    found = lab.look_at(A)
    assert found.has_failed and found.record.bad_job
    assert {what for entry in found.history for what in entry.names(A)} == {"changed", "gone_back"}


def test_a_branch_that_is_ahead_is_pending(lab: Lab) -> None:
    look = replace(lab.look(), branch=Branch("c3", 2))
    assert look.judge() == ("pending", ("the branch is 2 commits ahead of what is applied",))
    assert replace(look, branch=Branch("c3", None)).judge()[0] == "well"


def test_without_nomad_the_leaders_view_is_still_shown(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(prefix: str) -> object:
        raise Unreachable.because("Nomad at x gave no answer", "wait")

    monkeypatch.setattr(lab.nomad, "list_jobs", refuse)
    look = lab.look()
    assert look.judge() == ("failed", ("Nomad at x gave no answer",))
    assert look.said is not None and look.is_fresh

    def deny(prefix: str) -> object:
        raise Denied.because("Nomad denied: list jobs", "take a token")

    monkeypatch.setattr(lab.nomad, "list_jobs", deny)
    look = lab.look()
    assert look.judge()[0] == "well"
    [problem] = look.problems
    assert problem.severity == "warning" and "list-jobs" in problem.mend


def test_everything_of_one_unit(lab: Lab) -> None:
    lab.calls[A] = 2
    lab.journal.requests.clear()
    said = describe_unit(lab.look_at(A))
    assert len(lab.journal.requests) <= 14
    assert said["record"]["commit"] == "c1" and said["record"]["renew_at"]
    assert said["job"]["job_is_as_recorded"] and said["value"]["value_is_as_recorded"]
    assert said["allocation"]["allocation_status"] == "running"
    assert said["word"] == {"calls_now": 2, "in_force": True, "word_problems": []}
    assert (said["lacks"], said["told"], said["problems"]) == ([], [], [])
    assert [entry["units"]["changed"] for entry in said["history"]] == [BOXES]


def test_a_pbx_that_does_not_take_up_its_dial_plan_lacks_something(lab: Lab) -> None:
    lab.mute.add(A)
    entry = lab.consul.entries[name(A).kv_key]
    lab.consul.write(entry.key, entry.value.replace(b"one", b"six"), entry.modify_index)
    assert "it does not acknowledge what Consul holds" in lab.look_at(A).lacks


def test_a_boxes_value_that_a_hand_changed_is_told_of_the_unit_and_of_the_fleet(lab: Lab) -> None:
    entry = lab.consul.entries[name(A).box_kv_key]
    lab.consul.write(entry.key, b"nonsense", entry.modify_index)
    found = lab.look_at(A)
    assert found.lacks == ("its box's value in Consul is not what was written",)
    assert not describe_unit(found)["value"]["box_value_is_as_recorded"]
    assert lab.look().drift == {A: ("drift: its box's value in Consul was changed",)}


def test_a_unit_that_the_inventory_does_not_know_is_refused(lab: Lab) -> None:
    for key in ("acme/nowhere", "_fleet"):
        with pytest.raises(GitopsError, match="knows no unit"):
            lab.look_at(key)


def test_a_narrow_token_shows_what_it_may(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(job_id: str) -> object:
        raise Denied.because("Nomad denied: list allocations", "take a token")

    monkeypatch.setattr(lab.nomad, "list_allocations", deny)
    found = lab.look_at(A)
    assert not found.has_failed and found.record.commit == "c1"
    assert found.problems[0].severity == "warning" and "read-job" in found.problems[0].mend


def test_the_history_of_all_and_of_one(lab: Lab) -> None:
    lab.cycle("c2", "one", boxes=BOXES[:-1])
    entries, record = read_entries("demo", None, lab.consul)
    assert ([one.commit for one in entries], record) == (["c1"], None)
    entries, record = read_entries("demo", A, lab.consul)
    assert len(entries) == 1 and record is not None and record.commit == "c1"
    assert read_entries("demo", "acme/nowhere", lab.consul) == ((), None)
