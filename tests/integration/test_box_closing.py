"""Root and a box's real Asterisk: a telephone registers and changes nothing, and Asterisk ends only without a call."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from onbox import closing
from ritilib.box.live import compose_configuration, understand_live
from ritilib.box.swap import Generations
from ritilib.devstack.processes import poll
from ritilib.reconcile.box_value import encode_box_value
from tests.integration.box_alone import SECRETS, BoxAlone

WITHIN_S = 60.0
BOX_OS = Path(__file__).parents[2] / "box-os"
REGISTER = """\
import sys
from pathlib import Path
from onbox.registration import find_account, register
account = find_account(Path(sys.argv[1]).read_text())
print(register(account) or "accepted")
"""


@pytest.fixture
def box(box_root: Path, box_watcher: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BoxAlone]:
    """A box that telephones, with the configuration that an agent would have put in force."""
    with tempfile.TemporaryDirectory(prefix="riti-") as folder:
        made = BoxAlone(Path(folder), box_root, box_watcher)
        live = understand_live(encode_box_value(made.render(), 1, "c0ffee"))
        configuration = compose_configuration(live, SECRETS, 1)
        generations = Generations(made.configuration)
        made.configuration.parent.mkdir()
        generations.recover()
        generations.stage(configuration)
        generations.switch(configuration.identity)
        monkeypatch.setattr(closing, "CONSOLE", made.run_folder / "asterisk.ctl")
        monkeypatch.setattr(closing, "STATE", made.state)
        try:
            made.start()
            wait_up(made)
            yield made
        finally:
            made.stop()


def wait_up(box: BoxAlone) -> None:
    assert poll(lambda: box.read_word().is_up, WITHIN_S)


def try_register(box: BoxAlone, configuration: Path) -> str:
    """In the box's own network, as riti-prove would."""
    assert box._process
    argv = [
        "nsenter",
        f"--net=/proc/{box._process.pid}/ns/net",
        sys.executable,
        "-c",
        REGISTER,
        configuration,
    ]
    environ = os.environ | {"PYTHONPATH": str(BOX_OS)}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=environ).stdout.strip()


def test_a_telephone_registers_and_no_contact_comes_of_it(box: BoxAlone, tmp_path: Path) -> None:
    configuration = box.configuration / "asterisk/pjsip.conf"
    assert try_register(box, configuration) == "accepted"
    assert "No objects found" in box.ask("pjsip show contacts")
    wrong = tmp_path / "pjsip.conf"
    wrong.write_text(configuration.read_text().replace(SECRETS["phones"]["101"], "another"))
    assert "Asterisk answers 401" in try_register(box, wrong)


def test_without_a_call_asterisk_ends_and_would_be_started_anew(box: BoxAlone) -> None:
    starts = box.starts
    assert closing.end_gently() == ""
    assert poll(lambda: box.starts > starts, WITHIN_S)
    wait_up(box)


@pytest.mark.parametrize("is_seen", [True, False], ids=["seen by the watcher", "not seen yet"])
def test_a_call_goes_on_and_others_are_taken(
    box: BoxAlone, is_seen: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not is_seen:
        monkeypatch.setattr(closing, "STATE", tmp_path / "absent")
        monkeypatch.setattr(closing, "CLOSING_S", 2.0)
    starts = box.starts
    box.call()
    assert poll(lambda: box.count_channels() > 0 and box.read_word().is_busy, WITHIN_S)
    before = box.count_channels()
    assert closing.end_gently() == ("a call is up" if is_seen else "a call came in that moment")
    assert (box.count_channels(), box.starts) == (before, starts)
    # it takes new ones: what was closed is open again
    box.call()
    assert poll(lambda: box.count_channels() > before, WITHIN_S)
