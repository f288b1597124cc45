"""status, plan and history as commands, on fakes: their exit codes, their words, and the stable forms for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ritilib.gitops.desired import Desired
from ritilib.sync.pausing import suspend
from tests.unit.removing import name
from tests.unit.replacing import BOXES, make_desired
from tests.unit.sync.seen.test_look import A, Lab
from tests.unit.test_cli import run
from tests.unit.test_sync_images import CANARY, name_image, write_report


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """A fleet that is whole; the commands ask its fakes, and read the commit that `wish` was told."""
    monkeypatch.setattr("ritilib.sync.unit.begin.CLOSING_S", 0.0)
    made = Lab()
    made.start()
    made.cycle()
    for command in ("status", "plan", "history"):
        monkeypatch.setattr(f"ritilib.cli.{command}.Consul", lambda _settings: made.consul)
    for command in ("status", "plan"):
        monkeypatch.setattr(f"ritilib.cli.{command}.Nomad", lambda _settings: made.nomad)
    for variable in ("NOMAD", "CONSUL_HTTP"):
        monkeypatch.setenv(f"{variable}_ADDR", "http://127.0.0.1:1")
        monkeypatch.setenv(f"{variable}_TOKEN", "token")
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    wish(monkeypatch, make_desired("c1", "one"))
    return made


def wish(monkeypatch: pytest.MonkeyPatch, desired: Desired) -> None:
    monkeypatch.setattr("ritilib.cli.plan.read_desired", lambda _repo, _rev: desired)


def ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, Any]:
    """The exit code, and what was printed as JSON."""
    code = run(monkeypatch, *arguments, "--json")
    return code, json.loads(capsys.readouterr().out)


def test_a_whole_fleet_ends_with_0(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "status", "--fleet", "demo") == 0
    said = capsys.readouterr()
    assert said.out.startswith("fleet demo: well\nhost:1 leads since ")
    assert "commit c1: whole; last wholly applied: c1 since 20" in said.out
    assert said.err == ""


def test_the_form_of_a_status_is_stable(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = ask(monkeypatch, capsys, "status", "--fleet", "demo")
    assert code == 0
    assert set(said) == {
        "fleet",
        "at",
        "verdict",
        "why",
        "leader",
        "fresh",
        "age_s",
        "branch",
        "status",
        "drift",
        "overlay",
        "units",
        "boxes",
        "problems",
    }
    assert set(said["status"]) == {
        "format",
        "fleet",
        "written",
        "leader",
        "commit",
        "whole",
        "begun",
        "counts",
        "rollout",
        "held",
        "failing",
        "watched",
        "down",
        "waiting",
        "problems",
        "healed",
        "failed_cycle",
        "git",
        "paused",
    }
    code, company = ask(monkeypatch, capsys, "status", "zorro", "--fleet", "demo")
    assert [one["unit"] for one in company["units"]] == ["zorro/d", "zorro/e"]
    code, unit = ask(monkeypatch, capsys, "status", A, "--fleet", "demo")
    assert code == 0
    assert set(unit) == {
        "unit",
        "record",
        "job",
        "allocation",
        "instances",
        "value",
        "word",
        "box",
        "told",
        "history",
        "lacks",
        "problems",
    }


def test_an_old_view_says_so_and_ends_with_1(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.consul.destroy_session(lab.session)
    assert run(monkeypatch, "status", "--fleet", "demo") == 1
    said = capsys.readouterr().out
    assert "nobody leads" in said and "OLD: what follows was said" in said


def test_what_is_still_to_come_ends_with_3(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.calls["acme/b"] = 1
    lab.cycle("c2", "two", canaries=("acme/b",))
    assert run(monkeypatch, "status", "--fleet", "demo") == 3
    said = capsys.readouterr().out
    assert "rollout: wave 1 of 3" in said
    assert "acme/b\theld\t" in said and "\tcalls: it has a call" in said
    assert run(monkeypatch, "status", "acme/b", "--fleet", "demo") == 3
    assert "warning: acme/b: it is left as it is: it has a call" in capsys.readouterr().err


def test_what_failed_ends_with_1_and_says_its_mend(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        lab.cycle("c2", "two", bad=BOXES, canaries=(A,))
    assert run(monkeypatch, "status", "--fleet", "demo") == 1
    said = capsys.readouterr()
    assert "rollout stopped: acme/a did not come up" in said.out
    assert "error: acme/a did not come up" in said.err and "nomad job history" in said.err
    assert run(monkeypatch, "status", A, "--fleet", "demo") == 1
    said = capsys.readouterr()
    assert "bad_job\t" in said.out and "leader says: " in said.out
    assert run(monkeypatch, "history", A, "--fleet", "demo") == 0
    assert "gone_back" in capsys.readouterr().out


def test_a_value_changed_by_hand_is_shown_for_its_unit(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.edit(A, Priority=70)
    assert run(monkeypatch, "status", "--fleet", "demo") == 3
    assert f"{A}\tdrift\t\tits job was changed" in capsys.readouterr().out
    assert run(monkeypatch, "status", A, "--fleet", "demo") == 3


def test_a_unit_that_nobody_knows_is_said(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "status", "acme/nowhere", "--fleet", "demo") == 1
    assert "knows no unit acme/nowhere" in capsys.readouterr().err


def test_a_program_does_not_watch(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "status", "--fleet", "demo", "--watch", "--json") == 2


def test_a_history_is_bounded_and_has_a_stable_form(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.cycle("c2", "one", boxes=(*BOXES, "acme/f"))
    code, said = ask(monkeypatch, capsys, "history", "--fleet", "demo", "-n", "1")
    assert (code, set(said)) == (0, {"fleet", "unit", "entries", "record"})
    [entry] = said["entries"]
    assert entry.pop("began") and entry.pop("ended")
    assert entry == {
        "commit": "c2",
        "who": "host:1",
        "epoch": 1,
        "whole": True,
        "counts": {"changed": 1},
        "units": {"changed": ["acme/f"]},
    }
    assert run(monkeypatch, "history", "--fleet", "demo") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1:4] for line in said] == [
        ["c2", "1 changed", "acme/f"],
        ["c1", "5 changed", "acme/a, acme/b, acme/c and 2 more"],
    ]


def test_a_plan_says_nothing_or_what_each_pbx_notices(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "plan") == 0
    assert capsys.readouterr().out == "0 to change, 5 as wished\n"
    wish(monkeypatch, make_desired("c2", "two", canaries=(A,)))
    assert run(monkeypatch, "plan") == 3
    said = capsys.readouterr().out
    assert f"{A}\trestart\tdial plan or peers, job\twaits until it has no call\n" in said
    assert f"\n{A}: extensions.conf in Consul\n@@ " in said
    assert f'\n{A}: job in Nomad\n~ job "demo--acme--a"\n' in said
    assert run(monkeypatch, "plan", "--no-diff") == 3
    assert " in Consul" not in capsys.readouterr().out


def test_a_plan_says_which_boxes_are_to_run_another_image(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in BOXES:
        lab.consul.put(name(key).box_report, write_report("1.2.3"))
    wish(monkeypatch, name_image(make_desired("c1", "one")))
    lab.journal.writes.clear()
    assert run(monkeypatch, "plan") == 3
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["0 to change, 5 as wished", f"{CANARY}: its box is to run image 1.2.4"]
    assert "acme/a: its box keeps its image: its wave comes after wave 1 of 3" in said
    assert said[-1] == "boxes' images: 1 to change, 4 later, 0 failed"
    code, plan = ask(monkeypatch, capsys, "plan")
    assert code == 3 and plan["images"]["told"] == {CANARY: "1.2.4"} and len(plan["images"]["later"]) == 4
    assert lab.journal.writes == []


def test_the_form_of_a_plan_is_stable(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wish(monkeypatch, make_desired("c2", "two"))
    code, said = ask(monkeypatch, capsys, "plan")
    assert code == 3
    assert set(said) == {
        "commit",
        "unchanged",
        "changes",
        "units",
        "stop",
        "purge",
        "pauses",
        "waiting",
        "awaiting",
        "conflicts",
        "held",
        "images",
        "cluster",
        "warnings",
    }
    assert set(said["images"]) == {"told", "later", "failed"}
    assert set(said["units"][0]) == {
        "unit",
        "reasons",
        "effect",
        "meets",
        "wave",
        "waves",
        "calls",
        "value_diff",
        "job_diff",
        "warnings",
    }


def test_a_repository_that_is_ahead_is_said(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ritilib.cli.status.read_fleet_name", lambda _repo, _rev: "demo")
    monkeypatch.setattr("ritilib.cli.status.find_commit", lambda _repo, _rev: "c3")
    monkeypatch.setattr("ritilib.cli.status.count_ahead", lambda _repo, _rev, applied: {"c1": 2}[applied])
    assert run(monkeypatch, "status") == 3
    assert "the branch is at c3: 2 commits ahead\n" in capsys.readouterr().out


def test_what_is_suspended_is_to_come_and_no_failure(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "ritilib.sync.once.find_down", lambda *_: {}
    )  # the fake's job list tells no allocations
    suspend(lab.consul, "demo", "acme", "calls drop", "ana", lab.now)
    lab.cycle("c1", "one")
    assert run(monkeypatch, "status", "--fleet", "demo") == 0
    assert "\nacme is suspended by ana: calls drop\n" in capsys.readouterr().out
    lab.cycle("c2", "two")
    code, said = ask(monkeypatch, capsys, "status", "--fleet", "demo")
    assert (code, said["verdict"], said["status"]["problems"]) == (3, "pending", [])
    (paused,) = said["status"]["paused"]
    assert (paused["scope"], paused["by"], paused["waits"]) == ("acme", "command", 3)
    assert said["status"]["counts"]["paused"] == 3
    wish(monkeypatch, make_desired("c2", "two"))
    code, planned = ask(monkeypatch, capsys, "plan")
    assert code == 1
    assert [one["unit"] for one in planned["units"]] == ["zorro/e"]  # the other one was its wave
    assert [(one["scope"], one["waits"]) for one in planned["pauses"]] == [("acme", 3)]
    assert "3 units of it wait: acme/a" in planned["held"][0]["what"]
