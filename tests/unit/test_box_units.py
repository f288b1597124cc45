"""The services of a box's image: they start what the code says, with no right that they do not need."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ritilib.box.start import START_WITH_AGENT
from ritilib.cli.main import riti
from ritilib.devstack.images import asterisk
from ritilib.devstack.telephony.office import BOX_USER
from ritilib.render.asterisk_conf import CONFIG_FOLDER, KEPT_FOLDERS, SCRATCH_FOLDERS

UNITS = Path(__file__).parents[2] / "box-os/units"
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "SystemCallFilter": "@system-service",
    "Restart": "always",
}


def read(name: str) -> dict[str, list[str]]:
    """Key → its values, of all sections of a unit; comments and continued lines as systemd reads them."""
    text = (UNITS / f"{name}.service").read_text().replace("\\\n", "")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("name", "capabilities"),
    [("riti-agent", ""), ("riti-overlay", "CAP_NET_ADMIN"), ("riti-asterisk", "")],
)
def test_each_is_hardened_and_comes_back_for_ever(name: str, capabilities: str) -> None:
    unit = read(name)
    assert {key: unit[key] for key in HARDENED} == {key: [value] for key, value in HARDENED.items()}
    assert unit["CapabilityBoundingSet"] == [capabilities]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert "network-online.target" not in str(unit)  # without a network the office telephones all the same


def test_asterisk_is_started_as_the_image_is() -> None:
    words = read("riti-asterisk")["ExecStart"][0].split()
    assert words == ["/usr/lib/riti/watcher", *START_WITH_AGENT[1:], *asterisk.PROGRAM]
    assert read("riti-asterisk")["BindReadOnlyPaths"] == [
        f"/data/riti/configuration:{Path(CONFIG_FOLDER).parent}"
    ]
    assert read("riti-asterisk")["BindPaths"] == [f"/data/riti/voicemail:{KEPT_FOLDERS[0]}"]


def test_the_agent_is_started_with_options_that_it_has() -> None:
    words = read("riti-agent")["ExecStart"][0].split()
    shown = CliRunner().invoke(riti, [words[1], "--help"]).output
    assert words[:2] == ["/usr/bin/riti", "box-agent"] and words[2::2]
    assert [word for word in words[2::2] if word not in shown] == []


def test_every_folder_that_a_service_is_given_is_made_before() -> None:
    made = [
        line.split()[1]
        for line in (UNITS / "riti.tmpfiles.conf").read_text().splitlines()
        if line[:2] == "d "
    ]
    for name in ("riti-overlay", "riti-asterisk"):
        unit = read(name)
        for pair in (*unit.get("BindReadOnlyPaths", []), *unit.get("BindPaths", [])):
            assert pair.partition(":")[0] in made


def test_asterisk_may_write_to_its_folders_in_memory() -> None:
    """systemd makes them root's unless told otherwise; the number is the account's for ever (boxos/accounts.py)."""
    given = read("riti-asterisk")["TemporaryFileSystem"][0].split()
    folders = dict(one.split(":", 1) for one in given)
    scratch = {place for place in SCRATCH_FOLDERS if not place.startswith("/var/run")}
    assert folders == dict.fromkeys(scratch, f"mode=0700,uid={BOX_USER},gid={BOX_USER}")


def test_the_agent_reads_what_asterisks_watcher_says() -> None:
    """The watcher writes it for all (0444); the service's mask must leave the group its right, with the agent in it."""
    mask = int(read("riti-asterisk")["UMask"][0], 8)
    assert 0o444 & ~mask == 0o440
    assert read("riti-asterisk")["User"] == ["asterisk"]
    assert "asterisk" in read("riti-agent")["SupplementaryGroups"][0].split()
