"""Judges what a forge posts after a push. A hook only wakes: it says nothing of what is applied."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qs

Forge = Literal["github", "gitea", "gitlab"]
# wake: a push of the watched branch; ignored: something else, and truly the forge's; refused: not proven to be its
Judgement = Literal["wake", "ignored", "refused"]
FORGES: tuple[Forge, ...] = ("github", "gitea", "gitlab")
SIGNING_TOKEN = "whsec_"  # how GitLab's signing tokens begin; the rest is a key in base64
_EVENTS: Mapping[Forge, tuple[str, str]] = {
    "github": ("x-github-event", "push"),
    "gitea": ("x-gitea-event", "push"),
    "gitlab": ("x-gitlab-event", "Push Hook"),
}


def judge_hook(
    forge: Forge, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], branch: str
) -> Judgement:
    """What is to be done with a request. headers: lower-case name → value; secrets: any of them proves the forge.

    GitHub signs the body (X-Hub-Signature-256: sha256=HEX), Gitea too (X-Gitea-Signature: HEX). GitLab sends its
    secret token as it is (X-Gitlab-Token), or, with a signing token (whsec_…), signs id, time and body as Standard
    Webhooks have it. The time is not looked at: whoever sends a push again wakes us again, and that is all.
    """
    prove = _PROOFS[forge]
    if not any(prove(headers, body, secret) for secret in secrets if secret):
        return "refused"
    header, event = _EVENTS[forge]
    if headers.get(header) != event:
        return "ignored"
    told = _read_payload(headers.get("content-type", ""), body)
    return "wake" if isinstance(told, dict) and told.get("ref") == f"refs/heads/{branch}" else "ignored"


def _prove_github(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    return _equal(headers.get("x-hub-signature-256", ""), f"sha256={_sign(secret.encode(), body)}")


def _prove_gitea(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    return _equal(headers.get("x-gitea-signature", ""), _sign(secret.encode(), body))


def _prove_gitlab(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    if not secret.startswith(SIGNING_TOKEN):
        return _equal(headers.get("x-gitlab-token", ""), secret)
    key = decode_signing_token(secret)
    if key is None:
        return False
    head = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}."
    digest = hmac.new(key, head.encode("latin-1", "replace") + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}"
    return any(_equal(one, wanted) for one in headers.get("webhook-signature", "").split(" "))


def decode_signing_token(secret: str) -> bytes | None:
    """The key of a GitLab signing token; None where it holds none."""
    try:
        return base64.b64decode(secret.removeprefix(SIGNING_TOKEN), validate=True) or None
    except binascii.Error:
        return None


_PROOFS: Mapping[Forge, Callable[[Mapping[str, str], bytes, str], bool]] = {
    "github": _prove_github,
    "gitea": _prove_gitea,
    "gitlab": _prove_gitlab,
}


def _sign(key: bytes, body: bytes) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def _equal(given: str, wanted: str) -> bool:
    """In constant time; given is a header as WSGI has it, each byte a character."""
    return hmac.compare_digest(given.encode("latin-1", "replace"), wanted.encode())


def _read_payload(content_type: str, body: bytes) -> Any:
    """The JSON of a hook, which GitHub may also send as a form's field; None where there is none."""
    try:
        if content_type.startswith("application/x-www-form-urlencoded"):
            return json.loads(parse_qs(body.decode("ascii"))["payload"][0])
        return json.loads(body)
    except (ValueError, KeyError, RecursionError):
        return None
