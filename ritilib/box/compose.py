"""The files of a box's configuration folder: the rendered ones, with the box's secrets put in.

Rendered files name a section template for each secret; this writes those templates before the rendered text,
into the same file, so that no reload can see the one without the other. (In Asterisk 22 a template must
stand before its use in the same file, or in one included before; a missing one switches all of IAX2 off
while the reload reports success.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ritilib.errors import GitopsError, Problem
from ritilib.render.names import move_peer, split_secrets

FOLDER = "etc/"
_USE = re.compile(r"^\[[^\]]+\]\(([^)]*)\)", re.MULTILINE)
# `;` starts a comment, `\` escapes it, `#` at a line's start is a directive, `${` a variable in a dial plan;
# blanks at the ends are cut off. What RITI makes are letters and digits, with "-" and "_".
_SAFE = re.compile(r"[A-Za-z0-9!%&()*+,./:=?@^_{}~-]+")
_PASSWORD = "type=auth\nauth_type=userpass\npassword={}\n"
MEND_MISSING = "`riti sync` writes the box's document in Vault from what was rendered"
_MEND_UNSAFE = (
    "rotate this secret: letters, digits and !%&()*+,./:=?@^_{}~- can stand in Asterisk's configuration"
)


def compose_box(
    rendered: Mapping[str, str], secrets: Mapping[str, Any], version: int = 0, generation: int = 0
) -> dict[str, str]:
    """Name of each file of the box's configuration folder → its text.

    rendered: path below the box's rendered folder → text; those below etc/ are used. secrets: the box's
    Vault document, {"iax": {section: secret}, "phones": {number: password}, "line": password}, the
    last where the office has a line; version is that document's, by which the box's watcher acknowledges that these
    secrets are in force (0: it is not said). generation is that of its PBX's newest instance, whose address "cloud" has
    (read_generation of its key in Consul). Raises GitopsError with every
    secret that is used and missing, or that Asterisk would not read as it stands; the secret itself is never
    in the message.
    """
    files = {path.removeprefix(FOLDER): text for path, text in rendered.items() if path.startswith(FOLDER)}
    templates = {
        "iax.conf": _list_templates(secrets, "iax", "{}-secret", "secret={}\n"),
        "pjsip.conf": _list_templates(secrets, "phones", "phone-{}-secret", _PASSWORD)
        | ({"line-secret": (secrets["line"], _PASSWORD)} if "line" in secrets else {}),
    }
    problems = [
        problem for name, known in templates.items() for problem in _check(name, files.get(name, ""), known)
    ]
    if problems:
        raise GitopsError(problems)
    for name, known in templates.items():
        if name in files:
            texts = (
                f"[{template}](!)\n{body.format(secret)}"
                for template, (secret, body) in sorted(known.items())
            )
            files[name] = "".join(texts) + "\n" + files[name]
    if "iax.conf" in files:
        files["iax.conf"] = move_peer(files["iax.conf"], "cloud", generation)
    if version and "iax.conf" in files:
        files["iax.conf"] = f"; secrets version {version}\n{files['iax.conf']}"
    return files


def _list_templates(
    secrets: Mapping[str, Any], kind: str, name: str, body: str
) -> dict[str, tuple[Any, str]]:
    return {name.format(key): (secret, body) for key, secret in (secrets.get(kind) or {}).items()}


def _split(name: str, secret: str) -> list[str]:
    """A link may have two secrets, a telephone not."""
    return split_secrets(secret) if name == "iax.conf" else [secret]


def _check(name: str, text: str, known: Mapping[str, tuple[Any, str]]) -> list[Problem]:
    """Every template that text uses without defining it and that known lacks, and every unusable secret."""
    own = set(re.findall(r"^\[([^\]]+)\]\([^)]*!", text, re.MULTILINE))
    used = {
        part.strip(): text.count("\n", 0, use.start()) + 1
        for use in _USE.finditer(text)
        for part in use[1].split(",")
    }
    wanted = {part: line for part, line in used.items() if part.endswith("-secret") and part not in own}
    missing = [
        Problem(
            f"{FOLDER}{name}",
            line,
            1,
            f"the box's document in Vault has no secret for [{part}]",
            MEND_MISSING,
        )
        for part, line in wanted.items()
        if part not in known
    ]
    unsafe = [
        Problem(
            f"{FOLDER}{name}",
            wanted.get(part, 0),
            0,
            f"the secret of [{part}] cannot be written",
            _MEND_UNSAFE,
        )
        for part, (secret, _) in known.items()
        if not isinstance(secret, str) or not all(map(_SAFE.fullmatch, _split(name, secret)))
    ]
    unsafe += [
        Problem(
            f"{FOLDER}{name}",
            0,
            0,
            f"{part!r} cannot name a section",
            "let `riti sync` write the document again",
        )
        for part in known
        if not re.fullmatch(r"[A-Za-z0-9+-]+", part)
    ]
    return sorted(missing + unsafe)
