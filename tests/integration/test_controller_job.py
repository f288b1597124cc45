"""The controller as a Nomad job of three instances: one leads, and whoever is replaced, no write is lost.

The image, the job and all tokens are those that an engineer would have; Nomad, Consul, OpenBao and Docker are real.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import docker
import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.controller import IMAGE, build_controller
from ritilib.devstack.processes import wait_until
from ritilib.devstack.stack import Stack
from ritilib.errors import Denied
from tests.git_server import GitServer, serve_git
from tests.integration.controller_job import DEADLINE_S, Controllers
from tests.integration.fleets import Fleet, know_author, make_fleet
from tests.integration.holdings import Holdings

FLEET = "steered"
NAMESPACE = "steering"
KEY = "acme/montevideo"
PASSWORD = "of-the-repository-3f9c1d"
HOOK = "0123456789abcdef-of-the-hook"


@dataclass(frozen=True)
class Lab:
    """A fleet of one office whose controller runs in Nomad, and the forge's Git server."""

    fleet: Fleet
    controllers: Controllers
    git: GitServer

    def merge(self, *numbers: str) -> str:
        with know_author():
            self.fleet.write_box(*KEY.split("/"), *numbers)
            return self.fleet.merge_change(f"telephones {', '.join(numbers)}")

    def has_number(self, number: str) -> bool:
        clients = read_settings(self.fleet.management)
        entry = Consul(clients).read(self.fleet.names(KEY).kv_key)
        return entry is not None and number in json.loads(entry.value)["files"]["extensions.conf"]

    def wait_number(self, number: str) -> None:
        began = time.monotonic()
        wait_until(lambda: self.has_number(number), DEADLINE_S, f"waiting for {number}", self.controllers.log)
        print(f"{number} is live after {time.monotonic() - began:.1f} s")


@pytest.fixture(scope="module")
def lab(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp(FLEET)
    log = folder / "log"
    log.touch()
    build_controller(stack.docker_host, stack.nebula_cert, find_cache(), print)
    with serve_git(folder) as git:
        git.password = PASSWORD

        def settle(said: str) -> str:
            return said + (
                "controller:\n"
                f"  image: {IMAGE}\n"
                f"  remote: {git.url}/forge.git\n"
                f"  namespace: {NAMESPACE}\n"
                "  poll_s: 2\n"
                "  user: controller\n"
                "  secrets: [git_token, hook_gitea]\n"
                f"  nomad: {stack.nomad_address}\n"
                f"  consul: {stack.consul_address}\n"
                f"  vault: {stack.vault_address}\n"
            )

        with know_author():
            fleet = make_fleet(stack, folder, FLEET, 4313, settle)
        made = Lab(fleet, Controllers(fleet, stack, NAMESPACE, log), git)
        made.controllers.nomad("POST", f"namespace/{NAMESPACE}", {"Name": NAMESPACE}).raise_for_status()
        body = {"data": {"git_token": PASSWORD, "hook_gitea": HOOK}, "options": {"cas": 0}}
        made.controllers.vault("POST", made.controllers.names.vault_path, body).raise_for_status()
        made.merge("201")
        try:
            yield made
        finally:
            made.controllers.remove()
    Holdings(FLEET, stack.environment()).remove(log)


def test_three_run_and_one_leads(lab: Lab) -> None:
    controllers = lab.controllers
    assert controllers.riti("controller", "run", "--check").returncode == 3
    began = time.monotonic()
    done = controllers.riti("controller", "run")
    assert done.returncode == 0, done.stderr
    print(f"three instances are ready after {time.monotonic() - began:.1f} s")
    assert len(controllers.list_running()) == 3
    controllers.wait_leader()
    wait_until(
        lambda: controllers.list_roles() == ["follows", "follows", "leads"],
        DEADLINE_S,
        "waiting until the others follow",
        controllers.log,
    )
    lab.wait_number("201")
    again = controllers.riti("controller", "run", "--check")
    assert (again.returncode, again.stdout) == (0, f"riti-{FLEET}: is as wished\n"), again.stderr


def test_no_sync_takes_it_for_a_unit(lab: Lab) -> None:
    """Its name does not begin as a unit's, and it stands in no list of theirs."""
    jobs = Nomad(read_settings(lab.fleet.management)).list_jobs(f"{FLEET}--").jobs
    assert {job.id for job in jobs} == {f"{FLEET}--acme--montevideo", f"{FLEET}--lighthouse--one"}


def test_a_hook_wakes_the_one_that_leads(lab: Lab) -> None:
    """The forge's secret came from Vault, and the repository's password too."""
    controllers = lab.controllers
    address = controllers.find_address(controllers.wait_leader())
    assert controllers.tell_push(address, "another secret of sixteen") == 401
    lab.merge("201", "202")
    assert controllers.tell_push(address, HOOK) == 202
    lab.wait_number("202")
    assert "riti_leader 1.0" in controllers.ask(address, "metrics").text


def test_no_token_stands_in_the_job(lab: Lab) -> None:
    controllers = lab.controllers
    stored = controllers.nomad("GET", f"job/{controllers.names.job_id}").text
    rendered = controllers.riti("controller", "job").stdout
    assert "riti-steered" in rendered and "riti-steered" in stored
    tokens = ("NOMAD_TOKEN", "CONSUL_HTTP_TOKEN", "VAULT_TOKEN")
    secrets = [environ[name] for environ in (lab.fleet.management, lab.fleet.controller) for name in tokens]
    for secret in (*secrets, PASSWORD, HOOK):
        assert secret not in stored
        assert secret not in rendered
        assert secret not in json.dumps(controllers.read_events(controllers.find_leader()))


def test_its_identity_is_its_token_and_no_more(lab: Lab) -> None:
    """What Nomad signed for the task reads jobs, and registers none."""
    controllers = lab.controllers
    folder = controllers.find_folder(controllers.wait_leader())
    file = folder / "controller" / "secrets" / "nomad_api.jwt"
    assert file.read_text().count(".") == 2  # signed, not one of Nomad's own
    settings = read_settings({**lab.fleet.management, "NOMAD_TOKEN_FILE": str(file)})
    assert Nomad(settings).list_jobs(f"{FLEET}--").jobs
    unit = Nomad(settings).read_job(lab.fleet.names(KEY).job_id)
    assert unit is not None
    with pytest.raises(Denied):
        Nomad(settings).register(unit, unit["JobModifyIndex"])


def test_it_runs_without_rights_on_the_node(lab: Lab) -> None:
    controllers = lab.controllers
    client = docker.DockerClient(controllers.stack.docker_host)
    container = client.containers.get(f"controller-{controllers.wait_leader()}")
    host = container.attrs["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["Privileged"]
    status = container.exec_run(["cat", "/proc/1/status"]).output.decode()
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) == {"10001"}
    assert {int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {0}
    used = container.stats(stream=False)["memory_stats"]
    print(f"the leader's container uses {used['usage'] / 1e6:.0f} MB: {json.dumps(used['stats'])[:400]}")


def test_another_goes_on_when_the_leader_is_stopped(lab: Lab) -> None:
    controllers = lab.controllers
    first = controllers.wait_leader()
    lead, _ = controllers.read_lock()
    assert lead is not None and len(controllers.list_alive(dict(lead.tokens))) == 3
    began = time.monotonic()
    controllers.nomad("POST", f"allocation/{first}/stop").raise_for_status()
    second = controllers.wait_leader(but=first)
    print(f"another leads {time.monotonic() - began:.1f} s after the stop")
    lab.merge("201", "203")
    lab.wait_number("203")
    wait_until(
        lambda: controllers.read_allocation(first)["ClientStatus"] == "complete",
        DEADLINE_S,
        "waiting for its end",
        controllers.log,
    )
    state = controllers.read_allocation(first)["TaskStates"]["controller"]
    [ended] = [one for one in state["Events"] if one["Type"] == "Terminated"]
    assert (ended["ExitCode"], ended["Details"].get("oom_killed")) == (0, "false")
    assert controllers.read_events(first)[-1]["event"] == "ended"
    assert controllers.list_alive(dict(lead.tokens)) == []
    assert second != first


def test_a_new_version_takes_over_and_no_merge_is_lost(lab: Lab) -> None:
    """The instances are replaced one after the other while merges go on."""
    controllers = lab.controllers
    before = {one["ID"] for one in controllers.list_running()}
    file = lab.fleet.work / "fleet" / "fleet.yaml"
    file.write_text(file.read_text().replace("  poll_s: 2\n", "  poll_s: 1\n"))
    lab.merge("201", "204")
    with ThreadPoolExecutor(1) as pool:
        rolling = pool.submit(controllers.riti, "controller", "run")
        count = 0
        while not rolling.done() or count < 3:
            number = str(210 + count % 80)
            lab.merge("201", number)
            lab.wait_number(number)
            count += 1
        done = rolling.result()
    assert done.returncode == 0, done.stderr
    print(f"{count} merges went live during the update")
    after = {one["ID"] for one in controllers.list_running()}
    assert len(after) == 3 and not before & after
    controllers.wait_leader()
    wait_until(
        lambda: controllers.list_roles() == ["follows", "follows", "leads"],
        DEADLINE_S,
        "waiting until one leads and two follow",
        controllers.log,
    )
    commit = lab.fleet.read_desired().commit
    leader = controllers.find_leader()
    wait_until(
        lambda: any(
            one.get("commit") == commit and one.get("whole") for one in controllers.read_events(leader)
        ),
        DEADLINE_S,
        "waiting until the last commit is whole",
        controllers.log,
    )
    plan = controllers.riti("plan")
    assert plan.returncode == 0, plan.stdout + plan.stderr


def test_a_foreign_job_of_its_name_is_left_alone(lab: Lab) -> None:
    controllers = lab.controllers
    job = controllers.nomad("GET", f"job/{controllers.names.job_id}").json()
    nomad = Nomad(read_settings(lab.fleet.management), NAMESPACE)
    foreign = {**job, "Meta": {"riti.fleet": "another"}}
    nomad.stop_job(job["ID"], job["JobModifyIndex"])
    held = nomad.read_job(job["ID"])
    assert held is not None
    nomad.register({**foreign, "Stop": True}, held["JobModifyIndex"])
    done = controllers.riti("controller", "run")
    assert done.returncode == 1 and "does not carry this fleet's mark" in done.stderr
