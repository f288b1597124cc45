"""Hostile words for every free field of the fleet, and fleets that carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ritilib.fleet.kinds import ImageName, Key, PersonName, PublicNumber, Serial, ShortNumber, Slug
from tests.unit.fleets import FLEET_ID

# What ends, opens or means something in one of the languages that a name lands in, or in a reader's eye.
FRAGMENTS = (
    *('"', "'", "\\", '\\"', "\\n", "`", "\n", "\r\n", "\r", "\t", "\0", "\x0b", "\x1b[31m", "\x7f"),
    *("${EXTEN}", "${", "}", "$[1+1]", "$$", "%{x}", "%{", "%%{if true}", "%s%n", "{{ key }}", "{{", "}}", "{%"),
    *("[[ x ]]", "[[", "]]", "[% x %]", "[# x #]"),
    *("{# x #}", '#include "/etc/passwd"', "#exec /bin/sh", "#tryinclude x"),
    *(";", ";--", "--;", "\\;", "//", "/*", "*/", "[general]", "[x](!)", "(!)", "](+)", "=", "=>", "+=", "|", "&", ","),
    *("<", ">", "<101>", "<script>", "<![CDATA[", "]]>"),
    *("&lt;", "<!--", "-->", "EOT", "\nEOT\n", " EOT ", "<<EOT", "~"),
    *("\nexten => 1,1,System(id)", "\n[x]\n", ")n,Hangup(1)", "template(", "!", "@", "../..", "$(id)", "%00", "%0a"),
    *("\x80", "\x85", "\u2028", "\u2029", "\u202e", "\u2066"),
    *("\u2069", "\u200b", "\u200f", "\u00a0", "\u00ad", "\ufeff"),
    *("\u0301", "e\u0301\u0323", "\u0627\u0644", "\u05d0"),
    *("\u540d", "\U0001f600", "\ufffe", "\uffff", "\ud800", "\U0010ffff"),
    *("null", "yes", "~", "1e3", "0x1F", "2001-01-01", "- a", "a: b", "!!python/object", "*alias", "&anchor", "%YAML"),
    *("none", "anonymous", "asreceived", "sip:1@x", "same", "type=endpoint", "__proto__", "x" * 64, "\u00e9" * 64, " "),
)  # fmt: skip
SHORT = "\0\t\n\r\"$%'()*+,-./;<=>?@[\\]^`{|}~ aé\x85\u2028\u202e"
# Slugs that are words of a language, or names that RITI itself writes beside them.
SLUGS = (
    *("general", "globals", "default", "null", "true", "no", "y", "eot", "template", "include", "exten", "same", "s"),
    *("box", "cloud", "line", "phones", "secret", "x", "x-secret", "x-auth"),
    *("x-secret-secret", "pbx", "box-x", "pbx-0"),
    *("from-phone", "to-box", "to-peer", "from-mesh", "lighthouse"),
    *("any", "direct", "a" * 24, "a-b-c-d-e-f-g-h-i-j-k-l"),
)  # fmt: skip

hostile_words = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=12), st.text(SHORT, max_size=12)), max_size=6
).map("".join)
slugs = st.one_of(
    st.sampled_from(SLUGS), st.from_regex(r"[a-z][a-z0-9]{0,7}(-[a-z0-9]{1,7}){0,2}", fullmatch=True)
)
image_names = st.one_of(
    st.sampled_from(("0", "a//..//b", "a:@@:-_", "eot", "localhost:5000/a@sha256:0", "x" * 200)),
    st.from_regex(r"[a-z0-9][a-z0-9./:_@-]{0,60}", fullmatch=True),
)

_FIELDS: Mapping[str, TypeAdapter[str]] = {
    "name": TypeAdapter(PersonName),
    "slug": TypeAdapter(Slug),
    "image": TypeAdapter(ImageName),
    "serial": TypeAdapter(Serial),
    "number": TypeAdapter(ShortNumber),
    "public": TypeAdapter(PublicNumber),
    "key": TypeAdapter(Key),
}
FIELDS = tuple(_FIELDS)


def is_admitted(field: str, value: str) -> bool:
    """Whether the model takes a value in a field."""
    try:
        _FIELDS[field].validate_python(value)
    except ValidationError:
        return False
    return True


# the same, made so that few are refused
_seen = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
admitted_names = (
    st.lists(
        st.one_of(
            st.sampled_from([word for word in FRAGMENTS if is_admitted("name", word)]),
            st.text(_seen, max_size=12),
            st.text([one for one in SHORT if is_admitted("name", one)], max_size=12),
        ),
        min_size=1,
        max_size=6,
    )
    .map(lambda parts: "".join(parts)[:64] or " ")
    .filter(lambda word: is_admitted("name", word))
)


NOISE = b"\xd5" * 33 * 5  # 0.1 s of GSM 06.10
_PLAIN = {chr(code) for code in range(0x20, 0x7F)} - {'"', "\\"}


def write_yaml(value: Any) -> str:
    """A value as YAML, in which only printable ASCII stands for itself."""
    if isinstance(value, str):
        return '"' + "".join(one if one in _PLAIN else f"\\U{ord(one):08x}" for one in value) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {write_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(write_yaml, value)) + "]"
    return str(value).lower()


def make_menu(name: str, words: str, number: str = "700") -> dict[str, Any]:
    """A menu of the fleets that make_fleet_files makes: whatever is pressed, the first extension rings."""
    choices = {f'"{key}"': "1000" for key in "0123456789*#"}
    return {"number": number, "name": name, "words": words, "choices": choices, "else": "1000"}


def list_phones(names: Sequence[str], first: int = 1000) -> list[dict[str, Any]]:
    """An extension with a telephone and a mailbox for each name, numbered from `first`."""
    return [
        {"number": str(number), "name": name, "phone": "sip", "mailbox": {}}
        for number, name in enumerate(names, start=first)
    ]


def make_fleet_files(
    boxes: Mapping[str, Sequence[str]],
    company: str = "acme",
    names: tuple[str, str] = ("Acme", "Office"),
    fleet: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    lent: bool = False,
    menus: Sequence[Mapping[str, Any]] = (),
) -> dict[str, bytes]:
    """The files of a fleet with one company: box → the names of its extensions (1000, 1001… in order of boxes).

    names are the company's and every box's; fleet and settings add to or replace keys of fleet.yaml and of each
    box's file; lent: every office has a line, and lends it to every other. What menus say is a moment of noise each.
    """
    said = {
        "id": FLEET_ID,
        "name": "demo",
        "overlay": "100.80.0.0/16",
        "country": "UY",
        "images": {"pbx": "riti/pbx:dev", "box": "riti/box:dev", "overlay": "riti/overlay:dev"},
        "lighthouses": [{"name": "one", "address": "10.93.0.1"}],
        "start": "on-merge",
        **(fleet or {}),
    }
    said_by = {"name": names[0], **({"menus": menus} if menus else {})}
    files = {"fleet/fleet.yaml": said, f"fleet/companies/{company}.yaml": said_by}
    first = 1000
    for box, phones in boxes.items():
        path = f"fleet/boxes/{company}/{box}.yaml"
        line = {"number": f"+5982400{first}", "rings": str(first), "lent_to": "all"}
        more = {**(settings or {}), **({"line": line} if lent else {})}
        files[path] = {"name": names[1], "extensions": list_phones(phones, first), **more}
        first += len(phones)
    made = {path: write_yaml(value).encode() for path, value in files.items()}
    return made | {f"fleet/words/{company}/{menu['words']}.gsm": NOISE for menu in menus}
