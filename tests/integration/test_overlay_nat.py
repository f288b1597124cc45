"""Who meets directly and who by relay, behind routers of every kind: real Nebula, with what RITI renders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from ritilib.devstack.folders import find_cache
from ritilib.devstack.machine.setup import set_up
from ritilib.devstack.overlay.lab import (
    DIRECT,
    LIGHTHOUSES,
    RELAYED,
    OverlayLab,
    Place,
    describe_way,
    hold_overlay_lab,
)
from ritilib.devstack.overlay.probe import UDP, Stream, carries_data, hold_capture, is_nebula
from ritilib.devstack.processes import poll

DEADLINE_S = 30.0
# two looks for a better way (try_promote): who is on a relay then stays there
SETTLED_PACKETS = 220
BOXES = {
    "public": Place(),
    "cone": Place((("cone", "cone"),)),
    "cone-too": Place((("cone-too", "cone"),)),
    "open": Place((("open", "open"),)),
    "symmetric": Place((("symmetric", "symmetric"),)),
    "symmetric-too": Place((("symmetric-too", "symmetric"),)),
    "twin": Place((("shared", "symmetric"),)),
    "twin-too": Place((("shared", "symmetric"),)),
    "carried": Place((("carrier", "cone"), ("home", "cone"))),
    "carried-too": Place((("carrier", "cone"), ("home-too", "cone"))),
}
# where the Nomad client of an office's PBX is; the office's box is the one of the same name
PBXES = {
    "cone": Place(),
    "symmetric": Place(),
    "symmetric-too": Place(),
    "carried": Place((("elastic", "open"),)),
    "cone-too": Place((("masked", "cone"),)),
    "twin": Place((("hidden", "symmetric"),)),
}
ROWS = {
    ("box:public", "box:cone-too"): DIRECT,
    ("box:public", "box:symmetric-too"): DIRECT,
    ("box:cone", "box:cone-too"): DIRECT,
    ("box:cone", "box:carried"): DIRECT,
    ("box:open", "box:symmetric"): DIRECT,
    ("box:symmetric-too", "box:open"): DIRECT,
    ("box:twin", "box:twin-too"): DIRECT,
    ("box:cone", "box:symmetric"): RELAYED,
    ("box:symmetric", "box:symmetric-too"): RELAYED,
    ("box:carried", "box:carried-too"): RELAYED,
    # a box and its PBX, whoever begins
    ("box:cone", "pbx:cone"): DIRECT,
    ("box:symmetric", "pbx:symmetric"): DIRECT,
    ("pbx:symmetric-too", "box:symmetric-too"): DIRECT,
    ("pbx:carried", "box:carried"): DIRECT,
    ("pbx:carried", "box:twin-too"): DIRECT,
    ("box:carried-too", "pbx:carried"): DIRECT,
    ("pbx:cone", "pbx:symmetric"): DIRECT,
    # a Nomad client without a fixed way in: not as it should be, and still no office without its PBX
    ("box:cone-too", "pbx:cone-too"): DIRECT,
    ("box:twin-too", "pbx:cone-too"): RELAYED,
    ("box:twin", "pbx:twin"): RELAYED,
}


@dataclass(frozen=True)
class Met:
    """What became of a row: its way when nothing changed any more, and whether a packet was lost once one had come."""

    way: str
    lost: int


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverlayLab]:
    programs = set_up(find_cache(), print)
    folder = tmp_path_factory.mktemp("nat")
    with hold_overlay_lab(programs.nebula, programs.nebula_cert, folder, BOXES, PBXES) as made:
        yield made


@pytest.fixture(scope="module")
def met(lab: OverlayLab) -> dict[tuple[str, str], Met]:
    """Every row; those of one round have no member in common, so that whose packets pass is clear."""
    found: dict[tuple[str, str], Met] = {}
    left = list(ROWS)
    while left:
        these: list[tuple[str, str]] = []
        for row in left:
            if not {end for taken in these for end in taken} & set(row):
                these.append(row)
        left = [row for row in left if row not in these]
        found |= meet(lab, these)
    return found


def meet(lab: OverlayLab, rows: list[tuple[str, str]]) -> dict[tuple[str, str], Met]:
    streams = {(caller, callee): lab.stream(caller, callee) for caller, callee in rows}
    for row, stream in streams.items():
        assert poll(stream.is_heard, DEADLINE_S), f"{row}: nothing is heard"
    hear_more(list(streams.values()), SETTLED_PACKETS)
    with ExitStack() as held:
        captures = {row: held.enter_context(lab.watch(row[0])) for row in rows}
        hear_more(list(streams.values()))
    found = {}
    for stream in streams.values():
        stream.stop()
    for row, stream in streams.items():
        first, unheard = min(stream.heard), stream.end()
        lost = [number for number in unheard if number > first]
        way = describe_way(captures[row], lab.members[row[0]].host.address)
        print(f"{' to '.join(row)}: {way}, the first after {stream.first_s:.2f} s, {len(lost)} lost")
        found[row] = Met(way, len(lost))
    return found


def hear_more(streams: list[Stream], packets: int = 20) -> None:
    """Return when each of them has heard so many more."""
    due = [stream.count_heard() + packets for stream in streams]
    assert poll(
        lambda: all(stream.count_heard() >= least for stream, least in zip(streams, due, strict=True)),
        DEADLINE_S,
    )


@pytest.mark.parametrize("row", ROWS, ids=" to ".join)
def test_two_members_meet(met: dict[tuple[str, str], Met], row: tuple[str, str]) -> None:
    assert met[row] == Met(ROWS[row], 0)


def test_what_is_said_is_nowhere_to_be_read(lab: OverlayLab) -> None:
    """Neither behind a router, nor on the Internet, nor at a relay: no packet there is anything but Nebula's."""
    rows = (("box:cone", "box:cone-too"), ("box:symmetric", "box:symmetric-too"))
    streams = [lab.stream(*row) for row in rows]
    places = [lab.internet.segment.namespace, *(router.namespace for router in lab.routers.values())]
    with ExitStack() as held:
        captures = [held.enter_context(hold_capture(place)) for place in places]
        hear_more(streams)
    for stream in streams:
        stream.end()
    seen = [packet for capture in captures for packet in capture.packets]
    assert [packet for packet in seen if packet.protocol != UDP] == []
    assert [packet for packet in seen if not is_nebula(packet)] == []
    assert not any(b"voicevoice" in packet.payload for packet in seen)
    relays = set(LIGHTHOUSES.values())
    crossed = [packet for packet in captures[0].packets if carries_data(packet)]
    assert any(packet.target in relays for packet in crossed)
    assert any(packet.target not in relays and packet.source not in relays for packet in crossed)


@pytest.mark.parametrize("name", ["one", pytest.param("two", marks=pytest.mark.slow)])
def test_a_lighthouse_ends(lab: OverlayLab, name: str) -> None:
    """What goes directly loses nothing, what goes by its relay goes on by the other one, and who is new finds all."""
    direct = lab.stream("box:cone", "pbx:cone")
    relayed = lab.stream("box:symmetric", "box:symmetric-too")
    hear_more([direct, relayed])
    lab.members[f"lighthouse:{name}"].stop()
    try:
        lab.restart("box:open", "box:carried")
        new = lab.stream("box:open", "box:carried")
        assert poll(new.is_heard, DEADLINE_S)
        new.end()
        hear_more([direct, relayed])
        sent = relayed.sent
        # those that the ended one may still have had
        assert poll(lambda: relayed.sent > sent + 100, DEADLINE_S)
        hear_more([relayed])
        lost = relayed.end()
        assert direct.end() == []
        gap_s = max(map(len, split_runs(lost)), default=0) * 0.02
        print(f"without {name}: a new tunnel in {new.first_s:.2f} s, by relay {gap_s:.1f} s of silence")
    finally:
        lab.members[f"lighthouse:{name}"].start()


def split_runs(numbers: list[int]) -> list[list[int]]:
    """Those that follow each other without a gap, together."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
