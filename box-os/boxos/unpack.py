"""The root as Debian's packages bring it, unpacked and nothing of it run.

Maintainer scripts are not run: under emulation they took 829 s on a busy machine where unpacking takes seconds, and
they need a change of the host's kernel settings (binfmt_misc). What an image keeps of their work is said in laid.py and
accounts.py: accounts, a few links, which units are on. Nothing compares that with what the scripts would have made; the
start of the image, and the services that run in it, are what shows a lack.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from boxos.programs import run

_FIRST = "base-files"  # it brings the links /bin, /lib, /sbin, through which others' files must go

# what a box never reads; a folder that is named goes with all that is in it
USELESS = (
    *("boot", "home", "usr/games", "usr/include", "usr/local", "var/lib/dpkg", "var/cache", "var/backups"),
    *("etc/apt", "etc/dpkg", "etc/cron.d", "etc/cron.daily", "etc/init.d", "etc/kernel", "etc/asterisk"),
    *("etc/alternatives", "etc/logrotate.d", "etc/skel", "etc/snmp", "etc/apparmor.d"),
    # the firewall, clock and RAUC are set by our own files
    *("etc/nftables.conf", "etc/chrony", "etc/rauc"),
    *(f"usr/share/{name}" for name in ("bash-completion", "bug", "debconf", "doc", "doc-base", "info")),
    *(f"usr/share/{name}" for name in ("fish", "gcc", "gdb", "lintian", "locale", "man", "menu", "perl")),
    *(f"usr/share/{name}" for name in ("perl5", "pixmaps", "snmp", "zsh", "ieee-data", "alsa", "gnupg")),
    *(f"usr/share/{name}" for name in ("applications", "dpkg", "icons", "metainfo", "apport", "icu")),
    *("usr/lib/apt", "usr/lib/dpkg", "usr/lib/gnupg", "usr/lib/init", "usr/lib/locale", "usr/lib/valgrind"),
    *("usr/lib/python3", "usr/lib/systemd/user", "usr/lib/systemd/boot", "usr/lib/kernel"),
    *("usr/lib/systemd/catalog", "usr/lib/udev/hwdb.d", "usr/lib/pcrlock.d", "usr/lib/sysctl.d/README"),
    *(
        "usr/lib/aarch64-linux-gnu/gconv",
        "usr/lib/aarch64-linux-gnu/perl-base",
        "usr/lib/aarch64-linux-gnu/odbc",
    ),
    # tools of who makes packages, keys or accounts
    *(f"usr/bin/{name}" for name in ("dpkg*", "perl*", "gpg*", "dirmngr*", "apt*", "pinentry*", "pydoc*")),
    *(f"usr/bin/{name}" for name in ("chage", "chfn", "chsh", "gpasswd", "passwd", "su", "expiry", "newgrp")),
    *(f"usr/sbin/{name}" for name in ("aptd*", "dpkg*", "add*", "del*", "group*", "user*", "new*", "vi*")),
    *("usr/sbin/e2scrub*", "usr/lib/systemd/system/e2scrub*", "usr/lib/aarch64-linux-gnu/e2fsprogs"),
    *("usr/lib/systemd/system/asterisk.service", "usr/lib/systemd/system/dpkg-db-backup.*"),
    "usr/lib/python3.14/[!a-z]*/test",
    *(f"usr/lib/python3.14/{name}" for name in ("test", "idlelib", "tkinter", "turtledemo", "ensurepip")),
    *(f"usr/lib/python3.14/{name}" for name in ("pydoc_data", "config-*", "lib2to3", "sqlite3", "curses")),
    *(
        f"usr/lib/python3.14/lib-dynload/{name}*"
        for name in ("_sqlite3", "_tkinter", "_curses", "_test", "_dbm")
    ),
)


def unpack_base(target: Path, debs: Mapping[str, Path]) -> None:
    """A tree at target of all packages (name → .deb), without what a box never reads."""
    target.mkdir(mode=0o755)
    for name in sorted(debs, key=lambda one: (one != _FIRST, one)):
        run(["dpkg-deb", "--extract", debs[name], target])
    remove(target, USELESS)


def remove(tree: Path, patterns: tuple[str, ...]) -> None:
    """What matches one of the patterns below tree."""
    for pattern in patterns:
        for path in sorted(tree.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
