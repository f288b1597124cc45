"""Shared libraries that nothing in the tree needs any more, found by what each ELF file says that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from boxos.programs import run
from ritilib.errors import RitiError

LIBRARIES = "usr/lib/aarch64-linux-gnu"
# opened by name when they are wanted: by glibc, systemd, PAM; and glibc's own that nothing of Debian's names any more
# but wheels, built for older ones, do
OPENED_BY_NAME = (
    *("libpthread.so", "libdl.so", "librt.so", "libutil.so", "libm.so"),
    *("libgcc_s.so.1", "libnss_", "libcrypt.so", "libkmod.so", "libblkid.so", "libmount.so", "libseccomp.so"),
    *(
        "libpam",
        "libacl.so",
        "libaudit.so",
        "liblz4.so",
        "liblzma.so",
        "libzstd.so",
        "libcap",
        "libapparmor.so",
    ),
    *(
        "libselinux.so",
        "libidn2.so",
        "libgcrypt.so",
        "libcrypto.so",
        "libssl.so",
        "libelf.so",
        "libdevmapper.so",
    ),
)
_ELF = b"\x7fELF"


def find_unneeded(
    needs: Mapping[str, Iterable[str]], libraries: Iterable[str], roots: Iterable[str]
) -> list[str]:
    """The libraries (by file name) that no root reaches.

    needs: name → the names that it says it needs; roots: names that are used by themselves.
    """
    reached: set[str] = set()
    left = list(roots)
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left += needs.get(name, ())
    return sorted(set(libraries) - reached)


def find_lacking(needs: Mapping[str, Iterable[str]], names: Iterable[str]) -> list[str]:
    """Who needs what that is not there, a line each. needs: path → what that file says that it needs."""
    there = set(names)
    return sorted(
        f"{path} needs {name}" for path, said in needs.items() for name in said if name not in there
    )


def check_libraries(tree: Path) -> None:
    """RitiError with each file of tree that needs a library which is not in it: it would end once it is started."""
    needs = {str(path.relative_to(tree)): said for path, said in _read_needs(_list_files(tree)).items()}
    names = {path.name for path in tree.rglob("*.so*")} | {
        path.name for path in tree.glob("usr/lib/ld-linux*")
    }
    if lacking := find_lacking(needs, names):
        raise RitiError.because("; ".join(lacking), "keep it: boxos/sweep.py, boxos/unpack.py")


def sweep(tree: Path) -> None:
    """Remove from tree each library that nothing needs, with the links to it."""
    folder = tree / LIBRARIES
    files = _list_files(tree)
    needs = _read_needs(files)
    shared = [one for one in files if one.parent == folder and ".so" in one.name]
    by_path: dict[str, list[str]] = {str(one.relative_to(tree)): needs.get(one, []) for one in files}
    # a link's need is its file; both are known by their names, as the loader looks them up
    names: dict[str, list[str]] = {one.name: needs.get(one, []) for one in shared}
    for link in (one for one in sorted(folder.iterdir()) if one.is_symlink()):
        names[link.name] = [link.resolve().name]
    paths = {str(one.relative_to(tree)) for one in shared}
    opened = [name for name in names if name.startswith(OPENED_BY_NAME) or name.startswith("ld-linux")]
    roots = [need for path, said in by_path.items() if path not in paths for need in said]
    unneeded = find_unneeded(names, names, [*roots, *opened])
    for name in unneeded:
        if ".so" in name:
            (folder / name).unlink()


def _list_files(tree: Path) -> list[Path]:
    return [one for one in sorted(tree.rglob("*")) if one.is_file() and not one.is_symlink() and _is_elf(one)]


def _is_elf(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == _ELF


def _read_needs(files: list[Path]) -> dict[Path, list[str]]:
    said: dict[Path, list[str]] = {}
    # with one file alone readelf names none
    for start in range(0, len(files), 400):
        part = files[start : start + 400]
        text = run(["readelf", "--dynamic", "--wide", *part, part[0]])
        for block in re.split(r"^File: ", text, flags=re.MULTILINE)[1:]:
            name, _, body = block.partition("\n")
            said[Path(name)] = re.findall(r"\(NEEDED\).*\[(.+)\]", body)
    return said
