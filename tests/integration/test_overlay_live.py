"""The overlay under a call: whoever is blocked is out everywhere, nobody else loses a packet, companies never meet."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ritilib.clients.nebula import OverlayTool
from ritilib.devstack.processes import poll
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.enrolled import start_enrolled
from ritilib.devstack.telephony.office import Office
from ritilib.devstack.telephony.office_files import find_secrets_folder
from ritilib.gitops.objects import read_texts
from ritilib.render.names import SECOND_OVERLAY, EnrollmentNames
from ritilib.sync.unit.secrets import read_authority
from tests.integration.live_company import (
    DEADLINE_S,
    MONTEVIDEO,
    OFFICES,
    RIVERA,
    SALTO,
    ZORRO,
    Company,
    open_company,
)
from tests.integration.namespaces import open_raw
from tests.integration.overlay_probe import UDP, Packet, Stream, hold_capture, write_echo

FLEET = "blocking"
IAX = 4569
TCP = 6
BATCH = 128  # ports, by UDP and TCP: the interface's queue has 500
AGAIN_S = 1.0
NEBULA_VERSION = 1
LONGEST_GAP_S = 0.1


@dataclass(frozen=True)
class Lab:
    company: Company
    zorro: Office

    def find_address(self, key: str, kind: str) -> str:
        """The overlay address of an office's box, or the one that its PBX has of two."""
        commit = self.company.find_commit()
        is_second = kind == "pbx" and self.company.read_generation(key) % 2
        identity = SECOND_OVERLAY if is_second else "overlay"
        network = json.loads(read_secrets(self.company, key, commit, kind))[identity]["network"]
        return str(network.split("/")[0])


def read_secrets(company: Company, key: str, commit: str, kind: str) -> str:
    folder = f"rendered/{key}/{kind}"
    return read_texts(company.fleet.forge, commit, folder)[f"{folder}/secrets.json"]


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp(FLEET)
    with open_company(stack, folder, FLEET, 4320) as company:
        commit = company.find_commit()
        zorro = start_enrolled(
            company.docker,
            ZORRO,
            company.read_rendered(ZORRO, commit),
            company.read_box(ZORRO),
            OverlayTool(stack.nebula_cert),
            read_authority(company.vault, FLEET),
            folder,
            f"{stack.name}-{FLEET}",
            print,
            company.read_generation(ZORRO),
        )
        try:
            zorro.wait_cloud_link(DEADLINE_S)
            yield Lab(company, zorro)
        finally:
            zorro.stop()


def find_fingerprint(company: Company, key: str) -> str:
    """Of the certificate that a box of the lab has."""
    office = company.offices[key].office
    crt = (find_secrets_folder(office.label, office.name) / "overlay" / "host.crt").read_text()
    return OverlayTool(company.stack.nebula_cert).read_certificate(crt).fingerprint


def find_overlays(company: Company) -> dict[str, int]:
    """The process of each overlay that Nomad runs."""
    found = {}
    for key in (*OFFICES, ZORRO):
        [allocation] = company.nomad.find_running(company.fleet.names(key).job_id)
        found[key] = int(company.docker.inspect(f"overlay-{allocation}")["State"]["Pid"])
    return found


def test_a_blocked_box_is_out_and_nobody_else_loses_a_packet(lab: Lab) -> None:
    company = lab.company
    key = EnrollmentNames(FLEET).blocked
    before = find_overlays(company), company.count_tasks()
    talk = company.talk(("101", "201"))
    others = [
        Stream(company.offices[MONTEVIDEO].office.pid, lab.find_address(MONTEVIDEO, "pbx")),
        Stream(company.offices[SALTO].office.pid, lab.find_address(SALTO, "pbx")),
        Stream(company.find_pbx(MONTEVIDEO), lab.find_address(SALTO, "pbx")),
        Stream(company.find_pbx(RIVERA), lab.find_address(SALTO, "pbx")),
    ]
    blocked = Stream(company.offices[RIVERA].office.pid, lab.find_address(RIVERA, "pbx"))
    assert poll(lambda: blocked.count_heard() > 10, DEADLINE_S)
    began = time.monotonic()
    company.consul.put(key, json.dumps([find_fingerprint(company, RIVERA)]).encode())

    def is_out() -> bool:
        heard, sent = blocked.count_heard(), blocked.sent
        return poll(lambda: blocked.sent > sent + 100, DEADLINE_S) and blocked.count_heard() == heard

    assert poll(is_out, DEADLINE_S)
    print(f"the blocked box is out after {time.monotonic() - began:.1f} s")
    company.wait(lambda: not company.is_linked(RIVERA), "its PBX sees it gone")
    # what is no list blocks nobody more, and ends nothing
    company.consul.put(key, b"{ no JSON: [")
    company.consul.put(key, json.dumps([find_fingerprint(company, RIVERA)]).encode())
    assert talk.is_heard(1.0)
    company.end(talk)
    assert company.cut == []
    assert max(company.gaps_s) < LONGEST_GAP_S
    assert [stream.end() for stream in others] == [[], [], [], []]
    assert (find_overlays(company), company.count_tasks()) == before
    company.consul.put(key, b"[]")
    company.wait(lambda: company.is_linked(RIVERA), "it is back")
    assert blocked.end()


def test_voice_is_nowhere_outside_the_overlay(lab: Lab) -> None:
    """Every packet that the machine sees between its namespaces: offices' networks, Nomad's, the public one."""
    company = lab.company
    offices = [company.offices[key].office for key in (MONTEVIDEO, SALTO)]
    with hold_capture(os.getpid()) as capture:
        talk = company.talk(("101", "201"))
        assert talk.is_heard(3.0)
        company.end(talk)
    udp = [packet for packet in capture.packets if packet.protocol == UDP]
    assert not [packet for packet in udp if IAX in (packet.source_port, packet.target_port)]
    for office in offices:
        outside = [
            packet
            for packet in udp
            if office.address in (packet.source, packet.target)
            and office.gateway not in (packet.source, packet.target)
        ]
        assert len(outside) > 100
        assert [packet for packet in outside if not is_nebula(packet)] == []


def is_nebula(packet: Packet) -> bool:
    """By the header of each of its packets (header/header.go): version and one of seven types; RTP begins with 0x80.

    A punch, by which it opens the way through a router, is one byte: 0 or 1 (lighthouse.go, connection_manager.go).
    """
    return packet.payload in (b"\0", b"\1") or (
        bool(packet.payload) and packet.payload[0] >> 4 == NEBULA_VERSION and packet.payload[0] & 15 < 7
    )


def test_no_packet_of_one_company_arrives_at_another(lab: Lab) -> None:
    """From the box of one company to every port of every address of the other: boxes and PBXes."""
    company = lab.company
    home = lab.find_address(ZORRO, "box")
    own = lab.find_address(ZORRO, "pbx")
    ends = {(key, "box"): company.offices[key].office.pid for key in OFFICES}
    ends |= {(key, "pbx"): company.find_pbx(key) for key in OFFICES}
    for (key, kind), pid in ends.items():
        address = lab.find_address(key, kind)
        with hold_capture(pid, "riti") as capture:
            sweep(lab.zorro.pid, address, own)
            # it does see what arrives: a colleague's packet
            friend = next(other for other in OFFICES if other != key)
            colleague = Stream(company.offices[friend].office.pid, address)
            assert poll(colleague.is_heard, DEADLINE_S)
            colleague.end()
        sources = {packet.source for packet in capture.packets}
        assert lab.find_address(friend, "box") in sources
        assert home not in sources, f"{key} {kind}"


def sweep(pid: int, address: str, own: str) -> None:
    """UDP and TCP to each port of the address, and an echo; at a pace at which the own overlay takes them all."""
    with (
        open_raw(pid, socket.IPPROTO_UDP) as udp,
        open_raw(pid, socket.IPPROTO_TCP) as tcp,
        open_raw(pid, socket.IPPROTO_ICMP) as icmp,
    ):
        icmp.settimeout(AGAIN_S)
        icmp.sendto(write_echo(1, 0), (address, 0))
        for first in range(0, 65536, BATCH):
            for port in range(first, min(first + BATCH, 65536)):
                udp.sendto(struct.pack("!HHHH", 40000, port, 12, 0) + b"riti", (address, 0))
                tcp.sendto(struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 5 << 4, 2, 1024, 0, 0), (address, 0))
            assert poll(lambda: is_answered(icmp, own), DEADLINE_S)


def is_answered(icmp: socket.socket, address: str) -> bool:
    """Whether an echo comes back from there now: what was sent before has then left as well."""
    icmp.sendto(write_echo(2, 0), (address, 0))
    try:
        while icmp.recv(2048)[12:16] != socket.inet_aton(address):
            pass
    except TimeoutError:
        return False
    return True
