"""How a commit stands after a cycle."""

from __future__ import annotations

import pytest

from ritilib.gitops.company import STALE
from ritilib.reconcile.prune import REMOVALS_HELD, Waiting
from ritilib.reconcile.rollout import Turn
from ritilib.sync.images import Rolled
from ritilib.sync.tell.verdict import judge_cycle
from tests.unit.sync.tell.making import make_done, make_memory, problem


def judge(memory=None, **said) -> tuple[str, str]:
    verdict = judge_cycle(make_done(**said), memory or make_memory())
    return verdict.state, verdict.words


def test_a_whole_cycle_is_a_success() -> None:
    assert judge() == ("success", "12 units as wished")
    assert judge(unchanged=0, changed=("acme/a",)) == ("success", "1 unit as wished")


@pytest.mark.parametrize(
    ("memory", "said", "words"),
    [
        (None, {"turn": Turn(wave=2, waves=5), "left": 3}, "rollout: wave 2 of 5; 3 left to do"),
        (
            make_memory(busy=("acme/a", "acme/b")),
            {"held": (problem("acme/a is held back: it has a call"),), "turn": Turn(wave=1, waves=3)},
            "rollout: wave 1 of 3; 2 units held by calls",
        ),
        (
            None,
            {
                "watched": frozenset({"acme/a"}),
                "problems": (problem("acme/a: not known to be well yet"),),
            },
            "1 unit watched",
        ),
        (None, {"held": (problem("30 units of 40 …", REMOVALS_HELD),)}, "removals held for approval"),
        (None, {"waiting": (Waiting("acme/a", None, "grace"),)}, "1 removal waiting"),
        (
            make_memory({"acme/a": 1}),
            {"failed": frozenset({"acme/a"}), "left": 1},
            "1 unit tried again; 1 left to do",
        ),
        (None, {"held": (problem("acme/a is suspended"),)}, "not all is as wished yet"),
    ],
)
def test_what_is_on_its_way_is_pending(memory, said, words: str) -> None:
    assert judge(memory, **said) == ("pending", words)


@pytest.mark.parametrize("which", ["gone_back", "refused"])
def test_a_unit_that_cannot_take_it_is_a_failure(which: str) -> None:
    bad = problem("acme/b did not come up as it is wished, and went back: no peers")
    turn = {which: frozenset({"acme/b"}), "turn": Turn(wave=1, waves=2)}
    state, words = judge(problems=(problem("acme/a: slow"), bad), **turn)
    assert (state, words) == (
        "failure",
        "acme/b: did not come up as it is wished, and went back: no peers; mend it",
    )


def test_a_whole_commit_may_have_units_that_do_not_run() -> None:
    assert judge(down=(problem("acme/a is not running"),))[1] == "12 units as wished; nothing runs of 1"


def test_a_rollout_that_stopped_says_why() -> None:
    assert judge(turn=Turn(waves=3, stopped="acme/b went back"), left=2) == (
        "pending",
        "rollout stopped: acme/b went back; 2 left to do",
    )


def test_a_stale_company_is_a_failure() -> None:
    state, words = judge(held=(problem("is stale", STALE),))
    assert (state, words) == ("failure", "is stale; mend it")


def test_what_failed_once_is_no_failure_yet_and_twice_is() -> None:
    said = {"failed": frozenset({"acme/a"}), "problems": (problem("acme/a: Vault denied"),)}
    assert judge(make_memory({"acme/a": 1}), **said)[0] == "pending"
    assert judge(make_memory({"acme/a": 2}), **said) == ("failure", "acme/a: Vault denied; mend it")


def test_who_is_not_due_still_fails_with_the_words_from_before() -> None:
    verdict = judge_cycle(make_done(), make_memory({"acme/a": 2}), {"acme/a": "Vault denied"})
    assert (verdict.state, verdict.words) == ("failure", "acme/a: Vault denied")


def test_what_is_wrong_with_no_unit_counts_when_it_lasts() -> None:
    said = {"problems": (problem("job riti-x carries another's mark"),)}
    assert judge(make_memory(failures=1), **said)[0] == "pending"
    assert judge(make_memory(failures=2), **said)[0] == "failure"


def test_more_than_one_are_counted() -> None:
    bad = tuple(problem(f"acme/{box} did not come up") for box in "abc")
    gone = frozenset({"acme/a", "acme/b", "acme/c"})
    assert judge(problems=bad, gone_back=gone)[1] == "acme/a: did not come up; mend it (and 2 more)"


def test_boxes_that_get_another_image_are_to_come_and_one_that_went_back_is_a_failure() -> None:
    waits = problem("image 1.2.4: 4 boxes are not told yet")
    assert judge(held=(waits,), images=Rolled("c1", held=(waits,))) == ("pending", "boxes get another image")
    bad = problem("acme/b keeps the image that it had: 1.2.4 failed there: no link")
    images = Rolled(
        "c1", problems=(bad,), failed={"acme/b": "keeps the image that it had: 1.2.4 failed there"}
    )
    verdict = judge_cycle(make_done(problems=(bad,), images=images), make_memory())
    why = "its box keeps the image that it had: 1.2.4 failed there"
    assert (verdict.state, verdict.words, verdict.known_bad) == ("failure", f"acme/b: {why}", {"acme/b": why})
