"""The view as a value: stable bytes, bounded, and nothing in it that is a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ritilib.errors import GitopsError, Problem
from ritilib.reconcile.prune import Waiting
from ritilib.reconcile.rollout import Turn
from ritilib.sync.backoff import Failing
from ritilib.sync.pace import Memory
from ritilib.sync.seen.compose import View, note_cycle, note_failed_cycle, note_git, start_cycle
from ritilib.sync.seen.status import LONGEST_LIST, MOST_BYTES, Leader, Status, read_status
from ritilib.sync.synced import Synced

NOW = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
KEYS = tuple(f"acme/b{number:04}" for number in range(2000))


def make_done(**said: object) -> Synced:
    whole: dict[str, object] = {
        "commit": "c1",
        "changed": (),
        "held": (),
        "problems": (),
        "unchanged": 3,
        "stopped": (),
        "purged": (),
        "waiting": (),
        "inventory_index": 1,
    }
    return Synced(**(whole | said))  # type: ignore[arg-type]


def note(view: View, done: Synced, memory: Memory = Memory(), seconds: float = 0.0) -> View:  # noqa: B008
    now = NOW + timedelta(seconds=seconds)
    return note_cycle(view, done, memory, 3, now, 1000.0 + seconds, lambda text: text.replace("s3cr3t", "-"))


def begin(commit: str = "c1") -> View:
    return start_cycle(View(Status("demo", leader=Leader("host:1", "2026-11-25T03:00:00Z", 4))), commit)


def make_problem(key: str, what: str) -> Problem:
    return Problem("", 0, 0, f"{key}: {what}", "mend it")


def test_a_whole_cycle_says_which_commit_is_applied_since_when() -> None:
    view = note(begin(), make_done(changed=("acme/a",)))
    assert view.status.whole
    assert view.status.commit.applied == "c1"
    assert view.status.commit.applied_at == "2026-11-25T04:00:00Z"
    assert (view.status.counts.units, view.status.counts.as_wished) == (3, 3)


def test_a_quiet_cycle_says_nothing_new() -> None:
    once = note(begin(), make_done(changed=("acme/a",), unchanged=2))
    again = note(start_cycle(once, "c1"), make_done(), seconds=60)
    assert again.status == once.status


def test_the_next_commit_is_wanted_and_the_last_one_applied_until_it_is_whole() -> None:
    view = start_cycle(note(begin(), make_done()), "c2")
    assert (view.status.commit.wanted, view.status.commit.applied, view.status.whole) == ("c2", "c1", False)
    view = note(view, make_done(commit="c2", left=1), seconds=5)
    assert (view.status.commit.wanted, view.status.commit.applied) == ("c2", "c1")
    assert view.status.counts.as_wished == 2


def test_a_unit_with_calls_is_held_also_while_it_is_not_asked() -> None:
    busy = make_done(
        held=(make_problem("acme/a", "held"),),
        held_back={"acme/a": "it has a call"},
        told={"acme/a": (make_problem("acme/a", "held"),)},
        busy=frozenset({"acme/a"}),
        turn=Turn(frozenset({"acme/a"}), 1, 2),
    )
    memory = Memory(busy={"acme/a": 1000.0})
    view = note(begin(), busy, memory)
    [held] = view.status.held
    assert (held.kind, held.why, held.since) == ("calls", "it has a call", "2026-11-25T04:00:00Z")
    assert view.status.problems == ()
    rests = make_done(waiting=(Waiting("acme/a", NOW, "it is tried again then"),), turn=busy.turn)
    later = note(start_cycle(view, "c1"), rests, memory, seconds=3)
    assert later.status == view.status
    gone = note(start_cycle(later, "c1"), make_done(changed=("acme/a",)), seconds=6)
    assert (gone.status.held, gone.status.counts.held) == ((), 0)


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        (Turn(frozenset({"acme/b"}), 1, 3), "wave"),
        (Turn(waves=3, stopped="acme/b did not come up"), "stopped"),
        (Turn(frozenset({"acme/a"}), 1, 1), "wish"),
    ],
)
def test_why_a_unit_is_held(turn: Turn, kind: str) -> None:
    view = note(begin(), make_done(held_back={"acme/a": "because"}, turn=turn))
    assert [(one.unit, one.kind) for one in view.status.held] == [("acme/a", kind)]


def test_a_unit_that_waits_for_the_others_secrets_says_so() -> None:
    done = make_done(held_back={"acme/a": "because"}, rotating=frozenset({"acme/a"}), turn=Turn())
    assert [one.kind for one in note(begin(), done).status.held] == ["secrets"]


def test_a_failing_unit_keeps_its_words_and_its_next_try() -> None:
    problem = make_problem("acme/a", "Consul refused")
    memory = Memory(failing={"acme/a": Failing("w", 1, 1010.0)})
    failed = make_done(problems=(problem,), failed=frozenset({"acme/a"}), told={"acme/a": (problem,)})
    view = note(begin(), failed, memory)
    [one] = view.status.failing
    assert (one.what, one.mend, one.failures) == ("acme/a: Consul refused", "mend it", 1)
    assert one.next_try == "2026-11-25T04:00:10Z"
    later = note(start_cycle(view, "c1"), make_done(), memory, seconds=4.9)
    assert later.status.failing == view.status.failing
    again = Memory(failing={"acme/a": Failing("w", 2, 1040.0)})
    [twice] = note(later, failed, again, seconds=12).status.failing
    assert (twice.failures, twice.next_try, twice.since) == (2, "2026-11-25T04:00:40Z", one.since)


def test_a_unit_of_which_nothing_runs_is_told_since_when() -> None:
    down = Problem("", 0, 0, "acme/a is not running: no host takes it", "see")
    view = note(begin(), make_done(down=(down,), down_units=("acme/a",)))
    later = note(start_cycle(view, "c1"), make_done(down=(down,), down_units=("acme/a",)), seconds=60)
    assert later.status == view.status
    assert (view.status.counts.down, view.status.counts.as_wished) == (1, 2)
    assert view.status.down[0].since == "2026-11-25T04:00:00Z"
    assert note(later, make_done()).status.down == ()


def test_a_unit_that_went_back_keeps_the_reason() -> None:
    why = make_problem("acme/a", "did not come up: no such image")
    view = note(
        begin(),
        make_done(problems=(why,), gone_back=frozenset({"acme/a"}), told={"acme/a": (why,)}),
    )
    short = make_problem("acme/a", "stays what it was")
    refused = make_done(problems=(short,), refused=frozenset({"acme/a"}), told={"acme/a": (short,)})
    later = note(start_cycle(view, "c1"), refused, seconds=2)
    [one] = later.status.failing
    assert (one.state, one.what, one.next_try) == ("gone-back", "acme/a: did not come up: no such image", "")
    assert later.status.problems == ()


def test_what_belongs_to_no_unit_stands_by_itself() -> None:
    stale = Problem("rendered/acme/manifest.json", 0, 0, "is stale", "render")
    view = note(begin(), make_done(held=(stale,)))
    assert [(one.what, one.mend) for one in view.status.problems] == [
        ("rendered/acme/manifest.json: is stale", "render")
    ]
    assert not view.status.whole


def test_a_failed_cycle_lasts_until_one_goes_well() -> None:
    down = [Problem("", 0, 0, "Nomad at x gave no answer", "wait")]
    view = note_failed_cycle(begin(), down, NOW, str)
    later = note_failed_cycle(view, down, NOW + timedelta(minutes=1), str)
    assert later.status == view.status
    well = note(later, make_done(), seconds=90)
    assert well.status.failed_cycle is not None
    assert well.status.failed_cycle.since == "2026-11-25T04:00:00Z"
    assert well.status.failed_cycle.until == "2026-11-25T04:01:30Z"


def test_git_is_in_trouble_until_it_is_not() -> None:
    refused = [Problem("", 0, 0, "the branch was rewritten", "push the old history")]
    view = note_git(begin(), refused, NOW, str)
    assert note_git(view, refused, NOW + timedelta(hours=1), str) == view
    assert note_git(view, (), NOW, str).status.git is None


def test_healed_units_are_told_the_newest_first() -> None:
    view = note(begin(), make_done(healed=frozenset({"acme/a"})))
    view = note(view, make_done(healed=frozenset({"acme/b"})), seconds=10)
    assert [one.unit for one in view.status.healed] == ["acme/b", "acme/a"]


def test_no_secret_and_no_endless_list_is_published() -> None:
    problems = {key: (make_problem(key, "s3cr3t " + "€" * 5000),) for key in KEYS}
    memory = Memory(failing={key: Failing("w", 1, 2000.0) for key in KEYS})
    done = make_done(
        problems=tuple(one for told in problems.values() for one in told),
        held=tuple(Problem("", 0, 0, f"{number} {'€' * 5000}", "€" * 5000) for number in range(500)),
        told=problems,
        failed=frozenset(KEYS),
        watched=frozenset(KEYS),
        waiting=tuple(Waiting(f"old/{number}", None, "€" * 5000) for number in range(500)),
        held_back=dict.fromkeys(KEYS, "s3cr3t"),
        healed=frozenset(KEYS),
    )
    status = note(begin(), done, memory).status
    value = status.to_bytes()
    assert len(value) <= MOST_BYTES
    assert b"s3cr3t" not in value
    read = read_status("riti/demo/status", value)
    assert read.counts.failing == len(KEYS)
    assert 0 < len(read.failing) <= LONGEST_LIST


def test_a_value_of_another_version_is_refused_with_words() -> None:
    for value in (b"{}", b"not json", Status("demo", format=2).to_bytes()):
        with pytest.raises(GitopsError, match="riti/demo/status"):
            read_status("riti/demo/status", value)
    status = note(begin(), make_done()).status
    assert read_status("riti/demo/status", status.to_bytes()) == status
