"""Asterisk, slim: the modules that a box's configuration loads, the spoken words of its languages, no more."""

from __future__ import annotations

import shutil
from pathlib import Path

from ritilib.devstack.images.archive import File
from ritilib.devstack.images.documentation import cut_documentation
from ritilib.devstack.images.words import list_words
from ritilib.errors import RitiError
from ritilib.render.modules import BOX_MODULES

MODULES = "usr/lib/asterisk/modules"  # where asterisk.conf looks, on every architecture
DOCUMENTATION = "usr/share/asterisk/documentation/core-en_US.xml"
_SHARE = "usr/share/asterisk"


def slim_asterisk(tree: Path) -> None:
    """Leave of Debian's Asterisk in tree what a box uses; RitiError with every module that it lacks."""
    folder = next(tree.glob("usr/lib/*/asterisk"), tree / "absent")
    if absent := [name for name in BOX_MODULES if not (folder / f"modules/{name}.so").is_file()]:
        what = f"Debian's Asterisk lacks the modules {', '.join(absent)}"
        raise RitiError.because(what, "see ritilib/render/modules.py")
    documentation = cut_documentation(tree / DOCUMENTATION)
    words = {path: _read(file) for path, file in list_words(tree).items()}
    modules = {name: (folder / f"modules/{name}.so").read_bytes() for name in BOX_MODULES}
    for old in (folder, tree / "usr/lib/asterisk", tree / _SHARE, tree / "var/lib/asterisk"):
        shutil.rmtree(old, ignore_errors=True)
    put(tree / DOCUMENTATION, documentation)
    for path, content in words.items():
        put(tree / path, content)
    for name, content in modules.items():
        put(tree / MODULES / f"{name}.so", content)
    # Asterisk calls the absence of its folders for keys and firmware an error, and they may well be empty
    for empty in ("keys", "firmware/iax"):
        (tree / _SHARE / empty).mkdir(parents=True, exist_ok=True)


def put(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Write file, its folders too, with exactly that mode."""
    for folder in reversed(file.parents):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)
    file.unlink(missing_ok=True)
    file.write_bytes(content)
    file.chmod(mode)


def _read(file: File) -> bytes:
    return file.content if isinstance(file.content, bytes) else file.content.read_bytes()
