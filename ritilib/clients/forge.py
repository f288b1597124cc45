"""Commit statuses, as GitHub, Gitea and GitLab take them. One POST each; nothing is read back.

The forms are those of GitHub's REST API 2022-11-28 ("Create a commit status"), Gitea 1.24 (CreateStatusOption) and
GitLab's API v4 ("Set commit pipeline status").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

from ritilib.clients.posting import Post, Poster
from ritilib.errors import RitiError, ServerError

ForgeKind = Literal["github", "gitea", "gitlab"]
State = Literal["pending", "success", "failure"]
FORGE_NAMES: Mapping[ForgeKind, str] = {"github": "GitHub", "gitea": "Gitea", "gitlab": "GitLab"}
# GitHub takes no longer one (422 "description is too long (maximum is 140 characters)"); GitLab takes 255
WORDS_LIMIT = 140
_STATES: Mapping[State, str] = {
    "pending": "running",
    "success": "success",
    "failure": "failed",
}  # GitLab's words
_PATHS: Mapping[ForgeKind, str] = {"github": "", "gitea": "/api/v1", "gitlab": "/api/v4"}


@dataclass(frozen=True)
class Project:
    """Where statuses go: address is the API's ("https://git.example/api/v1"), path the repository ("acme/telephones"),
    branch the one that is followed; ca_file verifies it ("": the public CAs)."""

    kind: ForgeKind
    address: str
    path: str
    branch: str
    ca_file: str = ""


@dataclass(frozen=True)
class Status:
    """How one commit fares: words are one line; context tells our statuses from those of others ("riti/demo")."""

    commit: str
    state: State
    words: str
    context: str


class Forge:
    """Sends statuses to one project."""

    def __init__(self, project: Project, variable: str) -> None:
        """variable: where the token is given, for an error's mend."""
        self._project = project
        self._poster = Poster(FORGE_NAMES[project.kind], variable, project.ca_file)

    def send(self, status: Status, token: str) -> None:
        """Return when the forge has taken it. Raises as Poster.send."""
        try:
            self._poster.send(make_post(self._project, status, token))
        except ServerError as error:
            if not _stands_already(self._project.kind, error):
                raise

    def abort(self) -> None:
        """As Poster.abort."""
        self._poster.abort()


def make_post(project: Project, status: Status, token: str) -> Post:
    """The request by which a forge is told a status."""
    words = shorten(status.words)
    if project.kind == "gitlab":
        url = f"{project.address}/projects/{quote(project.path, safe='')}/statuses/{status.commit}"
        said = {"state": _STATES[status.state], "ref": project.branch, "name": status.context}
        return _pack(url, {"PRIVATE-TOKEN": token}, said | {"description": words})
    url = f"{project.address}/repos/{quote(project.path)}/statuses/{status.commit}"
    said = {"state": status.state, "context": status.context, "description": words}
    if project.kind == "gitea":
        return _pack(url, {"Authorization": f"token {token}"}, said)
    asked = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    return _pack(url, {"Authorization": f"Bearer {token}", **asked}, said)


def _pack(url: str, headers: Mapping[str, str], said: Mapping[str, str]) -> Post:
    return Post(url, headers, json.dumps(said).encode())


def shorten(words: str, limit: int = WORDS_LIMIT) -> str:
    """One line of at most limit characters."""
    line = " ".join(words.split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def guess_api(kind: ForgeKind, remote: str) -> str:
    """The API's address of the forge that a repository's address names; "" where it names none."""
    scheme, host, _ = _split_remote(remote)
    if not host:
        return ""
    if kind == "github":
        return "https://api.github.com" if host == "github.com" else f"{scheme}://{host}/api/v3"
    return f"{scheme}://{host}{_PATHS[kind]}"


def complete_api(kind: ForgeKind, address: str) -> str:
    """The address with the forge's own path, where it has none."""
    bare = address.rstrip("/")
    return bare if urlsplit(bare).path else f"{bare}{_PATHS[kind]}"


def guess_path(kind: ForgeKind, remote: str) -> str:
    """The project's path that a repository's address names ("acme/telephones"); "" where it names none."""
    _, host, path = _split_remote(remote)
    parts = [part for part in path.removesuffix("/").removesuffix(".git").split("/") if part]
    if not host or len(parts) < 2:
        return ""
    # GitLab's groups have groups of their own; what stands before a GitHub or Gitea owner is the server's own folder
    return "/".join(parts if kind == "gitlab" else parts[-2:])


def _split_remote(remote: str) -> tuple[str, str, str]:
    """(scheme, host, path) of http(s)://HOST[:PORT]/PATH, ssh://[USER@]HOST/PATH or [USER@]HOST:PATH; else nothing.

    The port of a web address stays: the API is behind the same one. Behind SSH it is taken to speak https.
    """
    try:
        parts = urlsplit(remote)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts.scheme, parts.netloc.rpartition("@")[2], parts.path
        if parts.scheme == "ssh" and parts.hostname:
            return "https", parts.hostname, parts.path
    except ValueError:
        return "", "", ""
    before, colon, path = remote.partition(":")
    if not colon or "/" in before or path.startswith("/"):
        return "", "", ""
    return "https", before.rpartition("@")[2], path


def _stands_already(kind: ForgeKind, error: RitiError) -> bool:
    """Whether GitLab says that the commit has this state already: it takes a new description by no request at all."""
    return kind == "gitlab" and "status 400" in str(error) and "Cannot transition status" in str(error)
