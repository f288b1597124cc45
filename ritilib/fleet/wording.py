"""pydantic's errors in the words of somebody who edits YAML: what is wrong, what to write instead, and the rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ritilib.fleet.controller_file import (
    BRANCH_PATTERN,
    FORGE_URL_PATTERN,
    HOST_KEY_PATTERN,
    REMOTE_PATTERN,
    SERVER_PATTERN,
    WORD_PATTERN,
)
from ritilib.fleet.gateway_file import BEHIND_PATTERN, GATEWAY_PATTERN, HOST_NAME_PATTERN
from ritilib.fleet.kinds import (
    BUNDLES_PATTERN,
    DAY,
    REMOVAL_PATTERN,
    SIGNER_PATTERN,
    SLUG_PATTERN,
    VERSION_PATTERN,
)

# Form asked for → one that has it. A pattern is exact; an example is what people read.
EXAMPLES: Mapping[str, str] = {
    SLUG_PATTERN: "demo",
    REMOVAL_PATTERN: "acme/salto",
    r"^[0-9]{2,6}$": '"201"',
    r"^\+[1-9][0-9]{6,14}$": '"+59847331201"',
    r"^[0-9a-f]{8,16}$": "10000000a1b2c3d4",
    r"^[a-z0-9][a-z0-9./:_@-]*$": "riti/pbx:1.2",
    r"^[A-Z]{2}$": "UY",
    f"^{DAY}(-{DAY})?$": "mon-fri",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": '"09:00"',
    r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$": '"18:00"',
    r"^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$": '"12-25"',
    r"^[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}$": '"c0:74:ad:00:11:22"',
    r"^[0-9*#]$": '"1"',
    SIGNER_PATTERN: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6dzXHhNVUMY5CiQ5aHIb5qcZ+6r1qjbWfK4ZyYc0Qm ana@example.org",
    VERSION_PATTERN: "1.2.3",
    BUNDLES_PATTERN: "https://bundles.example/riti",
    REMOTE_PATTERN: "https://forge.example/voice/telephones.git",
    SERVER_PATTERN: "https://vault.example:8200",
    HOST_KEY_PATTERN: "forge.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6dzXHhNVUMY5CiQ5aHIb5qcZ+6r1qjbWfK4ZyYc0Qm",
    BRANCH_PATTERN: "main",
    FORGE_URL_PATTERN: "https://forge.example/api/v1",
    WORD_PATTERN: "git",
    GATEWAY_PATTERN: "https://boxes.example",
    BEHIND_PATTERN: "https://consul.example:8501",
    HOST_NAME_PATTERN: "vault.example",
    r"^[^\x00-\x1f\x7f]+$": "Recepción (one line)",
}
_QUOTE = "quote it, so that YAML keeps it as text"
_NOT_EMPTY = "give it at least one item, below it and beginning with `- `"


def word_error(detail: Mapping[str, Any]) -> tuple[str, str, str]:
    """(what, mend, rule) of one error as pydantic details it (docs.pydantic.dev, Validation Errors)."""
    kind: str = detail["type"]
    said = detail.get("input")
    key = f"`{'.'.join(str(step) for step in detail['loc'])}`"
    context: Mapping[str, Any] = detail.get("ctx", {})
    rule = _name_rule(kind)
    if kind == "missing":
        return f"{key} is missing", "add it", "missing-key"
    if said is None:
        return f"{key} has no value", "write one, or remove the key where it may be absent", rule
    shown = f"{key} ({said!r})" if isinstance(said, str | int | float | bool) else key
    if kind == "string_pattern_mismatch":
        example = EXAMPLES.get(context["pattern"])
        form = f"it must match {context['pattern']}"
        mend = f"write it such as {example}; {form}" if example else f"write it anew; {form}"
        return f"{shown} has not the form asked for", mend, rule
    if kind == "too_short":
        return f"{key} is empty", _NOT_EMPTY, rule
    if kind in ("tuple_type", "list_type"):
        return f"{shown} is no list", "begin each item on a line of its own with `- `", rule
    if kind in ("model_type", "dict_type"):
        return (
            f"{shown} is no mapping of keys to values",
            "write its keys, one a line, such as `name: …`",
            rule,
        )
    if kind == "value_error":  # a rule of the model's own, which words its message to follow the value
        return f"{shown} {detail['msg'].removeprefix('Value error, ')}", "change it so", rule
    mend = "change it so"
    if kind == "string_type":
        mend = "write one word or line of text" if isinstance(said, dict | list) else _QUOTE
    return f"{shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}", mend, rule


def _name_rule(kind: str) -> str:
    if kind.startswith(("string_too", "too_", "greater_", "less_")):
        return "wrong-size"
    if kind == "string_pattern_mismatch":
        return "wrong-form"
    return "wrong-type" if kind.endswith("_type") else "wrong-value"
