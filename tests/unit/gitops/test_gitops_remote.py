"""Where the mirror fetches from: credentials are Git's own and shown nowhere, and not every protocol is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritilib.errors import Denied, GitopsError, RitiError
from ritilib.gitops.mirror import Mirror
from ritilib.gitops.remote import Remote, add_settings, check_address
from tests.git_server import GitServer


def test_credentials_come_from_gits_own_settings_and_are_shown_nowhere(
    by_http: Mirror, server: GitServer, own_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.password = "plum-tree-17"
    with pytest.raises(Denied) as caught:
        by_http.fetch()
    held = tmp_path / "credentials"
    held.write_text(f"{server.url.replace('://', f'://controller:{server.password}@')}\n")
    traced = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE", str(traced))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "credential.helper")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"store --file={held}")
    by_http.fetch()
    assert "git-remote-http" in traced.read_text()
    shown = traced.read_text() + str(caught.value) + by_http.repo.joinpath("config").read_text()
    assert server.password not in shown


@pytest.mark.parametrize(
    "url",
    [
        "https://token@forge.example/f.git",
        "https://ana:secret@forge.example/f.git",
        "ssh://git:secret@forge.example/f",
    ],
)
def test_an_address_with_a_credential_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(GitopsError) as caught:
        Remote(url)
    assert "secret" not in str(caught.value) and "token" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["git@forge.example:f.git", "ssh://git@forge.example/f", "https://forge.example/f.git", "/srv/f.git"],
)
def test_an_address_without_a_secret_is_fine(url: str) -> None:
    check_address(url)


@pytest.mark.parametrize("url", ["ext::sh -c 'echo x'", "git://127.0.0.1:1/f.git"])
def test_protocols_that_run_programs_or_know_no_identity_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(RitiError, match="not allowed"):
        Mirror(tmp_path / "state", Remote(url)).fetch()


def test_settings_are_added_to_those_of_the_environment() -> None:
    given = add_settings({"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b"}, {"c.d": "e"})
    assert given == {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_1": "c.d", "GIT_CONFIG_VALUE_1": "e"}
