"""The programs that make an image, Debian's packages that hold them, and how one is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ritilib.errors import RitiError

# not of `riti dev setup`: nobody needs them who makes no image
TOOLS = {
    "apt": ("apt-get", "apt-cache", "/usr/lib/apt/apt-helper"),
    "binutils": ("readelf",),
    "cpio": ("cpio",),
    "cryptsetup-bin": ("veritysetup",),
    "device-tree-compiler": ("fdtput",),
    "dosfstools": ("mkfs.vfat",),
    "dpkg": ("dpkg-deb",),
    "e2fsprogs": ("mke2fs", "debugfs", "e2fsck"),
    "erofs-utils": ("mkfs.erofs", "fsck.erofs"),
    "fdisk": ("sfdisk",),
    "iproute2": ("ip",),
    "kmod": ("depmod",),
    "mtools": ("mcopy",),
    "openssl": ("openssl",),
    "qemu-system-arm": ("qemu-system-aarch64",),
    "qemu-user-static": ("qemu-aarch64-static",),
    "squashfs-tools": ("mksquashfs", "unsquashfs"),
    "xz-utils": ("xz",),
    "zstd": ("zstd",),
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def list_missing() -> list[str]:
    """The packages whose programs are not here."""
    return [
        package
        for package, names in TOOLS.items()
        if not all(shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_PATH}") for name in names)
    ]


def run(
    argv: Sequence[str | Path],
    *,
    said: str = "",
    folder: Path | None = None,
    extra: Mapping[str, str] | None = None,
    epoch: int | None = None,
) -> str:
    """What argv says on standard output; the rest as in attempt. RitiError with its last words where it fails too."""
    done = attempt(argv, said=said, folder=folder, extra=extra, epoch=epoch)
    if done.returncode != 0:
        words = " ".join((done.stderr + done.stdout).split())[-800:]
        raise RitiError.because(
            f"{Path(done.args[0]).name} ended with {done.returncode}: {words}", "see its words"
        )
    return done.stdout


def attempt(
    argv: Sequence[str | Path],
    *,
    said: str = "",
    folder: Path | None = None,
    extra: Mapping[str, str] | None = None,
    epoch: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run argv to its end, whatever that is.

    said goes to its standard input; extra into its environment, which has no locale, no time zone and no
    settings of Python of this machine's.
    epoch is the time that it shall take for now, where it heeds SOURCE_DATE_EPOCH. RitiError where it is absent.
    """
    names = [str(word) for word in argv]
    dropped = ("LANG", "LANGUAGE", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    fixed = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": f"{os.environ.get('PATH', '')}:{_PATH}"}
    if epoch is not None:
        fixed["SOURCE_DATE_EPOCH"] = str(epoch)
    try:
        return subprocess.run(
            names,
            input=said,
            cwd=folder,
            env={**kept, **fixed, **(extra or {})},
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise RitiError.because(f"{names[0]} does not start: {error.strerror}", "make image-tools") from error
