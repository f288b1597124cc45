"""The overlay under a call: whoever is blocked is out everywhere, nobody else loses a packet, companies never meet."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from ritilib.clients.nebula import OverlayTool
from ritilib.devstack.domain import Domain, hold_domain
from ritilib.devstack.network import run
from ritilib.devstack.overlay.probe import UDP, Capture, Packet, Stream, carries_data, hold_capture, is_nebula
from ritilib.devstack.processes import poll
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.enrolled import start_enrolled
from ritilib.devstack.telephony.office import Office
from ritilib.devstack.telephony.office_files import find_secrets_folder
from ritilib.gitops.objects import read_texts
from ritilib.render.names import SECOND_OVERLAY, EnrollmentNames, UnitNames
from ritilib.sync.unit.secrets import read_authority
from tests.integration.crossing import (
    ADMITTED,
    ALL_PORTS,
    IAX,
    KNOWN_PORTS,
    End,
    find_arrivals,
    hold_opened,
    list_pairs,
)
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

FLEET = "blocking"
PORT = 4320
LIGHTHOUSES = ("one", "two")
DEAD_FOR_S = 12.0  # a tunnel without an answer is given up after 8
LONGEST_GAP_S = 0.1


@dataclass
class Lab:
    """domain: the machine of the second lighthouse, which may die."""

    company: Company
    domain: Domain
    folder: Path
    offices: list[Office] = field(default_factory=list)

    @property
    def zorro(self) -> Office:
        return self.offices[-1]

    def start_zorro(self) -> None:
        """Start the other company's box, which knows nobody yet, and return when it has its PBX."""
        company, stack = self.company, self.company.stack
        office = start_enrolled(
            company.docker,
            ZORRO,
            company.read_rendered(ZORRO, company.find_commit()),
            company.read_box(ZORRO),
            OverlayTool(stack.nebula_cert),
            read_authority(company.vault, FLEET),
            self.folder,
            f"{stack.name}-{FLEET}",
            print,
            company.read_generation(ZORRO),
        )
        self.offices.append(office)
        office.wait_cloud_link(DEADLINE_S)

    def find_lighthouse_address(self, name: str) -> str:
        """The overlay address of a lighthouse."""
        secrets = f"rendered/_fleet/lighthouse-{name}/pbx/secrets.json"
        texts = read_texts(self.company.fleet.forge, self.company.find_commit(), str(Path(secrets).parent))
        return str(json.loads(texts[secrets])["overlay"]["network"].split("/")[0])

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
    with hold_domain(stack, folder / "domain", print) as domain:

        def add_lighthouse(said: str) -> str:
            second = f"  - name: two\n    address: {domain.public_address}\n    port: {PORT}\n"
            return said.replace(f"    port: {PORT}\n", f"    port: {PORT}\n{second}")

        with open_company(stack, folder, FLEET, PORT, add_lighthouse) as company:
            made = Lab(company, domain, folder)
            try:
                for name in LIGHTHOUSES:
                    job = company.fleet.names(f"lighthouse/{name}").job_id
                    company.wait(partial(company.nomad.find_running, job), f"lighthouse {name} runs")
                made.start_zorro()
                yield made
            finally:
                for office in made.offices:
                    office.stop()


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
    udp = find_own(lab, capture)
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


def test_voice_by_a_relay_and_through_a_symmetric_router_is_nowhere_outside_the_overlay(lab: Lab) -> None:
    """Both boxes without their PBXes, and each behind a router that takes another port for each destination."""
    company = lab.company
    offices = {key: company.offices[key].office for key in (MONTEVIDEO, SALTO)}
    with ExitStack() as held:
        for key, office in offices.items():
            pbx = lab.find_address(key, "pbx")
            held.enter_context(hold_rule(office.pid, "OUTPUT", "-o", "riti", "-d", pbx, "-j", "DROP"))
            # not towards the telephones, which are in the office
            beyond = ["-o", "eth0", "-p", "udp", "!", "-d", office.gateway]
            masked = [*beyond, "-j", "MASQUERADE", "--random-fully"]
            held.enter_context(hold_rule(office.pid, "POSTROUTING", *masked, table="nat"))
        for office in offices.values():
            gone = partial(is_peer, office, "cloud", "UNREACHABLE")
            company.wait(gone, f"{office.name} is without its PBX")
        for office, peer in zip(offices.values(), ("box-salto", "box-montevideo"), strict=True):
            company.wait(partial(is_peer, office, peer, "OK"), f"{office.name} has {peer}")
        with hold_capture(os.getpid()) as capture:
            talk = company.talk(("101", "201"))
            assert "IAX2/box-salto" in offices[MONTEVIDEO].asterisk("core show channels concise")
            assert talk.is_heard(3.0)
            company.end(talk)
    company.wait_linked()
    udp = find_own(lab, capture)
    assert not [packet for packet in udp if IAX in (packet.source_port, packet.target_port)]
    relays = {company.stack.public_address, lab.domain.public_address}
    for office in offices.values():
        sent = [one for one in udp if one.source == office.address and one.target != office.gateway]
        assert [packet for packet in sent if not is_nebula(packet)] == []
        voice = [packet for packet in sent if carries_data(packet)]
        assert len([packet for packet in voice if packet.target in relays]) > 100


def find_own(lab: Lab, capture: Capture) -> list[Packet]:
    """The UDP packets of this fleet: another laboratory may run beside it, whose companies speak without an overlay."""
    stack, domain = lab.company.stack, lab.domain
    addresses = [agent.office.address for agent in lab.company.offices.values()]
    addresses += [office.address for office in lab.offices]
    known = (*addresses, stack.public_address, domain.public_address)
    own = [ip_network(one) for one in (*known, stack.bridge_subnet, domain.network.bridge_subnet)]
    return [
        packet
        for packet in capture.packets
        if packet.protocol == UDP
        and any(ip_address(end) in network for end in (packet.source, packet.target) for network in own)
    ]


def is_peer(office: Office, peer: str, state: str) -> bool:
    """Whether the box of an office sees a peer so; Asterisk cuts names off at 15 characters."""
    lines = office.asterisk("iax2 show peers").splitlines()
    return any(line.startswith(peer[:15]) and f" {state}" in line for line in lines)


@contextmanager
def hold_rule(pid: int, chain: str, *rule: str, table: str = "filter") -> Iterator[None]:
    """A rule of the firewall in the network of a process."""
    inside = ["nsenter", "--target", str(pid), "--net", "iptables", "-w", "-t", table]
    run(*inside, "-I", chain, *rule)
    try:
        yield
    finally:
        run(*inside, "-D", chain, *rule)


def list_ends(lab: Lab) -> tuple[list[End], list[End]]:
    """Every box and every PBX of both companies; and the lighthouses, which are nobody's colleagues."""
    company = lab.company
    members = []
    for key in (*OFFICES, ZORRO):
        office = lab.zorro if key == ZORRO else company.offices[key].office
        container = company.docker.inspect(f"{office.prefix}-overlay")
        place = find_secrets_folder(office.label, office.name) / "overlay" / "overlay.yml"
        box = End(
            f"{key} box", key.split("/")[0], container["State"]["Pid"], lab.find_address(key, "box"), place
        )
        members += [
            box,
            find_job_end(company, f"{key} pbx", company.fleet.names(key), lab.find_address(key, "pbx")),
        ]
    lighthouses = [
        find_job_end(company, f"lighthouse/{name}", company.fleet.names(f"lighthouse/{name}"), address)
        for name, address in ((name, lab.find_lighthouse_address(name)) for name in LIGHTHOUSES)
    ]
    return members, lighthouses


def find_job_end(company: Company, name: str, names: UnitNames, address: str) -> End:
    """Of the overlay that a job runs; a lighthouse is of no company."""
    [allocation] = company.nomad.find_running(names.job_id)
    pid = int(company.docker.inspect(f"overlay-{allocation}")["State"]["Pid"])
    group = "" if names.is_lighthouse else names.company
    return End(name, group, pid, address, Path(f"/proc/{pid}/root/local/overlay.yml"))


def test_colleagues_meet_at_one_port_and_companies_nowhere(lab: Lab) -> None:
    """From every member, whose own firewall lets all out, to every other one and to the lighthouses."""
    members, lighthouses = list_ends(lab)
    for company in ("acme", "zorro"):
        own = [end for end in members if end.company == company]
        pairs = list_pairs(own, [*members, *lighthouses])
        with hold_opened(own):
            arrived = find_arrivals(pairs, KNOWN_PORTS)
        wished = {
            (source.name, target.name): ADMITTED if target.company == company else set()
            for source, target in pairs
        }
        assert arrived == wished


def test_a_member_sends_nothing_to_another_company(lab: Lab) -> None:
    """As it was rendered: so it opens no way by which an answer could come, and a colleague still hears it."""
    ends = {end.name: end for end in list_ends(lab)[0]}
    home, away, colleague = (ends[f"{key} box"] for key in (MONTEVIDEO, ZORRO, SALTO))
    with (
        hold_opened([away]),
        hold_capture(away.pid, "riti") as arrived,
        hold_capture(home.pid, "riti") as heard,
    ):
        mutual = Stream(home.pid, away.address), Stream(away.pid, home.address)
        friendly = Stream(home.pid, colleague.address)
        assert poll(lambda: friendly.count_heard() > 50 and mutual[1].sent > 50, DEADLINE_S)
        friendly.end()
        assert [stream.end() == list(range(stream.sent)) for stream in mutual] == [True, True]
    assert home.address not in {packet.source for packet in arrived.packets}
    assert away.address not in {packet.source for packet in heard.packets}


def test_no_port_of_another_company_takes_a_packet(lab: Lab) -> None:
    """All 65,536, by UDP and TCP, from one to another in either direction."""
    ends = {end.name: end for end in list_ends(lab)[0]}
    for source, target in ((f"{ZORRO} box", f"{MONTEVIDEO} pbx"), (f"{SALTO} box", f"{ZORRO} pbx")):
        with hold_opened([ends[source]]):
            assert find_arrivals([(ends[source], ends[target])], ALL_PORTS) == {(source, target): set()}


@pytest.mark.slow
def test_no_packet_of_one_company_arrives_at_another(lab: Lab) -> None:
    """All ports of every member and of the lighthouses, from every member of the other company."""
    members, lighthouses = list_ends(lab)
    for company in ("acme", "zorro"):
        own = [end for end in members if end.company == company]
        pairs = [pair for pair in list_pairs(own, [*members, *lighthouses]) if pair[1].company != company]
        with hold_opened(own):
            arrived = find_arrivals(pairs, ALL_PORTS)
        assert arrived == {(source.name, target.name): set() for source, target in pairs}


def test_a_failure_domain_dies_under_a_call(lab: Lab) -> None:
    """One lighthouse and its machine are gone: no call is lost, and who is new finds everybody by the other one."""
    company = lab.company
    talk = company.talk(("202", "301"))
    # the offices' networks keep each other out (Docker): so their boxes meet by a relay, and it may be this one
    relayed = Stream(company.offices[MONTEVIDEO].office.pid, lab.find_address(SALTO, "box"))
    direct = Stream(company.find_pbx(RIVERA), lab.find_address(RIVERA, "box"))
    assert poll(lambda: relayed.is_heard() and direct.is_heard(), DEADLINE_S)
    lab.zorro.stop()
    lab.domain.die()
    assert talk.is_heard(1.0)
    lab.start_zorro()  # its box and its PBX meet anew
    # for longer than what keeps a tunnel up without a word of the other end
    assert talk.is_heard(DEAD_FOR_S)
    company.end(talk)
    heard = relayed.count_heard()
    assert poll(lambda: relayed.count_heard() > heard + 50, DEADLINE_S)
    relayed.end()
    assert direct.end() == []
    assert company.cut == []
    assert max(company.gaps_s) < LONGEST_GAP_S
