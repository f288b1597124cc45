"""Commit statuses, as a real Gitea takes them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ritilib.clients.forge import Forge, Project, State, Status
from ritilib.devstack.folders import find_cache
from ritilib.devstack.servers.gitea import Gitea, run_gitea
from ritilib.errors import Denied, ServerError, Unreachable

USER, REPOSITORY = "acme", "telephones"
CONTEXT = "riti/demo"


@dataclass(frozen=True)
class Repository:
    """A repository at Gitea with one commit, pushed by its user."""

    gitea: Gitea
    commit: str

    @property
    def project(self) -> Project:
        return Project("gitea", f"{self.gitea.address}/api/v1", f"{USER}/{REPOSITORY}", "main")

    def read(self) -> list[tuple[str, str, str]]:
        """(state, context, description) of the commit's statuses, the latest first, asked of Gitea itself."""
        told = self.gitea.call(
            "GET", f"repos/{USER}/{REPOSITORY}/commits/{self.commit}/statuses?sort=recentupdate"
        )
        return [(one["status"], one["context"], one["description"]) for one in told]


@pytest.fixture(scope="module")
def gitea() -> Iterator[Gitea]:
    with run_gitea(find_cache(), print) as made:
        yield made


@pytest.fixture(scope="module")
def repository(gitea: Gitea, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    password = gitea.make_user(USER)
    gitea.call("POST", f"admin/users/{USER}/repos", {"name": REPOSITORY, "default_branch": "main"})
    work = tmp_path_factory.mktemp("work")
    remote = gitea.address.replace("://", f"://{USER}:{password}@") + f"/{USER}/{REPOSITORY}.git"
    return Repository(gitea, push_commit(work, remote))


def push_commit(work: Path, remote: str) -> str:
    """The commit that is pushed to an empty repository."""
    ana = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"]
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        [*ana, "commit", "--quiet", "--allow-empty", "--message", "the first"],
        ["push", "--quiet", remote, "main"],
    ):
        subprocess.run(["git", *words], cwd=work, check=True, capture_output=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=work, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_statuses_are_read_back_as_they_were_told(repository: Repository) -> None:
    token = repository.gitea.make_token(USER, "write:repository")
    forge = Forge(repository.project, "RITI_FORGE_TOKEN")
    told: list[tuple[State, str]] = [
        ("pending", "rollout: wave 2 of 5; 3 units held by calls"),
        ("failure", "acme/salto: did not come up as it is wished, and went back: ñandú"),
        ("success", "12 units as wished"),
        ("success", "12 units as wished"),
    ]
    for number, (state, words) in enumerate(told, 1):
        forge.send(Status(repository.commit, state, words, CONTEXT), token)
        statuses = repository.read()
        assert len(statuses) == number
        assert (state, CONTEXT, words) in statuses
    whole = repository.gitea.call("GET", f"repos/{USER}/{REPOSITORY}/commits/{repository.commit}/status")
    assert (whole["state"], whole["total_count"]) == ("success", 1)


def test_words_that_are_too_long_are_shortened(repository: Repository) -> None:
    token = repository.gitea.make_token(USER, "write:repository")
    Forge(repository.project, "V").send(
        Status(repository.commit, "failure", "long " * 1000, "riti/long"), token
    )
    [words] = [words for _, context, words in repository.read() if context == "riti/long"]
    assert len(words) <= 140
    assert words.endswith("…")


@pytest.mark.parametrize("scopes", [("read:repository",), ("write:issue",)])
def test_a_token_without_the_right_is_denied(repository: Repository, scopes: tuple[str, ...]) -> None:
    before = repository.read()
    token = repository.gitea.make_token(USER, *scopes)
    with pytest.raises(Denied) as caught:
        Forge(repository.project, "RITI_FORGE_TOKEN").send(
            Status(repository.commit, "success", "12 units as wished", "riti/denied"), token
        )
    assert "RITI_FORGE_TOKEN" in str(caught.value)
    assert token not in str(caught.value)
    assert repository.read() == before


def test_a_token_of_nobody_is_denied(repository: Repository) -> None:
    status = Status(repository.commit, "success", "12 units as wished", "riti/denied")
    with pytest.raises(Denied):
        Forge(repository.project, "V").send(status, "0" * 40)


def test_another_repository_is_none_of_its_business(repository: Repository) -> None:
    stranger = "stranger"
    repository.gitea.make_user(stranger)
    token = repository.gitea.make_token(stranger, "write:repository")
    with pytest.raises(ServerError) as caught:
        Forge(repository.project, "V").send(
            Status(repository.commit, "success", "12 units as wished", "riti/denied"), token
        )
    assert not isinstance(caught.value, Unreachable)
    assert "riti/denied" not in [context for _, context, _ in repository.read()]


def test_a_commit_that_it_has_not_is_no_success(repository: Repository) -> None:
    token = repository.gitea.make_token(USER, "write:repository")
    with pytest.raises(ServerError):
        Forge(repository.project, "V").send(Status("1" * 40, "success", "12 units as wished", CONTEXT), token)
