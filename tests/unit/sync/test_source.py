"""The repository as it was last read whole, whatever Git and commits do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ritilib.devstack.processes import poll
from ritilib.errors import GitopsError, RitiError, Unreachable
from ritilib.gitops.desired import Desired
from ritilib.reconcile.backoff import Backoff
from ritilib.sync import source as module
from ritilib.sync.source import Source
from ritilib.sync.wake import Wakeups
from tests.unit.sync.serving import DEADLINE_S, Forge, make_fleet

C1, C2 = make_fleet("c1", "acme/a"), make_fleet("c2", "acme/a")


class Lab:
    """A source that polls at once again and again, or (poll_s) hardly ever."""

    def __init__(self, forge: Forge, poll_s: float) -> None:
        self.forge, self.asks, self.wakeups = forge, Wakeups(), Wakeups()
        self.said: list[RitiError] = []
        self.source = Source(
            forge,  # type: ignore[arg-type]
            self.asks,
            self.wakeups,
            lambda name, error: self.said.append(error),
            poll_s,
            read=forge.read,
        )

    def wait_for(self, desired: Desired | None) -> None:
        assert poll(lambda: self.source.desired is desired, DEADLINE_S), self.said


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN", Backoff(first_s=0.01, longest_s=0.02))


@pytest.fixture
def forge() -> Iterator[Forge]:
    made = Forge()
    made.push(C1)
    yield made


def test_each_new_commit_is_read_once_and_wakes_the_loop(forge: Forge) -> None:
    lab = Lab(forge, 0.01)
    with lab.source:
        lab.wait_for(C1)
        assert lab.wakeups.wait(DEADLINE_S) == {"git"}
        forge.push(C2)
        lab.wait_for(C2)
        assert lab.wakeups.wait(DEADLINE_S) == {"git"}
    assert forge.reads == ["c1", "c2"]
    assert lab.wakeups.wait(0) == {"timer"}


def test_a_webhook_is_faster_than_the_poll(forge: Forge) -> None:
    lab = Lab(forge, 3600.0)
    with lab.source:
        lab.wait_for(C1)
        forge.push(C2)
        lab.asks.wake("webhook")
        lab.wait_for(C2)


def test_a_forge_that_is_away_changes_nothing_and_is_asked_again(forge: Forge) -> None:
    lab = Lab(forge, 0.01)
    with lab.source:
        assert poll(lambda: lab.source.is_current, DEADLINE_S)
        forge.is_away = True
        assert poll(lambda: not lab.source.is_current, DEADLINE_S)
        with pytest.raises(Unreachable):
            lab.source.look_again(C1)
        assert lab.source.desired is C1
        forge.is_away = False
        assert poll(lambda: lab.source.is_current, DEADLINE_S)
        assert lab.source.look_again(C1) is C1


def test_a_removal_sees_what_was_pushed_a_moment_ago(forge: Forge) -> None:
    lab = Lab(forge, 3600.0)
    with lab.source:
        lab.wait_for(C1)
        forge.push(C2)
        assert lab.source.look_again(C1) is C2
        forge.push(make_fleet("c3", "acme/a"))
        forge.bad.add("c3")
        with pytest.raises(GitopsError, match="c3 cannot be used"):
            lab.source.look_again(C2)
        assert lab.source.desired is C2 and not lab.source.is_current


def test_another_fleets_name_is_refused(forge: Forge) -> None:
    lab = Lab(forge, 3600.0)
    with lab.source:
        lab.wait_for(C1)
        forge.push(replace(C2, fleet="other"))
        with pytest.raises(GitopsError, match="calls the fleet `other`"):
            lab.source.look()
        assert lab.source.desired is C1


def test_a_mirror_that_cannot_be_read_is_healed(forge: Forge) -> None:
    class Damaged(Forge):
        def heal(self) -> bool:
            self.bad.clear()
            return True

    lab = Lab(Damaged(newest=C1, known={"c1": C1}, bad={"c1"}), 3600.0)
    with lab.source:
        lab.wait_for(C1)
    assert lab.said == []


def test_after_its_end_nothing_is_asked(forge: Forge) -> None:
    lab = Lab(forge, 3600.0)
    with lab.source:
        lab.wait_for(C1)
    with pytest.raises(RitiError, match="this controller ends"):
        lab.source.look_again(C1)


def test_a_defect_is_not_lived_with(forge: Forge) -> None:
    class Broken(Forge):
        def read(self, repo: Path, commit: str) -> Desired:
            raise KeyError(commit)

    lab = Lab(Broken(newest=C1), 3600.0)
    with lab.source:
        assert lab.wakeups.wait(DEADLINE_S) == {"git"}
        with pytest.raises(KeyError):
            _ = lab.source.desired
