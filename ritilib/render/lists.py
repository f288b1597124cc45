"""The long lists of a company, written in plain Python: of 10,000 boxes they are nearly all of the text, and a template
takes ten times as long for each line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from ritilib.render.links import Link
from ritilib.render.names import name_half
from ritilib.routing.directory import Directory


def write_leads(directory: Directory, slug: str, home: str) -> str:
    """A line of a dial plan for every string that the company's telephones may dial.

    slug is the office whose plan it is, home the context of its own telephones ("phones", "to-box"); those of others
    are led to the context office-<office>, groups to group-<number>, menus to menu-<number>, what looks at the clock to
    timed-<number>.
    """
    contexts = {name: f"office-{name}" for name in directory.offices} | {slug: home}
    whole = {"group": "group", "hours": "timed", "menu": "menu"}
    lines = (
        f"exten => {entry.dialled},1,Goto({contexts[entry.box]},{entry.extension},1)"
        if entry.kind == "extension"
        else f"exten => {entry.dialled},1,Goto({whole[entry.kind]}-{entry.extension},s,1)"
        for entry in directory.entries
    )
    return "\n".join(lines)


def write_peer(
    name: str,
    username: str,
    addresses: Sequence[IPv4Address],
    contexts: Iterable[str],
    codecs: Iterable[str],
    link: Link,
) -> str:
    """A peer's section of iax.conf; its secret comes from the template of its name, which stands before it.

    A PBX has two addresses, and is at that of its half: each is a template, and the section takes the first one until
    what writes the file puts the second in its place (names.move_peer). Calls of its older instance are let in too.

    Its calls are for the first of contexts, or for another of them where they ask for it; for any else they are refused
    before they reach a dial plan.
    """
    halves = "".join(
        f"[{name_half(name, half)}](!)\nhost={address}\n\n" for half, address in enumerate(addresses)
    )
    is_pair = len(addresses) > 1
    taken = f",{name_half(name, 0)}" if is_pair else ""
    host = "" if is_pair else f"host={addresses[0]}\n"
    permitted = "".join(f"permit={address}/255.255.255.255\n" for address in addresses)
    trunk = "trunk=yes\n" if link.trunk else ""
    allowed = "".join(f"context={context}\n" for context in contexts)
    return (
        f"{halves if is_pair else ''}"
        f"[{name}]({name}-secret{taken})\n"
        "type=friend\n"
        f"username={username}\n"
        f"{host}"
        f"{allowed}"
        "disallow=all\n"
        f"allow={','.join(codecs)}\n"
        "auth=md5\n"
        "deny=0.0.0.0/0.0.0.0\n"
        f"{permitted}"
        "requirecalltoken=yes\n"
        f"{trunk}"
        f"qualify={link.qualify_ms}\n"
        f"qualifyfreqok={link.frequency_ms}\n"
        f"qualifyfreqnotok={link.frequency_ms}\n"
    )
