"""Whom the controller tells: what is set wrong is said at once, all of it, and without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritilib.errors import RitiError
from ritilib.sync.tell.known import Limits
from ritilib.sync.tell.settings import TellSettings, read_tell_settings

REMOTE = "https://git.example/acme/telephones.git"
TOKEN = "a-token-of-the-forge"


def read(remote: str = REMOTE, **environ: str) -> TellSettings:
    return read_tell_settings({f"RITI_{name}": value for name, value in environ.items()}, remote, "main")


def refuse(remote: str = REMOTE, **environ: str) -> str:
    with pytest.raises(RitiError) as caught:
        read(remote, **environ)
    assert all(problem.mend for problem in caught.value.problems)
    return str(caught.value)


def test_nothing_set_tells_nobody() -> None:
    assert read() == TellSettings()


def test_api_and_project_follow_from_the_repository() -> None:
    project = read(FORGE="gitea", FORGE_TOKEN=TOKEN).project
    assert project
    assert (project.address, project.path, project.branch) == (
        "https://git.example/api/v1",
        "acme/telephones",
        "main",
    )


def test_or_are_given() -> None:
    given = {"FORGE_URL": "https://forge.example:8443/", "FORGE_PROJECT": "42", "FORGE_CACERT": "/ca.pem"}
    project = read("/srv/t.git", FORGE="gitlab", FORGE_TOKEN=TOKEN, **given).project
    assert project
    assert (project.address, project.path, project.ca_file) == (
        "https://forge.example:8443/api/v4",
        "42",
        "/ca.pem",
    )


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"FORGE": "sourcehut", "FORGE_TOKEN": TOKEN}, "RITI_FORGE names no forge"),
        ({"FORGE": "gitea"}, "RITI_FORGE_TOKEN is not set"),
        ({"FORGE": "gitea", "FORGE_TOKEN": f"{TOKEN}\n"}, "is no token"),
        ({"FORGE": "gitea", "FORGE_TOKEN": TOKEN, "FORGE_TOKEN_FILE": "/x"}, "are both set"),
        ({"FORGE": "gitea", "FORGE_TOKEN_FILE": "/nowhere"}, "cannot be read"),
        (
            {"FORGE": "gitea", "FORGE_TOKEN": TOKEN, "FORGE_URL": "http://git.example"},
            "http is for this machine",
        ),
        ({"FORGE": "gitea", "FORGE_TOKEN": TOKEN, "FORGE_URL": "https://a:b@git.example"}, "none to which"),
        ({"FORGE": "gitea", "FORGE_TOKEN": TOKEN, "FORGE_PROJECT": "../x"}, "project's path"),
        ({"FORGE": "gitea", "FORGE_TOKEN": TOKEN, "FORGE_PROJECT": "telephones"}, "project's path"),
        ({"FORGE": "github", "FORGE_TOKEN": TOKEN, "FORGE_PROJECT": "42"}, "project's path"),
        ({"NOTIFY_URL": "http://chat.example/T0"}, "http is for this machine alone"),
        ({"NOTIFY_URL": " ".join(["https://chat.example/T0"] * 11)}, "more than 10"),
        ({"NOTIFY_SECRET": "a-key-of-some-length"}, "nobody is notified"),
        ({"NOTIFY_URL": "https://chat.example/T0", "NOTIFY_SECRET": "short"}, "less than 16"),
        ({"NOTIFY_HELD_MIN": "0"}, "RITI_NOTIFY_HELD_MIN is no number"),
        ({"NOTIFY_AWAY_MIN": "five"}, "RITI_NOTIFY_AWAY_MIN is no number"),
    ],
)
def test_what_is_set_wrong_is_said(environ: dict[str, str], words: str) -> None:
    said = refuse(**environ)
    assert words in said
    assert TOKEN not in said and "T0" not in said and "short" not in said.replace("shortest", "")


def test_all_at_once() -> None:
    said = refuse("/srv/t.git", FORGE="gitea", NOTIFY_URL="nonsense", NOTIFY_HELD_MIN="x")
    for words in ("RITI_FORGE_URL", "RITI_FORGE_PROJECT", "RITI_FORGE_TOKEN", "RITI_NOTIFY_URL", "HELD_MIN"):
        assert words in said


def test_several_addresses_stand_in_a_file_or_beside_each_other(tmp_path: Path) -> None:
    urls = ("https://chat.example/T0/secret", "https://pager.example/x")
    file = tmp_path / "urls"
    file.write_text("\n".join(urls))
    for environ in ({"NOTIFY_URL": "  ".join(urls)}, {"NOTIFY_URL_FILE": str(file)}):
        settings = read(**environ)
        assert settings.urls and settings.urls.read() == urls
        assert "secret" not in repr(settings)
        assert {*urls, "T0/secret"} <= set(settings.list_secrets())


def test_the_limits_are_minutes() -> None:
    assert read(NOTIFY_HELD_MIN="90", NOTIFY_AWAY_MIN="2").limits == Limits(5400.0, 120.0)
