"""The box's agent on the real Asterisk and watcher: what comes into force, what never does, and calls."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ritilib.box.agent import Agent, Box, Place
from ritilib.box.candidate import find_program, try_candidate
from ritilib.box.live import Configuration, compose_configuration, name_configuration, understand_live
from ritilib.box.own import Access, Document
from ritilib.box.showing import Shown
from ritilib.box.swap import Generations
from ritilib.devstack.processes import poll
from ritilib.errors import RitiError
from ritilib.reconcile.box_value import encode_box_value, hash_box_files
from ritilib.render.names import UnitNames
from tests.fakes.own import FakeOwn
from tests.integration.box_alone import SECRETS, BoxAlone

WITHIN_S = 60.0
NAMES = UnitNames("fleet", "acme", "montevideo")
MORE = "\n[more]\nexten => 1,1,Hangup(16)\n"
UNKNOWN_OPTION = "\n[bad]\ntype=endpoint\nno_such_option=1\n"
# what Asterisk warns of, each in another of its parts
BROKEN = {
    "a peer that cannot be": {"iax": "\n[ghost](cloud-secret)\ntype=friend\nhost=no.such.host.invalid\n"},
    "an endpoint of an unknown kind": {"pjsip": UNKNOWN_OPTION},
    "a dial plan with a label that is not there": {"extensions": "\n[bad]\nexten => s,n,NoOp()\n"},
    "a module that is not there": {"modules": "load = app_no_such.so\n"},
    "what it does not start on": {"modules": "require = app_no_such.so\n"},
}


@pytest.fixture
def box(box_root: Path, box_watcher: Path) -> Iterator[BoxAlone]:
    with tempfile.TemporaryDirectory(
        prefix="riti-"
    ) as folder:  # a socket's path has 107 characters at the most
        made = BoxAlone(Path(folder), box_root, box_watcher)
        try:
            yield made
        finally:
            made.stop()


class Joined:
    """A Joiner of a box that is in."""

    def run(self, is_once: bool = False) -> Shown:
        return Shown("in", "acme/montevideo", "", "", "")


class Run:
    """The agent in a thread, with the controller's end in memory."""

    def __init__(self, box: BoxAlone, servers: FakeOwn) -> None:
        self.box, self.servers = box, servers
        data = box.folder / "data"
        data.mkdir(exist_ok=True)
        for name in ("identity.crt", "overlay.key", "overlay.crt", "overlay-ca.crt"):
            (data / name).write_text(name)
        self.said: list[str] = []
        program = find_program(box.root)
        self.agent = Agent(
            Box(NAMES, "0.1"),
            Place(data, box.state),
            Access(lambda: servers, lambda: True),
            lambda _show: Joined(),
            lambda files, usual: try_candidate(files, program, box.folder / "scratch", usual),
            self.said.append,
            lambda: 0.0,
        )
        self._thread = threading.Thread(target=self.agent.run)

    def __enter__(self) -> Run:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.is_ending = True
        self._thread.join()

    def offer(self, files: dict[str, str], version: int = 1) -> None:
        self.servers.set(NAMES.box_kv_key, encode_box_value(files, version, "c0ffee"))

    @property
    def report(self) -> dict[str, object]:
        """What `riti status` reads."""
        held = self.servers.values.get(NAMES.box_report)
        return dict(json.loads(held.data)) if held else {}

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        assert poll(holds, WITHIN_S), f"not so: {what}; {self.report}; {self.said}; {self.log}"

    def wait_in_force(self, files: dict[str, str], version: int = 1) -> None:
        wanted = {"in_force": hash_box_files(files), "secrets_version": version, "confirmed": True}
        self.wait(lambda: wanted.items() <= self.report.items(), "it is in force")

    @property
    def log(self) -> str:
        path = self.box.folder / "asterisk.log"
        return path.read_text(errors="replace")[-1500:] if path.exists() else ""


@pytest.fixture
def run(box: BoxAlone) -> Iterator[Run]:
    """A box that has come up from nothing, on its first value."""
    box.start()
    with Run(box, FakeOwn(Document(1, SECRETS))) as running:
        running.offer(box.render())
        running.wait_in_force(box.render())
        yield running


def test_from_nothing_to_a_configuration_and_every_change_of_it_under_a_call(run: Run, box: BoxAlone) -> None:
    assert box.starts == 1
    box.call()
    run.wait(lambda: box.count_channels() == 2, "a call is up")
    changed = box.render(extensions=MORE)
    run.offer(changed)
    run.wait_in_force(changed)
    assert "'1' =>" in box.ask("dialplan show more")
    # a secret of its own has another version, and the same files
    run.servers.document = Document(2, SECRETS | {"phones": {"101": "an0ther"}})
    run.offer(changed, version=2)
    run.wait_in_force(changed, version=2)
    assert (box.count_channels(), box.starts) == (2, 1)
    # and what it reads at its start only waits for the end of the call
    anew = box.render(rtp="rtpholdtimeout=300\n")
    run.offer(anew, version=2)
    run.wait(lambda: "end of a call" in str(run.report.get("why")), "it waits for the end of the call")
    assert (box.count_channels(), box.starts) == (2, 1)
    box.ask("channel request hangup all")
    run.wait_in_force(anew, version=2)
    assert box.starts == 2
    assert (box.folder / "data/overlay/overlay.yml").read_text() == anew["overlay.yml"]


def test_whatever_is_wrong_with_a_value_the_running_one_stays_and_the_report_says_why(
    run: Run, box: BoxAlone
) -> None:
    box.call()
    run.wait(lambda: box.count_channels() == 2, "a call is up")
    first = run.report["in_force"]
    good = box.render(extensions=MORE)
    whole = encode_box_value(good, 1, "c0ffee")
    said = json.loads(gzip.decompress(whole))
    for value, words in (
        (whole[:-100], "only the beginning of one"),
        (gzip.compress(json.dumps(said | {"sha256": "0" * 64}).encode()), "not those of its sha256"),
        (gzip.compress(json.dumps(said | {"more": 1}).encode()), "`more` is no key of this format"),
        (encode_box_value(box.render(), 9, "c0ffee"), "version 1, and the value needs 9"),
    ):
        run.servers.set(NAMES.box_kv_key, value)
        run.wait(lambda words=words: words in str(run.report.get("why")), words)  # type: ignore[misc]
        assert (run.report["in_force"], run.report["confirmed"]) == (first, True)
    refused = set()
    for words, changed in BROKEN.items():
        bad = box.render(**changed)
        run.offer(bad)
        identity = name_configuration(hash_box_files(bad), 1)
        run.wait(lambda identity=identity: identity in str(run.report.get("refused")), f"{words} is refused")  # type: ignore[misc]
        assert (run.report["in_force"], run.report["confirmed"]) == (first, True)
        refused.add(json.dumps(run.report["refused"]))
    assert len(refused) == len(BROKEN)
    assert (box.count_channels(), box.starts) == (2, 1)
    # the next good one goes through
    run.offer(good)
    run.wait_in_force(good)
    assert run.report["why"] == "" and box.count_channels() == 2


def test_without_a_network_it_starts_on_the_last_good_one(run: Run, box: BoxAlone) -> None:
    first = run.report["in_force"]
    run.agent.is_ending = True
    box.kill()  # Asterisk and its watcher
    run.wait(lambda: box.starts == 2 and box.read_word().is_up, "Asterisk is up again, and no agent has run")
    away = FakeOwn(Document(1, SECRETS))
    away.is_away = True
    with Run(box, away) as again:
        again.wait(
            lambda: json.loads((box.folder / "data/agent.json").read_text())["link"] != "unknown",
            "the agent has heard the watcher",
        )
        told = json.loads((box.folder / "data/agent.json").read_text())
        assert (told["in_force"], told["confirmed"], told["refused"], told["why"]) == (first, True, None, "")


def make(box: BoxAlone) -> Configuration:
    return compose_configuration(understand_live(encode_box_value(box.render(), 1, "c0ffee")), SECRETS, 1)


def test_killed_at_every_fsync_of_a_swap_what_is_left_boots(box: BoxAlone, tmp_path: Path) -> None:
    value, secrets = tmp_path / "value", tmp_path / "secrets.json"
    value.write_bytes(encode_box_value(box.render(extensions=MORE), 1, "c0ffee"))
    secrets.write_text(json.dumps(SECRETS))
    made = make(box)
    left = set()
    for last in range(1, 100):
        generations = Generations(tmp_path / f"at-{last}")
        generations.recover()
        generations.switch(generations.stage(made).identity)
        generations.confirm()
        argv = [sys.executable, "-m", "tests.box_dying", str(generations.folder), value, secrets, str(last)]
        if subprocess.run(argv, check=False).returncode == 0:
            break
        files = {path.name: path.read_text() for path in (generations.folder / "asterisk").iterdir()}
        if json.dumps(files) not in left:  # each that is another is booted
            left.add(json.dumps(files))
            try_candidate(files, find_program(box.root), box.folder / "scratch", ())
    assert len(left) == 2


def test_a_candidate_that_hangs_is_cut_off_at_its_bound(box: BoxAlone) -> None:
    made = make(box)
    program = find_program(box.root)
    with pytest.raises(RitiError, match=r"was not ready within 0 s"):
        try_candidate(made.asterisk, program, box.folder / "scratch", (), bound_s=0.01)
    assert list((box.folder / "scratch").iterdir()) == []


@pytest.mark.parametrize("isolate", [True, False])
def test_every_network_that_a_candidate_may_have_shows_the_same(box: BoxAlone, isolate: bool) -> None:
    made = make(box)
    program = find_program(box.root)
    trial = try_candidate(made.asterisk, program, box.folder / "scratch", (), isolate=isolate)
    assert (trial.is_isolated, trial.complaints) == (isolate, ())
    bad = {**made.asterisk, "pjsip.conf": made.asterisk["pjsip.conf"] + UNKNOWN_OPTION}
    with pytest.raises(RitiError, match="no_such_option"):
        try_candidate(bad, program, box.folder / "scratch", (), isolate=isolate)
