"""What is laid over Debian's packages: our own files, accounts, which services are on, what never runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from boxos.accounts import write_accounts
from boxos.manifest import write_system
from boxos.recipe import Recipe
from boxos.telephony import put
from boxos.wheels import SITE, compile_python

_UNITS = "usr/lib/systemd/system"
# unit → the target that wants it
ON = {
    "chrony.service": "multi-user.target",
    "nftables.service": "sysinit.target",
    "riti-agent.service": "multi-user.target",
    "riti-asterisk.service": "multi-user.target",
    "riti-machine-id.service": "sysinit.target",
    "riti-overlay.service": "multi-user.target",
    "riti-page.socket": "sys-subsystem-net-devices-lan.device",
    "riti-prove.service": "sysinit.target",
    "riti-restart.path": "multi-user.target",
    "riti-say-start.service": "multi-user.target",
    "riti-status.service": "multi-user.target",
    "riti-update.path": "multi-user.target",
    "systemd-networkd.service": "multi-user.target",
    "systemd-resolved.service": "sysinit.target",
    "data.mount": "local-fs.target",
}
# the root is whole as it was built, so what prepares a new one only costs time at each start; and nobody logs in
NEVER = (
    *("ldconfig.service", "systemd-hwdb-update.service", "systemd-journal-catalog-update.service"),
    *("systemd-update-done.service", "systemd-firstboot.service", "systemd-sysusers.service"),
    *("getty.target", "getty@.service", "serial-getty@.service", "console-getty.service", "autovt@.service"),
    *("systemd-journal-flush.service", "fstrim.timer", "remote-fs.target", "systemd-pstore.service"),
    *("systemd-machine-id-commit.service", "systemd-remount-fs.service", "systemd-tpm2-setup.service"),
    *("systemd-tpm2-setup-early.service", "systemd-pcrmachine.service", "systemd-random-seed.service"),
    *("systemd-quotacheck-root.service", "proc-sys-fs-binfmt_misc.automount", "systemd-growfs-root.service"),
)
_LINKS = {
    "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
    "etc/mtab": "../proc/self/mounts",
    "etc/resolv.conf": "/run/systemd/resolve/stub-resolv.conf",
    "usr/bin/awk": "mawk",
    "usr/bin/which": "which.debianutils",
    "var/run": "/run",
    "var/lock": "/run/lock",
}
# mount points; on a root that is never written to they must be there
_FOLDERS = ("data", "dev", "home", "local", "mnt", "overlay", "proc", "run", "srv", "sys", "tmp", "root")


def lay_over(tree: Path, box_os: Path, recipe: Recipe) -> None:
    """Our part of the root into tree, which has its Python; box_os is the folder with files/, units/ and onbox/."""
    for file in sorted((box_os / "files").rglob("*")):
        if file.is_file():
            mode = 0o755 if os.access(file, os.X_OK) else 0o644
            put(tree / file.relative_to(box_os / "files"), file.read_bytes(), mode)
    for unit in sorted((box_os / "units").glob("*.service")):
        put(tree / _UNITS / unit.name, unit.read_bytes())
    put(tree / "usr/lib/tmpfiles.d/riti.conf", (box_os / "units/riti.tmpfiles.conf").read_bytes())
    for module in sorted((box_os / "onbox").glob("*.py")):
        put(tree / SITE / "onbox" / module.name, module.read_bytes())
    compile_python(tree, f"{SITE}/onbox")
    for path, (text, mode) in write_accounts().items():
        put(tree / path, text.encode(), mode)
    put(tree / "etc/rauc/system.conf", write_system(recipe).encode())
    release = (
        f'ID=riti\nNAME="RITI box"\nIMAGE_ID=riti-box-{recipe.board.name}\nIMAGE_VERSION="{recipe.version}"\n'
    )
    put(tree / "usr/lib/os-release", release.encode())
    link(tree / "etc/os-release", "../usr/lib/os-release")
    for path, aim in _LINKS.items():
        link(tree / path, aim)
    for unit_name, target in ON.items():
        link(tree / _UNITS / f"{target}.wants" / unit_name, f"../{unit_name}")
    for unit_name in NEVER:
        link(tree / "etc/systemd/system" / unit_name, "/dev/null")
    put(tree / "etc/machine-id", b"")
    for name in _FOLDERS:
        (tree / name).mkdir(exist_ok=True)
        (tree / name).chmod(0o1777 if name == "tmp" else 0o700 if name == "root" else 0o755)


def link(place: Path, aim: str) -> None:
    """A symbolic link at place, whatever was there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(aim)
