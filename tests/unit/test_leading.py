"""Who leads and until when, as decisions; and an election on fakes, with every server failing at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.clients.settings import Server, Settings
from ritilib.devstack.processes import poll
from ritilib.errors import Conflict, GitopsError, LeadershipLost, RitiError, ServerError, Unreachable
from ritilib.reconcile.leading import Lead, Timing, judge_hold, read_lead, succeed
from ritilib.sync.lead.election import Candidate, Clients, Leadership, take_lead
from ritilib.sync.lead.rights import Rights
from tests.fakes.consul import FakeConsul
from tests.fakes.journal import Journal
from tests.fakes.nomad import FakeNomad
from tests.fakes.vault import FakeVault

TIMING = Timing()
RIGHTS = Rights("demo")
SETTINGS = Settings(*(Server("http://127.0.0.1:1", "standing") for _ in range(3)))
FAST = replace(TIMING, renew_s=0.001)
DEADLINE_S = 60.0
NEVER_S = 1e9  # no keeper wakes up in these tests: they turn the clock themselves


@dataclass
class World:
    """Three fakes as bootstrap leaves them, a journal, and a clock that stands still."""

    journal: Journal = field(default_factory=Journal)
    now_s: float = 1000.0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nomad, self.consul = FakeNomad(self.journal), FakeConsul(self.journal)
        self.vault = FakeVault(self.journal)
        self.vault.put_token_role(RIGHTS.leader, RIGHTS.vault_token_role(60))
        made = self.nomad.issue_management_token("election")
        self.vault.write_document(RIGHTS.nomad_document, {"token": made.secret, "accessor": made.accessor}, 0)
        self.journal.writes.clear()

    def stand(
        self,
        who: str,
        timing: Timing | None = None,
        patience_s: float = 0.0,
        left: set[str] | None = None,
    ) -> Leadership:
        clients = Clients(self.nomad, self.consul, self.vault)
        held_by = timing or replace(TIMING, renew_s=NEVER_S, lock_delay_s=0.0)
        candidate = Candidate(
            SETTINGS,
            "demo",
            who,
            self.said.append,
            held_by,
            lambda _: clients,
            lambda: self.now_s,
            set() if left is None else left,
        )
        return take_lead(candidate, patience_s)

    def read_lock(self) -> tuple[Lead, str]:
        entry = self.consul.read(RIGHTS.lock)
        assert entry is not None
        return read_lead(entry.key, entry.value), entry.session

    def knows(self, settings: Settings) -> tuple[bool, bool, bool]:
        """Which of these tokens its server still knows as a leader's."""
        policies = (RIGHTS.leader,)
        return (
            self.nomad.has_token(settings.nomad.token, policies),
            self.consul.has_token(settings.consul.token, policies),
            self.vault.has_token(settings.vault.token, policies),
        )

    def pause_past_ttl(self) -> None:
        """What Consul does when a leader renews no more."""
        self.now_s += 2 * TIMING.ttl_s
        for session in list(self.consul.sessions):
            self.consul.destroy_session(session)


@pytest.fixture
def world() -> World:
    return World()


def test_a_leader_may_write_until_shortly_before_its_session_may_end() -> None:
    last_s = TIMING.ttl_s - TIMING.margin_s
    assert judge_hold(TIMING, 0, 100, 100) == ""
    assert judge_hold(TIMING, 0, 100, 100 + last_s - 0.001) == ""
    assert "12 s ago" in judge_hold(TIMING, 0, 100, 100 + last_s)


def test_a_term_ends_before_its_tokens_do() -> None:
    assert TIMING.term_s < TIMING.token_ttl_s <= 24 * 3600
    assert judge_hold(TIMING, 0, TIMING.term_s - 1, TIMING.term_s - 1) == ""
    assert "term" in judge_hold(TIMING, 0, TIMING.term_s, TIMING.term_s)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_whoever_may_write_holds_the_session(began_s: float, after_s: float, silent_s: float) -> None:
    """Consul ends a session no sooner than ttl_s after the renewal arrived, which is after it was sent."""
    renewed_s = began_s + after_s
    if judge_hold(TIMING, began_s, renewed_s, renewed_s + silent_s) == "":
        assert silent_s < TIMING.ttl_s


def test_a_successor_names_what_is_still_to_be_revoked() -> None:
    first = succeed(None, "a", "then")
    assert first == Lead("a", "then", 1, {})
    held = replace(first, tokens={"vault": ("x",)})
    assert succeed(held, "b", "now") == Lead("b", "now", 2, {"vault": ("x",)})
    assert read_lead("k", held.to_bytes()) == held


def test_a_session_that_outlived_its_leadership_is_not_waited_for_by_its_own_controller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended while Consul was away; whoever else stands waits until Consul ends it."""

    def give_no_answer(*_: object) -> None:
        raise Unreachable.because("Consul gave no answer", "wait")

    left: set[str] = set()
    leadership = world.stand("a", left=left)
    _, session = world.read_lock()
    with monkeypatch.context() as outage:
        outage.setattr(world.consul, "destroy_session", give_no_answer)
        outage.setattr(world.consul, "unlock", give_no_answer)
        leadership.end()
    assert left == {session} == world.consul.sessions
    with pytest.raises(LeadershipLost):
        world.stand("b")
    with world.stand("a", left=left) as again:
        again.check()
        assert left == set()
        assert session not in world.consul.sessions
    assert left == set()


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"no", b'{"who": "a", "since": "b", "epoch": "x", "tokens": {}}']
)
def test_a_lock_in_other_words_is_refused(world: World, value: bytes) -> None:
    world.consul.write(RIGHTS.lock, value, 0)
    with pytest.raises(GitopsError, match="riti/demo/leader"):
        world.stand("a")
    entry = world.consul.read(RIGHTS.lock)
    assert entry is not None and entry.value == value


def test_tokens_are_made_for_one_leadership_and_end_with_it(world: World) -> None:
    with world.stand("a") as leadership:
        leadership.check()
        assert world.knows(leadership.settings) == (True, True, True)
        lead, session = world.read_lock()
        assert session and (lead.who, lead.epoch) == ("a", 1)
        assert {server: len(one) for server, one in lead.tokens.items()} == {
            "nomad": 1,
            "consul": 1,
            "vault": 1,
        }
    assert world.knows(leadership.settings) == (False, False, False)
    lead, session = world.read_lock()
    assert not session and set(lead.tokens.values()) == {()}
    assert world.consul.sessions == set()
    with pytest.raises(LeadershipLost):
        leadership.check()
    leadership.end()  # again without harm


def test_a_second_candidate_is_told_who_leads(world: World) -> None:
    with world.stand("a"), pytest.raises(LeadershipLost, match="a leads since"):
        world.stand("b")


def test_a_paused_leader_finds_its_tokens_dead_and_stops_by_itself(world: World) -> None:
    old = world.stand("a")
    world.pause_past_ttl()
    new = world.stand("b")
    assert new.epoch == old.epoch + 1
    assert world.knows(old.settings) == (False, False, False)
    assert world.knows(new.settings) == (True, True, True)
    with pytest.raises(LeadershipLost):
        old.check()
    old.end()
    assert world.knows(new.settings) == (True, True, True)
    assert world.read_lock()[0].who == "b" and world.read_lock()[1]
    new.check()
    new.end()


def test_leaders_tokens_are_found_without_the_lock(world: World) -> None:
    """Consul was restored from a time before: Nomad and Consul name the tokens; the one in Vault ends by itself."""
    old = world.stand("a")
    world.pause_past_ttl()
    entry = world.consul.read(RIGHTS.lock)
    assert entry is not None
    world.consul.delete(RIGHTS.lock, entry.modify_index)
    with world.stand("b"):
        assert world.knows(old.settings) == (False, False, True)
    old.end()


@pytest.mark.parametrize("revoked", ["nomad", "consul", "vault"])
def test_whoever_cannot_revoke_does_not_lead(world: World, revoked: str) -> None:
    old = world.stand("a")
    world.pause_past_ttl()
    fail_at(world, f"{revoked} revoke a token")
    with pytest.raises(Unreachable):
        world.stand("b")
    lead, session = world.read_lock()
    assert not session
    world.journal.on_write = lambda words: None
    with world.stand("c") as leadership:
        assert world.knows(old.settings) == (False, False, False)
        assert leadership.epoch == lead.epoch + 1
    old.end()


def test_wherever_an_election_dies_the_next_leader_is_alone(world: World) -> None:
    """After each of its writes the candidate ends, tells nobody, and its session runs out."""
    world.stand("a").end()
    world.journal.writes.clear()
    world.stand("b").end()
    steps, epoch = len(world.journal.writes), 2
    for step in range(1, steps + 1):
        world.journal.writes.clear()
        world.journal.on_write = die_at(world, step)
        try:
            with pytest.raises(Died):
                world.stand("c").end()
        finally:
            world.journal.on_write = lambda words: None
        world.pause_past_ttl()
        with world.stand("d") as leadership:
            assert leadership.epoch > epoch
            epoch = leadership.epoch
            alive = [
                (fake, accessor)
                for fake in (world.nomad, world.consul)
                for accessor in fake.list_tokens(RIGHTS.leader)
            ]
            assert len(alive) == 2, f"after write {step}"
            assert world.knows(leadership.settings) == (True, True, True)


def test_a_lock_that_is_lost_before_the_tokens_are_recorded_makes_no_leader(world: World) -> None:
    def lose(words: str) -> None:
        if words == f"vault create token {RIGHTS.leader} leader 1":
            world.journal.on_write = lambda words: None
            world.pause_past_ttl()
            others.append(world.stand("b"))

    others: list[Leadership] = []
    world.journal.on_write = lose
    with pytest.raises((Conflict, LeadershipLost)):
        world.stand("a")
    (other,) = others
    other.check()
    assert world.knows(other.settings) == (True, True, True)
    assert len(world.vault.tokens) == 1
    assert world.read_lock()[0].who == "b"
    other.end()


def test_a_leader_renews_and_leads_on(world: World) -> None:
    with world.stand("a", FAST) as leadership:
        for _ in range(5):
            world.now_s += TIMING.ttl_s - TIMING.margin_s - 1
            leadership.check()
            wait_renewals(world, 2)  # one may have been under way with the time before
        leadership.check()
        assert world.knows(leadership.settings) == (True, True, True)


def test_a_session_that_is_gone_ends_it_at_the_next_renewal(world: World) -> None:
    leadership = world.stand("a", FAST)
    world.consul.destroy_session(next(iter(world.consul.sessions)))
    assert poll(lambda: is_lost(leadership), DEADLINE_S)
    with pytest.raises(LeadershipLost, match="Consul has ended its session"):
        leadership.check()
    leadership.end()


def test_silence_ends_it_by_the_clock_alone(world: World) -> None:
    def be_silent(session: str) -> None:
        world.journal.ask("consul renew session")
        raise Unreachable.because("no answer", "wait")

    with world.stand("a", FAST) as leadership:
        world.consul.renew_session = be_silent  # type: ignore[method-assign]
        wait_renewals(world, 2)
        leadership.check()
        world.now_s += TIMING.ttl_s - TIMING.margin_s
        with pytest.raises(LeadershipLost, match="last renewed"):
            leadership.check()
        world.now_s = 1000.0  # even if the clock could go back
        with pytest.raises(LeadershipLost):
            leadership.check()


def wait_renewals(world: World, more: int) -> None:
    asked = world.journal.requests
    wanted = asked.count("consul renew session") + more
    assert poll(lambda: asked.count("consul renew session") >= wanted, DEADLINE_S)


def is_lost(leadership: Leadership) -> bool:
    try:
        leadership.check()
    except LeadershipLost:
        return True
    return False


def test_a_term_runs_out_though_the_session_lives(world: World) -> None:
    timing = replace(TIMING, renew_s=NEVER_S, ttl_s=NEVER_S)
    with world.stand("a", timing) as leadership:
        assert leadership.left_s == TIMING.term_s
        world.now_s += TIMING.term_s - 1
        leadership.check()
        assert leadership.left_s == 1
        world.now_s += 1
        with pytest.raises(LeadershipLost, match="term"):
            leadership.check()
    assert world.read_lock()[1] == ""


def test_a_server_without_bootstrap_is_told(world: World) -> None:
    world.vault.delete_document(RIGHTS.nomad_document)
    with pytest.raises(ServerError, match="riti bootstrap"):
        world.stand("a")
    assert world.read_lock()[1] == ""


class Died(BaseException):
    """The candidate's process ended: it does not even clean up."""


def die_at(world: World, step: int) -> Callable[[str], None]:
    def die(_: str) -> None:
        if len(world.journal.writes) >= step:
            raise Died

    return die


def fail_at(world: World, words: str) -> None:
    def fail(said: str) -> None:
        if said == words:
            raise Unreachable.because("no answer", "try again")

    world.journal.on_write = fail


def test_errors_are_of_one_tree() -> None:
    assert issubclass(LeadershipLost, RitiError) and not issubclass(LeadershipLost, ServerError)
