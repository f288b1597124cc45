"""Where the servers are and with which tokens, from the variables that their own tools read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ritilib.clients.rate import Bucket
from ritilib.errors import Problem, RitiError

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Server:
    """One server: its URL without a path, our token, the CA file that verifies it ("": the public CAs).

    guard is called right before each request that may write, and may raise: then nothing is sent. bucket is asked
    before every request when it may be sent.
    """

    address: str
    token: str = field(repr=False)
    ca_file: str = ""
    timeout_s: float = TIMEOUT_S
    guard: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    bucket: Bucket | None = field(default=None, repr=False, compare=False)

    @property
    def verify(self) -> bool | str:
        """What `requests` takes; TLS verification is never off."""
        return self.ca_file or True


NOBODY = Server("", "")


@dataclass(frozen=True)
class Settings:
    """The three servers that a sync writes to."""

    nomad: Server
    consul: Server
    vault: Server


def read_settings(
    environ: Mapping[str, str], servers: Collection[str] = ("nomad", "consul", "vault")
) -> Settings:
    """The servers of NOMAD_ADDR, NOMAD_TOKEN, NOMAD_CACERT, CONSUL_HTTP_ADDR and so on; those that are not among
    servers have no address, and are not asked for one.

    NOMAD_TOKEN_FILE, CONSUL_HTTP_TOKEN_FILE and VAULT_TOKEN_FILE name files that hold the tokens, which go before those
    of the variables (as with Consul's own tool): Nomad renews them there while a task runs, so read them anew. Consul's
    address may lack its scheme, as with its own tool: http, or https where CONSUL_HTTP_SSL is true.

    RitiError lists every variable that is missing or is no address, and every file that holds no token.
    """
    problems: list[Problem] = []
    scheme = "https" if environ.get("CONSUL_HTTP_SSL", "").lower() in ("true", "1") else "http"
    variables = {"nomad": "NOMAD", "consul": "CONSUL_HTTP", "vault": "VAULT"}
    found = {
        name: _read_server(
            environ,
            f"{prefix}_ADDR",
            f"{prefix}_TOKEN",
            f"{name.upper()}_CACERT",
            problems,
            scheme if name == "consul" else "",
        )
        if name in servers
        else NOBODY
        for name, prefix in variables.items()
    }
    if problems:
        raise RitiError(problems)
    return Settings(**found)


def _read_server(
    environ: Mapping[str, str],
    addr: str,
    token: str,
    ca_file: str,
    problems: list[Problem],
    scheme: str = "",
) -> Server:
    address = environ.get(addr, "").rstrip("/")
    if scheme and address and "://" not in address:
        address = f"{scheme}://{address}"
    if not address:
        problems.append(Problem("", 0, 0, f"{addr} is not set", "set it to the server's http(s)://HOST:PORT"))
    elif not _is_address(address):
        problems.append(Problem("", 0, 0, f"{addr} is no address", "write it as http(s)://HOST:PORT"))
    return Server(address, _read_token(environ, token, problems), environ.get(ca_file, ""))


def _read_token(environ: Mapping[str, str], variable: str, problems: list[Problem]) -> str:
    named = environ.get(f"{variable}_FILE", "")
    if not named:
        if not environ.get(variable):
            mend = f"set it to a token of that server, or {variable}_FILE to a file that holds one"
            problems.append(Problem("", 0, 0, f"{variable} is not set", mend))
        return environ.get(variable, "")
    try:
        found = Path(named).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        what = f"{named} ({variable}_FILE) cannot be read: {type(error).__name__}"
        problems.append(Problem("", 0, 0, what, "make it a file that holds nothing but the token"))
        return ""
    if not found:
        what = f"{named} ({variable}_FILE) holds no token"
        problems.append(Problem("", 0, 0, what, "wait until whoever writes it has one, or see why not"))
    return found


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises where it is no port
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path == ""
    except ValueError:
        return False
