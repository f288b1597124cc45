"""A box's value in Consul: written with its PBX's, by itself where only it changes, and gone back with it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ritilib.gitops.desired import Desired
from ritilib.reconcile.box_value import hash_box_files
from ritilib.reconcile.state import hash_text
from ritilib.render.rules import SyncRules
from tests.unit.removing import name
from tests.unit.replacing import BOXES, World, make_desired

A, B = BOXES[:2]
FILE = "box/etc/iax.conf"


def change_box(desired: Desired, key: str, text: str) -> Desired:
    units = tuple(
        replace(unit, files={**unit.files, FILE: text}) if unit.key == key else unit for unit in desired.units
    )
    return replace(desired, units=units)


def read_box(world: World, key: str) -> Mapping[str, Any]:
    found = json.loads(gzip.decompress(world.consul.entries[name(key).box_kv_key].value))
    assert isinstance(found, dict)
    return found


@pytest.fixture
def world() -> World:
    world = World()
    assert world.sync(make_desired("c1", "one")).is_clean
    world.journal.writes.clear()
    return world


def test_it_says_the_files_their_hash_and_which_secrets_go_with_them(world: World) -> None:
    files = {"etc/iax.conf": f"; the box of {A}\n"}
    assert read_box(world, A) == {
        "format": 1,
        "secrets_version": 1,
        "sha256": hash_box_files(files),
        "commit": "c1",
        "files": files,
    }


def test_a_change_of_its_own_files_writes_it_alone(world: World) -> None:
    before = dict(world.consul.entries)
    done = world.sync(change_box(make_desired("c2", "one"), A, "; another\n"))
    assert done.changed == (A,)
    moved = {key for key, entry in world.consul.entries.items() if before.get(key) != entry}
    places = {name(A).box_kv_key, f"riti/demo/inventory/{A}"}
    assert moved - {"riti/demo/inventory/_fleet"} == places
    assert (read_box(world, A)["files"], read_box(world, A)["commit"]) == (
        {"etc/iax.conf": "; another\n"},
        "c2",
    )
    assert not [one for one in world.journal.writes if one.startswith(("vault", "nomad"))]


def test_another_commit_alone_writes_nothing(world: World) -> None:
    assert world.sync(make_desired("c2", "one")).changed == ()
    assert world.journal.writes == []


def test_a_hands_edit_of_the_pbx_leaves_it_as_it_is(world: World) -> None:
    before = world.consul.entries[name(A).box_kv_key]
    held = world.consul.entries[name(A).kv_key]
    world.consul.write(held.key, held.value.replace(b"acme", b"evil"), held.modify_index)
    assert world.sync(make_desired("c2", "one")).changed == (A,)
    assert world.consul.entries[name(A).box_kv_key] == before
    assert world.consul.entries[name(A).kv_key].value == held.value


def test_one_that_a_hand_edited_is_written_over_when_it_changes(world: World) -> None:
    held = world.consul.entries[name(A).box_kv_key]
    world.consul.write(held.key, b"nonsense", held.modify_index)
    assert world.sync(change_box(make_desired("c2", "one"), A, "; another\n")).is_clean
    assert read_box(world, A)["files"] == {"etc/iax.conf": "; another\n"}


def test_it_goes_back_with_its_pbx(world: World) -> None:
    before = read_box(world, A)
    bad = make_desired("c2", "two", bad=(A,), canaries=(A,))
    done = world.sync(change_box(bad, A, "; for the next image\n"))
    assert done.gone_back == {A}
    assert read_box(world, A) == before
    assert world.read_record(A).box == before["sha256"]
    assert world.sync(replace(make_desired("c3", "one"))).problems == ()
    assert read_box(world, A) == before


def test_other_boxes_are_not_touched(world: World) -> None:
    before = world.consul.entries[name(B).box_kv_key]
    world.sync(change_box(make_desired("c2", "one"), A, "; another\n"))
    assert world.consul.entries[name(B).box_kv_key] == before


@pytest.mark.parametrize("edited", [b"nonsense", None])
def test_a_hands_edit_of_the_box_is_put_back_and_nothing_else_is_written(
    world: World, edited: bytes | None
) -> None:
    held, pbx = world.consul.entries[name(A).box_kv_key], world.consul.entries[name(A).kv_key]
    if edited is None:
        world.consul.delete(held.key, held.modify_index)
    else:
        world.consul.write(held.key, edited, held.modify_index)
    done = world.sync(make_desired("c1", "one"))
    assert (done.changed, done.healed, done.problems) == ((A,), {A}, ())
    assert world.consul.entries[name(A).box_kv_key].value == held.value
    assert world.consul.entries[name(A).kv_key] == pbx
    assert not [one for one in world.journal.writes if one.startswith(("vault", "nomad"))]
    assert_quiet(world, make_desired("c1", "one"))


def test_both_are_put_back_where_a_hand_edited_both(world: World) -> None:
    before = {key: world.consul.entries[key] for key in (name(A).box_kv_key, name(A).kv_key)}
    for held in before.values():
        world.consul.write(held.key, b"nonsense", held.modify_index)
    assert world.sync(make_desired("c1", "one")).healed == {A}
    assert {key: world.consul.entries[key].value for key in before} == {
        key: held.value for key, held in before.items()
    }
    assert_quiet(world, make_desired("c1", "one"))


def test_hands_are_let_be_at_a_box_too_and_the_values_are_not_read_for_it(world: World) -> None:
    desired = make_desired("c1", "one")
    units = tuple(replace(unit, sync=SyncRules(self_heal=False)) for unit in desired.units)
    calm = replace(desired, units=units)
    held = world.consul.entries[name(A).box_kv_key]
    world.consul.write(held.key, b"nonsense", held.modify_index)
    done = world.sync(calm)
    assert f"{A} (drift: its box's value in Consul was changed)" in done.held[0].what
    assert_quiet(world, calm)
    assert world.consul.entries[held.key].value == b"nonsense"
    assert world.sync(desired).healed == {A}
    assert world.consul.entries[held.key].value == held.value


def test_the_box_of_a_pbx_that_went_back_is_no_drift_with_newer_secrets_either(world: World) -> None:
    bad = make_desired("c2", "two", bad=(A,), canaries=(A,))
    said = json.dumps({"phones": ["101"], "pairs": {"cloud": [A, f"{A} box"]}, "generation": 1})
    more = {"box/secrets.json": said}
    units = tuple(replace(unit, files=unit.files | more) if unit.key == A else unit for unit in bad.units)
    assert world.sync(replace(bad, units=units)).gone_back == {A}
    record, held = world.read_record(A), world.consul.entries[name(A).box_kv_key]
    assert read_box(world, A)["secrets_version"] == 2, "they stay"
    assert record.box_value == hash_text(held.value)


def assert_quiet(world: World, desired: Desired) -> None:
    """Nothing is left to do, and seeing that takes three questions."""
    world.sync(desired)
    world.journal.requests.clear()
    assert world.sync(desired).changed == ()
    assert [one.split()[1] for one in world.journal.requests] == ["list", "read", "list"]
