"""What root does for the agent's wish: it reads it as a stranger's, has RAUC install, and says what came of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from boxos.board import BOARDS
from boxos.flavour import FLAVOURS
from boxos.manifest import write_system
from boxos.recipe import VERSION, Recipe
from onbox import machine, slot, update, wish
from onbox.slots import Record
from onbox.wish import NoWish, Wish, read_wish, take_file
from ritilib.fleet.kinds import VERSION_PATTERN
from tests.boxos.test_slot_program import ran, told  # noqa: F401

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
GOOD = {"version": "1.2.4", "bundles": "http://10.0.0.5/riti"}
# what RAUC 1.15's client writes (src/main.c), on its way and at its end
PROGRESS = "installing\n  0% Installing\n 20% Checking bundle done.\n100% Installing done.\n"
SUCCEEDED = PROGRESS + "Installing `URL` succeeded\n"
REFUSED = (
    "  0% Installing\nLastError: signature verification failed: self-signed certificate\n"
    "Installing `URL` failed\n"
)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "latest"},
        {"version": "1.2.4\n"},
        {"version": "../1.2.4"},
        {"version": 124},
        {"bundles": "file:///data/riti"},
        {"bundles": "/data/riti/bundles"},
        {"bundles": "--tls-no-verify"},
        {"bundles": "http://10.0.0.5/riti -f"},
        {"bundles": "http://ana:secret@10.0.0.5/riti"},
        {"bundles": "http://10.0.0.5/riti?x=$(reboot)"},
        {"bundles": "http://10.0.0.5/" + "a" * 300},
        {"bundles": "https://bundles.example/riti"},
        {"ca": "/etc/rauc/keyring.pem"},
        {"ca": CA + "-----BEGIN PRIVATE KEY-----\n"},
        {"more": "x"},
    ],
    ids=str,
)
def test_what_is_no_wish_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(NoWish):
        read_wish(json.dumps(GOOD | changed))


def test_a_wish_names_the_bundle_of_this_board() -> None:
    found = read_wish(json.dumps(GOOD))
    assert found == Wish("1.2.4", "http://10.0.0.5/riti")
    recipe = Recipe(BOARDS["virt"], FLAVOURS["debian"], found.version)
    assert found.name_bundle("riti-box-virt") == f"{found.bundles}/{recipe.name}.raucb"
    assert VERSION.fullmatch(found.version)
    assert read_wish(json.dumps(GOOD | {"bundles": "https://bundles.example", "ca": CA})).ca == CA
    for image in ("", "riti box", "../riti"):
        with pytest.raises(NoWish, match="which board"):
            found.name_bundle(image)
    for text in ("", "[]", "null", '"x"'):
        with pytest.raises(NoWish):
            read_wish(text)


@pytest.mark.parametrize(
    ("version", "is_one"),
    [
        *((one, True) for one in ("1.2.3", "0.0.1", "10.20.30", "1.2.4-rc.1", "1.2.4+build", "1.2.4~rc1")),
        *((one, False) for one in ("1.2", "1.2.3.4", "v1.2.3", "1.2.3-", "1.2.3 ", "1.2.3-a/b", "", "1.2.x")),
    ],
)
def test_fleet_image_and_root_mean_the_same_by_a_version(version: str, is_one: bool) -> None:
    assert bool(re.fullmatch(VERSION_PATTERN, version)) == is_one
    assert bool(VERSION.fullmatch(version)) == is_one
    if is_one:
        assert read_wish(json.dumps(GOOD | {"version": version})).version == version
    else:
        with pytest.raises(NoWish):
            read_wish(json.dumps(GOOD | {"version": version}))


def test_a_file_is_taken_once_and_no_link_of_another_user_is_followed(tmp_path: Path) -> None:
    asked, secret = tmp_path / "update.json", tmp_path / "secret"
    asked.write_text("text")
    assert take_file(asked) == "text" and not asked.exists()
    with pytest.raises(NoWish, match="there is none"):
        take_file(asked)
    secret.write_text("a secret")
    asked.symlink_to(secret)
    with pytest.raises(NoWish, match="cannot be read"):
        take_file(asked)
    assert secret.read_text() == "a secret" and not asked.is_symlink()
    os.mkfifo(asked)
    with pytest.raises(NoWish, match="no plain file"):
        take_file(asked)
    asked.write_bytes(b"x" * (wish.MOST_BYTES + 1))
    with pytest.raises(NoWish, match="no plain file"):
        take_file(asked)
    assert not asked.exists()


def test_raucs_words_are_followed() -> None:
    assert [percent for percent, _ in update.follow(iter(PROGRESS.splitlines(keepends=True)))] == [0, 20, 100]
    found = list(update.follow(iter(REFUSED.splitlines(keepends=True))))
    assert found[-1] == (None, "signature verification failed: self-signed certificate")
    assert update.is_final(found[-1][1])
    for words in (
        "Compatible mismatch: Expected 'riti-box-pi4' but bundle manifest has 'riti-box-pi5'",
        "Version mismatch: Expected at least '1.2.3' but bundle manifest has '1.2.2'",
    ):
        assert update.is_final(words)
    for words in (
        "failed to download: Could not resolve host: bundles.example",
        "failed to download: SSL certificate problem: unable to get local issuer certificate",
        "Unexpected response: HTTP 503",
    ):
        assert not update.is_final(words)


def test_versions_are_those_of_raucs_record_under_the_names_of_its_settings() -> None:
    text = "[slot.boot.1]\nbundle.version=9.9.9\n\n[slot.root.1]\nbundle.version=1.2.4\nstatus=ok\n"
    assert update.read_versions(text) == {"B": "1.2.4"}
    assert update.read_versions("no file of RAUC's") == {}
    system = write_system(Recipe(BOARDS["virt"], FLAVOURS["debian"], "1.2.3"))
    for name, letter in update._SLOTS.items():
        parent = name.replace("slot.root", "boot")
        assert f"[{name}]" in system and f"parent={parent}" in system
        assert f"bootname={letter}" in system.partition(f"[slot.{parent}]")[2].partition("[")[0]


class Box:
    """Root's and the agent's files below a folder, and a RAUC that says what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ask(self, **said: object) -> None:
        (self.folder / "update.json").write_text(json.dumps(GOOD | said))

    def play(self, words: str, code: int = 0, installs: str = "") -> None:
        """RAUC's client: it writes words, ends with code, and has installed that version into slot B."""
        rauc = self.folder / "bin/rauc"
        record = f"[slot.root.1]\nbundle.version={installs}\n"
        done = f"printf '{record}' > {self.folder}/status\n" if installs else ""
        rauc.write_text(
            f"#!/bin/sh\necho \"$@\" > {self.folder}/asked\ncat <<'END'\n{words}END\n{done}exit {code}\n"
        )
        rauc.chmod(0o755)
        machine.write_kept(Record(to_try="B" if installs else ""))

    def run(self) -> int:
        try:
            update.main()
        except SystemExit as ended:
            return int(str(ended.code))
        return 0

    @property
    def said(self) -> dict[str, object]:
        return dict(json.loads((self.folder / "said.json").read_text()))


@pytest.fixture
def box(
    told: Callable[[int, int], None],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Box:
    for name, place in (
        ("ASKED", "update.json"),
        ("SAID", "said.json"),
        ("CA", "ca.pem"),
        ("STATUS", "status"),
    ):
        monkeypatch.setattr(update, name, tmp_path / place)
    (tmp_path / "release").write_text('ID=riti\nIMAGE_ID=riti-box-virt\nIMAGE_VERSION="1.2.3"\n')
    monkeypatch.setattr(update, "read_release", lambda: read_release(tmp_path / "release"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Box(tmp_path)


read_release = update.read_release


def test_a_version_is_installed_and_nothing_is_restarted(box: Box) -> None:
    box.ask()
    box.play(SUCCEEDED, installs="1.2.4")
    assert box.run() == 0
    assert box.said == {"version": "1.2.4", "state": "installed"}
    assert (box.folder / "asked").read_text() == "install http://10.0.0.5/riti/riti-box-virt-1.2.4.raucb\n"
    assert not (box.folder / "update.json").exists()
    assert (box.folder / "said.json").stat().st_mode & 0o777 == 0o644


def test_who_vouches_for_https_is_told_to_rauc(box: Box) -> None:
    box.ask(bundles="https://bundles.example/riti", ca=CA)
    box.play(SUCCEEDED, installs="1.2.4")
    box.run()
    assert f"--tls-ca={box.folder}/ca.pem https://bundles.example/riti/" in (box.folder / "asked").read_text()
    assert (box.folder / "ca.pem").read_text() == CA


@pytest.mark.parametrize(
    ("words", "final"),
    [
        (REFUSED, True),
        ("LastError: failed to download: Could not connect to server\nInstalling `URL` failed\n", False),
        ("D-Bus error while installing `URL`\n", False),
    ],
)
def test_what_rauc_refuses_is_said_and_whether_it_is_for_good(box: Box, words: str, final: bool) -> None:
    box.ask()
    box.play(words, code=1)
    assert box.run() == 0
    assert (box.said["state"], box.said["final"]) == ("failed", final) and box.said["why"]


def test_a_bundle_of_another_version_than_was_asked_for_is_not_tried(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(update.subprocess, "run", lambda argv, check: asked.append(argv))
    box.ask()
    box.play(SUCCEEDED, installs="1.2.5")
    assert box.run() == 0
    assert box.said["why"] == "the bundle holds version 1.2.5" and box.said["final"]
    assert asked == [["/usr/lib/riti/slot", "set-primary", "A"]]


def test_a_wish_that_is_none_is_taken_away_and_told(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    box.ask(version="1.2.4; reboot")
    assert box.run() == 1
    assert "its `version` has not the form" in capsys.readouterr().err
    assert box.said["state"] == "failed" and not (box.folder / "update.json").exists()


def test_nothing_is_written_into_a_slot_that_is_about_to_be_tried(box: Box) -> None:
    box.ask()
    machine.RESTARTING.touch()
    assert box.run() == 1 and not (box.folder / "asked").exists()
    assert "on its way into the slot" in str(box.said["why"])


def test_the_way_back_is_not_written_over_while_a_version_is_on_trial(
    box: Box,
    told: Callable[[int, int], None],  # noqa: F811
) -> None:
    box.ask()
    box.play(SUCCEEDED, installs="1.2.4")
    told(3, 1)
    assert box.run() == 1 and not (box.folder / "asked").exists()
    assert "is the way back" in str(box.said["why"])


def test_the_files_that_both_sides_name_are_the_same() -> None:
    from ritilib.box.updating import ASK_RESTART, ASK_UPDATE, ImagePlaces

    places = ImagePlaces(Path("/run/riti"))
    assert (places.asks / ASK_UPDATE, places.asks / ASK_RESTART) == (
        Path("/run/riti/update.json"),
        slot.ASKED,
    )
    assert places.said == Path("/run/riti-update/said.json")
    units = Path(__file__).parents[2] / "box-os/files/usr/lib/systemd/system"
    for name, file in (("update", ASK_UPDATE), ("restart", ASK_RESTART)):
        assert (
            f"PathExists=/run/riti/{file}\nUnit=riti-{name}.service\n"
            in (units / f"riti-{name}.path").read_text()
        )
