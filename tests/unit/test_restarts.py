"""What is known to replace a task is forgotten with the least change of what it is known of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ritilib.reconcile.plan import Change
from ritilib.reconcile.restarts import Restart, keep_known, note_asked
from ritilib.reconcile.state import LiveJob, Wish
from ritilib.render.names import UnitNames

FILES = {
    "pbx/job.nomad.hcl": 'job "x" {}',
    "pbx/secrets.json": "{}",
    "pbx/consul-policy.hcl": "",
    "pbx/vault-policy.hcl": "",
}
WISH = Wish(UnitNames("demo", "acme", "salto"), FILES)
KEY, JOB = "acme/salto", "demo--acme--salto"
CHANGE = Change(WISH, False, False, False, True, ("job",))
KNOWN = {KEY: Restart(WISH.digests.job, 7)}
LIVE = LiveJob(7, False, {}, {"running": 1})


@pytest.mark.parametrize("running", [None, {"running": 1}, {"starting": 1}, {"unknown": 1, "queued": 1}])
def test_it_is_kept_while_neither_job_changes_and_something_runs(running: dict[str, int] | None) -> None:
    assert keep_known(KNOWN, [CHANGE], {JOB: replace(LIVE, allocations=running)}) == KNOWN


@pytest.mark.parametrize(
    "live",
    [
        replace(LIVE, modify_index=8),
        replace(LIVE, modify_index=6),
        replace(LIVE, stopped=True),
        replace(LIVE, allocations={"queued": 1}),
        replace(LIVE, allocations={}),
    ],
)
def test_another_live_job_or_one_of_which_nothing_runs_is_asked_about(live: LiveJob) -> None:
    assert keep_known(KNOWN, [CHANGE], {JOB: live}) == {}


def test_another_wish_is_asked_about() -> None:
    other = replace(WISH, files={**FILES, "pbx/job.nomad.hcl": 'job "y" {}'})
    assert keep_known(KNOWN, [replace(CHANGE, wish=other)], {JOB: LIVE}) == {}


def test_what_is_gone_as_wished_or_never_asked_is_not_known() -> None:
    assert keep_known(KNOWN, [CHANGE], {}) == {}
    assert keep_known(KNOWN, [], {JOB: LIVE}) == {}
    assert keep_known(KNOWN, [replace(CHANGE, job=False, live=True)], {JOB: LIVE}) == {}
    assert keep_known({}, [CHANGE], {JOB: LIVE}) == {}


def test_what_was_attempted_says_anew_whether_it_waits() -> None:
    known = {"acme/a": Restart("a", 1), "acme/b": Restart("b", 2), "acme/c": Restart("c", 3)}
    asked = {"acme/b": None, "acme/c": Restart("c", 4), "acme/d": Restart("d", 5)}
    assert note_asked(known, asked) == {
        "acme/a": Restart("a", 1),
        "acme/c": Restart("c", 4),
        "acme/d": Restart("d", 5),
    }
