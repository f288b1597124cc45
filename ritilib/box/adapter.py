"""The adapter's configuration as it is served to it: the rendered XML, with its passwords put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from ritilib.box.compose import MEND_MISSING
from ritilib.errors import GitopsError, Problem

FOLDER = "adapter/"
_MARK = re.compile(r"@([a-z0-9-]+)-secret@")


def compose_adapter(rendered: Mapping[str, str], secrets: Mapping[str, Any]) -> dict[str, str]:
    """File name (cfg<mac>.xml) → its text; {} where the office has no adapter.

    rendered and secrets are as for compose_box; of the secrets "phones", "line" and "adapter" are used. Raises
    GitopsError with every secret that is named and missing; the secret itself is never in the message.
    """
    known = {f"phone-{number}": secret for number, secret in (secrets.get("phones") or {}).items()}
    known |= {name: secrets[name] for name in ("line", "adapter") if name in secrets}
    files = {path.removeprefix(FOLDER): text for path, text in rendered.items() if path.startswith(FOLDER)}
    missing = [
        Problem(
            f"{FOLDER}{name}",
            text.count("\n", 0, mark.start()) + 1,
            0,
            f"the box's document in Vault has no secret for {mark[1]}",
            MEND_MISSING,
        )
        for name, text in files.items()
        for mark in _MARK.finditer(text)
        if not isinstance(known.get(mark[1]), str)
    ]
    if missing:
        raise GitopsError(missing)
    return {name: _MARK.sub(lambda mark: escape(known[mark[1]]), text) for name, text in files.items()}
