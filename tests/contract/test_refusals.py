"""What only the real servers say: who may not, that nobody answers, and how new things look at first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings
from ritilib.clients.vault import KV_MOUNT, Vault
from ritilib.errors import Conflict, Denied, ServerError, Unreachable

MARK = "riti 6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
TIMEOUT_S = 60.0
SECRET = "a-secret-that-nobody-may-read"

Ask = Callable[[Nomad, Consul, Vault], object]

BARE_PORT = """\
job "{job_id}" {{
  group "group" {{
    network {{
      mode = "bridge"
      port "link" {{}}
    }}
    update {{
      min_healthy_time = "1s"
    }}
    task "pause" {{
      driver       = "docker"
      kill_timeout = "1s"
      config {{
        image = "riti/pause:dev"
      }}
      resources {{
        cpu    = 20
        memory = {memory}
      }}
    }}
  }}
}}
"""


@pytest.mark.parametrize(
    "ask",
    [
        lambda nomad, consul, vault: nomad.list_jobs(""),
        lambda nomad, consul, vault: nomad.read_job("a"),
        lambda nomad, consul, vault: nomad.list_allocations("a"),
        lambda nomad, consul, vault: nomad.register({"ID": "a", "Meta": {"a": SECRET}}, 0),
        lambda nomad, consul, vault: consul.read("a"),
        lambda nomad, consul, vault: consul.read_tree("a"),
        lambda nomad, consul, vault: consul.list_keys("a"),
        lambda nomad, consul, vault: consul.write("a", SECRET.encode(), 0),
        lambda nomad, consul, vault: consul.put_policy("a", "", MARK),
        lambda nomad, consul, vault: vault.read_document("a"),
        lambda nomad, consul, vault: vault.write_document("a", {"a": SECRET}, 0),
        lambda nomad, consul, vault: vault.compute_hmac("a", SECRET),
        lambda nomad, consul, vault: vault.put_policy("a", ""),
        lambda nomad, consul, vault: nomad.purge_job("a", 1),
        lambda nomad, consul, vault: consul.delete_policy("a", MARK),
        lambda nomad, consul, vault: consul.delete_role("a", MARK),
        lambda nomad, consul, vault: vault.delete_document("a"),
        lambda nomad, consul, vault: vault.delete_policy("a"),
        lambda nomad, consul, vault: vault.delete_role("jwt", "a"),
    ],
)
def test_silence_is_not_an_empty_answer(settings: Settings, ask: Ask) -> None:
    away = Settings(
        *(
            replace(one, address="http://127.0.0.1:1", token=SECRET)
            for one in (settings.nomad, settings.consul, settings.vault)
        )
    )
    with pytest.raises(Unreachable) as caught:
        ask(Nomad(away), Consul(away), Vault(away))
    assert SECRET not in str(caught.value)


def test_a_consul_token_reaches_no_further_than_its_policy(settings: Settings, fleet: str) -> None:
    management = Consul(settings)
    management.put_policy(f"riti-{fleet}", f'key_prefix "riti/{fleet}/" {{\n  policy = "write"\n}}\n', MARK)
    token = management.create_token((f"riti-{fleet}",), f"{MARK} controller")
    narrow = Consul(replace(settings, consul=replace(settings.consul, token=token)))
    narrow.write(f"riti/{fleet}/a", b"1", 0)
    with pytest.raises(Conflict):
        narrow.write(f"riti/{fleet}/a", b"1", 0)
    with pytest.raises(Denied):
        narrow.write(f"riti/{fleet}x/a", b"1", 0)
    with pytest.raises(Denied):
        narrow.put_policy(f"riti-{fleet}", "", MARK)


def test_a_vault_token_reaches_no_further_than_its_policy(settings: Settings, fleet: str) -> None:
    management = Vault(settings)
    management.enable_kv(KV_MOUNT)
    rules = f'path "riti/data/{fleet}/*" {{\n  capabilities = ["create", "read", "update"]\n}}\n'
    management.put_policy(f"riti-{fleet}", rules)
    token = management.create_token((f"riti-{fleet}",), f"riti-{fleet}")
    narrow = Vault(replace(settings, vault=replace(settings.vault, token=token)))
    narrow.write_document(f"{fleet}/a", {"x": 1}, 0)
    with pytest.raises(Conflict):
        narrow.write_document(f"{fleet}/a", {"x": 2}, 3)
    with pytest.raises(Denied):
        narrow.read_document(f"{fleet}x/a")
    with pytest.raises(Denied):
        narrow.write_document(f"{fleet}x/a", {}, 0)
    with pytest.raises(Denied):
        narrow.put_policy(f"riti-{fleet}", "")


def test_a_nomad_token_reaches_no_further_than_its_policy(settings: Settings, fleet: str) -> None:
    management = Nomad(settings)
    management.put_policy(f"riti-{fleet}", 'node {\n  policy = "read"\n}\n', MARK)
    token = management.create_token((f"riti-{fleet}",), "controller")
    narrow = Nomad(replace(settings, nomad=replace(settings.nomad, token=token)))
    job = management.parse(BARE_PORT.format(job_id=f"{fleet}--a", memory=16))
    with pytest.raises(Denied):
        narrow.list_jobs("")
    with pytest.raises(Denied):
        narrow.register(job, 0)
    with pytest.raises(Denied):
        narrow.put_policy(f"riti-{fleet}", "", MARK)


def test_rules_that_do_not_parse_are_refused_in_consuls_words(settings: Settings, fleet: str) -> None:
    with pytest.raises(ServerError, match="Failed to parse ACL rules"):
        Consul(settings).put_policy(f"pbx-{fleet}", "key {{", MARK)


def test_an_empty_prefix_has_an_index_that_other_writes_move(settings: Settings, fleet: str) -> None:
    consul = Consul(settings)
    before = consul.list_keys(f"riti/{fleet}/pbx/")
    written = consul.write(f"riti/{fleet}/inventory/b", b"1", 0)
    assert before.keys == ()
    assert consul.list_keys(f"riti/{fleet}/pbx/").index >= written > before.index


def test_a_new_kv_mount_is_used_at_once(settings: Settings, fleet: str) -> None:
    """A new mount answers "upgrading" for a moment: seen in one of 12 to 40."""
    vault = Vault(settings)
    assert [vault.enable_kv(f"kv-{fleet}-{number}") for number in range(40)] == [True] * 40


def test_a_port_without_a_port_inside_is_read(settings: Settings, fleet: str) -> None:
    """Nomad leaves `To` out where the job names none."""
    nomad = Nomad(settings)
    job = nomad.parse(BARE_PORT.format(job_id=f"{fleet}--a", memory=16))
    made = nomad.register(job, 0)
    deployment = nomad.wait_deployed(job["ID"], made.modify_index, TIMEOUT_S)
    assert deployment.status == "successful", deployment.description
    (running,) = nomad.list_allocations(job["ID"])
    assert [port.label for port in running.ports] == ["link"]


def test_a_task_that_fits_nowhere_is_told_at_the_end_of_the_wait(settings: Settings, fleet: str) -> None:
    nomad = Nomad(settings)
    job = nomad.parse(BARE_PORT.format(job_id=f"{fleet}--a", memory=99_999_999))
    made = nomad.register(job, 0)
    deployment = nomad.wait_deployed(job["ID"], made.modify_index, 2.0)
    assert deployment.status == "timeout"
    assert "group group could not be placed: memory" in deployment.description


def test_the_same_job_by_another_token_is_no_change(settings: Settings, fleet: str) -> None:
    """Each leader has a token of its own, whose accessor a job bears: sync must not take it for a difference."""
    management, job_id = Nomad(settings), f"{fleet}--a"
    job = management.parse(BARE_PORT.format(job_id=job_id, memory=16))
    made = management.register(job, 0)
    assert management.wait_deployed(job_id, made.modify_index, TIMEOUT_S).status == "successful"
    token = management.issue_management_token(f"{fleet} another").secret
    other = Nomad(replace(settings, nomad=replace(settings.nomad, token=token)))
    assert other.plan(job).changes == "none"
    before = other.list_allocations(job_id)
    again = other.register(job, made.modify_index)
    assert again.modify_index > made.modify_index
    assert other.wait_deployed(job_id, again.modify_index, TIMEOUT_S).status == "successful"
    assert [(one.id, one.task_states) for one in other.list_allocations(job_id)] == [
        (one.id, one.task_states) for one in before
    ]
    other.stop_job(job_id, again.modify_index)
