"""A box and its servers: what it asks, what it tells, and that an outage or an ended token costs nothing but time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ritilib.box.agent import BLOCKED, Agent, Box, Place
from ritilib.box.candidate import Trial
from ritilib.box.follow import BACK, Follower
from ritilib.box.own import RENEWED_AFTER_S, Access, Asking, Document, OwnServers, Tokens
from ritilib.box.report import Machine, Report
from ritilib.box.showing import Shown
from ritilib.box.telling import CHECK_EVERY_S, REPORT_EVERY_S, SOON_S, Teller
from ritilib.devstack.processes import poll
from ritilib.errors import Denied, RitiError, Unreachable
from ritilib.reconcile.backoff import Backoff
from ritilib.render.names import UnitNames
from tests.fakes.own import FakeOwn
from tests.unit.test_box_live import SECRETS, write_value
from tests.unit.test_box_swap import NEW, OLD

NAMES = UnitNames("fleet", "acme", "salto")
AT_ONCE = Backoff(first_s=0.01, longest_s=0.02, share=1.0)
WITHIN_S = 20.0
KEY = "riti/fleet/x"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def servers() -> FakeOwn:
    return FakeOwn(Document(3, SECRETS))


@pytest.fixture
def access(servers: FakeOwn) -> Access:
    made = Access(lambda: servers, lambda: True)
    made.certify()
    return made


def test_tokens_are_shared_and_had_anew_before_they_end(servers: FakeOwn) -> None:
    clock = Clock()
    access = Access(lambda: servers, lambda: True, clock, lambda: 0.0)
    first = access.take()
    assert access.take() is first and servers.sign_ins == 1
    clock.now_s = RENEWED_AFTER_S + 1
    second = access.take()
    assert second is not first and servers.sign_ins == 2
    access.forget(first)  # a slow thread's: the others have better ones by now
    assert access.take() is second
    access.forget(second)
    assert access.take() is not second
    assert "consul-1" not in repr(first)


def test_renewals_of_many_boxes_are_spread(servers: FakeOwn) -> None:
    due = {
        Access(lambda: servers, lambda: True, Clock(), lambda one=one / 10: one).take().due_s
        for one in range(10)
    }
    assert len(due) == 10 and min(due) >= RENEWED_AFTER_S / 2


def test_a_renewed_certificate_is_shown_by_every_thread(servers: FakeOwn) -> None:
    made: list[int] = []

    def connect() -> FakeOwn:
        made.append(len(made))
        return servers

    access = Access(connect, lambda: True)
    asking = [Asking(access), Asking(access)]
    for _ in range(2):
        access.certify()
        before = len(made)
        for _ in range(2):
            for one in asking:
                one.ask(lambda own, tokens: own.put(tokens.consul, KEY, b"x"))
        # one signed in, and each thread made a connection of its own
        assert len(made) == before + 3


def test_nobody_signs_in_without_a_certificate(servers: FakeOwn) -> None:
    with pytest.raises(Unreachable, match="not let in"):
        Access(lambda: servers, lambda: False).take()
    assert servers.sign_ins == 0


class Following:
    """A Follower in a thread, and what it told."""

    def __init__(self, access: Access) -> None:
        self.told: list[bytes] = []
        self.said: list[str] = []
        self.error: RitiError | None = None
        self.stopped = threading.Event()
        self.follower = Follower(access, KEY, self.tell, self.said.append, self.stopped, lambda: 0.0, AT_ONCE)

    def tell(self, data: bytes, _servers: OwnServers, _tokens: Tokens) -> None:
        if self.error:
            raise self.error
        self.told.append(data)


@pytest.fixture
def following(access: Access) -> Iterator[Following]:
    made = Following(access)
    thread = threading.Thread(target=made.follower.run)
    thread.start()
    yield made
    made.stopped.set()
    thread.join()


def wait(holds: Callable[[], bool]) -> None:
    assert poll(holds, WITHIN_S)


def test_each_value_is_told_once_and_an_absent_key_is_no_instruction(
    servers: FakeOwn, following: Following
) -> None:
    wait(lambda: following.said[-1:] == [""])
    assert following.told == []
    for data in (b"1", b"2", b"2", b"3"):
        servers.set(KEY, data)
        wait(lambda data=data: following.told[-1:] == [data])  # type: ignore[misc]
    del servers.values[KEY]
    servers.set("riti/fleet/other", b"wakes the watch")
    servers.set(KEY, b"4")
    wait(lambda: following.told == [b"1", b"2", b"3", b"4"])


def test_an_outage_is_survived_and_ended_tokens_are_had_anew(servers: FakeOwn, following: Following) -> None:
    servers.set(KEY, b"1")
    wait(lambda: following.told == [b"1"])
    servers.is_away = True
    wait(lambda: "the fake is away" in following.said)
    servers.set(KEY, b"2")
    servers.is_away = False
    wait(lambda: following.told == [b"1", b"2"])
    servers.end_tokens()
    servers.set(KEY, b"3")
    wait(lambda: following.told[-1] == b"3")
    assert following.told == [b"1", b"2", b"3"] and servers.sign_ins >= 2


def test_what_could_not_be_taken_is_told_again(servers: FakeOwn, following: Following) -> None:
    following.error = RitiError.because("the document is older", "wait")
    servers.set(KEY, b"1")
    wait(lambda: "the document is older" in following.said)
    following.error = None
    wait(lambda: following.told == [b"1"])


def test_an_index_that_goes_back_is_waited_from_anew(servers: FakeOwn, access: Access) -> None:
    made = Following(access)
    tokens = access.take()
    servers.index = 100
    servers.set(KEY, b"1")
    made.follower.step(servers, tokens)
    servers.index = 5  # Consul was restored
    servers.set(KEY, b"2")
    made.follower.step(servers, tokens)
    made.follower.step(servers, tokens)
    assert made.told == [b"1", b"2"]


def test_ten_thousand_boxes_come_back_over_minutes() -> None:
    boxes = 10_000
    delays = sorted(BACK.delay(20, lambda one=one / boxes: one) for one in range(boxes))
    assert delays[0] < 1.0 and delays[-1] == BACK.longest_s
    peak = max(sum(second <= one < second + 1 for one in delays) for second in range(0, 300, 10))
    assert peak <= boxes / BACK.longest_s * 1.1


REPORT = Report("0.1", "up", in_force="aa", confirmed=True, machine=Machine(1, 50, 10**9, None))


class Telling:
    def __init__(self, access: Access, servers: FakeOwn) -> None:
        self.clock, self.servers, self.access = Clock(), servers, access
        self.teller = Teller(access, NAMES, threading.Event(), self.clock, lambda: 0.5)

    def tell(self, word: bytes | None, report: Report, later_s: float = 1.0) -> None:
        self.clock.now_s += later_s
        self.teller.give(word, report)
        if self.teller.is_due():
            self.teller.step(self.servers, self.access.take())

    def count(self) -> tuple[int, int, int]:
        writes = self.servers.writes
        return writes.get(NAMES.box_word, 0), writes.get(NAMES.box_report, 0), len(self.servers.checks)


@pytest.fixture
def telling(access: Access, servers: FakeOwn) -> Telling:
    return Telling(access, servers)


def test_the_newest_word_and_report_are_told_once(telling: Telling) -> None:
    telling.tell(b"idle", REPORT)
    assert telling.count() == (1, 1, 1)
    telling.tell(b"idle", REPORT)
    assert telling.count() == (1, 1, 1)
    telling.tell(b"busy", REPORT)
    assert telling.count() == (2, 1, 1)
    assert telling.servers.values[NAMES.box_word].data == b"busy"
    assert json.loads(telling.servers.values[NAMES.box_report].data)["in_force"] == "aa"


def test_news_are_told_at_once_and_trifles_later(telling: Telling) -> None:
    telling.tell(None, REPORT)
    warmer = Report("0.1", "up", in_force="aa", confirmed=True, machine=Machine(2, 56, 10**9, None))
    telling.tell(None, warmer)
    assert telling.count()[1] == 1
    telling.tell(None, warmer, SOON_S)
    assert telling.count()[1] == 2
    older = Report("0.1", "up", in_force="aa", confirmed=True, machine=Machine(9, 56, 10**9, None))
    telling.tell(None, older, SOON_S)
    assert telling.count()[1] == 2
    telling.tell(None, older, REPORT_EVERY_S)
    assert telling.count()[1] == 3
    telling.tell(None, Report("0.1", "up", in_force="bb", confirmed=True))
    assert telling.count()[1] == 4


def test_the_check_lives_and_its_status_changes_at_once(telling: Telling) -> None:
    telling.tell(None, REPORT)
    assert telling.servers.checks == [("passing", REPORT.note)]
    telling.tell(None, REPORT, CHECK_EVERY_S * 1.2)
    assert len(telling.servers.checks) == 2
    telling.tell(None, Report("0.1", why="the value is refused", in_force="aa", confirmed=True))
    assert telling.servers.checks[-1][0] == "warning"
    # another agent of Consul answers, which does not know the box
    telling.servers.is_known = False
    telling.tell(None, REPORT, CHECK_EVERY_S * 1.2)
    assert telling.servers.is_known and telling.servers.checks[-1][0] == "passing"


def test_what_was_not_told_is_told_after_the_outage(telling: Telling) -> None:
    telling.access.take()
    telling.servers.is_away = True
    with pytest.raises(Unreachable):
        telling.tell(b"busy", REPORT)
    telling.servers.is_away = False
    telling.servers.end_tokens()
    with pytest.raises(Denied):
        telling.teller.step(telling.servers, telling.access.take())
    telling.access.forget(telling.access.take())
    telling.tell(b"idle", REPORT)
    assert telling.count() == (1, 1, 1)


class Joined:
    """A box's way in: told step by step by the test."""

    def __init__(self, show: Callable[[Shown], None]) -> None:
        self.show = show

    def run(self, is_once: bool = False) -> Shown:
        return Shown("in", "acme/salto", "", "", "")


class Running:
    """An agent that steps when the test says so; its threads run."""

    def __init__(self, data: Path, servers: FakeOwn) -> None:
        data.mkdir(exist_ok=True)
        for name in ("identity.crt", "overlay.key", "overlay.crt", "overlay-ca.crt"):
            (data / name).write_text(f"{name} 1")
        self.data, self.servers = data, servers
        self.said: list[str] = []
        self.agent = Agent(
            Box(NAMES, "0.1", "riti 7", "100"),
            Place(data, data / "watcher.json"),
            Access(lambda: servers, lambda: True),
            Joined,
            lambda _files, _usual: Trial(0.1, (), True),
            self.said.append,
            lambda: 0.0,
        )
        self.thread = threading.Thread(target=self.agent.run)
        self.thread.start()

    def end(self) -> None:
        self.agent.is_ending = True
        self.thread.join()

    def read(self, path: str) -> str:
        try:
            return (self.data / path).read_text()
        except FileNotFoundError:
            return ""


@pytest.fixture
def running(tmp_path: Path, servers: FakeOwn) -> Iterator[Running]:
    servers.set(NAMES.box_kv_key, write_value(dict(OLD)))
    made = Running(tmp_path / "data", servers)
    yield made
    made.end()


def test_an_agent_brings_value_overlay_and_block_list_into_force(running: Running, servers: FakeOwn) -> None:
    wait(lambda: running.read("overlay/overlay.yml") == OLD["overlay.yml"])
    assert running.read("configuration/asterisk/iax.conf").startswith("; secrets version 3\n")
    assert running.read("overlay/host.key") == "overlay.key 1"
    servers.set("riti/fleet/blocked", json.dumps(["ab" * 32]).encode())
    wait(lambda: "ab" * 32 in running.read("overlay/overlay.yml"))
    # a list that is none leaves the one that is in force
    servers.set("riti/fleet/blocked", b'["x"]')
    wait(lambda: b"what is no fingerprint" in servers.values[NAMES.box_report].data)
    assert "ab" * 32 in running.read("overlay/overlay.yml")
    # a renewed certificate
    (running.data / "overlay.crt").write_text("overlay.crt 2")
    wait(lambda: running.read("overlay/host.crt") == "overlay.crt 2")


def test_an_agent_trusts_whom_its_document_names_and_says_so(running: Running, servers: FakeOwn) -> None:
    wait(lambda: running.read("overlay/overlay.yml") != "")
    both = "-----BEGIN NEBULA CERTIFICATE V2-----\none and other\n"
    told = {"ca": both, "edition": 2, "authority": 1, "renew_from": ""}
    servers.document = Document(4, {**SECRETS, "overlay": told})
    servers.set(NAMES.box_kv_key, write_value(dict(NEW)))

    def read_report() -> dict[str, object]:
        held = servers.values.get(NAMES.box_report)
        return dict(json.loads(held.data)) if held else {}

    wait(lambda: running.read("overlay/ca.crt") == both)
    wait(lambda: read_report().get("overlay_edition") == 2)
    # what cannot be understood leaves what is trusted, and the rest of the document is taken
    servers.document = Document(5, {**SECRETS, "overlay": {**told, "edition": 3, "ca": "nobody"}})
    servers.set(NAMES.box_kv_key, write_value(dict(OLD), secrets_version=5))
    wait(lambda: "names no authority" in str(read_report().get("why")))
    assert running.read("overlay/ca.crt") == both and read_report()["overlay_edition"] == 2


def test_the_cloud_follows_the_generation_of_its_pbx_also_without_a_network(
    tmp_path: Path, servers: FakeOwn
) -> None:
    pair = "[cloud.0](!)\nhost=100.80.0.6\n[cloud.1](!)\nhost=100.80.0.7\n[cloud](cloud-secret,cloud.0)\n"
    files = dict(OLD) | {"etc/iax.conf": pair}
    servers.set(NAMES.box_kv_key, write_value(files))
    first = Running(tmp_path / "data", servers)
    place = "configuration/asterisk/iax.conf"
    try:
        wait(lambda: "[cloud](cloud-secret,cloud.0)" in first.read(place))
        servers.set(NAMES.generation, b'{"generation": 3, "held": ["2 a ended", "3 b"]}')
        wait(lambda: "[cloud](cloud-secret,cloud.1)" in first.read(place))
    finally:
        first.end()
    again = Running(tmp_path / "data", servers)
    try:
        wait(lambda: again.read("agent.json") != "")
        assert "[cloud](cloud-secret,cloud.1)" in again.read(place)
        servers.set(NAMES.generation, b'{"generation": 4, "held": ["4 c", "3 b ended"]}')
        wait(lambda: "[cloud](cloud-secret,cloud.0)" in again.read(place))
    finally:
        again.end()


def test_the_block_list_is_kept_without_a_network(running: Running, servers: FakeOwn) -> None:
    servers.set("riti/fleet/blocked", json.dumps(["cd" * 32]).encode())
    wait(lambda: "cd" * 32 in running.read("overlay/overlay.yml"))
    running.end()
    assert json.loads(running.read(BLOCKED)) == ["cd" * 32]
    away = FakeOwn()
    away.is_away = True
    again = Running(running.data, away)
    try:
        wait(lambda: "the overlay has" in " ".join(again.said) or again.read("agent.json") != "")
        assert "cd" * 32 in again.read("overlay/overlay.yml")
    finally:
        again.end()


def test_a_value_whose_secrets_are_not_there_yet_waits_for_them(running: Running, servers: FakeOwn) -> None:
    wait(lambda: running.read("overlay/overlay.yml") != "")
    servers.document = Document(3, {"iax": {}, "phones": {}})
    servers.set(NAMES.box_kv_key, write_value(dict(NEW)))

    def why() -> str:
        held = servers.values.get(NAMES.box_report)
        return str(json.loads(held.data)["why"]) if held else ""

    wait(lambda: "waits for its secrets" in why() and "[cloud-secret]" in why())
    servers.document = Document(3, SECRETS)
    wait(lambda: "exten => 2" in running.read("configuration/asterisk/extensions.conf"))
    wait(lambda: "waits for its secrets" not in why())
