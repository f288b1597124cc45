"""Whom the controller tells, from options and variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from ritilib.clients.forge import FORGE_NAMES, ForgeKind, Project, complete_api, guess_api, guess_path
from ritilib.clients.posting import is_safe
from ritilib.errors import Problem, RitiError
from ritilib.sync.given import Given, read_given
from ritilib.sync.tell.known import Limits
from ritilib.sync.web.settings import judge_secrets

FORGE_VARIABLE = "RITI_FORGE"
MOST_URLS = 10
_HELD_MIN, _AWAY_MIN = "RITI_NOTIFY_HELD_MIN", "RITI_NOTIFY_AWAY_MIN"


@dataclass(frozen=True)
class TellSettings:
    """project and token: the forge that is told statuses (None: none is). urls: who is notified, each signed with keys
    where there are any. limits: when it is told that something lasts too long."""

    project: Project | None = None
    token: Given | None = None
    urls: Given | None = None
    keys: Given | None = None
    ca_file: str = ""
    limits: Limits = field(default_factory=Limits)

    def list_secrets(self) -> Iterator[str]:
        """All that no log may show, as it is now. RitiError as Given.read."""
        for given in (self.token, self.keys):
            yield from given.read() if given else ()
        yield from list_hidden(self.urls.read() if self.urls else ())


def list_hidden(urls: Iterable[str]) -> Iterator[str]:
    """What no log may show of addresses that are notified: each whole, and what stands behind its host."""
    for url in urls:
        parts = urlsplit(url)
        yield from (url, parts.path.strip("/"), parts.query)


def read_tell_settings(environ: Mapping[str, str], remote: str, branch: str) -> TellSettings:
    """RITI_FORGE with RITI_FORGE_URL, _PROJECT, _TOKEN, _CACERT, and RITI_NOTIFY_URL with _SECRET, _CACERT, _HELD_MIN,
    _AWAY_MIN; tokens, secrets and addresses of notifications also in files (…_FILE).

    remote and branch are what the controller follows: they name the project where no variable does. RitiError lists
    everything that is wrong, and shows no secret.
    """
    problems: list[Problem] = []
    project, token = _read_forge(environ, remote, branch, problems)
    urls, found = read_given(environ, "RITI_NOTIFY_URL", _judge_urls, " ")
    keys, more = read_given(environ, "RITI_NOTIFY_SECRET", judge_secrets)
    problems += [*found, *more]
    if keys and not urls and not found:
        problems.append(_say("RITI_NOTIFY_SECRET is set, and nobody is notified", "set RITI_NOTIFY_URL too"))
    held_s = _read_minutes(environ, _HELD_MIN, Limits.held_s, problems)
    away_s = _read_minutes(environ, _AWAY_MIN, Limits.away_s, problems)
    if problems:
        raise RitiError(problems)
    ca_file = environ.get("RITI_NOTIFY_CACERT", "")
    return TellSettings(project, token, urls, keys, ca_file, Limits(held_s, away_s))


def _read_forge(
    environ: Mapping[str, str], remote: str, branch: str, problems: list[Problem]
) -> tuple[Project | None, Given | None]:
    kind = environ.get(FORGE_VARIABLE, "")
    if not kind:
        return None, None
    if kind not in FORGE_NAMES:
        problems.append(
            _say(f"{FORGE_VARIABLE} names no forge that is known", f"one of {', '.join(FORGE_NAMES)}")
        )
        return None, None
    forge = cast(ForgeKind, kind)
    address = environ.get("RITI_FORGE_URL", "")
    address = complete_api(forge, address) if address else guess_api(forge, remote)
    if not address:
        what = "the forge's address cannot be told from the repository's"
        problems.append(_say(what, "set RITI_FORGE_URL to its API's, such as https://git.example/api/v1"))
    elif not is_safe(address) or urlsplit(address).query:
        what = (
            "the forge's address (RITI_FORGE_URL, or the repository's) is none to which a token may be sent"
        )
        problems.append(_say(what, "write it as https://HOST/PATH; http is for this machine alone"))
    path = environ.get("RITI_FORGE_PROJECT", "") or guess_path(forge, remote)
    is_number = forge == "gitlab" and path.isdecimal()
    if not is_number and ("/" not in path.strip("/") or ".." in path.split("/") or path.split() != [path]):
        what = "the project's path at the forge cannot be told"
        problems.append(_say(what, "set RITI_FORGE_PROJECT to it, such as acme/telephones"))
    token, found = read_given(environ, "RITI_FORGE_TOKEN", _judge_token)
    problems += found
    if token is None and not found:
        problems.append(
            _say(
                "RITI_FORGE_TOKEN is not set",
                f"set it, or RITI_FORGE_TOKEN_FILE, to a token of {FORGE_NAMES[forge]}",
            )
        )
    ca_file = environ.get("RITI_FORGE_CACERT", "")
    return Project(forge, address, path.strip("/"), branch, ca_file), token


def _judge_token(variable: str, values: tuple[str, ...]) -> list[Problem]:
    if all(value.isascii() and value.isprintable() and value.split() == [value] for value in values):
        return []
    return [_say(f"{variable} holds what is no token", "copy it whole from the forge, one word")]


def _judge_urls(variable: str, values: tuple[str, ...]) -> list[Problem]:
    problems = []
    if not all(is_safe(value) for value in values):
        what = f"{variable} holds what is no address, or one to which no secret may be sent"
        problems.append(_say(what, "write each as https://HOST/PATH; http is for this machine alone"))
    if len(values) > MOST_URLS:
        problems.append(
            _say(f"{variable} holds more than {MOST_URLS} addresses", "let one of them tell the others")
        )
    return problems


def _read_minutes(
    environ: Mapping[str, str], variable: str, default_s: float, problems: list[Problem]
) -> float:
    text = environ.get(variable, "")
    if text and not (text.isascii() and text.isdecimal() and int(text) > 0):
        problems.append(_say(f"{variable} is no number of minutes", "write a whole number from 1"))
        return default_s
    return int(text) * 60.0 if text else default_s


def _say(what: str, mend: str) -> Problem:
    return Problem("", 0, 0, what, mend)
