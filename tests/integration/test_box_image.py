"""A box goes to the version that it is told, and cuts no call: agent, root's programs, the real Asterisk and watcher.

What is played: the path units that start root's programs, RAUC's client, the firmware, and the end of the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from onbox import closing, machine, registration, slot, status, update
from onbox.health import BOUND_S, Health
from ritilib.box.agent import Agent, Box, Place
from ritilib.box.candidate import find_program, try_candidate
from ritilib.box.own import Access, Document
from ritilib.box.updating import ImagePlaces
from ritilib.devstack.processes import poll
from ritilib.reconcile.box_value import encode_box_value
from ritilib.reconcile.image_value import ImageValue
from ritilib.render.names import UnitNames
from tests.boxos.test_slot_program import told
from tests.fakes.own import FakeOwn
from tests.integration.box_alone import SECRETS, BoxAlone
from tests.integration.test_box_agent import Joined

__all__ = ["told"]
WITHIN_S = 60.0
NAMES = UnitNames("fleet", "acme", "montevideo")
WISH = ImageValue(version="1.2.4", bundles="http://10.0.0.5/riti", told_at=datetime(2026, 11, 30, tzinfo=UTC))
WELL = Health(started=True, root_verified=True, data=True, agent=True)
REGISTER = """\
import sys
from pathlib import Path
from onbox.registration import can_register
sys.exit(not can_register(Path(sys.argv[1])))
"""
RAUC = """\
#!/bin/sh
printf '  0%% Installing\\n 50%% Copying image\\n100%% Installing done.\\n'
printf '[slot.root.1]\\nbundle.version=1.2.4\\n' > {folder}/rauc-status
"""


class Machine:
    """The box; reboots are what its end was asked for with. version is that of the slot that the firmware took."""

    def __init__(self, box: BoxAlone, folder: Path, take: Callable[[int, int], None]) -> None:
        self.box, self.folder, self.take = box, folder, take
        self.version, self.reboots = "1.2.3", list[list[str]]()
        self.telephones_work = True
        self.servers = FakeOwn(Document(1, SECRETS))
        self.servers.set(NAMES.box_kv_key, encode_box_value(box.render(), 1, "c0ffee"))
        self.said: list[str] = []
        self._data = box.folder / "data"
        self._data.mkdir(exist_ok=True)
        for name in ("identity.crt", "overlay.key", "overlay.crt", "overlay-ca.crt"):
            (self._data / name).write_text(name)
        self._ended = threading.Event()
        self._units = threading.Thread(target=self._play_units)
        self._units.start()
        self._start_agent()

    def _start_agent(self) -> None:
        program, box = find_program(self.box.root), self.box
        places = ImagePlaces(self.folder, self.folder / "status.json", self.folder / "said.json")
        self.agent = Agent(
            Box(NAMES, "0.1"),
            Place(self._data, box.state, image=places),
            Access(lambda: self.servers, lambda: True),
            lambda _show: Joined(),
            lambda files, usual: try_candidate(files, program, box.folder / "scratch", usual),
            self.said.append,
            lambda: 0.0,
        )
        self._thread = threading.Thread(target=self.agent.run)
        self._thread.start()

    def _end_agent(self) -> None:
        self.agent.is_ending = True
        self._thread.join()

    def _play_units(self) -> None:
        """riti-status, riti-update.path and riti-restart.path."""
        while not self._ended.wait(0.2):
            said = {"version": self.version, **status.describe_slots()}
            beside = self.folder / "status.new"
            beside.write_text(json.dumps(said))
            beside.rename(self.folder / "status.json")
            if update.ASKED.exists():
                update.main()
            if slot.ASKED.exists() and not self.reboots:
                try:
                    slot.restart()
                except slot.slots.Refused as error:
                    self.said.append(str(error))

    def boot(self, version: str, partition: int, tryboot: int) -> None:
        """The machine ends and comes up in a slot; its memory is empty then."""
        self._end_agent()
        self.version = version
        self.take(partition, tryboot)
        for left in (machine.RESTARTING, update.SAID, slot.ASKED):
            left.unlink(missing_ok=True)
        self.reboots.clear()
        told = (
            self.folder / "status.json"
        )  # what was there before is no more on a machine that has just started
        assert poll(lambda: json.loads(told.read_text()).get("version") == version, WITHIN_S)
        assert poll(lambda: self.box.read_word().is_up, WITHIN_S)
        self._start_agent()

    def end(self) -> None:
        self._end_agent()
        self._ended.set()
        self._units.join()

    def read_health(self) -> Health:
        return replace(WELL, phones=self.telephones_work and self._register())

    def _register(self) -> bool:
        assert self.box._process
        argv = ["nsenter", f"--net=/proc/{self.box._process.pid}/ns/net", sys.executable, "-c", REGISTER]
        path = os.environ | {"PYTHONPATH": str(Path(registration.__file__).parents[1])}
        argv.append(str(self.box.configuration / "asterisk/pjsip.conf"))
        return REAL_RUN(argv, check=False, env=path).returncode == 0

    @property
    def report(self) -> dict[str, Any]:
        held = self.servers.values.get(NAMES.box_report)
        return dict(json.loads(held.data)["update"] or {}) if held else {}

    def wait(self, state: str, why: str = "") -> None:
        def holds() -> bool:
            return self.report.get("state") == state and why in str(self.report.get("why"))

        assert poll(holds, WITHIN_S), (state, why, self.report, self.said)


REAL_RUN = subprocess.run


@pytest.fixture
def box(
    box_root: Path,
    box_watcher: Path,
    told: Callable[[int, int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="riti-") as folder:
        alone = BoxAlone(Path(folder), box_root, box_watcher)
        places = {"ASKED": "update.json", "SAID": "said.json", "CA": "ca.pem", "STATUS": "rauc-status"}
        for name, place in places.items():
            monkeypatch.setattr(update, name, tmp_path / place)
        monkeypatch.setattr(update, "read_release", lambda: {"IMAGE_ID": "riti-box-virt"})
        monkeypatch.setattr(closing, "CONSOLE", alone.run_folder / "asterisk.ctl")
        monkeypatch.setattr(closing, "STATE", alone.state)
        monkeypatch.setattr("ritilib.box.agent.IMAGE_S", 0.1)
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/rauc").write_text(RAUC.format(folder=tmp_path))
        (tmp_path / "bin/rauc").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        install = update.install
        monkeypatch.setattr(update, "install", lambda *wish: play_rauc(install, *wish))
        alone.start()
        made = Machine(alone, tmp_path, told)
        monkeypatch.setattr(machine, "read_health", made.read_health)

        def run(argv: list[str], **more: Any) -> subprocess.CompletedProcess[Any]:
            if argv[0] == "systemctl":
                made.reboots.append(list(argv))
            elif argv[0] == "rauc":
                slot.answer(["set-state", slot.answer(["get-current"]), "good"])
            else:
                return REAL_RUN(argv, **more)
            return subprocess.CompletedProcess(argv, 0, "")

        monkeypatch.setattr(subprocess, "run", run)
        try:
            assert poll(lambda: alone.read_word().is_up, WITHIN_S)
            yield made
        finally:
            made.end()
            alone.stop()


def play_rauc(install: Callable[..., Any], *wish: Any) -> Any:
    """RAUC's service asks the slots' program before it writes, and after it."""
    slot.answer(["set-state", "B", "bad"])
    slot.answer(["set-primary", "B"])
    return install(*wish)


def install_under_a_call(box: Machine) -> None:
    """As far as the restart: nothing is begun, and nothing restarted, while somebody speaks."""
    box.wait("")
    box.box.call()
    assert poll(lambda: box.box.read_word().is_busy, WITHIN_S)
    box.servers.set(NAMES.box_image, WISH.encode())
    box.wait("waits", "a call is up")
    assert not update.SAID.exists()
    box.box.ask("channel request hangup all")
    assert poll(lambda: (box.folder / "rauc-status").exists(), WITHIN_S)


def test_the_version_is_installed_tried_and_committed_and_no_call_is_cut(box: Machine) -> None:
    install_under_a_call(box)
    assert poll(lambda: bool(box.reboots), WITHIN_S)
    assert box.reboots == [["systemctl", "reboot", "--reboot-argument=0 tryboot"]]
    wanted = machine.read_kept().wanted
    assert wanted and wanted["phones"] is True
    box.boot("1.2.4", 3, 1)
    box.wait("trial")
    slot.prove()
    box.wait("")
    assert {"version": "1.2.4", "slot": "B", "committed": True, "failed": {}}.items() <= box.report.items()
    assert slot.answer(["show"]) == "B/B" and box.reboots == []


def test_one_whose_telephones_do_not_register_goes_back_and_is_not_tried_again(
    box: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_under_a_call(box)
    assert poll(lambda: bool(box.reboots), WITHIN_S)
    box.boot("1.2.4", 3, 1)
    box.telephones_work = False
    monkeypatch.setattr(slot.time, "clock_gettime", lambda _: float(BOUND_S))
    slot.prove()
    assert box.reboots == [["systemctl", "reboot"]]
    box.boot("1.2.3", 2, 0)
    box.wait("failed", "no telephone can register")
    assert box.report["failed"] == {"1.2.4": "no telephone can register"}
    assert (box.report["version"], box.report["committed"], box.reboots) == ("1.2.3", True, [])
    # the same once more, as somebody would ask for it after mending what was the cause
    box.telephones_work = True
    box.servers.set(NAMES.box_image, WISH.model_copy(update={"attempt": 2}).encode())
    assert poll(lambda: bool(box.reboots), WITHIN_S)
