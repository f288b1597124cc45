"""A merge that names another image: Consul says it to one box after another, and nothing of a PBX is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from ritilib.errors import Conflict
from ritilib.fleet.stretch import Stretch
from ritilib.gitops.desired import Desired
from ritilib.reconcile.image_value import ImageValue, read_image_value
from ritilib.reconcile.images import LOOK
from ritilib.reconcile.suspensions import Suspension
from ritilib.render.rules import ImageRules, SyncRules, Windows
from ritilib.sync.images import Rolled, roll_images
from tests.fakes.consul import FakeConsul
from tests.fakes.journal import Journal
from tests.unit.removing import name
from tests.unit.replacing import BOXES, World, make_desired

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
PAUSE = timedelta(minutes=10)
NEW = ImageRules(version="1.2.4", bundles="http://10.0.0.5/riti")
CANARY = "acme/b"


def name_image(desired: Desired, image: ImageRules | None = NEW, **more: object) -> Desired:
    """The same commit with an image for every box; more as in Unit."""
    units = tuple(replace(unit, image=image, canary=unit.key == CANARY, **more) for unit in desired.units)  # type: ignore[arg-type]
    return replace(desired, units=units)


def write_report(version: str, link: str = "up", **more: object) -> bytes:
    update = {"version": version, "slot": "A", "committed": True, "state": "", "failed": {}, **more}
    return json.dumps({"version": "1", "link": link, "update": update}).encode()


@dataclass
class Lab:
    """Consul, boxes that say what they run, and a clock."""

    desired: Desired = field(default_factory=lambda: name_image(make_desired("c1", "one")))
    now: datetime = NOW
    suspensions: tuple[Suspension, ...] = ()
    go_on: Callable[[], bool] = lambda: True

    def __post_init__(self) -> None:
        self.journal = Journal()
        self.consul = FakeConsul(self.journal)
        self.said: list[str] = []
        for key in BOXES:
            self.say(key, "1.2.3")

    def say(self, key: str, version: str, **more: object) -> None:
        self.consul.put(name(key).box_report, write_report(version, **more))  # type: ignore[arg-type]

    def roll(self, before: Rolled | None = None) -> Rolled:
        return roll_images(
            self.desired, self.suspensions, self.consul, self.now, self.go_on, self.said.append, before
        )

    def read(self, key: str) -> ImageValue:
        return read_image_value(self.consul.entries[name(key).box_image].value)

    def list_told(self) -> set[str]:
        folder = "riti/demo/image/"
        return {key.removeprefix(folder) for key in self.consul.entries if key.startswith(folder)}


def test_a_rollout_from_the_first_box_to_the_last() -> None:
    lab = Lab()
    first = lab.roll()
    assert (first.told, lab.list_told()) == ((CANARY,), {CANARY})
    [watched, held] = first.held
    assert watched.what == "image 1.2.4: it is not known yet what comes of it at acme/b"
    assert "image 1.2.4: 4 boxes are not told yet: acme/a (its wave comes after wave 1 of 3)" in held.what
    assert lab.read(CANARY).had_link and lab.said == [f"{CANARY}: its box is to run image 1.2.4"]
    for _ in range(4):
        for key in lab.list_told():
            lab.say(key, "1.2.4")
        lab.now += LOOK
        lab.roll()
        lab.now += PAUSE
        done = lab.roll()
    assert lab.list_told() == set(BOXES) and not (done.held or done.problems)
    lab.journal.requests.clear()
    lab.journal.writes.clear()
    quiet = lab.roll()
    assert (quiet.told, quiet.due, lab.journal.writes) == ((), None, [])
    assert len(lab.journal.requests) == 1, "the values alone, and no box's report"


def test_a_box_that_went_back_is_a_problem_for_good_and_the_rest_is_not_told() -> None:
    lab = Lab()
    lab.roll()
    lab.say(CANARY, "1.2.3", state="failed", failed={"1.2.4": "phones do not register"})
    lab.now += LOOK
    done = lab.roll()
    [problem] = done.problems
    assert "acme/b keeps the image that it had: 1.2.4 failed there: phones do not register" in problem.what
    [held] = done.held
    assert "its rollout has stopped" in held.what
    lab.now += timedelta(days=3)
    # another box's owner, and one that lies about itself: what became of it is remembered
    lab.say(CANARY, "1.2.3")
    again = lab.roll()
    assert again.problems == done.problems and lab.list_told() == {CANARY}


def test_a_fleet_that_names_no_image_asks_nobody() -> None:
    lab = Lab(name_image(make_desired("c1", "one"), None))
    lab.journal.requests.clear()
    assert lab.roll() == Rolled("c1") and lab.journal.requests == []


def test_a_look_is_good_for_a_minute_and_for_its_commit() -> None:
    lab = Lab()
    first = lab.roll()
    lab.journal.requests.clear()
    kept = lab.roll(first)
    assert lab.journal.requests == [] and (kept.told, kept.held, kept.due) == ((), first.held, first.due)
    lab.desired = replace(lab.desired, commit="c2")
    lab.roll(first)
    assert lab.journal.requests


def test_what_a_hand_wrote_is_written_anew_and_a_writer_in_between_wins_nothing() -> None:
    lab = Lab()
    lab.consul.put(name(CANARY).box_image, b"latest, please")
    lab.roll()
    assert lab.read(CANARY).version == "1.2.4"
    write_all = lab.consul.write_all

    def lose(writes: object) -> object:
        raise Conflict.because("another wrote", "look again")

    lab = Lab()
    lab.consul.write_all = lose  # type: ignore[assignment, method-assign]
    with pytest.raises(Conflict):
        lab.roll()
    lab.consul.write_all = write_all  # type: ignore[method-assign]


def test_a_controller_that_is_to_end_tells_nobody_and_looks_again_at_once() -> None:
    lab = Lab(go_on=lambda: False)
    done = lab.roll()
    assert lab.list_told() == set() and done.until == NOW


@pytest.mark.parametrize("by", ["git", "command", "window"])
def test_what_is_suspended_or_outside_its_windows_is_not_told(by: str) -> None:
    lab = Lab()
    if by == "command":
        lab.suspensions = (Suspension("acme", "audit", "ana", "2026-11-29T00:00:00+00:00", ""),)
        assert lab.roll().told[0].startswith("zorro/")
        return
    stretch = Stretch(**{"days": "sat", "from": "00:00", "to": "01:00"})
    windows = Windows(timezone="America/Montevideo", stretches=(stretch,))
    rules = SyncRules(suspended="audit") if by == "git" else SyncRules(windows=windows)
    lab.desired = name_image(make_desired("c1", "one"), sync=rules)
    assert lab.roll() == Rolled("c1", until=NOW + LOOK)


def test_a_cycle_tells_boxes_and_replaces_no_pbx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ritilib.sync.unit.begin.CLOSING_S", 0.0)
    monkeypatch.setattr("ritilib.sync.follow.DEPLOYMENT_TIMEOUT_S", 0.0)
    world = World()
    world.sync(make_desired("c1", "one"))
    world.consul.put(name(CANARY).box_report, write_report("1.2.3"))
    world.journal.writes.clear()
    done = world.sync(name_image(make_desired("c2", "one")))
    assert done.changed == () and done.images and done.images.told == (CANARY,)
    assert done.due == world.now + LOOK
    assert len(world.journal.writes) == 1 and name(CANARY).box_image in world.journal.writes[0]
    world.consul.put(name(CANARY).box_report, write_report("1.2.3", failed={"1.2.4": "no link"}))
    world.pass_time(LOOK)
    bad = world.sync(name_image(make_desired("c2", "one")))
    assert not bad.is_clean and "1.2.4 failed there: no link" in bad.problems[0].what
