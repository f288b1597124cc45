"""Who there is on a box. Nobody has a password, and nobody may log in: `*` matches nothing that is typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """A user with a group of its own name and number."""

    name: str
    number: int
    home: str = "/nonexistent"


# numbers are fixed for ever: files on the data partition carry them from version to version
ACCOUNTS = (
    Account("root", 0, "/root"),
    Account("messagebus", 901),
    Account("systemd-network", 902),
    Account("systemd-resolve", 903),
    Account("_chrony", 904, "/var/lib/chrony"),
    Account("asterisk", 10001, "/var/lib/asterisk"),
    Account("riti-agent", 10002, "/data/riti"),
    Account("nobody", 65534),
)
# groups without a user; the low numbers are Debian's own, which udev's rules name
GROUPS: Mapping[str, int] = {
    "adm": 4,
    "tty": 5,
    "disk": 6,
    "lp": 7,
    "kmem": 15,
    "dialout": 20,
    "cdrom": 24,
    "tape": 26,
    "audio": 29,
    "utmp": 43,
    "video": 44,
    "users": 100,
    "input": 911,
    "kvm": 912,
    "render": 913,
    "systemd-journal": 914,
    "sgx": 915,
    "clock": 916,
    "nebula": 10003,
}
_NO_SHELL = "/usr/sbin/nologin"


def write_accounts() -> dict[str, tuple[str, int]]:
    """Path → text and mode of the four files."""
    people = sorted(ACCOUNTS, key=lambda one: one.number)
    groups = {one.name if one.name != "nobody" else "nogroup": one.number for one in people} | dict(GROUPS)
    ordered = sorted(groups.items(), key=lambda one: one[1])
    return {
        "etc/passwd": (
            "".join(f"{one.name}:x:{one.number}:{one.number}::{one.home}:{_NO_SHELL}\n" for one in people),
            0o644,
        ),
        "etc/group": ("".join(f"{name}:x:{number}:\n" for name, number in ordered), 0o644),
        "etc/shadow": ("".join(f"{one.name}:*:1::::::\n" for one in people), 0o600),
        "etc/gshadow": ("".join(f"{name}:*::\n" for name, _ in ordered), 0o600),
    }
