"""Whether a request proves to be the forge's, and whether it tells of a push of our branch."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.sync.web.hooks import FORGES, Forge, judge_hook

SECRET = "a-secret-of-some-length"
KEY = bytes(range(32))
SIGNING = f"whsec_{base64.b64encode(KEY).decode()}"
PUSH = json.dumps({"ref": "refs/heads/main", "after": "1" * 40}).encode()


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def make_headers(forge: Forge, body: bytes, secret: str = SECRET) -> dict[str, str]:
    """What the forge itself would send."""
    given = {"content-type": "application/json"}
    if forge == "github":
        return given | {"x-github-event": "push", "x-hub-signature-256": f"sha256={sign(body, secret)}"}
    if forge == "gitea":
        return given | {"x-gitea-event": "push", "x-gitea-signature": sign(body, secret)}
    return given | {"x-gitlab-event": "Push Hook", "x-gitlab-token": secret}


def make_signed(body: bytes, key: bytes = KEY, name: str = "msg_1", at: str = "1790000000") -> dict[str, str]:
    """GitLab's newer way: Standard Webhooks."""
    digest = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "x-gitlab-event": "Push Hook",
        "webhook-id": name,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


@pytest.mark.parametrize("forge", FORGES)
def test_a_push_of_the_branch_wakes(forge: Forge) -> None:
    assert judge_hook(forge, make_headers(forge, PUSH), PUSH, [SECRET], "main") == "wake"


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("ref", ["refs/heads/other", "refs/tags/main", "main", "refs/heads/main2", None, 7])
def test_another_branch_or_a_tag_does_not(forge: Forge, ref: object) -> None:
    body = json.dumps({"ref": ref}).encode()
    assert judge_hook(forge, make_headers(forge, body), body, [SECRET], "main") == "ignored"


@pytest.mark.parametrize("forge", FORGES)
def test_another_event_or_nonsense_that_is_signed_is_ignored(forge: Forge) -> None:
    for name in ("x-github-event", "x-gitea-event", "x-gitlab-event"):
        headers = make_headers(forge, PUSH) | {name: "ping"}
        expected = "ignored" if name == f"x-{forge}-event" else "wake"
        assert judge_hook(forge, headers, PUSH, [SECRET], "main") == expected
    for body in (b"", b"[]", b"\xff", b"[" * 100_000, b'"refs/heads/main"'):
        assert judge_hook(forge, make_headers(forge, body), body, [SECRET], "main") == "ignored"


@pytest.mark.parametrize("forge", FORGES)
def test_whoever_does_not_prove_it_is_refused(forge: Forge) -> None:
    good = make_headers(forge, PUSH)
    proof = next(name for name in good if "signature" in name or "token" in name)
    for wrong in ("", "x", good[proof][:-1], good[proof].upper() + "0", "sha256=", "é" * 5):
        assert judge_hook(forge, good | {proof: wrong}, PUSH, [SECRET], "main") == "refused"
    without = {name: value for name, value in good.items() if name != proof}
    assert judge_hook(forge, without, PUSH, [SECRET], "main") == "refused"
    assert (
        judge_hook(forge, make_headers(forge, PUSH, "another-secret-of-one"), PUSH, [SECRET], "main")
        == "refused"
    )
    assert judge_hook(forge, good, PUSH, [], "main") == "refused"
    assert judge_hook(forge, make_headers(forge, PUSH, ""), PUSH, [""], "main") == "refused"


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_a_body_that_was_changed_is_refused(forge: Forge) -> None:
    assert judge_hook(forge, make_headers(forge, PUSH), PUSH + b" ", [SECRET], "main") == "refused"


def test_one_forges_proof_is_not_anothers() -> None:
    for forge in FORGES:
        for other in set(FORGES) - {forge}:
            assert judge_hook(other, make_headers(forge, PUSH), PUSH, [SECRET], "main") == "refused"


def test_an_old_and_a_new_secret_both_count() -> None:
    headers = make_headers("github", PUSH, SECRET)
    assert judge_hook("github", headers, PUSH, ["the-new-one-already", SECRET], "main") == "wake"


def test_githubs_form_holds_the_same_json() -> None:
    body = urlencode({"payload": PUSH.decode()}).encode()
    headers = make_headers("github", body) | {"content-type": "application/x-www-form-urlencoded"}
    assert judge_hook("github", headers, body, [SECRET], "main") == "wake"
    assert (
        judge_hook("github", make_headers("github", b"x=1") | headers, b"x=1", [SECRET], "main") == "refused"
    )


def test_gitlabs_signing_token() -> None:
    headers = make_signed(PUSH)
    assert judge_hook("gitlab", headers, PUSH, [SIGNING], "main") == "wake"
    assert judge_hook("gitlab", headers, PUSH + b" ", [SIGNING], "main") == "refused"
    assert judge_hook("gitlab", headers | {"webhook-id": "msg_2"}, PUSH, [SIGNING], "main") == "refused"
    assert judge_hook("gitlab", headers | {"webhook-timestamp": "1"}, PUSH, [SIGNING], "main") == "refused"
    several = headers | {"webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}
    assert judge_hook("gitlab", several, PUSH, [SIGNING], "main") == "wake"


def test_a_signing_token_is_never_taken_as_a_plain_one() -> None:
    assert judge_hook("gitlab", make_headers("gitlab", PUSH, SIGNING), PUSH, [SIGNING], "main") == "refused"
    assert judge_hook("gitlab", make_signed(PUSH), PUSH, ["whsec_@"], "main") == "refused"
    assert judge_hook("gitlab", make_signed(PUSH, b""), PUSH, ["whsec_"], "main") == "refused"


@given(
    st.sampled_from(FORGES),
    st.dictionaries(
        st.sampled_from(
            ["x-hub-signature-256", "x-gitea-signature", "x-gitlab-token", "webhook-signature", "webhook-id"]
        ),
        st.text(st.characters(max_codepoint=255)),
    ),
    st.binary(),
)
def test_no_request_without_the_secret_passes_or_breaks_it(
    forge: Forge, headers: dict[str, str], body: bytes
) -> None:
    assert judge_hook(forge, headers, body, [SECRET, SIGNING], "main") == "refused"
