"""The requests by which each forge takes a commit status, beside the forms that they document."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.clients.forge import (
    WORDS_LIMIT,
    Forge,
    Project,
    State,
    Status,
    complete_api,
    guess_api,
    guess_path,
    make_post,
    shorten,
)
from ritilib.errors import ServerError
from tests.unit.receiver import receive

SHA = "4b9115f" + "0" * 33
STATUS = Status(SHA, "pending", "rollout: wave 2 of 5", "riti/demo")
GITHUB = Project("github", "https://api.github.com", "acme/telephones", "main")
GITEA = Project("gitea", "https://git.example/api/v1", "acme/telephones", "main")
GITLAB = Project("gitlab", "https://gitlab.example/api/v4", "acme/lines/telephones", "main")


def test_github_is_told_in_its_documented_form() -> None:
    with receive() as other:
        Forge(replace(GITHUB, address=other.url), "RITI_FORGE_TOKEN").send(STATUS, "the-token")
        [taken] = other.taken
    assert taken.path == f"/repos/acme/telephones/statuses/{SHA}"
    assert taken.said == {
        "state": "pending",
        "context": "riti/demo",
        "description": "rollout: wave 2 of 5",
    }
    assert taken.headers["authorization"] == "Bearer the-token"
    assert taken.headers["accept"] == "application/vnd.github+json"
    assert taken.headers["x-github-api-version"] == "2022-11-28"
    assert taken.headers["user-agent"]  # GitHub refuses whoever says none


@pytest.mark.parametrize(
    ("state", "theirs"), [("pending", "running"), ("success", "success"), ("failure", "failed")]
)
def test_gitlab_is_told_in_its_documented_form(state: State, theirs: str) -> None:
    with receive() as other:
        Forge(replace(GITLAB, address=f"{other.url}/api/v4"), "RITI_FORGE_TOKEN").send(
            replace(STATUS, state=state), "the-token"
        )
        [taken] = other.taken
    assert taken.path == f"/api/v4/projects/acme%2Flines%2Ftelephones/statuses/{SHA}"
    assert taken.said == {
        "state": theirs,
        "ref": "main",
        "name": "riti/demo",
        "description": "rollout: wave 2 of 5",
    }
    assert taken.headers["private-token"] == "the-token"


def test_gitlabs_project_may_be_a_number() -> None:
    assert make_post(replace(GITLAB, path="42"), STATUS, "t").url.endswith(f"/projects/42/statuses/{SHA}")


def test_gitlab_refuses_a_state_that_stands_already_and_that_is_well() -> None:
    words = b'{"message": "Cannot transition status via :run from :running (Reason(s): Status cannot transition)"}'
    with receive() as other:
        other.answer(400, words)
        Forge(replace(GITLAB, address=other.url), "V").send(STATUS, "t")
        other.answer(400, b'{"message": "ref is invalid"}')
        with pytest.raises(ServerError, match="ref is invalid"):
            Forge(replace(GITLAB, address=other.url), "V").send(STATUS, "t")
        other.answer(400, words)
        with pytest.raises(ServerError):
            Forge(replace(GITHUB, address=other.url), "V").send(STATUS, "t")


def test_gitea_is_told_in_its_form() -> None:
    post = make_post(GITEA, STATUS, "the-token")
    assert post.url == f"https://git.example/api/v1/repos/acme/telephones/statuses/{SHA}"
    assert post.headers["Authorization"] == "token the-token"


@pytest.mark.parametrize("project", [GITHUB, GITEA, GITLAB])
def test_no_forge_hears_more_than_the_shortest_limit(project: Project) -> None:
    post = make_post(project, replace(STATUS, words="ñ" * 1000), "t")
    assert post.body.decode().count("\\u00f1") == WORDS_LIMIT - 1


@given(st.text(), st.integers(1, 200))
def test_words_become_one_line_of_a_limited_length(words: str, limit: int) -> None:
    line = shorten(words, limit)
    assert len(line) <= limit
    assert "\n" not in line


@pytest.mark.parametrize(
    ("kind", "remote", "api", "path"),
    [
        ("github", "https://github.com/acme/telephones.git", "https://api.github.com", "acme/telephones"),
        ("github", "git@github.com:acme/telephones.git", "https://api.github.com", "acme/telephones"),
        ("github", "ssh://git@ghe.example:2222/acme/t", "https://ghe.example/api/v3", "acme/t"),
        ("gitea", "https://git.example:8443/acme/t.git", "https://git.example:8443/api/v1", "acme/t"),
        ("gitea", "http://127.0.0.1:3000/acme/t", "http://127.0.0.1:3000/api/v1", "acme/t"),
        ("gitea", "https://example.org/git/acme/t.git", "https://example.org/api/v1", "acme/t"),
        ("gitlab", "https://gitlab.com/a/b/c/t.git", "https://gitlab.com/api/v4", "a/b/c/t"),
        ("gitlab", "git@gitlab.example:a/b/t.git", "https://gitlab.example/api/v4", "a/b/t"),
        ("gitea", "/srv/telephones.git", "", ""),
        ("gitea", "file:///srv/telephones.git", "", ""),
        ("gitea", "telephones.git", "", ""),
        ("gitea", "https://[broken/acme/t", "", ""),
    ],
)
def test_api_and_project_follow_from_the_repositorys_address(kind, remote: str, api: str, path: str) -> None:
    assert (guess_api(kind, remote), guess_path(kind, remote)) == (api, path)


def test_an_address_without_a_path_gets_the_forges_own() -> None:
    assert complete_api("gitea", "https://git.example/") == "https://git.example/api/v1"
    assert complete_api("gitlab", "https://git.example") == "https://git.example/api/v4"
    assert complete_api("gitea", "https://example.org/git/api/v1/") == "https://example.org/git/api/v1"
    assert complete_api("github", "https://api.github.com") == "https://api.github.com"
