"""Where the servers are and with which tokens: from variables, or from files that Nomad writes anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritilib.clients.settings import read_settings
from ritilib.errors import RitiError

NAMES = ("NOMAD", "CONSUL_HTTP", "VAULT")
ADDRESSES = {f"{name}_ADDR": "http://127.0.0.1:1" for name in NAMES}
TOKENS = {f"{name}_TOKEN": f"{name} of a variable" for name in NAMES}


def write_tokens(folder: Path, words: str) -> dict[str, str]:
    """A file for each server; the variables that name them."""
    for name in NAMES:
        (folder / name).write_text(f"{name} {words}\n")
    return {f"{name}_TOKEN_FILE": str(folder / name) for name in NAMES}


def test_a_file_goes_before_its_variable_and_is_read_anew(tmp_path: Path) -> None:
    environ = {**ADDRESSES, **TOKENS, **write_tokens(tmp_path, "first")}
    assert read_settings(environ).vault.token == "VAULT first"
    write_tokens(tmp_path, "second")
    found = [one.token for one in vars(read_settings(environ)).values()]
    assert found == ["NOMAD second", "CONSUL_HTTP second", "VAULT second"]


def test_without_a_file_the_variable_holds() -> None:
    assert read_settings({**ADDRESSES, **TOKENS}).nomad.token == "NOMAD of a variable"


def test_every_file_that_holds_no_token_is_named_and_none_is_shown(tmp_path: Path) -> None:
    files = write_tokens(tmp_path, "which is secret")
    (tmp_path / "NOMAD").write_text("\n")
    (tmp_path / "VAULT").unlink()
    with pytest.raises(RitiError) as caught:
        read_settings({**ADDRESSES, **files})
    nomad, vault = (problem.what for problem in caught.value.problems)
    assert nomad == f"{tmp_path / 'NOMAD'} (NOMAD_TOKEN_FILE) holds no token"
    assert vault.startswith(f"{tmp_path / 'VAULT'} (VAULT_TOKEN_FILE) cannot be read")
    assert "which is secret" not in str(caught.value)


def test_a_token_that_is_not_there_at_all_is_missed() -> None:
    with pytest.raises(RitiError, match=r"NOMAD_TOKEN is not set; set it .* NOMAD_TOKEN_FILE"):
        read_settings({**ADDRESSES, "CONSUL_HTTP_TOKEN": "x", "VAULT_TOKEN": "x"})


def test_nomad_alone_needs_nobody_else() -> None:
    settings = read_settings({"NOMAD_ADDR": "http://127.0.0.1:1", "NOMAD_TOKEN": "x"}, ("nomad",))
    assert (settings.nomad.token, settings.consul.address, settings.vault.token) == ("x", "", "")
