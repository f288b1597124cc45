"""Where the controller listens, and the secrets by which the forges prove themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ritilib.errors import Problem, RitiError
from ritilib.sync.given import Given, read_given
from ritilib.sync.web.hooks import FORGES, SIGNING_TOKEN, Forge, decode_signing_token

LISTEN_VARIABLE = "RITI_LISTEN"
SHORTEST_SECRET = 16


@dataclass(frozen=True)
class WebSettings:
    """host and port to listen at; the forges that have secrets."""

    host: str
    port: int
    hooks: Mapping[Forge, Given]

    def read_secrets(self) -> dict[Forge, tuple[str, ...]]:
        """The secrets of each forge as they are now; RitiError as Given.read."""
        return {forge: secrets.read() for forge, secrets in self.hooks.items()}


def read_web_settings(environ: Mapping[str, str]) -> WebSettings | None:
    """RITI_LISTEN (HOST:PORT) and RITI_HOOK_GITHUB, _GITEA, _GITLAB, or the same with _FILE; None without RITI_LISTEN.

    RitiError lists everything that is wrong, and shows no secret.
    """
    address = environ.get(LISTEN_VARIABLE, "")
    if not address:
        return None
    problems: list[Problem] = []
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        problems.append(Problem("", 0, 0, f"{LISTEN_VARIABLE} is no address", "write it as HOST:PORT"))
    hooks: dict[Forge, Given] = {}
    for forge in FORGES:
        given, found = read_given(environ, f"RITI_HOOK_{forge.upper()}", judge_secrets)
        problems += found
        if given:
            hooks[forge] = given
    if problems:
        raise RitiError(problems)
    return WebSettings(host.strip("[]"), int(port), hooks)


def judge_secrets(variable: str, values: tuple[str, ...]) -> list[Problem]:
    """What is wrong with secrets that we and another side share."""
    mend = "make one: openssl rand -hex 32; and give the same to the other side"
    problems = []
    for value in values:
        if len(value) < SHORTEST_SECRET:
            what = f"{variable} holds a secret of less than {SHORTEST_SECRET} characters"
            problems.append(Problem("", 0, 0, what, mend))
        elif value.startswith(SIGNING_TOKEN) and decode_signing_token(value) is None:
            what = f"{variable} begins as a GitLab signing token and is none"
            problems.append(Problem("", 0, 0, what, "copy it whole from GitLab"))
    return problems
