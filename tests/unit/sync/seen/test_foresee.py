"""What each running PBX would notice of a merge, on fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ritilib.clients.nomad_values import TemplateRetries
from ritilib.errors import Denied
from ritilib.fleet.stretch import Stretch
from ritilib.gitops.desired import Desired
from ritilib.render.rules import Windows
from ritilib.sync.planned import plan_once
from ritilib.sync.seen.foresee import Foreseen, Foresight, judge_cluster
from tests.unit.removing import name
from tests.unit.replacing import BOXES, World, make_desired

A = "acme/a"


@pytest.fixture
def world() -> World:
    """One whose PBXes run the image `one`."""
    made = World()
    made.sync(make_desired("c1", "one"))
    made.pass_time(timedelta(hours=1))
    made.journal.requests.clear()
    made.journal.writes.clear()
    return made


def look(world: World, desired: Desired, with_diff: bool = True) -> tuple[dict[str, Foreseen], Foresight]:
    plan, _, seen = plan_once(desired, world.nomad, world.consul, world.now)
    foresight = Foresight(desired, plan, seen.observed, world.nomad, world.consul)
    found = {one.unit: one for one in foresight.place(foresight.foresee(with_diff))}
    assert world.journal.writes == []
    return found, foresight


def change(desired: Desired, key: str, path: str, edit: Callable[[str], str]) -> Desired:
    units = tuple(
        replace(unit, files={**unit.files, path: edit(unit.files[path])}) if unit.key == key else unit
        for unit in desired.units
    )
    return replace(desired, commit="c2", units=units)


def test_nothing_is_foreseen_where_all_is_as_wished(world: World) -> None:
    found, _ = look(world, make_desired("c2", "one"))
    assert found == {}
    assert len(world.journal.requests) == 3


def test_a_dial_plan_is_a_reload_with_its_lines(world: World) -> None:
    desired = change(make_desired("c1", "one"), A, "pbx/live/extensions.conf", lambda text: text + "exten\n")
    found, _ = look(world, desired)
    [one] = found.values()
    assert (one.unit, one.effect, one.meets, one.job_diff) == (A, "reload", "", ())
    assert one.value_diff["extensions.conf"][-1] == "+exten"
    assert not any("parse" in asked or "plan" in asked for asked in world.journal.requests)


def test_policies_are_noticed_by_nobody(world: World) -> None:
    desired = change(make_desired("c1", "one"), A, "pbx/vault-policy.hcl", lambda text: text + "# more\n")
    [one] = look(world, desired)[0].values()
    assert (one.effect, one.reasons) == ("nothing", ("policies",))


def test_secrets_are_a_reload(world: World) -> None:
    desired = change(make_desired("c1", "one"), A, "pbx/secrets.json", lambda text: text + "\n")
    [one] = look(world, desired)[0].values()
    assert one.effect == "reload"


def test_a_job_that_nomad_changes_in_place(world: World) -> None:
    def prioritise(text: str) -> str:
        return text.replace('  type = "service"\n', '  type = "service"\n  priority = 70\n')

    [one] = look(world, change(make_desired("c1", "one"), A, "pbx/job.nomad.hcl", prioritise))[0].values()
    assert (one.effect, one.meets) == ("in-place", "")
    assert one.job_diff[0] == f'~ job "{name(A).job_id}"'


def test_an_image_is_a_restart_in_waves(world: World) -> None:
    world.calls["acme/b"] = 2
    desired = replace(make_desired("c2", "two", canaries={"acme/b"}))
    found, _ = look(world, desired)
    assert {one.effect for one in found.values()} == {"restart"}
    canary = found["acme/b"]
    assert (canary.wave, canary.calls) == (1, 2)
    assert canary.meets == "waits until it has no call: 2 channels now"
    others = [one for key, one in found.items() if key != "acme/b"]
    assert {one.wave for one in others} == {2, 3}
    assert all(f"waits for wave {one.wave} of 3; now it is wave 1" in one.meets for one in others)


def test_who_has_a_call_gives_its_place_to_another_as_a_sync_does(world: World) -> None:
    desired = make_desired("c2", "two")
    [first] = [key for key, one in look(world, desired)[0].items() if one.wave == 1]
    world.calls[first] = 1
    found = look(world, desired)[0]
    [second] = [key for key, one in found.items() if one.wave == 1]
    assert second != first and found[second].meets == "waits until it has no call"
    assert (found[first].wave, found[first].calls) == (3, 1)
    assert found[first].meets == "waits for wave 3 of 3; now it is wave 1"
    assert world.sync(desired).changed == ()
    assert world.sync(desired).changed == (second,)


def test_an_open_window_waits_for_no_call(world: World) -> None:
    world.calls["acme/b"] = 1
    sunday = Stretch(**{"days": "sun", "from": "20:00", "to": "23:00"})  # it is 22:00 there
    open_now = Windows(timezone="America/Montevideo", stretches=(sunday,))
    desired = make_desired("c2", "two", canaries={"acme/b"}, windows={"acme/b": open_now})
    assert look(world, desired)[0]["acme/b"].meets == "at once: its maintenance window is open"


def test_a_rollout_that_stopped_says_so(world: World) -> None:
    bad = make_desired("c2", "two", bad=BOXES, canaries={A})
    world.sync(bad)
    world.journal.writes.clear()
    found, _ = look(world, bad)
    assert A not in found  # it went back, and is not tried again
    assert all("nothing is replaced: acme/a did not come up" in one.meets for one in found.values())


def test_a_new_unit_and_a_stopped_job_start(world: World) -> None:
    world.nomad.stop_job(name(A).job_id, world.nomad.jobs[name(A).job_id]["JobModifyIndex"])
    world.journal.writes.clear()
    found, _ = look(world, make_desired("c2", "one", boxes=(*BOXES, "zorro/new")))
    assert {key: one.effect for key, one in found.items()} == {A: "start", "zorro/new": "start"}


def test_what_a_hand_wrote_into_a_value_shows_no_secret(world: World) -> None:
    entry = world.consul.entries[name(A).kv_key]
    world.consul.write(
        entry.key, b'{"files": {"extensions.conf": "[x]\\nsecret=hunter2\\nexten => 1"}}', entry.modify_index
    )
    world.journal.writes.clear()
    [one] = look(world, make_desired("c2", "one"))[0].values()
    lines = "\n".join(one.value_diff["extensions.conf"])
    assert one.effect == "reload" and "drift" in one.reasons[0]
    assert "hunter2" not in lines and "-exten => 1" in lines
    world.consul.write(entry.key, b"no json", world.consul.entries[entry.key].modify_index)
    world.journal.writes.clear()
    [one] = look(world, make_desired("c2", "one"))[0].values()
    assert one.value_diff["extensions.conf"]


def test_no_diff_asks_for_none(world: World) -> None:
    found, _ = look(world, make_desired("c2", "two"), with_diff=False)
    assert all(one.job_diff == () and one.value_diff == {} for one in found.values())


def test_a_narrow_token_leaves_the_effect_unknown_and_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def deny(job: object) -> object:
        asked.append(job)
        raise Denied.because("Nomad denied: plan job", "take a token with that right in NOMAD_TOKEN")

    monkeypatch.setattr(world.nomad, "plan", deny)
    found, foresight = look(world, make_desired("c2", "two"))
    assert {one.effect for one in found.values()} == {"unknown"}
    assert len(asked) == 1
    [problem] = foresight.problems
    assert problem.severity == "warning" and "submit-job" in problem.mend


def test_a_token_without_read_fs_says_that_calls_are_not_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(_allocation: str, _path: str) -> bytes | None:
        raise Denied.because("Nomad denied: read", "take a token")

    monkeypatch.setattr(world.nomad, "read_file", deny)
    found, foresight = look(world, make_desired("c2", "two"))
    assert {one.effect for one in found.values()} == {"restart"}
    assert len(foresight.problems) == 1 and "read-fs" in foresight.problems[0].mend


def test_a_cluster_that_would_end_its_tasks_is_an_error_and_one_that_says_nothing_a_warning(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judge_cluster(world.nomad) == []
    found = (TemplateRetries("short", 12, 0, 0), TemplateRetries("mute", None, None, None))
    monkeypatch.setattr(world.nomad, "list_template_retries", lambda: found)
    short, mute = judge_cluster(world.nomad)
    assert (short.severity, mute.severity) == ("error", "warning")
    assert "node short would end its tasks" in short.what

    def deny() -> object:
        raise Denied.because("Nomad denied: list nodes", "take a token")

    monkeypatch.setattr(world.nomad, "list_template_retries", deny)
    [denied] = judge_cluster(world.nomad)
    assert denied.severity == "warning" and "node:read" in denied.mend
