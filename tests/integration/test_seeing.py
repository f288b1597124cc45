"""What people see of the controller, on the real servers: status, plan, history, by the commands themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.sync.observe import Places
from tests.integration.fleets import hold_image, know_author, make_fleet
from tests.integration.holdings import Holdings
from tests.integration.test_service import KEY, Instance, Lab

DEADLINE_S = 120.0
JUDGED_S = 480.0  # Nomad gives a deployment up after 5 min, jobs/pbx/job.nomad.hcl.j2
NAME = "seen"
PASSWORD = "hunter2-of-a-hand"
READER = """\
namespace "default" {
  capabilities = ["list-jobs", "read-job", "read-fs"]
}
"""


@dataclass
class SeenLab(Lab):
    """As the service's lab, and the commands that look; environ: whose tokens they have."""

    def __post_init__(self) -> None:
        self.environ = dict(self.fleet.management)

    def run_riti(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "ritilib", *arguments]
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": os.getcwd()}
        return subprocess.run(
            argv, env={**own, **self.environ, **environ}, capture_output=True, text=True, check=False
        )

    def ask(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the JSON of a command of the fleet."""
        place = ("--repo", str(self.fleet.forge)) if arguments[0] == "plan" else ("--fleet", NAME)
        done = self.run_riti(*arguments, *place, "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def is_whole(self, commit: str) -> bool:
        if not self.is_led():
            return False
        code, said = self.ask("status")
        return code == 0 and said["status"]["commit"]["applied"] == commit

    def wait_whole(self, commit: str, instance: Instance) -> None:
        wait_until(lambda: self.is_whole(commit), DEADLINE_S, "waiting for a whole status", instance.log)

    def change_image(self, image: str) -> str:
        file = self.fleet.work / "fleet" / "fleet.yaml"
        lines = [
            f"  pbx: {image}" if line.startswith("  pbx: ") else line
            for line in file.read_text().splitlines()
        ]
        file.write_text("\n".join(lines) + "\n")
        with know_author():
            return self.fleet.merge_change(f"the PBX runs {image}")


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeenLab]:
    folder = tmp_path_factory.mktemp(NAME)
    with know_author():
        fleet = make_fleet(stack, folder, NAME, 4318)
    with ExitStack() as running:
        made = SeenLab(fleet, Consul(read_settings(stack.environment())), folder, running)
        made.merge("201")
        yield made
    Holdings(NAME, stack.environment()).remove(folder / "log")


@pytest.fixture
def next_image(stack: Stack) -> Iterator[str]:
    with hold_image(stack, NAME) as name:
        yield name


def test_before_any_leader_nothing_is_well_and_all_is_planned(lab: SeenLab) -> None:
    done = lab.run_riti("status", "--fleet", NAME)
    assert done.returncode == 1 and f"Consul holds nothing of a fleet `{NAME}`" in done.stderr
    code, said = lab.ask("plan")
    assert code == 3
    assert {one["unit"]: one["effect"] for one in said["units"]} == {KEY: "start", "lighthouse/one": "start"}
    assert said["cluster"] == []


def test_after_a_merge_it_is_whole_and_its_history_says_so(lab: SeenLab) -> None:
    commit = lab.fleet.read_desired().commit
    first = lab.start()
    lab.wait_whole(commit, first)
    code, said = lab.ask("status")
    assert (code, said["verdict"], said["fresh"], said["drift"]) == (0, "well", True, {})
    assert said["leader"]["epoch"] == said["status"]["leader"]["epoch"] == 1
    assert said["status"]["counts"]["units"] == said["status"]["counts"]["as_wished"] == 2
    code, told = lab.ask("history")
    assert code == 0
    assert {key for one in told["entries"] for key in one["units"].get("changed", ())} == {
        KEY,
        "lighthouse/one",
    }
    assert told["entries"][0]["whole"] and told["entries"][0]["commit"] == commit
    done = lab.run_riti("status", "--repo", str(lab.fleet.forge))
    assert done.returncode == 0, done.stderr
    assert f"the branch is at {commit[:12]}: 0 commits ahead" in done.stdout
    assert lab.run_riti("plan", "--repo", str(lab.fleet.forge)).returncode == 0


def test_everything_of_one_unit(lab: SeenLab) -> None:
    code, said = lab.ask("status", KEY)
    assert (code, said["lacks"], said["problems"]) == (0, [], [])
    assert said["record"]["commit"] == lab.fleet.read_desired().commit
    assert said["word"] == {"calls_now": 0, "in_force": True, "word_problems": []}
    assert said["allocation"]["allocation_status"] == "running"
    assert said["job"]["job_is_as_recorded"] and said["value"]["value_is_as_recorded"]
    assert said["history"]


def test_an_extension_is_a_reload_and_then_nothing(lab: SeenLab) -> None:
    [first] = lab.instances
    commit = lab.merge("201", "202")
    done = lab.run_riti("status", "--repo", str(lab.fleet.forge))
    assert done.returncode == 3 and ": 1 commit ahead" in done.stdout
    code, said = lab.ask("plan")
    assert code == 3
    [unit] = said["units"]
    assert (unit["unit"], unit["effect"], unit["meets"]) == (KEY, "reload", "")
    assert any(line.startswith("+") and "202" in line for line in unit["value_diff"]["extensions.conf"])
    assert unit["job_diff"] == []
    first.tell_push()
    lab.wait_whole(commit, first)
    assert lab.ask("plan")[1]["units"] == []


def test_what_a_hand_changed_is_drift_that_is_healed_and_told(lab: SeenLab) -> None:
    [first] = lab.instances
    held = lab.read_value()
    assert held is not None
    lab.consul.write(held.key, held.value.replace(b"202", b"999"), held.modify_index)

    def is_told() -> bool:
        code, said = lab.ask("status")
        return code == 0 and [one["unit"] for one in said["status"]["healed"]] == [KEY]

    wait_until(is_told, DEADLINE_S, "waiting for what was healed", first.log)
    code, told = lab.ask("history", KEY)
    assert (code, told["entries"][0]["units"]) == (0, {"healed": [KEY]})


def test_an_image_is_a_restart_and_its_diff_shows_no_secret_of_a_hand(
    lab: SeenLab, next_image: str, stack: Stack
) -> None:
    [first] = lab.instances
    settings = read_settings(stack.environment())
    first.process.kill()  # so that what the hand does stays for the plan to see
    first.process.wait()
    commit = lab.change_image(next_image)
    nomad, job_id = Nomad(settings), lab.fleet.names(KEY).job_id
    job = nomad.read_job(job_id)
    assert job is not None
    task = next(one for one in job["TaskGroups"][0]["Tasks"] if one["Name"] == "pbx")
    task["Env"] = {"DATABASE": PASSWORD}
    task["Templates"][0]["EmbeddedTmpl"] += f"\nsecret={PASSWORD}\n"
    nomad.register(job, job["JobModifyIndex"])
    plain = lab.run_riti("plan", "--repo", str(lab.fleet.forge), "--diff")
    code, said = lab.ask("plan")
    assert (plain.returncode, code) == (3, 3)
    [unit] = said["units"]
    assert (unit["unit"], unit["effect"], unit["wave"], unit["waves"]) == (KEY, "restart", 1, 1)
    assert unit["meets"] == "waits until it has no call"
    assert any('~ image: "riti/pbx:dev" → ' in line for line in unit["job_diff"]), unit["job_diff"]
    assert any('Env[DATABASE]: "[hidden]"' in line for line in unit["job_diff"]), unit["job_diff"]
    assert PASSWORD not in plain.stdout + plain.stderr + json.dumps(said)
    drifted = lab.ask("status", KEY)[1]
    assert "its job was changed by somebody else" in drifted["lacks"]
    second = lab.start()
    lab.wait_whole(commit, second)
    assert lab.ask("plan")[1]["units"] == []


def test_narrow_tokens_see_what_they_may(lab: SeenLab, stack: Stack) -> None:
    settings = read_settings(stack.environment())
    nomad, consul = Nomad(settings), Consul(settings)
    nomad.put_policy("riti-seen-reader", READER, "riti reader")
    consul.put_policy(
        "riti-seen-reader", f'key_prefix "riti/{NAME}/" {{\n  policy = "read"\n}}\n', "riti reader"
    )
    tokens = {
        "NOMAD_TOKEN": nomad.create_token(("riti-seen-reader",), "reader"),
        "CONSUL_HTTP_TOKEN": consul.create_token(("riti-seen-reader",), "riti reader"),
        "VAULT_TOKEN": "",
    }
    done = lab.run_riti("status", KEY, "--fleet", NAME, **tokens)
    assert done.returncode == 0 and "calls_now" in done.stdout and done.stderr == ""
    assert lab.run_riti("history", "--fleet", NAME, **tokens).returncode == 0
    lab.merge("201", "203")
    done = lab.run_riti("plan", "--repo", str(lab.fleet.forge), "--json", **tokens)
    said = json.loads(done.stdout)
    assert [one["severity"] for one in said["cluster"]] == ["warning"]
    assert (done.returncode, [one["effect"] for one in said["units"]]) == (3, ["reload"]), done.stderr


def test_a_leader_that_is_gone_is_said_with_the_age_of_its_words(lab: SeenLab) -> None:
    second = lab.instances[-1]
    second.process.terminate()
    assert second.process.wait(DEADLINE_S) == 0
    done = lab.run_riti("status", "--fleet", NAME)
    assert done.returncode == 1
    assert "nobody leads" in done.stdout and "OLD: what follows was said " in done.stdout
    lab.consul.delete(Places(NAME).status, _index(lab, Places(NAME).status))
    lab.consul.delete(Places(NAME).history, _index(lab, Places(NAME).history))
    third = lab.start()
    commit = lab.fleet.read_desired().commit

    def is_told() -> bool:
        _, said = lab.ask("status")
        return bool(said["status"]) and said["status"]["commit"]["wanted"] == commit and said["fresh"]

    wait_until(is_told, DEADLINE_S, "waiting for the view to be made again", third.log)


@pytest.mark.slow
def test_a_failing_image_is_told_with_its_mend_and_goes_back(lab: SeenLab) -> None:
    third = lab.instances[-1] if lab.instances else lab.start()
    lab.change_image("riti/pause:dev")  # there is no watcher in it, so that its task cannot start
    third.tell_push()

    def has_gone_back() -> bool:
        code, said = lab.ask("status")
        states = [(one["unit"], one["state"]) for one in said["status"]["failing"]]
        return code == 1 and states == [(KEY, "gone-back")] and bool(said["status"]["rollout"]["stopped"])

    wait_until(has_gone_back, JUDGED_S, "waiting for what goes back", third.log)
    done = lab.run_riti("status", "--fleet", NAME)
    assert "did not come up as it is wished, and went back: " in done.stderr
    assert "this one is not tried again" in done.stderr
    assert "rollout stopped: " in done.stdout
    code, said = lab.ask("status", KEY)
    assert (code, said["record"]["judged"], bool(said["record"]["bad_job"])) == (1, "bad", True)
    code, told = lab.ask("history", KEY)
    assert any("gone_back" in one["units"] for one in told["entries"])
    code, plan = lab.ask("plan")
    assert (code, plan["units"]) == (0, [])
    assert any("its wished job did not come up" in one["what"] for one in plan["warnings"])


def _index(lab: SeenLab, key: str) -> int:
    entry = lab.consul.read(key)
    assert entry is not None
    return entry.modify_index
