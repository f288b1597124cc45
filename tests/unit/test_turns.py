"""What Consul says of a PBX's instances, and what is put there again where it was lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from ritilib.clients.nomad_values import Allocation
from ritilib.errors import Conflict, ServerError
from ritilib.reconcile.plan import Change, Plan
from ritilib.reconcile.state import FleetRecord, LiveJob, Observed, Record, Wish
from ritilib.reconcile.turns import Alive, Half, Turns, list_unheld, mend_turns, read_taken, read_turns
from ritilib.render.names import UnitNames, read_generation
from ritilib.sync.once import sync_once
from ritilib.sync.troubles import Troubles
from ritilib.sync.turns import Healed, heal_turns, may_be_lost
from tests.fakes.consul import FakeConsul
from tests.fakes.nomad import FakeNomad
from tests.unit.removing import World, make_desired, name

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
RUN = ("running", "run")
ENDS = ("running", "stop")
AWAY = ("unknown", "stop")
STARTS = ("pending", "run")


def read(text: str) -> Turns:
    turns = read_turns(text.encode())
    assert turns is not None
    return turns


@pytest.mark.parametrize(
    "text",
    [
        '{"generation": 1, "held": ["", "1 b"]}',
        '{"generation": 5, "held": ["4 a ended", "5 b"]}',
        '{"generation": 6, "held": ["6 c ended", "5 b"]}',
    ],
)
def test_what_an_instance_writes_is_read_and_written_to_the_byte(text: str) -> None:
    assert read(text).to_bytes() == text.encode()
    assert read_generation(text.encode()) == read(text).generation


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"generation": 1}',
        b'{"generation": "1", "held": ["", "1 b"]}',
        b'{"generation": 1, "held": ["", ""]}',
        b'{"generation": 1, "held": ["0 a", "3 b"]}',
        b'{"generation": 3, "held": ["1 a", "3 b"]}',
        b'{"generation": 1, "held": ["", "1 b for ever"]}',
        b'{"generation": 1, "held": ["", "1 b", ""]}',
        b'{"generation": 1, "held": [7, "1 b"]}',
        b"\xff",
    ],
)
def test_what_no_instance_wrote_says_nothing(value: bytes | None) -> None:
    assert read_turns(value) is None


def test_an_instances_file_is_its_own() -> None:
    assert read_taken(b"7 a\n", "a") == 7
    for content in (None, b"", b"7 a", b"7 b\n", b"x a\n", b"7 a\n7 a\n"):
        assert read_taken(content, "a") is None


@pytest.mark.parametrize(
    ("now", "alive", "taken", "wanted"),
    [
        # the key is gone
        ("", {"c": RUN}, {"c": 6}, '{"generation": 6, "held": ["6 c", ""]}'),
        ("", {"b": ENDS, "c": RUN}, {"b": 5, "c": 6}, '{"generation": 6, "held": ["6 c", "5 b"]}'),
        # its host is away, and so is what it has: all that is left is the other address
        ("", {"b": AWAY, "c": RUN}, {"c": 6}, '{"generation": 6, "held": ["6 c", "5 b"]}'),
        ("", {"a": AWAY, "b": AWAY, "c": RUN}, {"c": 6}, '{"generation": 6, "held": ["6 c", "5 b"]}'),
        # it has taken, and does not run yet
        ("", {"c": STARTS}, {"c": 6}, '{"generation": 6, "held": ["6 c", ""]}'),
        # the next is not there yet
        ("", {"c": ENDS}, {"c": 6}, '{"generation": 6, "held": ["6 c", ""]}'),
        # the key is of an older state
        (
            '{"generation": 5, "held": ["4 a ended", "5 b"]}',
            {"c": RUN},
            {"c": 6},
            '{"generation": 6, "held": ["6 c", "5 b"]}',
        ),
        (
            '{"generation": 5, "held": ["4 a ended", "5 b"]}',
            {"d": RUN},
            {"d": 7},
            '{"generation": 7, "held": ["4 a ended", "7 d"]}',
        ),
        (
            '{"generation": 5, "held": ["4 a", "5 b"]}',
            {"b": AWAY, "c": RUN},
            {"c": 6},
            '{"generation": 6, "held": ["6 c", "5 b"]}',
        ),
        # another has begun from nothing, and is to run: the one that ends keeps its address, and is not reached
        (
            '{"generation": 1, "held": ["", "1 e"]}',
            {"b": ENDS, "e": RUN},
            {"b": 6},
            '{"generation": 1, "held": ["0 b", "1 e"]}',
        ),
        # it was given up when it had begun from nothing; the other is back, and counts on
        (
            '{"generation": 9, "held": ["", "9 e"]}',
            {"b": RUN, "e": ENDS},
            {"b": 6},
            '{"generation": 10, "held": ["10 b", "9 e"]}',
        ),
        # both of one address: nothing helps but the end of one
        ('{"generation": 1, "held": ["", "1 e"]}', {"b": ENDS, "e": RUN}, {"b": 5}, None),
        # what has taken none takes one by itself
        ("", {"c": STARTS}, {}, None),
        ("", {"b": AWAY}, {}, None),
        ('{"generation": 5, "held": ["", "5 b"]}', {"b": RUN}, {}, None),
    ],
)
def test_what_runs_is_reached_and_nobody_elses_address_is_given_away(
    now: str, alive: dict[str, tuple[str, str]], taken: dict[str, int], wanted: str | None
) -> None:
    instances = [Alive(name, *words) for name, words in alive.items()]
    held = read(now) if now else None
    mended = mend_turns(held, instances, taken)
    assert mended == (read(wanted) if wanted else None)
    if mended:
        assert (
            mend_turns(mended, instances, {one: taken[one] for one in list_unheld(mended, instances)}) is None
        )


def list_states() -> Iterator[Turns | None]:
    """What a key may say: nothing, and anything that instances a and b may have written."""
    yield None
    for newest, gap, first, second in product((1, 2, 5, 6), (0, 1, 3), (False, True), (False, True)):
        turns = Turns().put(Half(newest, "a", first))
        yield turns.put(Half(newest - gap, "b", second)) if gap and newest >= gap else turns


def test_whatever_is_lost_no_generation_is_lowered_and_what_is_reached_runs() -> None:
    """Every key, with every two instances that have taken whatever; the key stays one that an instance can read."""
    tried = 0
    words = (RUN, ENDS, AWAY, STARTS)
    for now, names, first, second in product(
        list_states(), (("a", "b"), ("b", "c"), ("c", "d")), words, words
    ):
        alive = [Alive(names[0], *first), Alive(names[1], *second)]
        unheld = list_unheld(now, alive)
        for numbers in product((1, 2, 7, 8), repeat=len(unheld)):
            taken = dict(zip(unheld, numbers, strict=True))
            tried += 1
            mended = mend_turns(now, alive, taken)
            if mended is None:
                continue
            assert read_turns(mended.to_bytes()) == mended
            assert mended.generation >= (now.generation if now else 1)
            holder = mended.newest.allocation
            assert holder in {one.id for one in alive}
            if any(one.desired == "run" and one.id in taken for one in alive):
                assert {one.id: one.desired for one in alive}[holder] == "run"
            for one, generation in taken.items():
                has = mended.find(one)
                assert has is None or (has - generation) % 2 == 0
            if holder in taken:
                assert mended.generation >= taken[holder]
    assert tried > 1000


SALTO = UnitNames("demo", "acme", "salto")
JOB = LiveJob(7, False, {"riti.fleet": "id", "riti.box": "acme/salto"}, {"running": 1})
OBSERVED = Observed({SALTO.job_id: JOB}, {}, FleetRecord("id", "root"), 1, frozenset(), None, NOW)


def heal(
    nomad: FakeNomad, consul: FakeConsul, observed: Observed = OBSERVED, troubles: Troubles | None = None
) -> tuple[Healed, list[str]]:
    said: list[str] = []
    healed = heal_turns(
        "demo", "id", observed, nomad, consul, lambda: True, said.append, troubles or Troubles([])
    )
    return healed, said


@pytest.fixture
def consul() -> FakeConsul:
    return FakeConsul()


@pytest.fixture
def nomad() -> FakeNomad:
    made = FakeNomad()
    made.allocations[SALTO.job_id] = [
        Allocation("b", "pbx[0]", "complete", "stop", 1, "here"),
        Allocation("c", "pbx[0]", "running", "run", 2, "here"),
    ]
    made.read_file = lambda one, path: b"6 c\n" if (one, path) == ("c", "alloc/data/taken") else None
    return made


def test_a_lost_key_is_as_the_instances_file_says(nomad: FakeNomad, consul: FakeConsul) -> None:
    healed, said = heal(nomad, consul)
    assert healed == Healed(frozenset({"acme/salto"}))
    entry = consul.read(SALTO.generation)
    assert entry and entry.value == b'{"generation": 6, "held": ["6 c", ""]}'
    assert said == ["acme/salto: Consul knew nothing of its instance, which has generation 6"]
    asked = len(nomad.journal.requests)
    assert heal(nomad, consul) == (Healed(), [])
    assert len(nomad.journal.requests) == asked + 1, "no file is read of what the key names"


def test_what_is_no_pbx_of_ours_is_left_alone(nomad: FakeNomad, consul: FakeConsul) -> None:
    other = replace(JOB, meta={"riti.fleet": "another", "riti.box": "acme/salto"})
    lighthouse = UnitNames("demo", "lighthouse", "one")
    jobs = {
        SALTO.job_id: other,
        lighthouse.job_id: replace(JOB, meta={"riti.fleet": "id", "riti.box": "lighthouse/one"}),
        "demo--theirs": replace(JOB, meta={}),
    }
    assert heal(nomad, consul, replace(OBSERVED, jobs=jobs)) == (Healed(), [])
    assert (nomad.journal.requests, consul.journal.requests) == ([], [])


def test_what_writes_at_the_same_moment_is_looked_at_again(nomad: FakeNomad, consul: FakeConsul) -> None:
    def write_first(_key: str, _value: bytes, _index: int) -> int:
        raise Conflict.because("another wrote", "read again")

    consul.write = write_first  # type: ignore[method-assign]
    troubles = Troubles([])
    assert heal(nomad, consul, troubles=troubles) == (Healed(is_whole=False), [])
    assert troubles.problems == []


def test_an_instance_that_cannot_be_asked_is_a_problem_and_no_failure_of_its_unit(
    nomad: FakeNomad, consul: FakeConsul
) -> None:
    def refuse(_one: str, _path: str) -> bytes | None:
        raise ServerError.because("no path to its node", "wait")

    nomad.read_file = refuse
    troubles = Troubles([])
    assert heal(nomad, consul, troubles=troubles) == (Healed(is_whole=False), [])
    assert [str(one.what) for one in troubles.problems] == ["acme/salto: no path to its node"]
    assert not troubles.failed and consul.read(SALTO.generation) is None


def test_a_quiet_cycle_looks_at_none() -> None:
    wish = Wish(SALTO, {})
    plan = Plan((wish,), (), (), (), 1, False)
    assert not may_be_lost(plan, OBSERVED)
    assert may_be_lost(plan, replace(OBSERVED, rewound=True))
    assert may_be_lost(plan, replace(OBSERVED, doubts=("the inventory was lost",)))
    change = Change(wish, False, False, True, False, ())
    changed = replace(plan, changes=(change,))
    assert not may_be_lost(changed, OBSERVED), "it is new"
    known = replace(OBSERVED, records={"acme/salto": Record("applied", "c")})
    assert may_be_lost(changed, known), "its value is gone"
    assert not may_be_lost(changed, replace(known, live_keys=frozenset({SALTO.kv_key})))


def test_a_cycle_heals_what_is_gone_and_says_so() -> None:
    world = World()
    desired = make_desired("c1", ("acme/salto", "acme/rivera"))
    world.sync(desired)
    instances = {key: world.nomad.find_running(name(key).job_id)[-1] for key in ("acme/salto", "acme/rivera")}
    speak = world.nomad.read_file

    def read_file(allocation: str, path: str) -> bytes | None:
        return f"1 {allocation}\n".encode() if path == "alloc/data/taken" else speak(allocation, path)

    world.nomad.read_file = read_file
    for key, allocation in instances.items():
        world.consul.write(name(key).generation, Turns().put(Half(1, allocation)).to_bytes(), 0)
    world.sync(desired)
    asked = len(world.journal.requests)
    assert world.sync(desired).is_whole
    assert len(world.journal.requests) == asked + 3
    world.consul.delete(
        name("acme/salto").generation, world.consul.entries[name("acme/salto").generation].modify_index
    )
    done = sync_once(desired, world.servers, (), lambda _: None, clock=lambda: world.now, look_at_turns=True)
    assert (done.healed, done.changed, done.turns_left) == ({"acme/salto"}, (), False)
    entry = world.consul.read(name("acme/salto").generation)
    assert entry and entry.value == Turns().put(Half(1, instances["acme/salto"])).to_bytes()
