"""An unknown token and a missing setting end in one mendable error, without a secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ritilib.clients.consul import Consul
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings, read_settings
from ritilib.clients.vault import Vault
from ritilib.errors import Denied, RitiError

JOB = {"ID": "x--c--b", "Name": "x--c--b", "Type": "service", "TaskGroups": []}
CALLS: dict[str, Callable[[Settings], object]] = {
    "nomad list": lambda settings: Nomad(settings).list_jobs("x--"),
    "nomad register": lambda settings: Nomad(settings).register(JOB, 0),
    "nomad policy": lambda settings: Nomad(settings).put_policy("x", "", "riti x"),
    "consul read": lambda settings: Consul(settings).read("riti/x/hush"),
    "consul write": lambda settings: Consul(settings).write("riti/x/k", b"hush", 0),
    "consul policy": lambda settings: Consul(settings).put_policy("x", "", "riti x"),
    "consul role": lambda settings: Consul(settings).put_role("x", (), "riti x"),
    "vault read": lambda settings: Vault(settings).read_document("x/pbx/c/b"),
    "vault write": lambda settings: Vault(settings).write_document("x/pbx/c/b", {"key": "hush"}, 0),
    "vault hmac": lambda settings: Vault(settings).compute_hmac("x", "hush"),
    "vault policy": lambda settings: Vault(settings).put_policy("x", ""),
}
UNKNOWN = "00000000-0000-0000-0000-00000000dead"


@pytest.mark.parametrize("name", sorted(CALLS))
def test_an_unknown_token_is_denied(name: str, env: dict[str, str]) -> None:
    tokens = dict.fromkeys(("NOMAD_TOKEN", "CONSUL_HTTP_TOKEN", "VAULT_TOKEN"), UNKNOWN)
    with pytest.raises(Denied) as caught:
        CALLS[name](read_settings({**env, **tokens}))
    _is_mendable(caught.value, name)


def test_every_missing_variable_is_told_at_once() -> None:
    with pytest.raises(RitiError) as caught:
        read_settings({"VAULT_ADDR": "vault", "VAULT_TOKEN": "hush"})
    said = str(caught.value)
    for name in ("NOMAD_ADDR", "NOMAD_TOKEN", "CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN", "VAULT_ADDR"):
        assert name in said
    assert "hush" not in said


def test_tokens_are_not_shown_and_tls_is_always_verified() -> None:
    environ = {
        "NOMAD_ADDR": "https://n:4646",
        "CONSUL_HTTP_ADDR": "c:8500",
        "VAULT_ADDR": "https://v:8200/",
        "VAULT_CACERT": "/etc/ca.pem",
        **dict.fromkeys(("NOMAD_TOKEN", "CONSUL_HTTP_TOKEN", "VAULT_TOKEN"), "hush"),
    }
    settings = read_settings(environ)
    assert "hush" not in repr(settings)
    assert (settings.nomad.verify, settings.vault.verify) == (True, "/etc/ca.pem")
    assert (settings.consul.address, settings.vault.address) == ("http://c:8500", "https://v:8200")


def _is_mendable(error: RitiError, name: str) -> None:
    (problem,) = error.problems
    assert name.split()[0] in problem.what.lower()
    assert problem.mend
    assert "hush" not in str(error).replace("riti/x/hush", "")
