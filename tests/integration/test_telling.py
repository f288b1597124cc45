"""From a push to a real Gitea, by its own webhook, to the status that it shows and the message that people get.

Seconds are printed, and never judged.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ritilib.devstack.folders import find_cache
from ritilib.devstack.processes import poll
from ritilib.devstack.servers.gitea import Gitea, run_gitea
from ritilib.devstack.stack import Stack
from ritilib.gitops.command import run_git
from tests.integration.fleets import Fleet, know_author, make_fleet
from tests.integration.holdings import Holdings
from tests.integration.test_service import DEADLINE_S, SECRET, Instance
from tests.unit.receiver import Receiver, receive

FLEET, USER, REPOSITORY = "told", "acme", "telephones"
KEY = "a-key-for-those-who-are-notified"
BOX = "acme/salto"


@dataclass
class Lab:
    """A fleet whose repository is at a Gitea, the controller that follows it, and who is notified."""

    fleet: Fleet
    gitea: Gitea
    password: str
    folder: Path
    people: Receiver
    running: ExitStack
    token_file: Path
    instances: list[Instance] = field(default_factory=list)

    @property
    def remote(self) -> str:
        return f"{self.gitea.address}/{USER}/{REPOSITORY}.git"

    def push(self, commit: str) -> None:
        """What a merge at the forge is to the forge: a push of main, of which it tells its webhooks."""
        url = self.remote.replace("://", f"://{USER}:{self.password}@")
        run_git(self.fleet.forge, "push", "--quiet", url, f"{commit}:refs/heads/main")

    def merge(self, *numbers: str) -> str:
        with know_author():
            self.fleet.write_box(*BOX.split("/"), *numbers)
            commit = self.fleet.merge_change(f"telephones {', '.join(numbers)}")
        self.push(commit)
        return commit

    def spoil(self) -> str:
        """A merge whose rendered files are not as its manifest says."""
        work = self.fleet.work
        [file] = work.glob(f"rendered/{BOX}/**/job.nomad.hcl")
        file.write_text(file.read_text() + "# by hand\n")
        with know_author():
            run_git(work, "commit", "--quiet", "--all", "--message", "an edit by hand")
        run_git(work, "push", "--quiet", str(self.fleet.forge), "HEAD:refs/heads/main")
        commit = run_git(work, "rev-parse", "HEAD").strip()
        self.push(commit)
        return commit

    def start(self) -> Instance:
        """It polls once an hour: what is quick has another cause."""
        name = f"controller-{len(self.instances)}"
        log = self.folder / f"{name}.log"
        argv = [sys.executable, "-m", "ritilib", "sync", "--remote", self.remote, "--forge", "gitea"]
        argv += ["--mirror", str(self.folder / name), "--listen", "127.0.0.1:0", "--poll", "3600"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": os.getcwd()}
        told = {
            "RITI_HOOK_GITEA": SECRET,
            "RITI_FORGE_TOKEN_FILE": str(self.token_file),
            "RITI_NOTIFY_URL": f"{self.people.url}/hooks/a-secret-path",
            "RITI_NOTIFY_SECRET": KEY,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv, env={**environ, **self.fleet.controller, **told}, stdout=output, stderr=output
            )
        self.running.callback(process.wait)
        self.running.callback(process.kill)
        self.instances.append(Instance(log, process))
        return self.instances[-1]

    def read_statuses(self, commit: str) -> list[tuple[str, str]]:
        """(state, words) under our context, the latest first."""
        told = self.gitea.call(
            "GET", f"repos/{USER}/{REPOSITORY}/commits/{commit}/statuses?sort=recentupdate"
        )
        return [(one["status"], one["description"]) for one in told if one["context"] == f"riti/{FLEET}"]

    def wait_status(self, commit: str, state: str, instance: Instance) -> str:
        """The words of the first status of that state, as soon as there is one."""
        found: list[str] = []

        def is_told() -> bool:
            found[:] = [words for one, words in self.read_statuses(commit) if one == state]
            return bool(found)

        assert poll(is_told, DEADLINE_S), (
            f"no {state}: {self.read_statuses(commit)}\n{instance.log.read_text()}"
        )
        return found[-1]

    def wait_event(self, event: str, instance: Instance) -> dict[str, Any]:
        """The first message of that event."""

        def list_said() -> list[dict[str, Any]]:
            return [taken.said for taken in self.people.taken if taken.said["event"] == event]

        assert poll(lambda: bool(list_said()), DEADLINE_S), instance.log.read_text()
        return list_said()[0]


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("told")
    with know_author():
        fleet = make_fleet(stack, folder, FLEET, 4317)
    with run_gitea(find_cache(), print) as gitea, receive() as people, ExitStack() as running:
        password = gitea.make_user(USER)
        gitea.call("POST", f"admin/users/{USER}/repos", {"name": REPOSITORY, "default_branch": "main"})
        token_file = folder / "forge-token"
        token_file.write_text(gitea.make_token(USER, "write:repository"))
        yield Lab(fleet, gitea, password, folder, people, running, token_file)
    Holdings(FLEET, stack.environment()).remove(folder / "log")


def test_a_push_is_applied_and_told_to_the_forge_and_to_people(lab: Lab) -> None:
    first = lab.merge("201")
    controller = lab.start()
    assert lab.wait_status(first, "success", controller) == "2 units as wished"
    hook = {"url": f"{controller.address}/hook/gitea", "content_type": "json", "secret": SECRET}
    lab.gitea.call(
        "POST",
        f"repos/{USER}/{REPOSITORY}/hooks",
        {"type": "gitea", "config": hook, "events": ["push"], "active": True},
    )
    began = time.monotonic()
    second = lab.merge("201", "202")
    assert lab.wait_status(second, "success", controller) == "2 units as wished"
    print(f"from the merge, rendered and pushed, to its success at Gitea: {time.monotonic() - began:.2f} s")
    said = lab.wait_event("applied", controller)
    assert (said["fleet"], said["commit"]) == (FLEET, first)
    assert poll(lambda: any(one.said["commit"] == second for one in lab.people.taken), DEADLINE_S)
    for taken in lab.people.taken:
        head = f"{taken.headers['webhook-id']}.{taken.headers['webhook-timestamp']}.".encode()
        digest = hmac.new(KEY.encode(), head + taken.body, hashlib.sha256).digest()
        assert taken.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_a_push_that_cannot_be_used_is_told_by_its_first_problem(lab: Lab) -> None:
    [leader] = lab.instances
    follower = lab.start()
    follower.wait_for("follows")
    spoilt = lab.spoil()
    words = lab.wait_status(spoilt, "failure", leader)
    assert "job.nomad.hcl" in words
    said = lab.wait_event("refused", leader)
    assert said["commit"] == spoilt
    assert "the one before stays in force" in said["text"]
    assert "a-secret-path" not in leader.log.read_text()
    assert lab.token_file.read_text() not in leader.log.read_text()


def test_the_next_leader_repeats_no_message(lab: Lab) -> None:
    """The first is killed while it leads; the second knows nothing of what the first told."""
    first, second = lab.instances
    before = [taken.said["event"] for taken in lab.people.taken]
    assert before.count("applied") == 2
    first.process.kill()
    first.process.wait()
    second.wait_for("cycle", whole=True)
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(DEADLINE_S) == 0
    assert [taken.said["event"] for taken in lab.people.taken][len(before) :] == ["leader"]
