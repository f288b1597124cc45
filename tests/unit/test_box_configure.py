"""The box's configuration from offer to acknowledgement, with the real folder and what a candidate would have said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ritilib.box.candidate import Trial
from ritilib.box.configure import Configurer
from ritilib.box.decide import ACKNOWLEDGED_WITHIN_S
from ritilib.box.live import Configuration
from ritilib.box.swap import Generations
from ritilib.box.word import SILENT, Word
from ritilib.errors import RitiError
from tests.unit.test_box_decide import RESTARTED
from tests.unit.test_box_swap import NEW, make


class Bench:
    """A Configurer whose clock, watcher and candidate are the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 1000.0
        self.word: Word = SILENT
        self.tried: list[tuple[str, ...] | None] = []
        self.complaints: tuple[str, ...] = ()
        self.error: RitiError | None = None
        self.said: list[str] = []
        self.start()

    def start(self) -> None:
        """As after a power cut."""
        self.configurer = Configurer(
            Generations(self.folder),
            self.try_out,
            lambda: self.word,
            self.said.append,
            lambda: self.now_s,
            lambda: 1_800_000_000.0,
        )

    def try_out(self, _files: Mapping[str, str], usual: tuple[str, ...] | None) -> Trial:
        self.tried.append(usual)
        if self.error:
            raise self.error
        return Trial(0.5, self.complaints, True)

    def step(self, offered: Configuration | None, later_s: float = 1.0) -> str:
        self.now_s += later_s
        return self.configurer.step(offered, self.word)

    def acknowledge(self, made: Configuration, channels: int = 0) -> None:
        self.word = Word(True, channels, "up", made.acknowledged, made.secrets_version, {}, made.start)

    def settle(self, made: Configuration) -> None:
        """Offer, and have the watcher acknowledge it."""
        self.step(made)
        self.acknowledge(made)
        assert self.step(made) == ""

    @property
    def current(self) -> str:
        held = self.configurer.held
        return held.current.identity if held.current else ""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "configuration")


def test_a_configuration_is_tried_put_in_force_and_confirmed(bench: Bench) -> None:
    assert bench.step(None) == ""
    assert bench.step(make()) == "waits until it is in force"
    assert bench.current == make().identity and not bench.configurer.held.is_confirmed
    bench.acknowledge(make())
    assert bench.step(make()) == ""
    assert bench.configurer.held.is_confirmed
    assert bench.step(make()) == ""
    assert bench.tried == [None]


def test_what_the_candidate_refuses_is_tried_once_and_changes_nothing(bench: Bench) -> None:
    bench.settle(make())
    bench.error = RitiError.because("Asterisk ended by itself", "mend it")
    assert bench.step(make(NEW)) == "Asterisk ended by itself"
    for _ in range(3):
        assert "was refused: Asterisk ended by itself" in bench.step(make(NEW))
    bench.start()  # nor after a power cut
    assert "was refused" in bench.step(make(NEW))
    assert len(bench.tried) == 2
    assert bench.current == make().identity and bench.configurer.held.is_confirmed
    bench.error = None
    bench.settle(make(NEW, version=4))
    assert bench.current == make(NEW, version=4).identity


def test_what_is_not_acknowledged_goes_back(bench: Bench) -> None:
    bench.settle(make())
    bench.step(make(NEW))
    bench.word = replace(bench.word, problems={"iax.conf": "the peer cloud is not in force"})
    assert "waits until" in bench.step(make(NEW), ACKNOWLEDGED_WITHIN_S - 2)
    assert bench.step(make(NEW), 3.0) == "iax.conf: the peer cloud is not in force"
    assert bench.current == make().identity
    bench.acknowledge(make())
    assert "was refused" in bench.step(make(NEW))
    refused = bench.configurer.held.refused
    assert refused and refused.identity == make(NEW).identity and refused.at_s == 1_800_000_000
    assert len(bench.tried) == 2


def test_a_power_cut_before_the_acknowledgement_gives_it_its_whole_time_again(bench: Bench) -> None:
    bench.settle(make())
    bench.step(make(NEW))
    bench.step(make(NEW), ACKNOWLEDGED_WITHIN_S - 1)
    bench.start()
    bench.word = SILENT
    assert "waits until" in bench.step(make(NEW), ACKNOWLEDGED_WITHIN_S - 1)
    assert bench.current == make(NEW).identity
    bench.step(make(NEW), 2.0)
    assert bench.current == make().identity


def test_without_a_network_the_last_good_one_is_there(bench: Bench) -> None:
    bench.settle(make())
    bench.start()
    bench.word = SILENT
    for _ in range(3):
        assert bench.step(None, 1000.0) == ""
    assert bench.current == make().identity and bench.configurer.held.is_confirmed


def test_a_new_start_waits_for_the_end_of_the_call(bench: Bench) -> None:
    bench.settle(make())
    bench.acknowledge(make(), channels=2)
    assert "end of a call" in bench.step(RESTARTED)
    assert bench.current == make().identity and len(bench.tried) == 2
    bench.acknowledge(make())
    assert bench.step(RESTARTED) == "waits until it is in force"
    # a call began in between: the watcher waits for its end, and no time runs against the configuration
    bench.acknowledge(make(), channels=1)
    bench.step(RESTARTED, 10 * ACKNOWLEDGED_WITHIN_S)
    assert bench.current == RESTARTED.identity
    bench.acknowledge(RESTARTED)
    assert bench.step(RESTARTED) == ""
    assert bench.configurer.held.is_confirmed


def test_a_call_that_begins_while_it_is_tried_is_waited_for_and_it_is_not_tried_twice(bench: Bench) -> None:
    bench.settle(make())
    idle, bench.now_s = bench.word, bench.now_s + 1
    bench.acknowledge(make(), channels=1)
    assert "end of a call" in bench.configurer.step(RESTARTED, idle)
    assert bench.current == make().identity
    bench.word = idle
    assert bench.step(RESTARTED) == "waits until it is in force"
    assert len(bench.tried) == 2


def test_complaints_of_the_running_one_are_usual_for_the_next(bench: Bench) -> None:
    bench.complaints = ("WARNING: no timing",)
    bench.settle(make())
    bench.step(make(NEW))
    assert bench.tried == [None, ("WARNING: no timing",)]
