"""Which boxes are told to run another image: waves, windows, calls, boxes that are away, and what failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from ritilib.errors import GitopsError
from ritilib.fleet.fleet_file import Rollout
from ritilib.fleet.stretch import Stretch
from ritilib.reconcile.image_value import ImageValue, read_image_value, write_image_value
from ritilib.reconcile.images import PATIENCE, ImageSaid, ImageTurn, Subject, find_image_turn
from ritilib.render.rules import ImageRules, Windows

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)  # a Monday
PAUSE = timedelta(minutes=10)
ROLLOUT = Rollout(canaries=1, share_percent=50, pause_min=10)
NEW = ImageRules(version="1.2.4", bundles="https://bundles.example/riti", ca=None)
OLD = ImageSaid("1.2.3", committed=True, link_up=True)
THERE = replace(OLD, version="1.2.4")
KEYS = ("acme/a", "acme/b", "acme/c", "zorro/d", "zorro/e")
NIGHT = Windows(
    timezone="America/Montevideo", stretches=(Stretch(**{"days": "mon", "from": "00:00", "to": "01:00"}),)
)


@dataclass
class Offices:
    """What Consul and the boxes say; a look writes what was decided."""

    now: datetime = NOW
    rules: dict[str, ImageRules] = field(default_factory=lambda: dict.fromkeys(KEYS, NEW))
    said: dict[str, ImageSaid | None] = field(default_factory=lambda: dict.fromkeys(KEYS, OLD))
    told: dict[str, ImageValue] = field(default_factory=dict)
    canaries: Collection[str] = ("acme/b",)
    windows: Mapping[str, Windows] = field(default_factory=dict)
    left: Collection[str] = ()

    def look(self) -> ImageTurn:
        subjects = [
            Subject(
                key,
                rules,
                self.windows.get(key),
                key in self.canaries,
                self.told.get(key),
                self.said[key],
                key in self.left,
            )
            for key, rules in self.rules.items()
        ]
        turn = find_image_turn(subjects, ROLLOUT, self.now)
        self.told |= turn.puts
        return turn

    def list_told(self) -> set[str]:
        return {key for key, one in self.told.items() if one.name == self.rules[key].name}

    def obey(self) -> None:
        """Every box that was told runs it."""
        for key in self.list_told():
            self.said[key] = THERE

    def pass_time(self, time: timedelta) -> None:
        self.now += time


def test_the_canary_then_a_share_then_the_rest_and_each_waits_for_the_one_before() -> None:
    offices = Offices()
    turn = offices.look()
    assert turn.watched == {"acme/b"}
    assert set(turn.puts) == {"acme/b"} and "its wave comes after wave 1 of 3" in turn.held["acme/a"]
    assert turn.due and offices.look().puts == {}, "it is watched"
    offices.obey()
    turn = offices.look()
    assert turn.puts["acme/b"].judged == "good" and "not before 03:10 UTC" in turn.held["acme/a"]
    offices.pass_time(PAUSE)
    offices.look()
    assert len(offices.list_told()) == 3
    offices.obey()
    offices.look()
    offices.pass_time(PAUSE)
    offices.look()
    assert offices.list_told() == set(KEYS)
    offices.obey()
    offices.look()
    last = offices.look()
    assert (last.puts, last.held, last.failed, last.due) == ({}, {}, {}, None)


def test_a_canary_that_went_back_is_the_last_and_another_version_begins_anew() -> None:
    offices = Offices()
    offices.look()
    offices.said["acme/b"] = replace(OLD, failed={"1.2.4": "the link is not up"})
    turn = offices.look()
    assert turn.failed == {"acme/b": "the link is not up"}
    offices.pass_time(timedelta(days=30))
    turn = offices.look()
    assert turn.puts == {} and offices.list_told() == {"acme/b"}
    assert "its rollout has stopped: acme/b did not come up" in turn.held["acme/a"]
    offices.rules = dict.fromkeys(KEYS, NEW.model_copy(update={"version": "1.2.5"}))
    assert set(offices.look().puts) == {"acme/b"}


def test_another_attempt_of_the_same_version_is_another_try() -> None:
    offices = Offices()
    offices.look()
    offices.said["acme/b"] = replace(OLD, failed={"1.2.4": "a power cut"})
    offices.look()
    offices.rules = dict.fromkeys(KEYS, NEW.model_copy(update={"attempt": 2}))
    turn = offices.look()
    assert turn.failed == {} and turn.puts["acme/b"].attempt == 2
    assert turn.puts["acme/b"].name == "1.2.4, attempt 2"


def test_a_box_that_is_away_gives_its_place_to_another_and_is_told_all_the_same() -> None:
    offices = Offices(canaries=())
    [first] = offices.look().puts
    offices.pass_time(PATIENCE)
    assert offices.look().puts == {}
    offices.pass_time(timedelta(minutes=1))
    [second] = offices.look().puts
    assert second != first
    offices.said[second] = THERE
    offices.look()
    offices.pass_time(PAUSE)
    offices.look()
    assert len(offices.list_told()) >= 3
    offices.said[first] = THERE  # a month later
    assert offices.look().puts[first].judged == "good"


def test_a_box_that_waits_for_a_call_holds_nobody() -> None:
    offices = Offices(canaries=())
    [first] = offices.look().puts
    offices.said[first] = replace(OLD, waits=True)
    [second] = offices.look().puts
    assert second != first


def test_a_canary_by_its_file_keeps_its_place_although_it_is_away() -> None:
    offices = Offices()
    offices.look()
    offices.pass_time(10 * PATIENCE)
    assert offices.look().puts == {} and offices.list_told() == {"acme/b"}


def test_a_box_is_told_in_its_maintenance_window_and_is_given_it() -> None:
    offices = Offices(now=NOW + timedelta(hours=2), windows={"acme/b": NIGHT})
    turn = offices.look()
    assert turn.puts == {} and turn.held["acme/b"] == "it waits for its maintenance window"
    offices.now = NOW + timedelta(days=7)
    assert offices.look().puts["acme/b"].windows == NIGHT


def test_nothing_new_is_told_to_what_is_suspended_and_nobody_waits_for_it() -> None:
    offices = Offices(left=("acme/b",))
    [first] = offices.look().puts
    assert first != "acme/b"


def test_a_box_without_an_image_takes_no_part() -> None:
    offices = Offices(said=dict.fromkeys(KEYS))
    turn = offices.look()
    assert (turn.puts, turn.held, turn.due) == ({}, {}, None)


def test_a_box_that_has_the_version_already_is_good_at_once() -> None:
    offices = Offices(said=dict.fromkeys(KEYS, THERE))
    turn = offices.look()
    assert {one.judged for one in turn.puts.values()} == {"good"} and set(turn.puts) == set(KEYS)
    assert offices.look().puts == {}


def test_one_that_runs_it_is_good_once_it_is_committed_and_its_link_is_as_it_was() -> None:
    offices = Offices()
    offices.look()
    for unproved in (replace(THERE, committed=False), replace(THERE, link_up=False)):
        offices.said["acme/b"] = unproved
        assert offices.look().puts == {}
    offices = Offices(said=dict.fromkeys(KEYS, replace(OLD, link_up=False)))
    offices.look()
    offices.said["acme/b"] = replace(THERE, link_up=False)
    assert offices.look().puts["acme/b"].judged == "good", "it had none before"


def test_another_address_of_the_bundles_is_no_rollout() -> None:
    offices = Offices()
    offices.look()
    offices.obey()
    offices.look()
    offices.rules = dict.fromkeys(KEYS, NEW.model_copy(update={"bundles": "http://10.0.0.5/riti"}))
    turn = offices.look()
    assert set(turn.puts) == {"acme/b"} and turn.puts["acme/b"].judged == "good"
    assert turn.puts["acme/b"].bundles == "http://10.0.0.5/riti"


def test_companies_with_versions_of_their_own_have_rollouts_of_their_own() -> None:
    other = NEW.model_copy(update={"version": "1.3.0"})
    offices = Offices(rules=dict.fromkeys(KEYS, NEW) | dict.fromkeys(("zorro/d", "zorro/e"), other))
    turn = offices.look()
    assert set(turn.turns) == {"1.2.4", "1.3.0"} and len(turn.puts) == 2


def test_a_value_is_read_as_it_was_written_and_one_of_a_later_version_too() -> None:
    value = write_image_value(NEW, NIGHT, NOW, had_link=True)
    assert read_image_value(value.encode()) == value
    assert value.encode() == read_image_value(value.encode()).encode()
    more = value.encode().replace(b"{", b'{"more": [1], ', 1)
    assert read_image_value(more) == value


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"version": "latest"}, "`version`"),
        ({"bundles": "https://x/$(reboot)"}, "`bundles`"),
        ({"format": 2}, "`format`"),
        ({"attempt": 0}, "`attempt`"),
        ({"windows": {"timezone": "America/Montevideo", "stretches": []}}, "`windows.stretches`"),
    ],
)
def test_a_value_that_says_something_else_is_refused(changed: dict[str, object], word: str) -> None:
    import json

    said = json.loads(write_image_value(NEW, None, NOW).encode()) | changed
    with pytest.raises(GitopsError) as caught:
        read_image_value(json.dumps(said).encode())
    assert word in str(caught.value)


def test_what_is_no_value_at_all_is_refused() -> None:
    for found in (b"", b"null", b"\xff", b"x" * 40_000):
        with pytest.raises(GitopsError):
            read_image_value(found)
