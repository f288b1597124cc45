"""The root file system of an Asterisk image: the program, the listed modules, their libraries; no shell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ritilib.devstack.images.archive import File, Folder, Link, Root
from ritilib.devstack.images.documentation import cut_documentation
from ritilib.devstack.images.libraries import find_libraries, find_loader
from ritilib.errors import DevstackError
from ritilib.fleet.timezones import list_timezones

USER_ID = 10001
CHANGES = (
    'CMD ["/usr/sbin/asterisk","-f","-C","/local/asterisk/asterisk.conf"]',
    f"USER {USER_ID}:{USER_ID}",
)
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
        str(loader.relative_to(tree)): File(loader.resolve(), 0o755),
        **{path: File(library) for path, library in libraries.items()},
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
