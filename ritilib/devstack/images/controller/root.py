"""What the controller's image holds, chosen from the unpacked tree."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ritilib.devstack.images.archive import File, Folder, Link, Root
from ritilib.devstack.images.controller.debian import PYTHON, SITE
from ritilib.devstack.images.libraries import find_libraries, find_loader
from ritilib.errors import DevstackError
from ritilib.fleet.timezones import list_timezones
from ritilib.render.controller import USER_ID

PROGRAMS = (
    f"usr/bin/python{PYTHON}",
    "usr/bin/cat",
    "usr/bin/dash",
    "usr/bin/env",
    "usr/bin/git",
    "usr/bin/ssh",
    "usr/bin/ssh-keygen",
    "usr/bin/timeout",
    "usr/bin/tini",
    "usr/lib/git-core/git-remote-http",
)
# glibc opens it by name when a thread ends
_OPENED_BY_NAME = "libgcc_s.so.1"
_FOLDERS = ("dev", "proc", "sys", "etc", "local", "secrets", "alloc")
_STDLIB = f"usr/lib/python{PYTHON}"
# of the standard library and the packages, what a controller never reads
_USELESS = (
    f"{_STDLIB}/test",
    f"{_STDLIB}/idlelib",
    f"{_STDLIB}/tkinter",
    f"{_STDLIB}/turtledemo",
    f"{_STDLIB}/ensurepip",
    f"{_STDLIB}/pydoc_data",
    f"{_STDLIB}/config-",
    f"{SITE}/phonenumbers/geodata",
    f"{SITE}/phonenumbers/carrierdata",
    f"{SITE}/bin",
    f"{SITE}/share",
)
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/nonexistent\n"
    f"riti:x:{USER_ID}:{USER_ID}:The controller:/local:/nonexistent\n",
    "etc/group": f"root:x:0:\nriti:x:{USER_ID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_RITI = "#!/usr/bin/python3\nfrom ritilib.cli.main import main\n\nmain()\n"
_AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"  # which Git and OpenSSL read


def list_root(tree: Path, nebula_cert: Path) -> Root:
    """path in the image → what is there; tree is the unpacked one, compiled, with RITI in it.

    DevstackError with every program or library that the tree lacks.
    """
    return {
        **list_python(tree, PROGRAMS),
        **{path: File(text.encode()) for path, text in _ACCOUNTS.items()},
        "usr/bin/sh": Link("dash"),
        "usr/lib/git-core/git-remote-https": Link("git-remote-http"),
        "usr/bin/nebula-cert": File(nebula_cert, 0o755),
        _AUTHORITIES: File(_join_authorities(tree)),
        **{
            f"usr/share/zoneinfo/{zone}": File(tree / "usr/share/zoneinfo" / zone)
            for zone in list_timezones()
        },
    }


def list_python(tree: Path, programs: Sequence[str]) -> Root:
    """Of that the part that any image of RITI's has: these programs, Python, its packages, libraries, and `riti`."""
    absent = [program for program in programs if not (tree / program).is_file()]
    if absent:
        raise DevstackError.because(
            f"Debian's packages lack {', '.join(absent)}", f"remove {tree}, it is unpacked again"
        )
    loader = find_loader(tree)
    linked = str(loader.resolve().relative_to(tree.resolve()))
    python = {path: tree / path for path in _walk(tree, _STDLIB, SITE)}
    modules = [place for path, place in python.items() if path.endswith(".so") or ".so." in path]
    needed = find_libraries(tree, [*(tree / program for program in programs), *modules])
    # the loader names them by /lib, which is a link
    libraries = {f"usr/{path}" if path.startswith("lib") else path: place for path, place in needed.items()}
    opened = next(tree.glob(f"usr/lib/*/{_OPENED_BY_NAME}"))
    libraries[str(opened.relative_to(tree))] = opened.resolve()
    return {
        **{path: Folder() for path in _FOLDERS},
        "tmp": Folder(0o1777),
        **{
            name: Link(f"usr/{name}")
            for name in ("bin", "lib", "lib64", "sbin")
            if (tree / "usr" / name).is_dir()
        },
        **{path: File(place) for path, place in python.items()},
        **{path: File(place) for path, place in libraries.items() if path not in python},
        linked: File(loader.resolve(), 0o755),
        str(loader.relative_to(tree)): Link(f"/{linked}"),
        **{program: File(tree / program, 0o755) for program in programs},
        "usr/bin/python3": Link(f"python{PYTHON}"),
        "usr/bin/riti": File(_RITI.encode(), 0o755),
    }


def _walk(tree: Path, *folders: str) -> Iterator[str]:
    """The files below these folders, relative to tree, without what is useless."""
    for folder in folders:
        for place in sorted((tree / folder).rglob("*")):
            path = str(place.relative_to(tree))
            if path.startswith(_USELESS) or place.is_symlink():
                continue
            if stat.S_ISREG(place.stat().st_mode):
                yield path


def _join_authorities(tree: Path) -> bytes:
    """Mozilla's authorities in one file, as `update-ca-certificates` would write it."""
    found = sorted((tree / "usr/share/ca-certificates").rglob("*.crt"))
    return b"".join(one.read_bytes().rstrip(b"\n") + b"\n" for one in found)
