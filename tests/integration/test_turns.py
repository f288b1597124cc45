"""Instances of a PBX take turns, on a real Consul with the rights that are rendered for them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.settings import NOBODY, Server, Settings
from ritilib.devstack.machine.recipe import CONSUL
from ritilib.devstack.processes import end_process, poll
from ritilib.devstack.record import Record, new_record
from ritilib.devstack.servers import consul as servers
from ritilib.errors import Denied
from ritilib.reconcile.turns import Alive, mend_turns, read_taken
from ritilib.render.names import UnitNames, read_generation
from ritilib.render.unit import render_policies
from tests.enroll.servers import find_program

DEADLINE_S = 60.0
STAYS_S = 1.0
SALTO, RIVERA = UnitNames("demo", "acme", "salto"), UnitNames("demo", "acme", "rivera")
OTHER = UnitNames("demo", "acme-sur", "salto")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    state = tmp_path_factory.mktemp("consul")
    (state / "logs").mkdir()
    made = new_record()
    process = servers.start_consul(find_program(CONSUL, "consul"), made, state)
    try:
        servers.prepare_consul(made, state)
        yield made
    finally:
        end_process(process, DEADLINE_S)


@pytest.fixture
def store(record: Record) -> Iterator[Consul]:
    made = Consul(Settings(NOBODY, Server(record.consul_address, record.consul_token), NOBODY))
    yield made
    for names in (SALTO, RIVERA, OTHER):
        entry = made.read(names.generation)
        if entry:
            made.delete(entry.key, entry.modify_index)


@dataclass(frozen=True)
class Turns:
    """One PBX's instances, at hosts whose Consul has this address."""

    gate: str
    address: str
    token: str
    folder: Path

    def start(
        self, role: str, allocation: str, *options: str, key: str = SALTO.generation
    ) -> subprocess.Popen[str]:
        environ = {
            "NOMAD_ALLOC_ID": allocation,
            "RITI_CONSUL_ADDR": self.address,
            "CONSUL_HTTP_TOKEN": self.token,
        }
        taken = str(self.folder / f"taken-{allocation}")
        words = [self.gate, role, "--key", key, "--taken", taken, *options]
        return subprocess.Popen(words, env=environ, stderr=subprocess.PIPE, text=True)

    def finish(self, role: str, allocation: str, *options: str) -> str:
        """What has been taken once it is done; "" for nothing."""
        done = self.start(role, allocation, *options)
        _, said = done.communicate(timeout=DEADLINE_S)
        assert done.returncode == 0, said
        place = self.folder / f"taken-{allocation}"
        return place.read_text() if place.exists() else ""


@pytest.fixture
def turns(record: Record, gate: str, store: Consul, tmp_path: Path) -> Turns:
    rules = render_policies(SALTO, "", takes_turns=True)["consul-policy.hcl"]
    store.put_policy(SALTO.role, rules, "a test's")
    token = store.create_token((SALTO.role,), "a test's")
    return Turns(gate, record.consul_address.removeprefix("http://"), token, tmp_path)


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def find_generation(store: Consul) -> int:
    entry = store.read(SALTO.generation)
    assert entry
    return read_generation(entry.value)


def test_each_instance_takes_the_address_that_the_one_before_has_not(turns: Turns, store: Consul) -> None:
    assert turns.finish("take", "a") == "1 a\n", "what was there before there were pairs has the first"
    turns.finish("release", "a")
    assert turns.finish("take", "b") == "2 b\n"
    assert turns.finish("take", "c") == "3 c\n", "b was given up with its host"
    turns.finish("release", "a")  # it ended long ago
    assert turns.finish("take", "b") == "2 b\n", "it has one"
    assert find_generation(store) == 3


def test_who_finds_both_addresses_spoken_for_waits_for_one(turns: Turns, store: Consul) -> None:
    turns.finish("take", "a")
    turns.finish("take", "b")
    with running(turns.start("take", "c")) as waiting:
        assert not poll(lambda: waiting.poll() is not None, STAYS_S)
        assert find_generation(store) == 2
        turns.finish("release", "b")
        assert poll(lambda: waiting.poll() == 0, DEADLINE_S)
    assert (turns.folder / "taken-c").read_text() == "4 c\n"
    assert turns.finish("take", "d", "--lost-after", "100ms") == "5 d\n", (
        "that of a, which is lost for longer"
    )


def test_what_ends_has_no_token_and_uses_the_one_that_was_left(turns: Turns, store: Consul) -> None:
    left = turns.folder / "token"
    turns.finish("take", "a", "--token", str(left))
    assert left.stat().st_mode & 0o777 == 0o600
    without = replace(turns, token="")
    without.finish("release", "a", "--token", str(left))
    assert not left.exists()
    assert turns.finish("take", "b") == "2 b\n"
    entry = store.read(SALTO.generation)
    assert entry and b'"1 a ended"' in entry.value
    with running(
        without.start("release", "b", "--patience", "10ms", "--token", str(left) + ".absent")
    ) as refused:
        assert refused.wait(DEADLINE_S) == 1


def test_what_was_lost_keeps_its_address(turns: Turns, store: Consul) -> None:
    turns.finish("take", "lost")
    assert turns.finish("take", "b") == "2 b\n"
    turns.finish("release", "b")
    assert turns.finish("take", "c") == "4 c\n", "the address of generation 3 may still be spoken for"
    turns.finish("release", "lost")
    turns.finish("release", "c")
    assert turns.finish("take", "d") == "5 d\n"


def test_many_at_once_each_take_one_of_their_own(turns: Turns) -> None:
    started = [turns.start("take", f"a{number}", "--lost-after", "1ms") for number in range(8)]
    for one in started:
        assert one.wait(DEADLINE_S) == 0
        one.communicate()
    taken = [(turns.folder / f"taken-a{number}").read_text().split()[0] for number in range(8)]
    assert sorted(map(int, taken)) == list(range(1, 9))


def test_a_lost_answer_takes_no_second_one(turns: Turns, store: Consul) -> None:
    turns.finish("take", "a")
    (turns.folder / "taken-a").unlink()
    assert turns.finish("take", "a") == "1 a\n"
    assert find_generation(store) == 1


def test_without_consul_only_the_first_start_waits(turns: Turns, record: Record) -> None:
    away = replace(turns, address="127.0.0.1:1")
    with running(away.start("take", "a")) as waiting:
        assert not poll(lambda: waiting.poll() is not None, STAYS_S)
    turns.finish("take", "a")
    assert away.finish("take", "a") == "1 a\n"
    with running(away.start("release", "a", "--patience", "10ms")) as releasing:
        assert releasing.wait(DEADLINE_S) == 1
    assert not (turns.folder / "taken-b").exists()


def test_who_may_not_any_more_ends_at_once_or_when_it_is_told_to(turns: Turns, store: Consul) -> None:
    """Its PBX was removed, and its policy with it: what ends has nothing to say, and what starts waits for nothing."""
    turns.finish("take", "a")
    store.delete_policy(SALTO.role, "a test's")
    assert turns.finish("release", "a") == "1 a\n"
    with running(turns.start("take", "b")) as waiting:
        assert not poll(lambda: waiting.poll() is not None, STAYS_S)
        waiting.terminate()
        assert poll(lambda: waiting.poll() is not None, DEADLINE_S)
    assert find_generation(store) == 1


def test_what_the_controller_put_there_again_is_what_instances_go_on_from(
    turns: Turns, store: Consul
) -> None:
    for name in ("a", "b"):
        turns.finish("take", name)
        turns.finish("release", name)
    turns.finish("take", "c")
    before = store.read(SALTO.generation)
    assert before and turns.finish("take", "c") == "3 c\n"
    store.delete(before.key, before.modify_index)
    taken = read_taken((turns.folder / "taken-c").read_bytes(), "c")
    assert taken == 3
    mended = mend_turns(None, [Alive("c", "running", "run")], {"c": taken})
    assert mended and find_half(mended.to_bytes()) == find_half(before.value)
    store.write(SALTO.generation, mended.to_bytes(), 0)
    assert turns.finish("take", "d") == "4 d\n"
    turns.finish("release", "c")
    entry = store.read(SALTO.generation)
    assert entry and entry.value == b'{"generation": 4, "held": ["4 d", "3 c ended"]}'


def find_half(value: bytes) -> int:
    return read_generation(value) % 2


def test_it_reads_its_company_and_writes_its_own(turns: Turns, store: Consul, record: Record) -> None:
    """And nothing of a company whose name begins alike."""
    store.put(RIVERA.generation, b"{}")
    store.put(OTHER.generation, b"{}")
    mine = Consul(Settings(NOBODY, Server(record.consul_address, turns.token), NOBODY))
    assert [entry.key for entry in mine.read_tree(SALTO.generations).entries] == [RIVERA.generation]
    with pytest.raises(Denied):
        mine.read_tree(OTHER.generations)
    with running(turns.start("take", "a", key=RIVERA.generation)) as refused:
        assert not poll(lambda: refused.poll() is not None, STAYS_S)
    with running(turns.start("release", "a", "--patience", "10ms", key=RIVERA.generation)) as refused:
        assert refused.wait(DEADLINE_S) == 1
        assert refused.stderr is not None
        assert re.search("says no generation", refused.stderr.read())
    for key in (RIVERA.generation, OTHER.generation):
        entry = store.read(key)
        assert entry and entry.value == b"{}"


def test_an_agent_elsewhere_is_not_asked_without_tls(turns: Turns) -> None:
    with running(replace(turns, address="10.0.0.1:8500").start("take", "a")) as refused:
        assert refused.wait(DEADLINE_S) == 1
        assert refused.stderr is not None
        assert "only the host's own agent" in refused.stderr.read()
