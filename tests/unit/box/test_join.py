"""A box finds its way in from wherever it was cut off, is never two boxes, and says how far it is."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ritilib.box.kept import Trust
from ritilib.box.showing import Shown
from ritilib.box.steps import find_renewal
from ritilib.box.store import GENERATION, IDENTITY_KEY, OVERLAY_KEY, REQUEST, STATUS, Store
from ritilib.enroll import jose
from ritilib.errors import RitiError, Unreachable
from tests.unit.box.world import NAMES, START, Fault, World, lose, make_card, make_joiner

CARD = make_card()


class Cut(BaseException):
    """The power is gone."""


@contextmanager
def cut_at_fsync(cut: Callable[[str], None], is_real: bool = False) -> Iterator[None]:
    """Have cut called before and after each fsync; it may raise Cut. A disk takes its time, so that most do without."""
    real = os.fsync if is_real else lambda file: None

    def sync(file: int) -> None:
        cut("fsync")
        real(file)
        cut("fsync")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        yield


def strike_at(moment: int, act: Callable[[], None], struck: list[str]) -> Fault:
    """A fault that acts at one moment (before or after a request, from 0 on), and notes which that was."""
    moments = count()

    def strike(what: str) -> None:
        if next(moments) == moment:
            struck.append(what)
            act()

    return strike


def test_a_box_gets_in(tmp_path: Path) -> None:
    world, said = World(), list[Shown]()
    joiner = make_joiner(world, tmp_path / "data", CARD, said.append)
    assert joiner.run().state == "in"
    assert [one.state for one in said] == ["starting", "asking", "let-in", "unconfigured", "in"]
    assert world.bound == [jose.find_thumbprint((tmp_path / "data" / IDENTITY_KEY).read_text())]
    held = json.loads((tmp_path / "data" / STATUS).read_text())
    assert held["state"] == "in" and held["key"] == world.bound[0][:8]
    joiner.close()
    assert not {token for token in world.tokens if not token.startswith("jwt")}
    asked = len(world.asked)
    assert make_joiner(world, tmp_path / "data", CARD).run().state == "in"
    again = world.asked[asked:]
    assert not [one for one in again if one.startswith("put")]


def test_only_the_owner_reads_what_it_keeps(tmp_path: Path) -> None:
    make_joiner(World(), tmp_path / "data", CARD).run()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    files = list((tmp_path / "data").iterdir())
    assert len(files) >= 8
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_nothing_is_asked_before_keys_and_request_are_on_the_disk(tmp_path: Path) -> None:
    events = list[str]()
    world = World(fault=events.append)
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        events.append(f"rename {target.name}")
        return real(self, target)

    with cut_at_fsync(events.append), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        make_joiner(world, tmp_path, CARD).run()
    before = events[: events.index("login_by_claim")]
    for name in (IDENTITY_KEY, OVERLAY_KEY, REQUEST):
        at = before.index(f"rename {name}")
        assert before[at - 1] == "fsync" and before[at + 1 : at + 3] == ["fsync", "fsync"]


@settings(max_examples=50, deadline=None)
@given(
    faults=st.lists(st.tuples(st.integers(1, 12), st.sampled_from(["cut", "lose", "lose"])), max_size=25),
    is_approved=st.booleans(),
)
def test_any_cuts_and_losses_give_one_identity(faults: list[tuple[int, str]], is_approved: bool) -> None:
    """faults: after so many moments (of a request or an fsync) the power is cut, or what is under way is lost."""
    queue = list(faults)
    left = queue[0][0] if queue else 0

    def strike(what: str) -> None:
        nonlocal left
        if not queue:
            world.is_approved = True
            return
        left -= 1
        if left > 0 or (queue[0][1] == "lose" and what == "fsync"):
            return
        _, kind = queue.pop(0)
        left = queue[0][0] if queue else 0
        if kind == "cut":
            raise Cut
        raise Unreachable.because("lost", "")

    world = World(fault=strike, is_approved=is_approved)
    identities, overlays = set[str](), set[str]()
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        for _ in range(len(faults) + 1):
            try:
                with cut_at_fsync(strike):
                    assert make_joiner(world, data, CARD).run().state == "in"
                break
            except Cut:
                store = Store(data)
                identities.add(store.read(IDENTITY_KEY))
                overlays.add(store.read(OVERLAY_KEY))
                store.load()  # whatever is there is whole
        identities.add(Store(data).read(IDENTITY_KEY))
        overlays.add(Store(data).read(OVERLAY_KEY))
        kept = Store(data).load()
    assert len(identities - {""}) == 1 and len(overlays - {""}) == 1
    assert world.bound == [kept.thumbprint]
    assert kept.request is not None and world.requests == {kept.request.data}
    assert kept.has_files and not kept.generation.next
    assert world.kv[NAMES.box_generation][1].decode() == kept.generation.held


@settings(max_examples=25, deadline=None)
@given(moments=st.lists(st.integers(1, 14), max_size=12))
def test_a_renewal_is_whole_or_goes_on(moments: list[int]) -> None:
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        world = World()
        make_joiner(world, data, CARD).run()
        first = Store(data).load()
        due = find_renewal(first)
        assert due is not None and timedelta(days=9) <= due - START <= timedelta(days=11)
        world.now = due + timedelta(minutes=1)
        queue = list(moments)

        def strike(what: str) -> None:
            if queue:
                queue[0] -= 1
                if queue[0] <= 0:
                    queue.pop(0)
                    raise Cut

        world.fault = strike
        for _ in range(len(moments) + 1):
            try:
                with cut_at_fsync(strike):
                    assert make_joiner(world, data, CARD).run().state == "in"
                break
            except Cut:
                assert Store(data).load().has_files or Store(data).load().reply is not None
        kept = Store(data).load()
        assert kept.thumbprint == first.thumbprint and len(world.requests) == 2
        assert kept.reply != first.reply and kept.is_answered and kept.request and kept.request.is_renewal
        assert world.kv[NAMES.box_generation][1].decode() == kept.generation.held != first.generation.held
        assert world.bound == [first.thumbprint]


def test_an_agent_that_runs_for_months_renews_each_time(tmp_path: Path) -> None:
    world = World()
    joiner = make_joiner(world, tmp_path, CARD)
    for number in range(1, 4):
        assert joiner.run().state == "in" and len(world.requests) == number
        due = find_renewal(Store(tmp_path).load())
        assert due is not None and due > world.now
        world.now = due + timedelta(minutes=1)


def test_a_certificate_of_the_authority_before_is_renewed_at_its_turn(tmp_path: Path) -> None:
    world = World()
    joiner, store = make_joiner(world, tmp_path, CARD), Store(tmp_path)
    joiner.run()
    turn = world.now + timedelta(hours=5)
    store.keep_trust(Trust("both", 3, 2, turn.isoformat()))
    assert find_renewal(store.load()) == turn
    joiner.run()
    assert len(world.requests) == 1
    world.now = turn + timedelta(minutes=1)
    joiner.run()
    assert len(world.requests) == 2


def test_every_request_and_every_answer_may_be_lost_once(tmp_path: Path) -> None:
    moments = list[str]()
    make_joiner(World(fault=moments.append), tmp_path / "whole", CARD).run()
    for nth in range(len(moments)):
        world = World(fault=lose(lambda count, nth=nth: count == nth))  # type: ignore[misc]
        assert make_joiner(world, tmp_path / str(nth), CARD).run().state == "in"
        assert len(world.requests) == 1 and len(world.bound) == 1


def test_a_box_waits_for_approval(tmp_path: Path) -> None:
    world = World(is_approved=False)
    shown = make_joiner(world, tmp_path, CARD).run(is_once=True)
    assert shown.state == "waiting" and shown.words == "waiting for approval (nobody has approved it)"
    world.is_approved = True
    world.decide()
    assert make_joiner(world, tmp_path, CARD).run(is_once=True).state == "in"
    assert len(world.requests) == 1


def test_a_box_without_its_configuration_is_in(tmp_path: Path) -> None:
    world = World(has_document=False)
    assert make_joiner(world, tmp_path, CARD).run(is_once=True).state == "unconfigured"
    assert not world.is_open  # it has reported


def test_two_users_of_a_card_lock_each_other(tmp_path: Path) -> None:
    """The second one's request has to reach the controller, which would hear of nobody but the first."""
    world = World(is_approved=False)
    make_joiner(world, tmp_path / "one", CARD).run(is_once=True)
    assert make_joiner(world, tmp_path / "two", CARD).run().state == "used"
    assert world.is_locked and not world.bound
    world.is_approved = True
    assert make_joiner(world, tmp_path / "one", CARD).run().state == "used"


def test_a_card_that_is_used_up_is_not_accepted(tmp_path: Path) -> None:
    world = World()
    make_joiner(world, tmp_path / "one", CARD).run()
    late = make_joiner(world, tmp_path / "three", CARD).run(is_once=True)
    assert late.state == "not-accepted" and len(world.bound) == 1 and not world.is_locked


def test_what_is_no_request_is_replaced(tmp_path: Path) -> None:
    world = World()
    world.write(NAMES.enroll_request, b"something else")
    assert make_joiner(world, tmp_path, CARD).run().state == "in"


def test_a_copy_is_found_at_the_renewal_of_either(tmp_path: Path) -> None:
    world = World()
    make_joiner(world, tmp_path / "one", CARD).run()
    (tmp_path / "two").mkdir()
    for file in (tmp_path / "one").iterdir():
        (tmp_path / "two" / file.name).write_bytes(file.read_bytes())
    world.now += timedelta(days=12)
    assert make_joiner(world, tmp_path / "two", CARD).run().state == "in"
    assert make_joiner(world, tmp_path / "one", CARD).run().state == "copied"
    assert world.is_locked


def test_consul_restored_to_before_a_renewal_has_no_copy(tmp_path: Path) -> None:
    world = World()
    make_joiner(world, tmp_path, CARD).run()
    older, at = dict(world.kv), world.index
    for _ in range(2):
        world.now = (find_renewal(Store(tmp_path).load()) or START) + timedelta(minutes=1)
        assert make_joiner(world, tmp_path, CARD).run().state == "in"
    world.kv, world.index = older, at
    world.now = (find_renewal(Store(tmp_path).load()) or START) + timedelta(minutes=1)
    assert make_joiner(world, tmp_path, CARD).run().state == "in"
    assert not world.is_locked
    assert world.kv[NAMES.box_generation][1].decode() == Store(tmp_path).load().generation.held


@pytest.mark.parametrize("is_cut", [False, True], ids=["goes on", "starts again"])
def test_consul_restored_at_any_moment_of_a_renewal_locks_nobody(tmp_path: Path, is_cut: bool) -> None:
    # but between the last look at its own value and the request that names it
    tolerated = set() if is_cut else {f"read {NAMES.box_generation}", f"put {NAMES.enroll_request}"}
    struck = list[str]()
    for moment in count():
        data = tmp_path / str(moment)
        world = World()
        make_joiner(world, data, CARD).run()
        older, at = dict(world.kv), world.index
        world.now += timedelta(days=12)

        def restore(
            world: World = world, at: int = at, older: Mapping[str, tuple[int, bytes]] = older
        ) -> None:
            world.kv, world.index = dict(older), at
            if is_cut:
                raise Cut

        world.fault = strike_at(moment, restore, struck)
        with suppress(Cut, AssertionError):  # it waits for ever where it was locked, which is judged below
            make_joiner(world, data, CARD).run()
        if len(struck) == moment:
            break
        if world.is_locked:
            tolerated.remove(struck[moment])  # once each
        else:
            assert make_joiner(world, data, CARD).run().state == "in", struck[moment]
    assert len(struck) > 20


def test_an_image_that_knows_less_reads_what_a_newer_one_kept(tmp_path: Path) -> None:
    make_joiner(World(), tmp_path, CARD).run()
    store = Store(tmp_path)
    held = store.load().generation
    store.write(GENERATION, json.dumps({**json.loads(store.read(GENERATION)), "unheard_of": 1}))
    assert store.load().generation == held


def test_a_new_card_lets_a_box_in_anew_with_its_own_key(tmp_path: Path) -> None:
    world = World()
    make_joiner(world, tmp_path, CARD).run()
    before = Store(tmp_path).load()
    world.is_open = True
    world.write(NAMES.box_generation, b"of-a-copy")
    newer = make_card(START + timedelta(days=1), 2)
    assert make_joiner(world, tmp_path, newer).run().state == "in"
    kept = Store(tmp_path).load()
    assert kept.thumbprint == before.thumbprint and kept.request != before.request
    assert len(world.requests) == 2
    assert make_joiner(world, tmp_path, newer).run().state == "in"
    assert make_joiner(world, tmp_path, CARD).run().state == "in"  # an old card is no new one
    assert len(world.requests) == 2


def test_a_card_written_again_is_taken_while_nobody_is_bound(tmp_path: Path) -> None:
    world = World(is_open=False)
    assert make_joiner(world, tmp_path, CARD).run(is_once=True).state == "not-accepted"
    world.is_open = True
    again = make_card(START + timedelta(hours=1))
    assert make_joiner(world, tmp_path, again).run().state == "in"
    assert len(world.requests) == 1


def test_an_expired_card_is_not_asked_with(tmp_path: Path) -> None:
    """A clock inside the claim's time that goes on while the box is on."""
    world = World(is_open=False)
    joiner = make_joiner(world, tmp_path, CARD)
    assert joiner.run(is_once=True).state == "not-accepted"
    joiner._clock.tell(START + timedelta(days=31))  # as the gateway says it
    assert joiner.run().state == "expired"


def test_a_revoked_box_says_that_it_is_shut_out(tmp_path: Path) -> None:
    world = World()
    make_joiner(world, tmp_path, CARD).run()
    world.bound.clear()
    assert make_joiner(world, tmp_path, CARD).run(is_once=True).state == "shut-out"


def test_what_no_box_wrote_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / REQUEST).write_text("something else")
    with pytest.raises(RitiError, match="what no box wrote"):
        make_joiner(World(), tmp_path, CARD).run()


def test_no_answer_is_said_and_no_token_is_shown(tmp_path: Path) -> None:
    world = World(fault=lose(lambda count: True))
    shown = make_joiner(world, tmp_path, CARD).run(is_once=True)
    assert shown.state == "no-answer" and shown.words.startswith("no answer from the gateway")
    world = World()
    joiner = make_joiner(world, tmp_path / "two", CARD)
    joiner.run()
    assert not any(token in repr(joiner._known) for token in world.tokens)
    assert CARD.claim_text not in repr(replace(CARD, image="x"))
