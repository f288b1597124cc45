"""Where the controller listens, and the secrets by which the forges prove themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ritilib.errors import Problem, RitiError
from ritilib.sync.web.hooks import FORGES, SIGNING_TOKEN, Forge, decode_signing_token

LISTEN_VARIABLE = "RITI_LISTEN"
SHORTEST_SECRET = 16


@dataclass(frozen=True)
class HookSecrets:
    """Of one forge: the variable that holds its secret, or the file that holds them, one a line."""

    variable: str
    values: tuple[str, ...] = ()
    file: Path | None = None

    def __repr__(self) -> str:
        return f"HookSecrets({self.variable})"

    def read(self) -> tuple[str, ...]:
        """The secrets as they are now: two lines let an old and a new one live side by side.

        RitiError where the file cannot be read or holds what is no secret.
        """
        if self.file is None:
            return self.values
        try:
            lines = self.file.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError) as error:
            what = f"{self.file} ({self.variable}) cannot be read: {type(error).__name__}"
            raise RitiError.because(what, "make it a file of one secret a line") from None
        values = tuple(line.strip() for line in lines if line.strip())
        problems = _judge(self.variable, values)
        if problems:
            raise RitiError(problems)
        return values


@dataclass(frozen=True)
class WebSettings:
    """host and port to listen at; the forges that have secrets."""

    host: str
    port: int
    hooks: Mapping[Forge, HookSecrets]

    def read_secrets(self) -> dict[Forge, tuple[str, ...]]:
        """The secrets of each forge as they are now; RitiError as HookSecrets.read."""
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
    hooks: dict[Forge, HookSecrets] = {}
    for forge in FORGES:
        variable = f"RITI_HOOK_{forge.upper()}"
        value, file = environ.get(variable, ""), environ.get(f"{variable}_FILE", "")
        if value and file:
            what = f"{variable} and {variable}_FILE are both set"
            problems.append(Problem("", 0, 0, what, "keep one of them"))
        elif value:
            problems += _judge(variable, (value,))
            hooks[forge] = HookSecrets(variable, values=(value,))
        elif file:
            hooks[forge] = HookSecrets(f"{variable}_FILE", file=Path(file))
            try:
                hooks[forge].read()
            except RitiError as error:
                problems += error.problems
    if problems:
        raise RitiError(problems)
    return WebSettings(host.strip("[]"), int(port), hooks)


def _judge(variable: str, values: tuple[str, ...]) -> list[Problem]:
    mend = "make one: openssl rand -hex 32; and give the same to the forge"
    if not values:
        return [Problem("", 0, 0, f"{variable} holds no secret", mend)]
    problems = []
    for value in values:
        if len(value) < SHORTEST_SECRET:
            what = f"{variable} holds a secret of less than {SHORTEST_SECRET} characters"
            problems.append(Problem("", 0, 0, what, mend))
        elif value.startswith(SIGNING_TOKEN) and decode_signing_token(value) is None:
            what = f"{variable} begins as a GitLab signing token and is none"
            problems.append(Problem("", 0, 0, what, "copy it whole from GitLab"))
    return problems
