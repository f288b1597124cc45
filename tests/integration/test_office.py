"""An office without a cloud: the real box image, real telephones, and what they hear of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.audio import longest_gap_s, read_wav, share_at
from ritilib.devstack.telephony.office import Office, remove_offices, start_office, wait_until
from ritilib.devstack.telephony.office_files import find_secrets_folder
from ritilib.devstack.telephony.phone import Phone, start_phone
from ritilib.devstack.telephony.probe import probe_iax
from ritilib.errors import DevstackError, GitopsError
from ritilib.render.asterisk_conf import write_box_files

TONES_HZ = {"101": 600, "102": 1000, "103": 1400}
LABEL = "riti-test-office"
LISTEN_S = 2.0

ENDPOINT = """
[phone-{number}]
type=endpoint
context=from-phone
transport=transport-udp
disallow=all
allow=alaw
direct_media=no
aors=phone-{number}
auth=phone-{number}-auth

[phone-{number}-auth](phone-{number}-secret)
username=phone-{number}

[phone-{number}]
type=aor
max_contacts=1
remove_existing=yes
"""
CLOUD = """\
[general]
bindaddr=0.0.0.0

[cloud](cloud-secret)
type=friend
host=127.0.0.1
qualify=yes
"""
TRANSPORT = "[transport-udp]\ntype=transport\nprotocol=udp\nbind=0.0.0.0:5060\n"


def render(*numbers: str) -> dict[str, str]:
    """A box's files with these telephones and no cloud but itself."""
    dials = "".join(f"exten => {number},1,Dial(PJSIP/phone-{number},30)\n" for number in numbers)
    return {
        **{f"etc/{name}": text for name, text in write_box_files().items()},
        "etc/pjsip.conf": TRANSPORT + "".join(ENDPOINT.format(number=number) for number in numbers),
        "etc/extensions.conf": f"[from-phone]\n{dials}exten => 199,1,Hangup(17)\n",
        "etc/iax.conf": CLOUD,
    }


def invent_secrets(*numbers: str) -> dict[str, dict[str, str]]:
    return {"iax": {"cloud": "f0r-cl0ud"}, "phones": {number: f"pw-of-{number}" for number in numbers}}


@pytest.fixture(scope="module")
def docker(stack: Stack) -> Docker:
    return Docker(stack.docker_host)


@pytest.fixture
def office(docker: Docker, tmp_path: Path) -> Iterator[Office]:
    numbers = ("101", "102")
    secrets = invent_secrets(*numbers)
    started = start_office(
        docker, "one", render(*numbers), secrets, None, "", tmp_path / "office", LABEL, print
    )
    try:
        yield started
    finally:
        started.stop()
        remove_offices(docker, LABEL)


@pytest.fixture
def connect(office: Office, tmp_path: Path) -> Iterator[Callable[[str], Phone]]:
    """Start the telephone of a number and register it."""
    phones: list[Phone] = []

    def start(number: str) -> Phone:
        phone = start_phone(
            tmp_path / number,
            f"phone-{number}",
            server=office.address,
            local_address=office.gateway,
            user=f"phone-{number}",
            password=f"pw-of-{number}",
            tone_hz=TONES_HZ[number],
        )
        phones.append(phone)
        phone.wait_registered(20)
        return phone

    yield start
    for phone in phones:
        phone.stop()


def hear(phone: Phone, tone_hz: int) -> tuple[float, float]:
    """Listen for a while: the share of the tone, and the longest gap in seconds."""
    recording = phone.recording
    start_s = recording.length_s()
    wait_until(
        lambda: recording.length_s() >= start_s + LISTEN_S, LISTEN_S + 20, f"{phone.name} hears something"
    )
    samples, rate_hz = read_wav(recording.path, start_s)
    return share_at(samples, rate_hz, tone_hz), longest_gap_s(samples, rate_hz, tone_hz)


def call(caller: Phone, callee: Phone, number: str) -> None:
    caller.dial(number)
    callee.wait_for("ringing", 20)
    callee.answer()
    caller.wait_for("established", 20)
    callee.wait_for("established", 20)


def test_two_telephones_hear_each_other(office: Office, connect: Callable[[str], Phone]) -> None:
    first, second = connect("101"), connect("102")
    call(first, second, "102")
    for phone, other in ((first, "102"), (second, "101")):
        share, gap_s = hear(phone, TONES_HZ[other])
        assert share >= 0.9
        assert gap_s < LISTEN_S / 2
    first.hang_up()
    assert second.wait_for("closed", 20).reason
    with pytest.raises(DevstackError, match="486 Busy Here"):
        first.dial("199").wait_for("established", 20)
    with pytest.raises(DevstackError, match="404"):
        first.dial("555").wait_for("established", 20)


def test_a_change_reaches_the_box_under_a_call(office: Office, connect: Callable[[str], Phone]) -> None:
    first, second = connect("101"), connect("102")
    call(first, second, "102")
    numbers = ("101", "102", "103")
    assert office.apply(render(*numbers), invent_secrets(*numbers)) == (
        "module reload res_pjsip.so",
        "dialplan reload",
    )
    third = connect("103")
    with first.second_call("103") as second_call:
        third.wait_for("ringing", 20)
        second_call.wait_for("ringing", 20)
        assert third.rings == 1
    third.wait_for("closed", 20)
    for phone, other in ((first, "102"), (second, "101")):
        share, gap_s = hear(phone, TONES_HZ[other])
        assert share >= 0.9
        assert gap_s < LISTEN_S / 2
    assert [one.state for one in first.calls] == ["established", "closed"]
    assert [one.state for one in second.calls] == ["established"]
    assert office.apply(render(*numbers), invent_secrets(*numbers)) == ()


def test_what_cannot_be_applied_is_refused_before_anything_is_written(office: Office) -> None:
    before = office.asterisk("dialplan show from-phone")
    with pytest.raises(GitopsError, match="phone-103-secret"):
        office.apply(render("101", "102", "103"), invent_secrets("101", "102"))
    changed = render("101") | {"etc/modules.conf": "[modules]\nautoload=no\n"}
    with pytest.raises(DevstackError, match=r"modules\.conf"):
        office.apply(changed, invent_secrets("101"))
    office.asterisk("dialplan reload")
    assert office.asterisk("dialplan show from-phone") == before
    assert office.apply(render("101", "102"), invent_secrets("101", "102")) == ()


def test_the_link_to_the_cloud_and_packets_are_seen_from_inside(office: Office) -> None:
    office.wait_cloud_link(30)  # the box is its own cloud here
    assert office.peer_address == "127.0.0.1"
    assert probe_iax(office.pid, "127.0.0.1", 10)
    assert probe_iax(office.pid, office.address, 10)
    assert not probe_iax(office.pid, office.gateway, 1)


def test_nothing_is_left_and_no_secret_lay_on_a_disk(docker: Docker, tmp_path: Path) -> None:
    folder = tmp_path / "office"
    secrets = invent_secrets("101")
    started = start_office(docker, "two", render("101"), secrets, None, "", folder, LABEL, print)
    settings = docker.inspect(started.box)
    assert settings["HostConfig"]["ReadonlyRootfs"]
    assert settings["HostConfig"]["CapDrop"] == ["ALL"]
    assert settings["Config"]["User"] == "10001:10001"
    assert "pw-of-101" not in repr(settings)
    kept = find_secrets_folder(LABEL, "two")
    assert {path.stat().st_mode & 0o077 for path in kept.rglob("*")} == {0}
    # whoever comes after a crash finds them by their label
    remove_offices(docker, LABEL)
    assert docker.list_containers(f"riti.dev={LABEL}") == ()
    assert docker.list_networks(f"riti.dev={LABEL}") == ()
    assert not kept.exists()
    started.stop()
    assert not [path for path in folder.rglob("*") if path.is_file() and "pw-of-101" in path.read_text()]
