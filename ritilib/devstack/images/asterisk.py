"""The root file system of an Asterisk image: the program, the listed modules, their libraries; no shell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ritilib.devstack.images.archive import File, Folder, Link, Root
from ritilib.devstack.images.documentation import cut_documentation
from ritilib.devstack.images.libraries import find_libraries, find_loader
from ritilib.errors import DevstackError
from ritilib.fleet.timezones import list_timezones
from ritilib.render.asterisk_conf import CONFIG_FOLDER

USER_ID = 10001
PROGRAM = ("/usr/sbin/asterisk", "-f", "-C", f"{CONFIG_FOLDER}/asterisk.conf")
# glibc opens it by name when a thread is cancelled, so the loader's list lacks it
_OPENED_BY_NAME = ("libgcc_s.so.1",)
_FOLDERS = ("dev", "proc", "sys", "etc", "local", "secrets", "alloc")
# Asterisk calls the absence of its folders for keys and firmware an error, and they may well be empty
_EMPTY = ("usr/share/asterisk/keys", "usr/share/asterisk/firmware/iax")
_SCRATCH = ("var/lib/asterisk", "var/log/asterisk", "var/run/asterisk", "var/spool/asterisk")
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/nonexistent\n"
    f"asterisk:x:{USER_ID}:{USER_ID}:Asterisk:/var/lib/asterisk:/nonexistent\n",
    "etc/group": f"root:x:0:\nasterisk:x:{USER_ID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def list_changes(*before: str) -> tuple[str, ...]:
    """The Dockerfile lines: Asterisk as its own user, started by the command before it where there is one."""
    return f"CMD {json.dumps([*before, *PROGRAM])}", f"USER {USER_ID}:{USER_ID}"


def list_root(tree: Path, modules: Sequence[str]) -> Root:
    """What the image holds; tree is Debian's Asterisk, unpacked.

    Modules lie in /usr/lib/asterisk/modules, the same on every architecture, so that asterisk.conf is the
    same too. DevstackError with every module that the tree lacks.
    """
    program = tree / "usr/sbin/asterisk"
    folder = next(tree.glob("usr/lib/*/asterisk/modules"), tree / "absent")
    chosen = [folder / f"{module}.so" for module in modules]
    absent = [module.stem for module in chosen if not module.is_file()]
    if absent:
        raise DevstackError.because(
            f"Debian's Asterisk lacks the modules {', '.join(absent)}", "see ritilib/render/modules.py"
        )
    loader = find_loader(tree)
    linked = str(loader.resolve().relative_to(tree.resolve()))
    libraries = find_libraries(tree, [program, *chosen])
    for name in _OPENED_BY_NAME:
        opened = folder.parent.parent / name
        libraries[str(opened.relative_to(tree))] = opened.resolve()
    return {
        **{path: Folder() for path in _FOLDERS + _EMPTY},
        "tmp": Folder(0o1777),
        **{path: Folder(0o1777) for path in _SCRATCH},
        **{path: File(text.encode()) for path, text in _ACCOUNTS.items()},
        # the loader is named by its place in an unmerged /usr
        **{name: Link(f"usr/{name}") for name in ("lib", "lib64", "sbin") if (tree / "usr" / name).is_dir()},
        **{path: File(library) for path, library in libraries.items()},
        linked: File(loader.resolve(), 0o755),
        str(loader.relative_to(tree)): Link(f"/{linked}"),
        # an unknown zone is taken for UTC without a word, so all that a fleet may name are here
        **{
            f"usr/share/zoneinfo/{zone}": File(tree / "usr/share/zoneinfo" / zone)
            for zone in list_timezones()
        },
        "usr/sbin/asterisk": File(program, 0o755),
        **{f"usr/lib/asterisk/modules/{module.name}": File(module) for module in chosen},
        "usr/share/asterisk/documentation/core-en_US.xml": File(
            cut_documentation(tree / "usr/share/asterisk/documentation/core-en_US.xml")
        ),
    }
