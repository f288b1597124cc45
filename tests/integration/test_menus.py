"""Menus on real Asterisks: heard, led on by a key, played by the box without the cloud, changed while they run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ritilib.clients.docker import Docker
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.audio import longest_gap_s, read_wav
from ritilib.devstack.telephony.callee import Callee
from ritilib.devstack.telephony.company import RunningFleet, hold_fleet
from ritilib.devstack.telephony.failures import CloudCut, Failure, LinkCut, MeshCut, PbxDead, hold_failure
from ritilib.devstack.telephony.node import Node
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone_events import Call
from ritilib.devstack.telephony.placed_call import Outcome, hears, place_call
from ritilib.devstack.telephony.public import NAME as PUBLIC
from ritilib.devstack.telephony.trace import COMMANDS, Trace, trace_call
from ritilib.render.asterisk_conf import CONFIG_FOLDER, SPOKEN_FOLDER
from tests.integration.companies import MONTEVIDEO, RIVERA, SALTO, STRANGER, lend, render_company
from tests.recordings import make_words

LABEL = "riti-test-ivr"
WITHIN_S = 20.0
WORDS_HZ, MORE_HZ, NEW_HZ, RING_HZ = 1000, 1200, 1400, 425
LENGTH_S = 1.0
MENUS = """\
menus:
  - number: "700"
    name: Welcome
    words: welcome
    choices: {"1": "201", "2": "102", "3": "701", "0": "600", "*": "301", "#": "102"}
    seconds: 1
    else: "102"
  - {number: "701", name: More, words: more, choices: {"1": "700", "9": "201"}, else: "301"}
groups:
  - {number: "600", name: All, rings: ["201", "301"]}
"""
WORDS = {"welcome": make_words(WORDS_HZ, LENGTH_S), "more": make_words(MORE_HZ, LENGTH_S)}
MADE = render_company("100.81.75.0/24", more=MENUS, rings={MONTEVIDEO: "700"}, words=WORDS)
HOME, HOME_PBX = f"box:{MONTEVIDEO}", f"pbx:{MONTEVIDEO}"
AWAY, AWAY_PBX = f"box:{SALTO}", f"pbx:{SALTO}"
BY_CLOUD, DIRECT = (HOME, HOME_PBX, AWAY_PBX, AWAY), (HOME, AWAY)
IN_THE_CLOUD, ON_THE_BOX = (HOME, HOME_PBX), (HOME,)
BY_LINES = (AWAY, f"line:{SALTO}", "public", f"line:{MONTEVIDEO}", HOME)


@pytest.fixture(scope="module")
def fleet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    folder = tmp_path_factory.mktemp("lab")
    with hold_fleet(Docker(stack.docker_host), MADE.tree, MADE.outside, folder, LABEL, print) as running:
        yield running


class Caller:
    """A telephone and its one call: what it hears, and where the call has come to."""

    def __init__(self, fleet: RunningFleet, box: str, extension: str) -> None:
        self.fleet = fleet
        self.callee = fleet.phones[box, extension]
        self.call = Call("", outgoing=True, state="closed")

    def dial(self, number: str) -> None:
        self.call = self.callee.phone.dial(number)
        self.callee.phone.wait_for("established", WITHIN_S, self.call)

    def press(self, keys: str) -> None:
        self.callee.phone.press(keys, self.call)

    def hang_up(self) -> None:
        if self.call.is_live:
            self.callee.phone.hang_up(self.call)

    def wait_hearing(self, tone_hz: int) -> None:
        wait_until(
            lambda: hears(self.callee, self.call, tone_hz), WITHIN_S, f"{self.callee.name} hears {tone_hz} Hz"
        )

    def trace(self) -> Trace:
        """As far as the nodes live: the caller's box goes on for a moment after its PBX has died."""

        def ask(node: str) -> str:
            return self.fleet.nodes[node].ask(*COMMANDS) if self.fleet.nodes[node].pid else ""

        return trace_call(self.callee.box, self.callee.endpoint, self.fleet.map, ask)

    def wait_menu(self, number: str, hops: tuple[str, ...]) -> None:
        """Return when that menu waits for a key at the last of hops."""

        def is_there() -> bool:
            found = self.trace()
            end = found.end
            return (
                found.hops == hops
                and end is not None
                and (end.context, end.application)
                == (
                    f"menu-{number}",
                    "Read",
                )
            )

        wait_until(is_there, WITHIN_S, f"menu {number} is played at {hops[-1]}")

    def wait_answered(self, box: str, extension: str, hops: tuple[str, ...]) -> None:
        """Return when both hear each other, by that way."""
        other = self.fleet.phones[box, extension]

        def is_up() -> bool:
            found = self.trace()
            return (found.hops, found.phone) == (hops, other.endpoint)

        wait_until(is_up, WITHIN_S, f"{other.name} answers by {hops}")
        self.wait_hearing(other.tone_hz)
        answered = other.find_call()
        assert answered is not None and hears(other, answered, self.callee.tone_hz)

    def wait_closed(self) -> None:
        self.callee.phone.wait_for("closed", WITHIN_S, self.call)


@pytest.fixture
def caller(fleet: RunningFleet) -> Iterator[Caller]:
    """Montevideo's first telephone."""
    made = Caller(fleet, MONTEVIDEO, "101")
    yield made
    made.hang_up()
    wait_quiet(fleet)


@pytest.fixture
def salto(fleet: RunningFleet) -> Iterator[Callee]:
    """Salto's telephone, whose manner a test may change."""
    yield from lend(fleet, SALTO, "201")


def wait_quiet(fleet: RunningFleet) -> None:
    phones = fleet.phones.values()
    wait_until(lambda: not any(one.find_call() for one in phones), WITHIN_S, "nobody has a call")


@pytest.mark.parametrize(
    ("keys", "box", "extension", "hops"),
    [
        ("1", SALTO, "201", BY_CLOUD),
        ("2", MONTEVIDEO, "102", (HOME, HOME_PBX, HOME)),
        ("*", RIVERA, "301", (HOME, HOME_PBX, f"pbx:{RIVERA}", f"box:{RIVERA}")),
        ("#", MONTEVIDEO, "102", (HOME, HOME_PBX, HOME)),
    ],
)
def test_a_key_leads_to_the_choice(
    caller: Caller, keys: str, box: str, extension: str, hops: tuple[str, ...]
) -> None:
    caller.dial("700")
    caller.wait_menu("700", IN_THE_CLOUD)
    caller.wait_hearing(WORDS_HZ)
    caller.press(keys)
    caller.wait_answered(box, extension, hops)


def test_a_placed_call_says_that_a_menu_answered(fleet: RunningFleet) -> None:
    assert place_call(fleet, MONTEVIDEO, "101", "700") == Outcome("menu", "", "menu-700", IN_THE_CLOUD)


def test_who_presses_nothing_hears_the_words_twice_and_is_rung_through(caller: Caller) -> None:
    caller.dial("700")
    caller.wait_answered(MONTEVIDEO, "102", (HOME, HOME_PBX, HOME))
    samples, rate_hz = read_wav(caller.callee.phone.recording_of(caller.call).path)
    # between the words nothing is sent, and what is not sent is in no recording
    spoken = len(samples) - round(longest_gap_s(samples, rate_hz, WORDS_HZ) * rate_hz)
    assert 1.7 * LENGTH_S < spoken / rate_hz < 2.1 * LENGTH_S


def test_a_key_that_leads_nowhere_has_the_words_said_again(caller: Caller) -> None:
    caller.dial("700")
    caller.wait_hearing(WORDS_HZ)
    caller.press("8")
    caller.wait_menu("700", IN_THE_CLOUD)
    caller.wait_hearing(WORDS_HZ)
    caller.press("1")
    caller.wait_answered(SALTO, "201", BY_CLOUD)


def test_a_menu_leads_to_another_and_back(caller: Caller) -> None:
    caller.dial("700")
    caller.wait_hearing(WORDS_HZ)
    for key, number, tone_hz in (("3", "701", MORE_HZ), ("1", "700", WORDS_HZ), ("3", "701", MORE_HZ)):
        caller.press(key)
        caller.wait_menu(number, IN_THE_CLOUD)
        caller.wait_hearing(tone_hz)
    caller.press("9")
    caller.wait_answered(SALTO, "201", BY_CLOUD)


@pytest.mark.parametrize(("key", "hops"), [("1", IN_THE_CLOUD), ("1", ON_THE_BOX), ("0", IN_THE_CLOUD)])
def test_who_chose_hears_it_ring(
    fleet: RunningFleet, caller: Caller, salto: Callee, key: str, hops: tuple[str, ...]
) -> None:
    salto.manner = fleet.phones[RIVERA, "301"].manner = "let ring"
    try:
        with hold_failure(fleet, CloudCut() if hops == ON_THE_BOX else PbxDead(())):
            caller.dial("700")
            caller.wait_menu("700", hops)
            caller.press(key)
            wait_until(lambda: salto.find_call() is not None, WITHIN_S, "it rings")
            caller.wait_hearing(RING_HZ)
            ringing = salto.find_call()
            assert ringing is not None
            salto.phone.answer(ringing)
            caller.wait_hearing(salto.tone_hz)
            caller.hang_up()
    finally:
        fleet.phones[RIVERA, "301"].manner = "answer"


@pytest.mark.parametrize("hops", [IN_THE_CLOUD, ON_THE_BOX])
def test_who_chose_somebody_busy_hears_it(
    fleet: RunningFleet, caller: Caller, salto: Callee, hops: tuple[str, ...]
) -> None:
    salto.manner = "busy"
    with hold_failure(fleet, CloudCut() if hops == ON_THE_BOX else PbxDead(())):
        caller.dial("700")
        caller.wait_menu("700", hops)
        caller.press("1")
        caller.wait_hearing(RING_HZ)  # the busy tone has that pitch too, and nothing rings
        caller.wait_closed()


@pytest.mark.parametrize("failure", [CloudCut(), PbxDead((MONTEVIDEO,)), LinkCut(MONTEVIDEO)])
def test_without_the_cloud_the_box_says_the_words(
    fleet: RunningFleet, caller: Caller, failure: Failure
) -> None:
    with hold_failure(fleet, failure):
        caller.dial("700")
        caller.wait_menu("700", ON_THE_BOX)
        caller.wait_hearing(WORDS_HZ)
        if isinstance(failure, LinkCut):
            caller.press("2")
            caller.wait_answered(MONTEVIDEO, "102", (HOME,))
        else:
            caller.press("1")
            caller.wait_answered(SALTO, "201", DIRECT)
        caller.hang_up()


def test_a_choice_that_the_cloud_cannot_reach_is_asked_for_again_by_the_box(
    fleet: RunningFleet, caller: Caller
) -> None:
    with hold_failure(fleet, MeshCut(MONTEVIDEO, SALTO)):
        caller.dial("700")
        caller.wait_menu("700", IN_THE_CLOUD)
        caller.press("1")
        caller.wait_menu("700", ON_THE_BOX)
        caller.wait_hearing(WORDS_HZ)
        caller.press("1")
        caller.wait_answered(SALTO, "201", DIRECT)
        caller.hang_up()


def test_a_pbx_that_dies_in_its_menu_leaves_the_caller_to_the_box(
    fleet: RunningFleet, caller: Caller
) -> None:
    caller.dial("700")
    caller.press("3")
    caller.wait_menu("701", IN_THE_CLOUD)
    with hold_failure(fleet, PbxDead((MONTEVIDEO,)), settle=False):
        caller.wait_menu("700", ON_THE_BOX)
        caller.press("1")
        caller.wait_answered(SALTO, "201", DIRECT)
        caller.hang_up()


@pytest.fixture
def outsider(fleet: RunningFleet) -> Iterator[Caller]:
    """Salto's telephone, which reaches Montevideo by the lines alone, and whose line shows a stranger's number."""
    made, public = Caller(fleet, SALTO, "201"), fleet.nodes[PUBLIC]
    name = fleet.map.lines[SALTO]
    own = fleet.outside.country.write_dialled(
        next(one.number for one in fleet.outside.lines if one.box == SALTO)
    )
    with hold_failure(fleet, LinkCut(SALTO)):
        public.ask(f"dialplan set global {name}_number {STRANGER}")
        yield made
        public.ask(f"dialplan set global {name}_number {own}")
        made.hang_up()
        wait_quiet(fleet)


def test_who_calls_an_office_from_outside_hears_its_menu(outsider: Caller) -> None:
    outsider.dial("26000101")
    outsider.wait_menu("700", (*BY_LINES, HOME_PBX))
    outsider.wait_hearing(WORDS_HZ)
    outsider.press("*")
    outsider.wait_answered(RIVERA, "301", (*BY_LINES, HOME_PBX, f"pbx:{RIVERA}", f"box:{RIVERA}"))


def test_also_where_that_office_has_lost_the_cloud(fleet: RunningFleet, outsider: Caller) -> None:
    with hold_failure(fleet, PbxDead((MONTEVIDEO,))):
        outsider.dial("26000101")
        outsider.wait_menu("700", BY_LINES)
        outsider.wait_hearing(WORDS_HZ)
        outsider.press("*")
        outsider.wait_answered(RIVERA, "301", (*BY_LINES, f"box:{RIVERA}"))
        outsider.hang_up()


def test_a_colleague_whom_the_ladder_sends_by_the_lines_meets_no_menu(fleet: RunningFleet) -> None:
    with hold_failure(fleet, LinkCut(SALTO)):
        path = (*BY_LINES, HOME_PBX, HOME)
        assert place_call(fleet, SALTO, "201", "101") == Outcome("answered", f"{MONTEVIDEO}:102", "", path)


def list_words(node: Node) -> dict[str, bytes]:
    """name → content; without what the watcher takes away at this very moment."""
    found = {}
    for path in Path(f"/proc/{node.pid}/root{SPOKEN_FOLDER}").iterdir():
        with suppress(FileNotFoundError):
            found[path.name] = path.read_bytes()
    return found


@pytest.mark.parametrize("name", [HOME_PBX, HOME])
def test_new_words_are_heard_without_a_restart_and_drop_no_call(
    fleet: RunningFleet, caller: Caller, name: str
) -> None:
    node, text = fleet.nodes[name], MADE.tree[f"rendered/{MONTEVIDEO}/pbx/live/words.txt"]
    assert list_words(node) == {f"{word}.gsm": content for word, content in WORDS.items()}
    new = make_words(NEW_HZ, LENGTH_S)
    other = render_company("100.81.75.0/24", more=MENUS, words={**WORDS, "welcome": new})
    changed = other.tree[f"rendered/{MONTEVIDEO}/box/etc/words.txt"]
    pid = node.pid
    with hold_failure(fleet, CloudCut() if name == HOME else PbxDead(())):
        caller.dial("700")
        caller.press("1")
        caller.wait_hearing(fleet.phones[SALTO, "201"].tone_hz)
        node.replace(CONFIG_FOLDER, "words.txt", changed)
        wanted = {"sha256": hashlib.sha256(changed.encode()).hexdigest()}
        wait_until(
            lambda: node.read_state()["acknowledged"]["words.txt"] == wanted, WITHIN_S, "it is acknowledged"
        )
        assert list_words(node) == {"welcome.gsm": new, "more.gsm": WORDS["more"]}
        second = Caller(fleet, RIVERA, "301") if name == HOME else Caller(fleet, MONTEVIDEO, "102")
        if name == HOME_PBX:
            second.dial("700")
            second.wait_hearing(NEW_HZ)
            second.hang_up()
        assert hears(caller.callee, caller.call, fleet.phones[SALTO, "201"].tone_hz)
        caller.hang_up()
        caller.dial("700")
        caller.wait_hearing(NEW_HZ)
        caller.hang_up()
        # what is no recording is told, and the old words stay
        node.replace(CONFIG_FOLDER, "words.txt", changed + "../../etc/passwd AAAA\n")
        wait_until(
            lambda: "line 3" in node.read_state()["unacknowledged"].get("words.txt", ""),
            WITHIN_S,
            "it is refused",
        )
        assert list_words(node) == {"welcome.gsm": new, "more.gsm": WORDS["more"]}
        node.replace(CONFIG_FOLDER, "words.txt", text)
        wait_until(lambda: not node.read_state()["unacknowledged"], WITHIN_S, "the old text is back")
    assert list_words(node) == {f"{word}.gsm": content for word, content in WORDS.items()}
    assert node.pid == pid


def test_words_that_are_gone_lead_to_who_rings_else(fleet: RunningFleet, caller: Caller) -> None:
    node, text = fleet.nodes[HOME_PBX], MADE.tree[f"rendered/{MONTEVIDEO}/pbx/live/words.txt"]
    node.replace(CONFIG_FOLDER, "words.txt", "\n")
    wait_until(lambda: list_words(node) == {}, WITHIN_S, "no words are left")
    caller.dial("700")
    caller.wait_answered(MONTEVIDEO, "102", (HOME, HOME_PBX, HOME))
    node.replace(CONFIG_FOLDER, "words.txt", text)
    wait_until(lambda: len(list_words(node)) == len(WORDS), WITHIN_S, "the words are back")
