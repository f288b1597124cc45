"""RAUC's questions, answered on a selector's very bytes: one sector changes, and only at the commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from onbox import closing, health, machine, rescue, slot, status, update
from onbox.selection import SECTOR, read_selection
from onbox.selector import Unreadable, count_marks
from onbox.slots import Refused
from tests.boxos.test_selector import SELECTION, entry, make

WELL = health.Health(started=True, root_verified=True, data=True)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """The box's own files below tmp_path; the function says which slot the firmware took."""
    # file systems in memory do not know it on every kernel
    monkeypatch.setattr(os, "O_DIRECT", 0)
    monkeypatch.setattr(machine, "find_selector", lambda: tmp_path / "selector")
    monkeypatch.setattr(machine, "RECORD", tmp_path / "rauc/slots.json")
    monkeypatch.setattr(machine, "BOOTLOADER", tmp_path)
    monkeypatch.setattr(machine, "AGENT", tmp_path / "agent.json")
    monkeypatch.setattr(machine, "read_health", lambda: WELL)
    monkeypatch.setattr(slot, "FLAG_PORT", tmp_path / "port")
    monkeypatch.setattr(rescue, "MARKS", tmp_path / "rescued")
    monkeypatch.setattr(machine, "RESTARTING", tmp_path / "restarting")
    monkeypatch.setattr(machine, "GIVEN_UP", tmp_path / "rauc/given-up")
    monkeypatch.setattr(slot, "ASKED", tmp_path / "restart")
    monkeypatch.setattr(update, "STATUS", tmp_path / "rauc/status")
    monkeypatch.setattr(closing, "STATE", tmp_path / "watcher.json")
    monkeypatch.setattr(closing, "CONSOLE", tmp_path / "asterisk.ctl")
    (tmp_path / "selector").write_bytes(make(SELECTION, entry("RESCUE     ")))

    def tell(partition: int, tryboot: int) -> None:
        for name, value in (("partition", partition), ("tryboot", tryboot)):
            (tmp_path / name).write_bytes(value.to_bytes(4, "big"))

    tell(2, 0)
    return tell


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was started; RAUC asks its backend as it would."""
    calls: list[list[str]] = []

    def run(argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        argv = list(argv)
        calls.append(argv)
        if argv == ["rauc", "status", "mark-good"]:
            slot.answer(["set-state", slot.answer(["get-current"]), "good"])
        return subprocess.CompletedProcess(argv, 0, "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_an_update_changes_one_sector_once(
    told: Callable[[int, int], None], ran: list[list[str]], tmp_path: Path
) -> None:
    before = (tmp_path / "selector").read_bytes()
    assert [slot.answer([verb]) for verb in ("get-current", "get-primary")] == ["A", "A"]
    slot.answer(["set-state", "B", "bad"])
    slot.answer(["set-primary", "B"])
    assert (slot.answer(["get-primary"]), slot.answer(["show"])) == ("B", "A/B")
    (tmp_path / "port").touch()
    slot.restart()
    assert ran == [["systemctl", "reboot", "--reboot-argument=0 tryboot"]]
    assert (tmp_path / "port").read_text() == "try\n"
    assert (tmp_path / "selector").read_bytes() == before
    told(3, 1)
    slot.prove()
    after = (tmp_path / "selector").read_bytes()
    changed = [index for index in range(len(before)) if before[index] != after[index]]
    start = changed[0] // SECTOR * SECTOR
    assert {index // SECTOR for index in changed} == {start // SECTOR}
    assert read_selection(after[start:], is_try=False) == 3
    assert [slot.answer([verb]) for verb in ("get-current", "get-primary")] == ["B", "B"]
    slot.prove()
    assert ran[-1] == ["rauc", "status", "mark-good"] and len(ran) == 2


def test_what_does_not_work_goes_back(
    told: Callable[[int, int], None],
    ran: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    slot.answer(["set-primary", "B"])
    slot.restart()
    told(3, 1)
    monkeypatch.setattr(machine, "read_health", lambda: health.Health(True, True, data=False))
    monkeypatch.setattr(slot.time, "clock_gettime", lambda _: health.BOUND_S)
    slot.prove()
    assert ran[-1] == ["systemctl", "reboot"]
    assert "given up: the data partition is not there" in capsys.readouterr().out
    (tmp_path / "rauc/status").write_text("[slot.root.1]\nbundle.version=1.2.4\n")
    assert status.describe_slots()["committed"] is False
    told(2, 0)
    # on its way to the try it has not failed yet; a restart takes the mark away
    assert not status.look().went_back and status.describe_slots()["failed"] == ""
    (tmp_path / "restarting").unlink()
    assert status.describe_slots() == {
        "slot": "A",
        "committed": True,
        "installed": "",
        "failed": "1.2.4",
        "failed_why": "the data partition is not there",
    }
    assert (slot.answer(["get-primary"]), slot.answer(["get-state", "B"])) == ("A", "bad")
    assert status.look().went_back


def test_no_restart_while_a_call_is_up_and_the_wish_stays(
    told: Callable[[int, int], None],
    ran: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slot.answer(["set-primary", "B"])
    (tmp_path / "rauc/status").write_text("[slot.root.1]\nbundle.version=1.2.4\n")
    (tmp_path / "restart").touch()
    monkeypatch.setattr(closing, "end_gently", lambda: "a call is up")
    monkeypatch.setattr("sys.argv", ["slot", "restart"])
    with pytest.raises(SystemExit, match="1"):
        slot.main()
    assert capsys.readouterr().err == "slot: it does not restart now: a call is up\n"
    assert ran == [] and not (tmp_path / "restart").exists() and not (tmp_path / "restarting").exists()
    assert status.describe_slots()["installed"] == "1.2.4"
    monkeypatch.setattr(closing, "end_gently", lambda: "")
    slot.main()
    assert ran == [["systemctl", "reboot", "--reboot-argument=0 tryboot"]]


def test_a_selector_that_is_not_there_yet_is_waited_for(
    told: Callable[[int, int], None],
    ran: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    slot.answer(["set-primary", "B"])
    slot.restart()
    told(3, 1)
    (tmp_path / "selector").rename(tmp_path / "later")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        (tmp_path / "later").rename(tmp_path / "selector")

    monkeypatch.setattr(slot.time, "sleep", sleep)
    monkeypatch.setattr(slot.time, "clock_gettime", lambda _: 1.0)
    slot.prove()
    assert len(pauses) == 1 and slot.answer(["show"]) == "B/B"


def test_one_that_never_comes_ends_in_a_restart(
    told: Callable[[int, int], None], ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "selector").unlink()
    monkeypatch.setattr(slot.time, "clock_gettime", lambda _: health.BOUND_S)
    slot.prove()
    assert ran == [["systemctl", "reboot"]]


def test_the_selector_is_found_by_the_name_that_the_kernel_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "BLOCKS", tmp_path)
    for name, label in (("vda", ""), ("vda1", "riti-selector"), ("vda6", "riti-data")):
        (tmp_path / name).mkdir()
        lines = [f"DEVNAME={name}", "DEVTYPE=partition", *([f"PARTNAME={label}"] if label else [])]
        (tmp_path / name / "uevent").write_text("\n".join(lines) + "\n")
    assert machine.find_selector() == Path("/dev/vda1")
    (tmp_path / "vda1/uevent").unlink()
    with pytest.raises(FileNotFoundError, match="no partition is called riti-selector"):
        machine.find_selector()


def test_nothing_is_tried_where_nothing_was_installed(
    told: Callable[[int, int], None], ran: list[list[str]]
) -> None:
    slot.restart()
    assert ran == [["systemctl", "reboot"]]


def test_the_program_ends_with_words(
    told: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused):
        slot.answer(["get-state", "C"])
    monkeypatch.setattr("sys.argv", ["slot", "get-everything"])
    with pytest.raises(SystemExit, match="1"):
        slot.main()
    assert capsys.readouterr().err == "slot: get-everything is no question of RAUC's\n"
    monkeypatch.setattr("sys.argv", ["slot", "get-current"])
    slot.main()
    assert capsys.readouterr().out == "A\n"


def test_the_rescue_way_opens_behind_its_mark_only(told: Callable[[int, int], None], tmp_path: Path) -> None:
    assert rescue.mark() == 1 and status.look().rescued == 1
    assert count_marks((tmp_path / "selector").read_bytes()) == 1
    with pytest.raises(Unreadable, match="nothing on the card asks"):
        rescue.mark()
    # marks that were taken off the card are kept beside it
    (tmp_path / "rescued").write_text("3\n")
    (tmp_path / "selector").write_bytes(make(SELECTION))
    assert status.look().rescued == 3
