"""What is laid over the root: units that start what there is, a firewall that lets nothing in, and nobody's way in."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from boxos.accounts import ACCOUNTS
from boxos.laid import NEVER, ON
from boxos.layout import LABELS
from boxos.recipe import PACKAGES

BOX_OS = Path(__file__).parents[2] / "box-os"
FILES = BOX_OS / "files"
SYSTEM = FILES / "usr/lib/systemd/system"
OWN = sorted(path for path in (*SYSTEM.iterdir(), *(BOX_OS / "units").glob("*.service")) if path.is_file())
NAMES = {path.name for path in OWN}


def read(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text().replace("\\\n", "").splitlines():
        if "=" in line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("unit", OWN, ids=lambda path: path.name)
def test_what_a_unit_starts_and_names_is_there(unit: Path) -> None:
    said = read(unit)
    for value in (*said.get("ExecStart", []), *said.get("ExecCondition", [])):
        program = value.split()[0].lstrip("-+!@")
        if program.startswith("/usr/lib/riti/") and Path(program).name not in ("gate", "watcher"):
            assert os.access(FILES / program[1:], os.X_OK)
    named = " ".join(
        value for key in ("Requires", "Wants", "After", "BindsTo") for value in said.get(key, [])
    )
    for name in re.findall(r"riti-[a-z-]+(?:@[a-z0-9]+)?\.\w+", named):
        template = re.sub(r"@[a-z0-9]+", "@", name)
        assert template in NAMES
    # one that is not turned on, nor wanted, nor started by hand would never run
    user = said.get("User", ["root"])[0]
    assert user in {account.name for account in ACCOUNTS}


def test_all_that_is_on_is_there_and_nothing_is_both_on_and_never() -> None:
    ours = {name for name in ON if name.startswith("riti-") or name == "data.mount"}
    assert ours <= NAMES
    assert not set(ON) & set(NEVER)
    started_otherwise = {
        *("riti-page.service", "riti-restart.service", "riti-grow.service", "riti-update.service"),
    }
    rescue = {name for name in NAMES if name.startswith("riti-rescue")}
    assert NAMES - set(ON) == started_otherwise | rescue


@pytest.mark.parametrize("script", sorted((FILES / "usr/lib/riti").iterdir()), ids=lambda path: path.name)
def test_a_script_names_what_the_image_has(script: Path) -> None:
    first, _, rest = script.read_text().partition("\n")
    assert first in ("#!/bin/sh", "#!/usr/bin/python3 -I") and os.access(script, os.X_OK)
    for module in re.findall(r"from onbox\.(\w+) import main", rest):
        assert "def main() -> None:" in (BOX_OS / f"onbox/{module}.py").read_text()
    for label in re.findall(r"by-partlabel/([a-z-]+)", rest):
        assert label in LABELS.values()


def test_the_initrd_names_the_partitions_as_the_disk_does() -> None:
    text = (BOX_OS / "initrd/init").read_text()
    assert set(re.findall(r"\briti-(?:selector|boot-[ab]|root-[ab]|data)\b", text)) == {
        *("riti-selector", "riti-root-a", "riti-root-b", "riti-data"),
    }


def test_nothing_that_the_wide_network_sends_is_taken_but_an_address() -> None:
    text = (FILES / "etc/nftables.conf").read_text()
    chain = text.partition("chain input")[2].partition("chain forward")[0]
    assert "policy drop" in chain and "flush ruleset" in text
    accepts = [line.strip() for line in chain.splitlines() if line.strip().endswith("accept")]
    unbound = [line for line in accepts if not re.match(r'iif(name)? "(lo|lan|riti)"', line)]
    assert unbound == [
        "ct state established,related accept",
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, packet-too-big } accept",
        "icmp type { destination-unreachable, time-exceeded } accept",
        'iifname "wan" udp sport 67 udp dport 68 accept',
    ]
    names = {path.stem: read(path) for path in (FILES / "usr/lib/systemd/network").glob("*.link")}
    assert {said["Name"][1 if len(said["Name"]) > 1 else 0] for said in names.values()} == {"wan", "lan"}


def test_the_page_is_bound_to_the_telephones_side() -> None:
    socket = read(FILES / "usr/lib/systemd/system/riti-page.socket")
    assert socket["BindToDevice"] == ["lan"] and socket["ListenStream"] == ["0.0.0.0:80"]
    page = read(FILES / "usr/lib/systemd/system/riti-page.service")
    assert page["DynamicUser"] == ["yes"] and page["CapabilityBoundingSet"] == [""]


def test_a_shell_is_only_behind_the_mark() -> None:
    for unit in OWN:
        if any("bash" in value or "sulogin" in value for value in read(unit).get("ExecStart", [])):
            assert unit.name == "riti-rescue@.service"
    said = read(FILES / "usr/lib/systemd/system/riti-rescue@.service")
    assert said["Requires"] == ["riti-rescue-mark.service"]
    assert "riti-rescue-mark.service" in said["After"][0]
    assert not {"rescue.target", "emergency.target"} & set(ON) and "login" not in PACKAGES


def test_what_reads_the_agents_wish_has_no_network_and_one_right() -> None:
    said = read(SYSTEM / "riti-update.service")
    wanted = {
        "CapabilityBoundingSet": "CAP_DAC_OVERRIDE",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "PrivateNetwork": "yes",
        "RestrictAddressFamilies": "AF_UNIX",
        "DevicePolicy": "closed",
        "DeviceAllow": "block-* r",
        "SystemCallFilter": "@system-service",
    }
    assert {key: said[key] for key in wanted} == {key: [value] for key, value in wanted.items()}
    assert said["ReadWritePaths"] == ["/data/rauc -/run/riti"]
    # the agent, which asks, may write neither of what root says
    agent = read(BOX_OS / "units/riti-agent.service")
    assert agent["ReadWritePaths"] == ["/data/riti"] and agent["RuntimeDirectory"] == ["riti"]
    assert agent["CapabilityBoundingSet"] == [""]
