"""Our own initrd: a few modules, busybox, dmsetup and one script. It verifies the root before that runs."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

from boxos.modules import NEEDED_FIRST, order_modules, read_dependencies
from boxos.programs import run
from boxos.sweep import LIBRARIES
from boxos.telephony import put

_APPLETS = (
    "sh",
    "mount",
    "umount",
    "insmod",
    "cat",
    "sleep",
    "switch_root",
    "mkdir",
    "ls",
    "reboot",
    "sed",
    "grep",
    "dd",
    "tr",
)
_PROGRAM = "usr/sbin/dmsetup"
_LOADER = "usr/lib/ld-linux-aarch64.so.1"


def build_initrd(tree: Path, release: str, script: Path, target: Path) -> None:
    """A cpio archive at target, packed by gzip, which every kernel reads. Its programs are had from tree, the root.

    Its files have one time for ever: by the lock's, every new lock would make all of it another, which no update finds
    again on a box.
    """
    work = target.parent / "initrd"
    work.mkdir(mode=0o755)
    for name in ("dev", "proc", "sys", "run", "sysroot", "data", "modules", "usr/bin", "usr/sbin", LIBRARIES):
        (work / name).mkdir(parents=True, exist_ok=True)
    for name, aim in (("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib")):
        (work / name).symlink_to(aim)
    put(work / "init", script.read_bytes(), 0o755)
    put(work / "usr/bin/busybox", (tree / "usr/bin/busybox").read_bytes(), 0o755)
    for name in _APPLETS:
        (work / "usr/bin" / name).symlink_to("busybox")
    put(work / _PROGRAM, (tree / _PROGRAM).read_bytes(), 0o755)
    put(work / _LOADER, (tree / _LOADER).read_bytes(), 0o755)
    for library in _list_libraries(tree, tree / _PROGRAM):
        put(work / LIBRARIES / library, (tree / LIBRARIES / library).read_bytes(), 0o755)
    modules = tree / "usr/lib/modules" / release
    dependencies = read_dependencies((modules / "modules.dep").read_text())
    ordered = order_modules(dependencies, NEEDED_FIRST)
    for path in ordered:
        put(work / "modules" / Path(path).name, (modules / path).read_bytes())
    put(work / "modules/order", "".join(f"{Path(path).name}\n" for path in ordered).encode())
    _pack(work, target)


def _list_libraries(tree: Path, program: Path) -> list[str]:
    found: list[str] = []
    left = [program]
    while left:
        said = run(["readelf", "--dynamic", "--wide", left.pop()])
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", said):
            if name not in found and not name.startswith("ld-linux"):
                found.append(name)
                left.append((tree / LIBRARIES / name).resolve())
    return sorted(found)


def _pack(work: Path, target: Path) -> None:
    paths = [work, *sorted(work.rglob("*"))]
    for path in paths:
        os.utime(path, (0, 0), follow_symlinks=False)
    listed = "\0".join(str(path.relative_to(work)) for path in paths) + "\0"
    words = ["cpio", "--quiet", "--create", "--null", "--format=newc", "--reproducible", "--owner=0:0"]
    archive = target.parent / "initrd.cpio"
    run([*words, "--file", archive], said=listed, folder=work)
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(archive.read_bytes())
