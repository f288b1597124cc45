"""What a box says of itself: whole, and written again only where something has happened."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ritilib.box.image import Progress
from ritilib.box.report import Machine, Report, compose_report, find_neighbours, read_machine
from ritilib.box.swap import Held, Refusal
from ritilib.box.word import SILENT
from tests.unit.test_box_decide import GOOD, OLD, say

MACHINE = Machine(100, 51, 900_000_000, True)
ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
192.168.7.2      0x1         0x2         00:0B:82:aa:bb:cc     *        eth1
192.168.7.9      0x1         0x0         00:00:00:00:00:00     *        eth1
"""


def test_it_says_everything_that_status_shows() -> None:
    held = replace(GOOD, refused=Refusal("feed-4", "Asterisk ended by itself", 7))
    said = json.loads(
        compose_report("0.1", held, say(OLD), "", MACHINE, "in", "riti 7", "10000000abcd").encode()
    )
    assert said == {
        "version": "0.1",
        "link": "up",
        "channels": 0,
        "in_force": OLD.sha256,
        "secrets_version": 3,
        "commit": "abc",
        "confirmed": True,
        "refused": {"identity": "feed-4", "why": "Asterisk ended by itself", "at_s": 7},
        "why": "",
        "state": "in",
        "image": "riti 7",
        "serial": "10000000abcd",
        "uptime_s": 100,
        "temperature_c": 51,
        "disk_free_bytes": 900_000_000,
        "adapter": True,
        "rescued": 0,
        "overlay_edition": 0,
        "overlay_authority": 0,
        "update": None,
    }


def test_what_was_refused_once_and_is_in_force_now_is_not_refused() -> None:
    held = replace(GOOD, refused=Refusal(OLD.identity, "no", 7))
    assert compose_report("0.1", held, say(OLD), "", MACHINE).refused is None


def test_an_asterisk_that_is_silent_has_no_link() -> None:
    assert compose_report("0.1", GOOD, SILENT, "", MACHINE).link == "unknown"


def test_its_gist_leaves_out_what_always_changes() -> None:
    report = compose_report("0.1", GOOD, say(OLD), "", MACHINE)
    later = replace(report, machine=Machine(200, 53, 900_000_001, True))
    assert later.gist == report.gist and later != report
    for other in (
        replace(report, link="down"),
        replace(report, why="something"),
        replace(report, machine=replace(MACHINE, adapter=False)),
        replace(report, machine=replace(MACHINE, temperature_c=61)),
        replace(report, machine=replace(MACHINE, rescued=1)),
    ):
        assert other.gist != report.gist


def test_the_check_warns_of_what_a_person_must_see() -> None:
    good = compose_report("0.1", GOOD, say(OLD), "", MACHINE)
    assert good.status == "passing"
    held = replace(GOOD, refused=Refusal("feed-4", "no", 7))
    for bad in (
        compose_report("0.1", held, say(OLD), "", MACHINE),
        compose_report("0.1", GOOD, say(OLD), "why", MACHINE),
        compose_report("0.1", Held(OLD, ""), say(OLD), "", MACHINE),
        compose_report("0.1", GOOD, say(OLD), "", replace(MACHINE, adapter=False)),
        compose_report("0.1", GOOD, say(OLD), "", replace(MACHINE, temperature_c=85)),
        compose_report("0.1", GOOD, say(OLD), "", replace(MACHINE, disk_free_bytes=1)),
    ):
        assert bad.status == "warning"
    assert "refused feed-4" in compose_report("0.1", held, say(OLD), "", MACHINE).note


def test_the_machine_is_read_where_it_tells(tmp_path: Path) -> None:
    assert read_machine(tmp_path, {}, tmp_path).uptime_s is None
    for path, text in {
        "proc/uptime": "123.45 99.9\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        "proc/net/arp": ARP,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = read_machine(tmp_path, {"cfg000b82aabbcc.xml": ""}, tmp_path)
    assert (found.uptime_s, found.temperature_c, found.adapter) == (123, 48, True)
    assert found.disk_free_bytes
    assert read_machine(tmp_path, {"cfg000b82000000.xml": ""}, tmp_path).adapter is False
    assert read_machine(tmp_path, {}, tmp_path).adapter is None


@pytest.mark.parametrize(
    ("text", "rescued"), [('{"rescued": 2}', 2), ("{", 0), ("[]", 0), ('{"rescued": null}', 0), ("{}", 0)]
)
def test_the_mark_of_the_rescue_way_is_told(text: str, rescued: int, tmp_path: Path) -> None:
    place = tmp_path / "run/riti-status/status.json"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    assert read_machine(tmp_path, {}, tmp_path).rescued == rescued


def test_a_neighbour_that_did_not_answer_is_none() -> None:
    assert find_neighbours(ARP) == {"000b82aabbcc"}
    assert find_neighbours("") == set()


def test_how_far_it_is_with_its_image_is_news_but_not_each_hundredth() -> None:
    def report(**more: object) -> Report:
        progress = Progress("1.2.3", "A", committed=True, wished="1.2.4", **more)  # type: ignore[arg-type]
        return compose_report("0.1", GOOD, say(OLD), "", MACHINE, update=progress)

    before, going = report(), report(state="installing", percent=3)
    assert going.is_news_after(before) and not report(state="installing", percent=17).is_news_after(going)
    assert (
        report(state="installing", percent=17).gist
        == going.gist
        != report(state="installing", percent=40).gist
    )
    assert json.loads(going.encode())["update"]["state"] == "installing"
    assert "image 1.2.4 installing" in going.note and going.status == "passing"
    assert report(state="failed", why="no telephone can register").status == "warning"
