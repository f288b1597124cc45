"""The box's live value in Consul, understood and checked, and put together with its secrets: all of it, or nothing.

A value is refused with every problem at once, in words that `riti status` shows; none holds a secret.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ritilib.box.adapter import compose_adapter
from ritilib.box.compose import compose_box
from ritilib.errors import GitopsError, Problem
from ritilib.reconcile.box_value import hash_box_files
from ritilib.render.names import CONFIG_FORMAT

MOST_BYTES = 512 * 1024  # the longest value that Consul keeps
MOST_PLAIN_BYTES = 16 * 1024 * 1024  # unpacked; a company's words are the most of it, and they hardly shrink
NEEDED = ("etc/asterisk.conf", "etc/extensions.conf", "etc/iax.conf", "etc/modules.conf", "overlay.yml")
OVERLAY = "overlay.yml"
WORDS = "words.txt"
# What the running Asterisk takes over while calls are up: jobs/pbx/watcher/config.go reloads exactly these.
RELOADED = frozenset({"extensions.conf", "iax.conf", "pjsip.conf", "voicemail.conf", WORDS})
START_FILE = "start.txt"  # the hash of all others, by which the watcher sees that Asterisk must start anew
_NAME = re.compile(r"etc/[a-z0-9_]+\.conf|etc/words\.txt|overlay\.yml|adapter/cfg[0-9a-f]{12}\.xml")
_BOUND = re.compile(r"^(?:bindaddr|bindport|bind)\s*=.*$", re.MULTILINE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = {"format": int, "secrets_version": int, "sha256": str, "commit": str, "files": dict}
_MEND = "the controller writes the value anew: see `riti status` and its log"


@dataclass(frozen=True)
class Live:
    """A value whose hash and schema are right. files: path below the box's rendered folder → text."""

    sha256: str
    secrets_version: int
    commit: str
    files: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Configuration:
    """What the box is to run on, secrets put in: asterisk and adapter are file name → text, overlay Nebula's text.

    identity names exactly these files with these secrets, and is a name of a folder. acknowledged: file → the SHA-256
    by which the watcher acknowledges it; start that of what Asterisk reads at its start only.
    """

    sha256: str
    secrets_version: int
    commit: str
    asterisk: Mapping[str, str] = field(repr=False)
    overlay: str = field(repr=False)
    adapter: Mapping[str, str] = field(repr=False)
    acknowledged: Mapping[str, str] = field(repr=False)
    start: str = ""
    half: int = 0  # of its PBX's pair of addresses: that of the newest instance

    @property
    def identity(self) -> str:
        return name_configuration(self.sha256, self.secrets_version, self.half)


def name_configuration(sha256: str, secrets_version: int, half: int = 0) -> str:
    """The name of a value's files with one version of the secrets, and its PBX at one of two addresses."""
    return f"{sha256[:32]}-{secrets_version}" + (f"-{half}" if half else "")


def understand_live(value: bytes) -> Live:
    """The value as it lay in Consul; GitopsError with all that is wrong with it."""
    said = _decode(value)
    problems = sorted(_judge(said))
    if not problems and hash_box_files(said["files"]) != said["sha256"]:
        problems = [_problem("", "its files are not those of its sha256")]
    if problems:
        raise GitopsError(problems)
    return Live(said["sha256"], said["secrets_version"], said["commit"], said["files"])


def compose_configuration(
    live: Live, secrets: Mapping[str, Any], version: int, generation: int = 0
) -> Configuration:
    """live with the box's Vault document put in; version is that document's, generation that of its PBX (compose_box).

    GitopsError with every secret that is named and missing, or that cannot be written, of all files at once; and where
    the document is older than the one that the value was made for.
    """
    problems: list[Problem] = []
    if version < live.secrets_version:
        what = f"Vault's document has version {version}, and the value needs {live.secrets_version}"
        problems.append(Problem("", 0, 0, what, "wait until Vault's standby has it too"))
    asterisk: Mapping[str, str] = {}
    adapter: Mapping[str, str] = {}
    try:
        asterisk = compose_box(live.files, secrets, version, generation)
    except GitopsError as error:
        problems += error.problems
    try:
        adapter = compose_adapter(live.files, secrets)
    except GitopsError as error:
        problems += error.problems
    if problems:
        raise GitopsError(problems)
    start = _hash_start(asterisk)
    etc = {path.removeprefix("etc/"): text for path, text in live.files.items() if path.startswith("etc/")}
    return Configuration(
        live.sha256,
        version,
        live.commit,
        {**asterisk, START_FILE: start + "\n"},
        live.files[OVERLAY],
        adapter,
        {name: hash_rendered(etc.get(name, "")) for name in sorted(RELOADED & {*etc, WORDS})},
        start,
        generation % 2,
    )


def _decode(value: bytes) -> dict[str, Any]:
    if len(value) > MOST_BYTES:
        raise GitopsError([_problem("", f"the value has {len(value)} bytes, more than Consul keeps")])
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: gzip's own format alone
    try:
        plain = unpacking.decompress(value, MOST_PLAIN_BYTES)
    except zlib.error:
        raise GitopsError(
            [_problem("", f"the value is not gzipped, or damaged ({len(value)} bytes)")]
        ) from None
    if unpacking.unconsumed_tail:
        raise GitopsError([_problem("", f"the value has more than {MOST_PLAIN_BYTES} bytes unpacked")])
    if not unpacking.eof or unpacking.unused_data:
        what = f"the value is only the beginning of one, or has more behind it ({len(value)} bytes)"
        raise GitopsError([_problem("", what)])
    try:
        said = orjson.loads(plain)
    except orjson.JSONDecodeError:
        # its own words quote what it read
        raise GitopsError([_problem("", "the value is no JSON")]) from None
    if not isinstance(said, dict):
        raise GitopsError([_problem("", "the value is no object")])
    return said


def _judge(said: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything in which a value is not of this format."""
    for key, kind in _KEYS.items():
        # type, since True is an int too
        if type(said.get(key)) is not kind:
            yield _problem("", f"`{key}` is {'of another kind' if key in said else 'missing'}")
    for key in sorted(said.keys() - _KEYS.keys()):
        yield _problem("", f"`{key[:80]}` is no key of this format")
    if type(said.get("format")) is int and said["format"] != CONFIG_FORMAT:
        yield _problem("", f"format {said['format']}, and this box reads {CONFIG_FORMAT}")
    if isinstance(said.get("sha256"), str) and not _SHA256.fullmatch(said["sha256"]):
        yield _problem("", "`sha256` is no SHA-256")
    if type(said.get("secrets_version")) is int and said["secrets_version"] < 0:
        yield _problem("", "`secrets_version` is below 0")
    files = said.get("files")
    if not isinstance(files, dict):
        return
    for path in NEEDED:
        if path not in files:
            yield _problem(path, "is missing")
    for path, text in files.items():
        if not _NAME.fullmatch(path):
            yield _problem(path[:80], "is no file of a box")
        elif not isinstance(text, str):
            yield _problem(path, "is no text")
        elif "\0" in text:
            yield _problem(path, "holds a NUL")


def _hash_start(asterisk: Mapping[str, str]) -> str:
    """What Asterisk reads at its start only: whole files, and in the others the addresses that it listens at."""
    bound = {f"{name}: bound": "\n".join(_BOUND.findall(text)) for name, text in asterisk.items()}
    return hash_box_files(
        {**bound, **{name: text for name, text in asterisk.items() if name not in RELOADED}}
    )


def hash_rendered(text: str) -> str:
    """By which a file is acknowledged, as jobs/pbx/watcher/config.go (acknowledge) does: it ends with one line feed."""
    return hashlib.sha256((text.rstrip("\n") + "\n").encode()).hexdigest()


def _problem(path: str, what: str) -> Problem:
    return Problem(path, 0, 0, what, _MEND)
