"""What sync relies on in Nomad: the list with meta, plans, EnforceIndex, deployments, allocations."""

from __future__ import annotations

import pytest

from ritilib.clients.nomad_diff import write_diff
from ritilib.clients.nomad_values import judge_plan
from ritilib.clients.protocols import NomadClient
from ritilib.devstack.processes import poll
from ritilib.errors import Conflict, RitiError

TIMEOUT_S = 120.0
POLICY = 'namespace "default" {\n  capabilities = ["list-jobs"]\n}\n'


def make_hcl(job_id: str, priority: int = 50, command: str = "/pause", label: str = "x") -> str:
    """A job of one container that does nothing, on a port of its own."""
    return f"""\
job "{job_id}" {{
  type     = "service"
  priority = {priority}
  meta = {{
    "riti.fleet" = "a-uuid"
    "riti.box"   = "c/b"
  }}
  update {{
    health_check      = "task_states"
    min_healthy_time  = "1s"
    healthy_deadline  = "20s"
    progress_deadline = "30s"
  }}
  group "pbx" {{
    network {{
      mode = "bridge"
      port "{label}" {{
        to = 4242
      }}
    }}
    restart {{
      attempts = 0
      mode     = "fail"
    }}
    reschedule {{
      attempts  = 0
      unlimited = false
    }}
    task "pause" {{
      driver = "docker"
      config {{
        image      = "riti/pause:dev"
        entrypoint = ["{command}"]
      }}
      resources {{
        cpu    = 20
        memory = 16
      }}
    }}
  }}
}}
"""


def test_an_absent_job_is_none_and_no_list_has_it(nomad: NomadClient, fleet: str) -> None:
    assert nomad.read_job(f"{fleet}--c--b") is None
    assert nomad.list_jobs(f"{fleet}--").jobs == ()
    assert nomad.list_allocations(f"{fleet}--c--b") == ()


def test_a_text_that_is_no_job_is_an_error_with_words(nomad: NomadClient) -> None:
    with pytest.raises(RitiError) as caught:
        nomad.parse('job "x" {\n')
    assert caught.value.problems[0].mend


def test_the_list_has_meta_and_index_and_is_narrowed_by_prefix(nomad: NomadClient, fleet: str) -> None:
    registered = nomad.register(nomad.parse(make_hcl(f"{fleet}--c--b")), 0)
    nomad.register(nomad.parse(make_hcl(f"{fleet}-other--c--b")), 0)
    listed = nomad.list_jobs(f"{fleet}--")
    assert [job.id for job in listed.jobs] == [f"{fleet}--c--b"]
    job = listed.jobs[0]
    assert job.meta == {"riti.fleet": "a-uuid", "riti.box": "c/b"}
    assert (job.type, job.stop, job.modify_index) == ("service", False, registered.modify_index)
    assert listed.index >= job.modify_index
    for job_id in (f"{fleet}--c--b", f"{fleet}-other--c--b"):
        _stop(nomad, job_id)


def test_registering_is_a_compare_and_set(nomad: NomadClient, fleet: str) -> None:
    job = nomad.parse(make_hcl(f"{fleet}--c--b"))
    with pytest.raises(Conflict):
        nomad.register(job, 7)
    first = nomad.register(job, 0)
    assert first.evaluation_id
    with pytest.raises(Conflict):
        nomad.register(job, 0)
    second = nomad.register(nomad.parse(make_hcl(f"{fleet}--c--b", priority=60)), first.modify_index)
    assert second.modify_index > first.modify_index
    with pytest.raises(Conflict):
        nomad.register(job, first.modify_index)
    with pytest.raises(Conflict):
        nomad.stop_job(f"{fleet}--c--b", first.modify_index)
    _stop(nomad, f"{fleet}--c--b")


def test_a_plan_tells_what_becomes_of_running_tasks(nomad: NomadClient, fleet: str) -> None:
    job_id = f"{fleet}--c--b"
    job = nomad.parse(make_hcl(job_id))
    planned = nomad.plan(job)
    assert (planned.changes, planned.modify_index) == ("create", 0)
    registered = nomad.register(job, 0)
    for within_s in (TIMEOUT_S, 0.0):  # without time it is looked at once
        assert nomad.wait_deployed(job_id, registered.modify_index, within_s).status == "successful"
    planned = nomad.plan(job)
    assert (planned.changes, planned.modify_index) == ("none", registered.modify_index)
    assert nomad.plan(nomad.parse(make_hcl(job_id, priority=60))).changes == "in-place"
    assert nomad.plan(nomad.parse(make_hcl(job_id, label="y"))).changes == "destructive"
    lines = write_diff(nomad.plan(nomad.parse(make_hcl(job_id, priority=60))).diff, is_foreign=False)
    assert lines[0] == f'~ job "{job_id}"'
    _stop(nomad, job_id)
    assert nomad.plan(job).changes == "create"


def test_a_running_allocation_shows_tasks_ports_and_address(nomad: NomadClient, fleet: str) -> None:
    job_id = f"{fleet}--c--b"
    registered = nomad.register(nomad.parse(make_hcl(job_id)), 0)
    deployment = nomad.wait_deployed(job_id, registered.modify_index, TIMEOUT_S)
    assert (deployment.status, deployment.placed, deployment.healthy) == ("successful", 1, 1)
    (allocation,) = nomad.list_allocations(job_id)
    assert (allocation.client_status, allocation.desired_status) == ("running", "run")
    assert allocation.job_version == 0
    state = allocation.task_states["pause"]
    assert (state.state, state.failed, state.restarts) == ("running", False, 0)
    assert state.started_at
    (port,) = allocation.ports
    assert port.label == "x" and port.value > 0
    assert allocation.network_address
    _stop(nomad, job_id)


def test_an_instance_that_is_moved_is_followed_by_another(nomad: NomadClient, fleet: str) -> None:
    job_id = f"{fleet}--c--b"
    registered = nomad.register(nomad.parse(make_hcl(job_id)), 0)
    nomad.wait_deployed(job_id, registered.modify_index, TIMEOUT_S)
    (before,) = nomad.list_allocations(job_id)
    assert before.node_id in nomad.find_hosts()
    assert before.changed_at_s > 0
    [alive] = nomad.list_alive(fleet)
    assert (alive.id, alive.job_id, alive.client_status) == (before.id, job_id, "running")
    nomad.move_allocation(before.id)
    assert poll(lambda: nomad.find_running(job_id) not in ((), (before.id,)), TIMEOUT_S)
    found = {one.id: one.desired_status for one in nomad.list_allocations(job_id)}
    assert sorted(found.values()) == ["run", "stop"]
    assert found[before.id] == "stop"
    [after] = nomad.find_running(job_id)
    told = {one.id: one.desired_status for one in nomad.list_alive(fleet)}
    assert (told.pop(after), set(told.values()) - {"stop"}) == ("run", set())
    assert nomad.list_alive(f"{fleet}--other") == ()
    _stop(nomad, job_id)


def test_a_change_in_place_keeps_the_task_and_a_destructive_one_does_not(
    nomad: NomadClient, fleet: str
) -> None:
    job_id = f"{fleet}--c--b"
    first = nomad.register(nomad.parse(make_hcl(job_id)), 0)
    nomad.wait_deployed(job_id, first.modify_index, TIMEOUT_S)
    (before,) = nomad.list_allocations(job_id)
    second = nomad.register(nomad.parse(make_hcl(job_id, priority=60)), first.modify_index)
    assert nomad.wait_deployed(job_id, second.modify_index, TIMEOUT_S).status == "successful"
    (after,) = nomad.list_allocations(job_id)
    assert after.id == before.id
    assert after.task_states["pause"].started_at == before.task_states["pause"].started_at
    third = nomad.register(nomad.parse(make_hcl(job_id, label="y")), second.modify_index)
    assert nomad.wait_deployed(job_id, third.modify_index, TIMEOUT_S).status == "successful"
    running = [one for one in nomad.list_allocations(job_id) if one.client_status == "running"]
    assert [one.id == before.id for one in running] == [False]
    _stop(nomad, job_id)


def test_registering_the_same_again_changes_no_index_and_no_task(nomad: NomadClient, fleet: str) -> None:
    job_id = f"{fleet}--c--b"
    job = nomad.parse(make_hcl(job_id))
    first = nomad.register(job, 0)
    nomad.wait_deployed(job_id, first.modify_index, TIMEOUT_S)
    assert nomad.register(job, first.modify_index).modify_index == first.modify_index
    assert nomad.wait_deployed(job_id, first.modify_index, TIMEOUT_S).status == "successful"
    assert len(nomad.list_allocations(job_id)) == 1
    _stop(nomad, job_id)


def test_a_task_that_cannot_start_fails_its_deployment_with_its_words(nomad: NomadClient, fleet: str) -> None:
    job_id = f"{fleet}--c--b"
    registered = nomad.register(nomad.parse(make_hcl(job_id, command="/nonexistent")), 0)
    deployment = nomad.wait_deployed(job_id, registered.modify_index, TIMEOUT_S)
    assert deployment.status == "failed"
    assert deployment.healthy == 0
    assert "task pause" in deployment.description and "/nonexistent" in deployment.description
    _stop(nomad, job_id)


def test_a_stopped_job_stays_in_the_list_and_can_be_started_again(nomad: NomadClient, fleet: str) -> None:
    job_id = f"{fleet}--c--b"
    job = nomad.parse(make_hcl(job_id))
    first = nomad.register(job, 0)
    stopped = nomad.stop_job(job_id, first.modify_index)
    assert stopped.modify_index > first.modify_index
    (stub,) = nomad.list_jobs(job_id).jobs
    assert (stub.stop, stub.modify_index) == (True, stopped.modify_index)
    nomad.register(job, stopped.modify_index)
    (stub,) = nomad.list_jobs(job_id).jobs
    assert stub.stop is False
    _stop(nomad, job_id)


def test_a_stopped_job_is_purged_only_as_it_was_seen(nomad: NomadClient, fleet: str) -> None:
    job_id = f"{fleet}--c--b"
    first = nomad.register(nomad.parse(make_hcl(job_id)), 0)
    with pytest.raises(Conflict):
        nomad.purge_job(job_id, first.modify_index)  # it runs
    stopped = nomad.stop_job(job_id, first.modify_index)
    with pytest.raises(Conflict):
        nomad.purge_job(job_id, first.modify_index)  # it has changed
    assert nomad.purge_job(job_id, stopped.modify_index) is True
    assert nomad.read_job(job_id) is None
    assert nomad.list_jobs(job_id).jobs == ()
    assert nomad.purge_job(job_id, stopped.modify_index) is False


def test_a_policy_is_written_once_and_another_mark_is_left_alone(nomad: NomadClient, fleet: str) -> None:
    name = f"riti-{fleet}"
    assert nomad.put_policy(name, POLICY, f"riti {fleet} controller") is True
    assert nomad.put_policy(name, POLICY, f"riti {fleet} controller") is False
    with pytest.raises(Conflict):
        nomad.put_policy(name, POLICY, f"riti {fleet}-2 controller")


def test_a_token_is_known_by_its_policies(nomad: NomadClient, fleet: str) -> None:
    name = f"riti-{fleet}"
    nomad.put_policy(name, POLICY, f"riti {fleet} controller")
    token = nomad.create_token((name,), f"riti {fleet} controller")
    assert nomad.has_token(token, (name,))
    assert not nomad.has_token(token, ("other",))
    assert not nomad.has_token("00000000-0000-0000-0000-00000000dead", (name,))


def test_a_replacement_that_waits_for_an_earlier_deployment_counts_as_one() -> None:
    edited = {"Annotations": ["forces create/destroy update"]}
    diff = {"Type": "Edited", "TaskGroups": [{"Tasks": [edited]}]}
    assert judge_plan(diff, {"pbx": {"Ignore": 1, "Place": 0}}, 7) == "destructive"
    assert judge_plan(diff, {"pbx": {"Ignore": 0, "Place": 1}}, 7) == "create"


def _stop(nomad: NomadClient, job_id: str) -> None:
    """Give the machine its memory back; the stack's end would do it too."""
    job = nomad.read_job(job_id)
    assert job is not None
    nomad.stop_job(job_id, job["JobModifyIndex"])
