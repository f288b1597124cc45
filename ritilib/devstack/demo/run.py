"""The nine steps in their order."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ritilib.devstack import stack as stacks
from ritilib.devstack.demo.deploy import (
    ON_ENROLL,
    deploy,
    make_repository,
    propose_and_merge,
    start_stack,
)
from ritilib.devstack.demo.enroll import start_offices
from ritilib.devstack.demo.lab import Lab
from ritilib.devstack.demo.talk import merge_under_call, place_call, take_servers_away
from ritilib.devstack.demo.verdicts import Step
from ritilib.errors import RitiError


@dataclass(frozen=True)
class Told:
    """What a demo found: its steps in order. Those after a step that broke off are missing."""

    steps: tuple[Step, ...]
    asked: int

    @property
    def held(self) -> bool:
        return len(self.steps) == self.asked and all(step.held for step in self.steps)


def run_demo(
    state: Path, folder: Path, example: Path, outage_s: float, keep: bool, report: Callable[[str], None]
) -> Told:
    """Do the whole job once. state and folder are the stack's and the demo's own; example holds companies/ and boxes/.

    A step that cannot go on ends the demo, and what it broke off with is its last fact. Unless keep, all that was
    started is ended.
    """
    lab = Lab(folder.absolute(), state.absolute(), report)
    plan: tuple[tuple[str, Callable[[Step], None]], ...] = (
        ("the local stack", lambda step: start_stack(lab, step)),
        ("the GitOps repository", lambda step: make_repository(lab, step, example, ON_ENROLL)),
        ("render, propose, merge", lambda step: propose_and_merge(lab, step)),
        ("sync: one PBX per box", lambda step: deploy(lab, step)),
        ("three boxes enroll and join the overlay", lambda step: start_offices(lab, step)),
        ("Montevideo calls Salto; Zorro is apart", lambda step: place_call(lab, step)),
        ("a merge under the call", lambda step: merge_under_call(lab, step)),
        ("nothing to do; Consul and Vault away", lambda step: take_servers_away(lab, step, outage_s)),
    )
    steps: list[Step] = []
    try:
        for number, (title, act) in enumerate(plan, start=1):
            step = Step(number, title)
            steps.append(step)
            report(f"step {number}: {title}")
            start = time.monotonic()
            try:
                act(step)
            except RitiError as error:
                for problem in error.problems:
                    step.find("the step could not go on", False, str(problem))
                break
            finally:
                step.seconds = time.monotonic() - start
    finally:
        told = Told(tuple(steps), len(plan))
        if not keep:
            end_lab(lab, told.held)
    return told


def end_lab(lab: Lab, held: bool) -> None:
    """End telephones, offices and the stack, also one that did not come up whole.

    What did not hold has to be looked into, so data and logs go only where all held; the next demo removes them.
    """
    stacks.down(lab.state, lab.report, purge=held)
    if held:
        # The controller's tokens and the telephones' passwords lie in there.
        shutil.rmtree(lab.folder, ignore_errors=True)
    else:
        lab.report(f"logs, repository and recordings are left in {lab.state} and {lab.folder}")
