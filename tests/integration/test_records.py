"""Call records of real Asterisks, as they were rendered, read where a log shipper reads them: on standard output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import CloudCut, LineDead, LinkCut, MeshCut, hold_failure
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.placed_call import hears, place_call
from tests.integration.companies import MONTEVIDEO, RIVERA, SALTO, STRANGER, lend, render_company
from tests.integration.invite import Caller

LABEL = "riti-test-records"
HOME, AWAY = f"box:{MONTEVIDEO}", f"box:{SALTO}"
HOME_PBX, AWAY_PBX = f"pbx:{MONTEVIDEO}", f"pbx:{SALTO}"
WITHIN_S = 30.0
GROUP = 'groups:\n  - {number: "600", name: Both, rings: ["201", "301"]}\n'
MARK = '{"riti":"call",'
KEYS = (
    *("riti", "node", "call", "from", "to", "rung", "taken", "channel", "dstchannel", "start", "answer", "end"),
    *("duration", "billsec", "disposition", "cause"),
)  # fmt: skip
# what ends a string, a line or an object of JSON, or a word of a dial plan; and bytes that are no UTF-8
HOSTILE = (
    *('"', "\\", '\\"', 'x","call":"forged', "}\n{", "\r\n", "\t", "\x01\x1f\x7f", "${EXTEN}", "$[1]", "a,b;c"),
    *("é\u2028", "'", "`", "|&<>()[]", "\udcff\udcfe", "a" * 300, "\\u0022", "%", "%22"),
)  # fmt: skip

Record = Mapping[str, Any]


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    made = render_company("100.81.41.0/24", more=GROUP)
    folder = tmp_path_factory.mktemp("lab")
    with hold_fleet(Docker(stack.docker_host), made.tree, made.outside, folder, LABEL, print) as running:
        yield running


@pytest.fixture
def salto(fleet: RunningFleet) -> Iterator[Callee]:
    """Salto's telephone, whose manner a test may change."""
    yield from lend(fleet, SALTO, "201")


def read_records(fleet: RunningFleet, node: str) -> list[Record]:
    """Every record that the node has written to standard output; each line with a brace is one, and is whole."""
    said = fleet.docker.read_log(fleet.nodes[node].container, errors=False)
    lines = [line for line in said.splitlines() if MARK in line or line.startswith("{")]
    records = [json.loads(line) for line in lines]
    assert [line for line in lines if not line.startswith(MARK)] == []
    assert {tuple(record) for record in records} <= {KEYS}
    return records


class Reader:
    """The records that come in after it is made."""

    def __init__(self, fleet: RunningFleet) -> None:
        self._fleet = fleet
        self._nodes = [name for name in fleet.nodes if name.startswith(("box:", "pbx:"))]
        self._before = {node: len(read_records(fleet, node)) for node in self._nodes}

    def wait(self, counts: Mapping[str, int]) -> dict[str, list[Record]]:
        """node → its new records, once each of counts has so many; DevstackError names what is missing."""

        def are_there() -> bool:
            return all(len(self.read(node)) >= count for node, count in counts.items())

        wait_until(are_there, WITHIN_S, f"there are records of {counts}")
        found = {node: self.read(node) for node in self._nodes}
        assert {node: len(records) for node, records in found.items() if records} == counts
        return found

    def read(self, node: str) -> list[Record]:
        return read_records(self._fleet, node)[self._before[node] :]


def call(fleet: RunningFleet, dialled: str, patience_s: float = 10.0) -> str:
    """Montevideo's first telephone dials; what became of it."""
    return place_call(fleet, MONTEVIDEO, "101", dialled, patience_s).kind


def pick(record: Record, *keys: str) -> tuple[Any, ...]:
    return tuple(record[key] for key in keys)


def test_a_call_by_the_cloud_is_four_records_of_one_name(fleet: RunningFleet) -> None:
    reader = Reader(fleet)
    began = datetime.now().astimezone()
    assert call(fleet, "201") == "answered"
    found = reader.wait({HOME: 1, HOME_PBX: 1, AWAY_PBX: 1, AWAY: 1})
    records = {node: found[node][0] for node in (HOME, HOME_PBX, AWAY_PBX, AWAY)}
    (name,) = {record["call"] for record in records.values()}
    assert name.startswith(f"{MONTEVIDEO}-")
    assert [record["node"] for record in records.values()] == list(records)
    assert {node: record["rung"] for node, record in records.items()} == {
        HOME: "cloud",
        HOME_PBX: "mesh",
        AWAY_PBX: "box",
        AWAY: "phone",
    }
    for record in records.values():
        assert pick(record, "from", "to", "taken", "cause") == ("101", "201", "", "")
        assert pick(record, "riti", "disposition") == ("call", "ANSWERED")
        start, answer, end = (datetime.fromisoformat(record[key]) for key in ("start", "answer", "end"))
        assert began <= start <= answer <= end <= datetime.now().astimezone()
        assert start.utcoffset() == timedelta(0)
        assert record["duration"] == (end - start) // timedelta(seconds=1)
        assert record["billsec"] == (end - answer) // timedelta(seconds=1)
    assert records[HOME]["channel"].startswith("PJSIP/phone-101-")
    assert records[HOME]["dstchannel"].startswith("IAX2/cloud-")
    assert records[HOME_PBX]["dstchannel"].startswith("IAX2/pbx-salto-")
    assert records[AWAY]["dstchannel"].startswith("PJSIP/phone-201-")


def test_two_calls_have_two_names(fleet: RunningFleet) -> None:
    reader = Reader(fleet)
    assert [call(fleet, "201"), call(fleet, "201")] == ["answered", "answered"]
    found = reader.wait(dict.fromkeys((HOME, HOME_PBX, AWAY_PBX, AWAY), 2))
    assert len({record["call"] for records in found.values() for record in records}) == 2


def test_a_callee_who_hangs_up_makes_no_record_more(fleet: RunningFleet, salto: Callee) -> None:
    reader, phone = Reader(fleet), fleet.phones[MONTEVIDEO, "101"].phone
    held = phone.dial("201")
    phone.wait_for("established", WITHIN_S, held)
    answered = salto.find_call()
    assert answered is not None
    salto.phone.hang_up(answered)
    phone.wait_for("closed", WITHIN_S, held)
    found = reader.wait({HOME: 1, HOME_PBX: 1, AWAY_PBX: 1, AWAY: 1})
    assert {record["disposition"] for records in found.values() for record in records} == {"ANSWERED"}


def test_what_was_not_answered_is_recorded_with_its_cause(fleet: RunningFleet, salto: Callee) -> None:
    path = (HOME, HOME_PBX, AWAY_PBX, AWAY)
    salto.manner = "busy"
    reader = Reader(fleet)
    assert call(fleet, "201") == "busy"
    for records in reader.wait(dict.fromkeys(path, 1)).values():
        assert {pick(one, "disposition", "cause", "answer", "billsec") for one in records} <= {
            ("BUSY", "17", "", 0)
        }
    salto.manner = "let ring"
    reader = Reader(fleet)
    assert call(fleet, "201", 1.0) == "no answer"
    for records in reader.wait(dict.fromkeys(path, 1)).values():
        assert {pick(one, "disposition", "answer") for one in records} <= {("NO ANSWER", "")}


def test_each_telephone_of_a_group_is_a_record_without_anothers_cause(fleet: RunningFleet) -> None:
    rivera, reader = fleet.phones[RIVERA, "301"], Reader(fleet)
    rivera.manner = "let ring"
    try:
        assert call(fleet, "600") == "answered"
    finally:
        rivera.manner = "answer"
    there = {f"{kind}:{RIVERA}": 1 for kind in ("box", "pbx")}
    found = reader.wait({HOME: 1, HOME_PBX: 2, AWAY: 1, AWAY_PBX: 1} | there)
    assert len({record["call"] for records in found.values() for record in records}) == 1
    rung = {pick(record, "to", "rung", "disposition", "cause") for record in found[HOME_PBX]}
    assert rung == {("600", "group", "ANSWERED", ""), ("600", "group", "NO ANSWER", "")}
    assert [pick(record, "to", "rung") for record in found[f"box:{RIVERA}"]] == [("301", "phone")]


def test_each_way_is_a_record(fleet: RunningFleet) -> None:
    def ask(dialled: str, count: int, patience_s: float = 10.0) -> list[tuple[Any, ...]]:
        reader = Reader(fleet)
        call(fleet, dialled, patience_s)
        wait_until(lambda: len(reader.read(HOME)) >= count, WITHIN_S, f"{dialled} is recorded")
        records = reader.read(HOME)
        assert len({record["call"] for record in records}) == 1
        return [pick(record, "to", "rung", "disposition", "cause") for record in records]

    with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO)):
        assert ask("201", 2) == [("201", "cloud", "FAILED", "3"), ("201", "direct", "ANSWERED", "")]
    with hold_failure(fleet, LinkCut(SALTO)):
        by_line = ("26000201", "line", "ANSWERED", "")
        assert ask("201", 2) == [("201", "cloud", "NO ANSWER", "27"), by_line]
    with hold_failure(fleet, CloudCut()):
        assert ask("201", 1) == [("201", "direct", "ANSWERED", "")]
        assert ask("102", 1) == [("102", "phone", "ANSWERED", "")]
    assert ask(STRANGER, 2)[1] == (STRANGER, "line", "ANSWERED", "")
    assert ask("12", 1) == [("12", "cloud", "FAILED", "3")]
    assert ask("12,3", 1) == [("123", "none", "FAILED", "28")]


def test_emergency_calls_are_recorded_also_where_none_goes_out(fleet: RunningFleet) -> None:
    reader = Reader(fleet)
    assert call(fleet, "911") == "emergency"
    (record,) = reader.wait({HOME: 1})[HOME]
    assert pick(record, "from", "to", "rung", "disposition") == ("101", "911", "line", "ANSWERED")
    with hold_failure(fleet, LineDead(MONTEVIDEO)):
        reader = Reader(fleet)
        assert call(fleet, "911", 20.0) == "played"
        wait_until(lambda: len(reader.read(HOME)) > 0, WITHIN_S, "the attempts are recorded")
        tried = {pick(one, "to", "rung", "disposition", "cause") for one in reader.read(HOME)}
        assert tried == {("911", "line", "FAILED", "34")}
    # an office without a line: nothing is dialled, and the one record says so
    reader = Reader(fleet)
    assert place_call(fleet, RIVERA, "301", "911", 10.0).kind == "played"
    (record,) = reader.wait({f"box:{RIVERA}": 1})[f"box:{RIVERA}"]
    assert pick(record, "from", "to", "rung", "dstchannel", "answer") == ("301", "911", "none", "", "")


def test_a_call_that_is_taken_over_keeps_its_name(fleet: RunningFleet, salto: Callee) -> None:
    fleet.wait_settled()
    reader, caller = Reader(fleet), fleet.phones[MONTEVIDEO, "101"]
    held = caller.phone.dial("201")
    caller.phone.wait_for("established", WITHIN_S, held)
    first = salto.find_call()
    assert first is not None
    with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO), settle=False):

        def is_back() -> bool:
            again = salto.find_call()
            return again is not None and again is not first and hears(salto, again, caller.tone_hz)

        wait_until(is_back, WITHIN_S, "the call goes on by the next way")
        caller.phone.hang_up(held)
        found = reader.wait({HOME: 2, HOME_PBX: 1, AWAY_PBX: 1, AWAY: 2})
    assert len({record["call"] for records in found.values() for record in records}) == 1
    ways = [pick(record, "rung", "taken", "disposition") for record in found[HOME]]
    assert ways == [("cloud", "", "ANSWERED"), ("direct", "1", "ANSWERED")]
    assert [record["taken"] for record in found[AWAY]] == ["", "1"]
    assert found[HOME][0]["end"] <= found[HOME][1]["start"]


def test_calls_that_end_at_the_same_moment_are_whole_lines(fleet: RunningFleet) -> None:
    """read_records judges each line of each node; two Asterisk threads, the log and the watcher write to one pipe."""
    pairs, rounds = [(MONTEVIDEO, "101", "201"), (RIVERA, "301", "102")], 6
    reader, phones = Reader(fleet), [fleet.phones[box, extension].phone for box, extension, _ in pairs]
    for _ in range(rounds):
        held = [phone.dial(pair[2]) for phone, pair in zip(phones, pairs, strict=True)]
        for phone, one in zip(phones, held, strict=True):
            phone.wait_for("established", WITHIN_S, one)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda phone, one: phone.hang_up(one), phones, held))
        for callee in fleet.phones.values():
            if incoming := callee.find_call():
                callee.phone.wait_for("closed", WITHIN_S, incoming)
    rivera = {f"{kind}:{RIVERA}": rounds for kind in ("box", "pbx")}
    expected = {HOME: 2 * rounds, HOME_PBX: 2 * rounds, AWAY: rounds, AWAY_PBX: rounds} | rivera
    assert len({one["call"] for records in reader.wait(expected).values() for one in records}) == 2 * rounds


def encode(text: str) -> str:
    """Text as the user part of a SIP URI, every byte of it that means something there escaped."""
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


@pytest.mark.parametrize("word", HOSTILE)
def test_who_calls_by_a_line_writes_nothing_but_digits(fleet: RunningFleet, salto: Callee, word: str) -> None:
    """The line may say who calls, in any bytes: From, its name, and P-Asserted-Identity."""
    salto.manner = "busy"
    line = Caller(fleet.gateway, fleet.nodes[AWAY].office_address, "line", read_password(fleet, SALTO))
    reader = Reader(fleet)
    assert line.call("line", f"2{encode(word)}4", f"Secreto {word}") == 486
    found = reader.wait({AWAY: 2, AWAY_PBX: 1})
    digits = "".join(letter for letter in f"2{word}4" if letter in "0123456789*#+")
    for records in found.values():
        for record in records:
            # Asterisk itself ends a number at a semicolon, and a long one somewhere
            assert record["from"] and digits.startswith(record["from"])
            assert "Secreto" not in json.dumps(record)
            assert record["call"].startswith(f"{SALTO}-")


@pytest.mark.parametrize("word", HOSTILE)
def test_who_dials_writes_nothing_but_digits(fleet: RunningFleet, word: str) -> None:
    plan = next(one for one in fleet.plan.phones if (one.box, one.extension) == (MONTEVIDEO, "101"))
    phone = Caller(fleet.gateway, fleet.nodes[HOME].office_address, plan.user, plan.password)
    reader = Reader(fleet)
    assert phone.call(f"9{encode(word)}", plan.user, word) == 484
    wait_until(lambda: len(reader.read(HOME)) == 1, WITHIN_S, "the call is recorded")
    for record in reader.read(HOME):
        assert set(record["to"]) <= set("0123456789*#+")
        assert record["from"] == "101"


def read_password(fleet: RunningFleet, box: str) -> str:
    return fleet.outside.adapter.password(box)
