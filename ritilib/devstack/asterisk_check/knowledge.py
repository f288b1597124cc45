"""What an Asterisk knows: options, applications and functions, by its own documentation and sample files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

BUILTIN = "builtin"  # the documentation's word for what stands in the program itself
# Files whose options the documentation's XML does not list: Debian's samples of them do, commented-out ones included.
SAMPLES = (
    "asterisk",
    "ccss",
    "cdr_custom",
    "iax",
    "iaxprov",
    "indications",
    "logger",
    "manager",
    "modules",
    "rtp",
    "voicemail",
)
_OPTION = re.compile(r"^\s*;?\s*([A-Za-z][A-Za-z0-9_-]*)\s*=", re.MULTILINE)
# What their samples describe in words, or not at all (manager.conf: main/manager.c of Asterisk 22).
_DESCRIBED = {
    "indications": {"description", "ringcadence"},
    "manager": {
        *(
            "webenabled",
            "allowmultiplelogin",
            "displayconnects",
            "timestampevents",
            "authtimeout",
            "authlimit",
        ),
        *("disabledevents", "channelvars", "secret", "read", "write", "deny", "permit", "acl", "eventfilter"),
        *("writetimeout", "setvar"),
    },
    "modules": {"load"},
}


@dataclass(frozen=True)
class Kind:
    """A kind of section (configObject) and its options; module is the one that reads it."""

    module: str
    options: frozenset[str]


@dataclass(frozen=True)
class Knowledge:
    """kinds: file name → kind of section → what it may hold; samples: file name → options.

    applications (in small letters, since Asterisk looks them up so) and functions: name → the modules that bring it
    (voicemail has three, for three kinds of storage), "builtin" where it is always there.
    """

    kinds: Mapping[str, Mapping[str, Kind]]
    samples: Mapping[str, frozenset[str]]
    applications: Mapping[str, frozenset[str]]
    functions: Mapping[str, frozenset[str]]


def read_knowledge(tree: Path) -> Knowledge:
    """From Debian's Asterisk, unpacked (devstack.images.debian): its core-en_US.xml and etc/asterisk."""
    docs = ElementTree.parse(tree / "usr/share/asterisk/documentation/core-en_US.xml").getroot()
    return Knowledge(
        _list_kinds(docs),
        {f"{name}.conf": _read_sample(tree / "etc/asterisk", name) for name in SAMPLES},
        {name.lower(): module for name, module in _list_modules(docs, "application").items()},
        _list_modules(docs, "function"),
    )


def _list_kinds(docs: ElementTree.Element) -> dict[str, dict[str, Kind]]:
    kinds: dict[str, dict[str, Kind]] = {}
    for info in docs.iter("configInfo"):
        for file in info.iter("configFile"):
            for kind in file.iter("configObject"):
                options = frozenset(option.get("name", "") for option in kind.iter("configOption"))
                kinds.setdefault(file.get("name", ""), {})[kind.get("name", "")] = Kind(
                    info.get("name", ""), options
                )
    return kinds


def _read_sample(folder: Path, name: str) -> frozenset[str]:
    said = set(_OPTION.findall((folder / f"{name}.conf").read_text(encoding="utf-8", errors="replace")))
    return frozenset(said | _DESCRIBED.get(name, set()))


def _list_modules(docs: ElementTree.Element, what: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for one in docs.iter(what):
        name = one.get("name", "")
        found[name] = found.get(name, frozenset()) | {one.get("module") or BUILTIN}
    return found
