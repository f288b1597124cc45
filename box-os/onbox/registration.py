"""Whether a telephone could register at the box's own Asterisk: one does, over loopback, and changes nothing.

A REGISTER without a Contact asks which contacts there are (RFC 3261, 10.2.3): transport, endpoint, password, address of
record and registrar answer for it as for a telephone's own, and the telephone that is registered stays so.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CONFIGURATION = Path("/data/riti/configuration/asterisk/pjsip.conf")
PLACE = ("127.0.0.1", 5060)
TIMEOUT_S = 2.0
_TRIES = 2  # UDP: one may be lost where a Pi is busy starting
_SECTION = re.compile(r"^\[([^\]]+)\](?:\(([^)]*)\))?\s*$")
_CHALLENGE = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True)
class Account:
    """An endpoint as a telephone would know it."""

    name: str
    username: str
    password: str = field(repr=False)


def find_account(text: str) -> Account | None:
    """The first telephone in pjsip.conf that has a password; None where there is none."""
    endpoints: list[tuple[str, str]] = []
    auths: dict[str, dict[str, str]] = {}
    templates: dict[str, dict[str, str]] = {}
    for name, said in _list_sections(text, templates):
        if said.get("type") == "endpoint" and "auth" in said:
            endpoints.append((name, said["auth"]))
        elif said.get("type") == "auth":
            auths[name] = said
    for name, auth in endpoints:
        found = auths.get(auth, {})
        if found.get("password") and found.get("username"):
            return Account(name, found["username"], found["password"])
    return None


def write_register(account: Account, local: tuple[str, int], call: str, number: int, more: str = "") -> str:
    """The request; more are header lines, each with its end."""
    host, port = local
    uri = f"sip:{account.name}@{PLACE[0]}"
    return (
        f"REGISTER sip:{PLACE[0]} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{call[:16]}{number}\r\n"
        f"Max-Forwards: 1\r\nFrom: <{uri}>;tag={call[:8]}\r\nTo: <{uri}>\r\n"
        f"Call-ID: {call}\r\nCSeq: {number} REGISTER\r\n{more}User-Agent: riti-prove\r\nContent-Length: 0\r\n\r\n"
    )


def answer_challenge(account: Account, challenge: Mapping[str, str], nonce_of_ours: str) -> str:
    """The header line Authorization for a Digest challenge (RFC 2617 with MD5, RFC 8760 with SHA-256)."""
    name = challenge.get("algorithm", "MD5")
    digest = hashlib.sha256 if name.upper() == "SHA-256" else hashlib.md5

    def hash_(*parts: str) -> str:
        return digest(":".join(parts).encode()).hexdigest()

    uri, realm, nonce = f"sip:{PLACE[0]}", challenge.get("realm", ""), challenge.get("nonce", "")
    ours = hash_(account.username, realm, account.password), hash_("REGISTER", uri)
    said = f'username="{account.username}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm={name}'
    if "auth" in challenge.get("qop", "").split(","):
        response = hash_(ours[0], nonce, "00000001", nonce_of_ours, "auth", ours[1])
        said += f', qop=auth, nc=00000001, cnonce="{nonce_of_ours}"'
    else:
        response = hash_(ours[0], nonce, ours[1])
    if "opaque" in challenge:
        said += f', opaque="{challenge["opaque"]}"'
    return f'Authorization: Digest {said}, response="{response}"\r\n'


def read_answer(data: bytes, call: str) -> tuple[int, dict[str, str]]:
    """Status, and the Digest challenge where there is one; 0 where it is no answer to this call."""
    head, *lines = data.decode("utf-8", "replace").split("\r\n\r\n")[0].split("\r\n")
    headers = [
        (name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in lines)
    ]
    if not head.startswith("SIP/2.0 ") or ("call-id", call) not in headers or not head[8:11].isdigit():
        return 0, {}
    challenge = next((value for name, value in headers if name == "www-authenticate"), "")
    found = {key.lower(): quoted or bare for key, quoted, bare in _CHALLENGE.findall(challenge)}
    return int(head[8:11]), found


def register(account: Account, place: tuple[str, int] = PLACE) -> str:
    """Why it is not accepted, in words; "" where it is."""
    call = secrets.token_hex(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(TIMEOUT_S)
        try:
            link.connect(place)
            local = link.getsockname()
            status, challenge = _ask(link, write_register(account, local, call, 1), call)
            if status == 401:
                proof = answer_challenge(account, challenge, secrets.token_hex(8))
                status, _ = _ask(link, write_register(account, local, call, 2, proof), call)
        except OSError as error:
            return f"Asterisk does not answer a telephone: {error}"
    return "" if status == 200 else f"Asterisk answers {status} to a telephone that registers"


def can_register(configuration: Path = CONFIGURATION) -> bool:
    """Whether there is a telephone, and it could register now."""
    try:
        account = find_account(configuration.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return account is not None and not register(account)


def _ask(link: socket.socket, request: str, call: str) -> tuple[int, dict[str, str]]:
    """The final answer; TimeoutError where none comes."""
    for attempt in range(_TRIES):
        link.send(request.encode())
        try:
            while True:
                status, challenge = read_answer(link.recv(65536), call)
                if status >= 200:
                    return status, challenge
        except TimeoutError:
            if attempt == _TRIES - 1:
                raise
    raise TimeoutError


def _list_sections(text: str, templates: dict[str, dict[str, str]]) -> list[tuple[str, dict[str, str]]]:
    """Each section with what its templates say; names come more than once, since kinds have spaces of their own."""
    found: list[tuple[str, dict[str, str]]] = []
    said: dict[str, str] = {}
    for line in text.splitlines():
        if match := _SECTION.match(line.partition(";")[0].rstrip()):
            parts = [one.strip() for one in (match[2] or "").split(",") if one.strip()]
            said = {}
            for part in parts:
                said |= templates.get(part, {})
            if "!" in parts:
                templates[match[1]] = said
            else:
                found.append((match[1], said))
        elif "=" in line and not line.startswith(";"):
            key, _, value = line.partition("=")
            said[key.strip()] = value.strip()
    return found
