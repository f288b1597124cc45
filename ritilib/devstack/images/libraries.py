"""Which libraries programs need, asked of the tree's own loader."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ritilib.errors import DevstackError

_FOUND = re.compile(r"^\s*(\S+) => (/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_ABSENT = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)


def find_loader(tree: Path) -> Path:
    """The ELF loader's name in the tree, where programs look for it."""
    for loader in sorted(tree.glob("usr/lib*/ld-linux*.so*")):
        return loader
    raise DevstackError.because(f"no ELF loader in {tree}", "remove that folder, it is unpacked again")


def find_libraries(tree: Path, programs: Iterable[Path]) -> dict[str, Path]:
    """Path in the tree (relative) → file that holds it, of every shared library that programs need.

    programs lie below tree. The loader runs inside the tree, so that no library of this machine is taken for
    one of the image. What is dlopened is not seen. DevstackError with each library that is not there.
    """
    loader = "/" + str(find_loader(tree).resolve().relative_to(tree.resolve()))
    found: dict[str, Path] = {}
    absent: set[str] = set()
    for program in programs:
        asked = subprocess.run(
            ["chroot", str(tree), loader, "--list", "/" + str(program.relative_to(tree))],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={key: value for key, value in os.environ.items() if not key.startswith("LD_")},
        )
        if asked.returncode != 0 and "not a dynamic executable" not in asked.stderr:
            absent.add(f"{program.name}: {asked.stderr.strip()}")
        absent.update(f"{program.name}: {name} not found" for name in _ABSENT.findall(asked.stdout))
        for _, path in _FOUND.findall(asked.stdout):
            found[path.lstrip("/")] = (tree / path.lstrip("/")).resolve()
    if absent:
        raise DevstackError.because(
            "Asterisk's libraries are incomplete: " + "; ".join(sorted(absent)),
            f"remove {tree}, it is unpacked again",
        )
    return found
