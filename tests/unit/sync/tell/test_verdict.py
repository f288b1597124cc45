"""How a commit stands after a cycle."""

from __future__ import annotations

import pytest

from ritilib.gitops.desired import STALE
from ritilib.reconcile.prune import REMOVALS_HELD, Waiting
from ritilib.sync.tell.verdict import judge_cycle, split_unit
from ritilib.sync.unit.settle import KNOWN_BAD, NOT_JUDGED, WENT_BACK
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
        (None, {"wave": 2, "waves": 5, "left": 3}, "rollout: wave 2 of 5; 3 left to do"),
        (
            make_memory(busy=("acme/a", "acme/b")),
            {"held": (problem("acme/a is held back: it has a call"),), "wave": 1, "waves": 3},
            "rollout: wave 1 of 3; 2 units held by calls",
        ),
        (
            None,
            {
                "watched": frozenset({"acme/a"}),
                "problems": (problem("acme/a: not known to be well yet", NOT_JUDGED),),
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


@pytest.mark.parametrize("rule", [WENT_BACK, KNOWN_BAD])
def test_a_unit_that_cannot_take_it_is_a_failure(rule: str) -> None:
    bad = problem("acme/b did not come up as it is wished, and went back: no peers", rule)
    state, words = judge(problems=(problem("acme/a: slow", NOT_JUDGED), bad), wave=1, waves=2)
    assert (state, words) == (
        "failure",
        "acme/b: did not come up as it is wished, and went back: no peers; mend it",
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
    bad = tuple(problem(f"acme/{box} did not come up", WENT_BACK) for box in "abc")
    assert judge(problems=bad)[1] == "acme/a: did not come up; mend it (and 2 more)"


def test_whose_problem_it_is() -> None:
    assert split_unit(problem("acme/a: x: y")) == ("acme/a", "x: y")
    assert split_unit(problem("acme/a did not come up")) == ("acme/a", "did not come up")
    assert split_unit(problem("acme/a stays what it was: so")) == ("acme/a", "stays what it was: so")
    assert split_unit(problem("Consul at x gave no answer")) == ("", "Consul at x gave no answer")
