"""How a box in QEMU is followed, typed to, cut off and started anew; a small program stands for QEMU here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from boxos import firmware
from boxos.by_hand import show_slots
from boxos.cables import Cables
from boxos.emulate import Machine, has_said, read_clock, read_patience
from boxos.firmware import Chosen
from ritilib.errors import RitiError

# it says what it was started with, and what it is asked; "try" leaves the flag, as onbox/slot.py does, and ends
_BOX = """
import subprocess, sys
print("powered on", *sys.argv[2:], flush=True)
for line in sys.stdin:
    print(f"rescue# {line}", end="", flush=True)
    if line == "try\\n":
        open(sys.argv[1], "w").write("try\\n")
        break
    if line == "end\\n":
        break
    subprocess.run(["sh", "-c", line])
"""


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    def choose(_disk: Path, _work: Path, is_try: bool) -> Chosen:
        return Chosen(3 if is_try else 2, tmp_path, tmp_path, "")

    def compose(
        chosen: Chosen, _disk: Path, _tree: Path, more: tuple[str, ...], write_log: Path | None
    ) -> list[str]:
        assert write_log is None
        assert f"file,id=flag,path={tmp_path}/flag" in more and "network" in more
        return [sys.executable, "-c", _BOX, f"{tmp_path}/flag", "-append", f"slot={chosen.partition}"]

    monkeypatch.setattr(firmware, "choose", choose)
    monkeypatch.setattr(firmware, "compose", compose)
    monkeypatch.setattr(firmware, "describe_board", lambda *_: tmp_path / "board.dtb")
    return Machine(tmp_path / "card", tmp_path, Cables(("network",)), tmp_path / "console.log")


def test_marks_are_waited_for_and_timed(box: Machine, tmp_path: Path) -> None:
    told: list[str] = []
    with box:
        assert box.start("more=1") == 2
        seconds = box.follow({"on": "powered on", "slot": "slot=2 more=1"}, 10, told.append)
    assert set(seconds) == {"on", "slot"} and len(told) == 2
    assert (tmp_path / "console.log").read_text() == box.console


def test_what_does_not_come_is_named_with_the_last_words(box: Machine) -> None:
    with box:
        box.start()
        box.follow({"on": "powered on"}, 10)
        box.type("end")
        with pytest.raises(RitiError, match=r"as far as: never; its console:\n.*powered on"):
            box.follow({"on": "powered on", "never": "no such words"}, 10)
        box.cut()
        box.start()
        with pytest.raises(RitiError, match="did not come as far as: never"):
            box.follow({"never": "no such words"}, 0.2)


def test_a_command_is_answered_with_what_it_ends_with(box: Machine) -> None:
    with box:
        box.start()
        assert box.run("echo one; echo two; (exit 3)", 10) == (3, "one\ntwo\n")
        assert box.run("true", 10) == (0, "")
        with pytest.raises(RitiError, match="true did not end"):
            box.type("end")
            box.run("true", 10)


def test_the_flag_holds_for_one_start_and_a_cut_sets_none(box: Machine) -> None:
    with box:
        assert box.start() == 2
        box.type("try")
        box.wait_end(10)
        assert box.start() == 3
        box.cut()
        assert box.start() == 2
        box.type("end")
        box.wait_end(10)
        assert box.start() == 2


def test_a_box_that_does_not_end_is_told(box: Machine) -> None:
    with box:
        box.start()
        with pytest.raises(RitiError, match="did not end within"):
            box.wait_end(0.3)


def test_a_line_counts_when_it_has_ended() -> None:
    """Half of it was read as the whole: the rest had not come through the pipe yet."""
    assert not has_said("RITI x 1: started; slot=B/B ", ": started; slot=")
    assert has_said("RITI x 1: started; slot=B/B failed=none\n", ": started; slot=")
    assert has_said("rescue# ", "rescue# ") and not has_said("resc", "rescue# ")


def test_the_guests_clock_is_one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOCK", raising=False)
    assert read_clock() == ()
    monkeypatch.setenv("CLOCK", "instructions")
    assert read_clock()[0] == "-icount"
    monkeypatch.setenv("CLOCK", "sundial")
    with pytest.raises(RitiError, match="CLOCK is sundial"):
        read_clock()


def test_deadlines_are_longer_by_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATIENCE", raising=False)
    assert read_patience() == 1
    monkeypatch.setenv("PATIENCE", "2.5")
    assert read_patience() == 2.5
    for wrong in ("much", "0", "-1", "nan"):
        monkeypatch.setenv("PATIENCE", wrong)
        with pytest.raises(RitiError, match=f"PATIENCE is {wrong}"):
            read_patience()


def test_the_slots_are_read_off_a_console(box: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"=A/B=": ("A", "B"), "\x1b[?2004l=B/B=": ("B", "B")}
    for words, slots in said.items():
        monkeypatch.setattr(box, "run", lambda _command, words=words: (0, f"{words}\n"))
        assert show_slots(box) == slots
    monkeypatch.setattr(box, "run", lambda _command: (127, "no such program\n"))
    with pytest.raises(RitiError, match="does not say its slots: no such program"):
        show_slots(box)
