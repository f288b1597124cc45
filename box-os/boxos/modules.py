"""The kernel's modules: those that a box's hardware and firewall need, with all that these need."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from boxos.programs import run
from boxos.telephony import put
from ritilib.errors import RitiError

# paths below kernel/, as patterns, without the ending
KEPT = (
    *("drivers/block/loop", "drivers/block/nbd", "drivers/block/virtio_blk", "drivers/md/dm-mod"),
    *(
        "drivers/md/dm-bufio",
        "drivers/md/dm-verity",
        "drivers/virtio/*",
        "drivers/net/virtio_net",
        "drivers/net/tun",
    ),
    *("drivers/char/virtio_console", "drivers/char/hw_random/*", "drivers/net/usb/*", "drivers/net/mii"),
    *("drivers/net/ethernet/broadcom/genet/*", "drivers/net/ethernet/cadence/macb*", "drivers/net/phy/bcm*"),
    *(
        "drivers/net/phy/broadcom",
        "drivers/net/phy/smsc",
        "drivers/net/phy/microchip",
        "drivers/net/phy/realtek*",
    ),
    *("drivers/net/mdio/*bcm*", "drivers/mmc/core/*", "drivers/mmc/host/*bcm*", "drivers/mmc/host/sdhci*"),
    *("drivers/usb/host/xhci*", "drivers/usb/dwc2/*", "drivers/usb/dwc3/*", "drivers/pci/controller/*brcm*"),
    *("drivers/watchdog/bcm2835_wdt", "drivers/watchdog/softdog", "drivers/gpio/gpio-raspberrypi-exp"),
    *(
        "drivers/watchdog/i6300esb",
        "drivers/firmware/raspberrypi",
        "drivers/clk/bcm/*",
        "drivers/thermal/broadcom/*",
    ),
    *(
        "drivers/hwmon/raspberrypi-hwmon",
        "drivers/leds/leds-gpio",
        "drivers/leds/trigger/*",
        "drivers/rtc/rtc-rpi",
    ),
    *(
        "drivers/cpufreq/raspberrypi-cpufreq",
        "drivers/mfd/rp1*",
        "drivers/pinctrl/*bcm*",
        "drivers/pinctrl/*rp1*",
    ),
    *(
        "drivers/misc/rp1/*",
        "drivers/soc/bcm/*",
        "drivers/mailbox/bcm2835-mailbox",
        "drivers/dma/bcm2835-dma",
    ),
    *("drivers/regulator/gpio-regulator", "drivers/reset/reset-raspberrypi", "drivers/nvmem/*raspberrypi*"),
    *(
        "fs/ext4/*",
        "fs/fat/*",
        "fs/nls/nls_cp437",
        "fs/nls/nls_ascii",
        "fs/nls/nls_utf8",
        "fs/nls/nls_iso8859-1",
    ),
    *(
        "fs/overlayfs/*",
        "fs/erofs/*",
        "fs/squashfs/*",  # a bundle is one
        "net/netfilter/nf_*",
        "net/netfilter/nft_*",
        "net/netfilter/nfnetlink*",
    ),
    *(
        "net/ipv4/netfilter/nf_*",
        "net/ipv6/netfilter/nf_*",
        "net/ipv4/netfilter/nft_*",
        "net/ipv6/netfilter/nft_*",
    ),
    *("net/sched/sch_fq_codel", "net/sched/sch_cake", "net/unix/unix_diag", "net/ipv4/inet_diag"),
)
# loaded by the initrd, in that order, with what they need; a name that a kernel has built in is no module of it
NEEDED_FIRST = (
    *("virtio_mmio", "virtio_blk", "sdhci-iproc", "sdhci-brcmstb", "sdhci_pltfm", "xhci-plat-hcd"),
    *("dm-verity", "erofs", "overlay", "ext4"),
)
_ENDINGS = (".ko", ".ko.xz")


def read_dependencies(text: str) -> dict[str, list[str]]:
    """modules.dep: path → the paths that it needs."""
    return {
        path: needed.split()
        for path, _, needed in (line.partition(":") for line in text.splitlines())
        if path
    }


def choose_modules(dependencies: Mapping[str, Iterable[str]], patterns: Sequence[str]) -> list[str]:
    """The paths (kernel/….ko) that match a pattern, and all that they need; sorted."""
    left = [
        path
        for path in dependencies
        if any(fnmatchcase(cut_ending(path).removeprefix("kernel/"), pattern) for pattern in patterns)
    ]
    chosen: set[str] = set()
    while left:
        path = left.pop()
        if path not in chosen:
            chosen.add(path)
            left += dependencies[path]
    return sorted(chosen)


def order_modules(dependencies: Mapping[str, Sequence[str]], names: Iterable[str]) -> list[str]:
    """The paths of these modules, each behind those that it needs; names that are not there are left out."""
    by_name = {cut_ending(path).rsplit("/", 1)[-1].replace("_", "-"): path for path in dependencies}
    ordered: list[str] = []
    for name in names:
        if path := by_name.get(name.replace("_", "-")):
            # modules.dep names the nearest need first
            ordered += [one for one in (*reversed(dependencies[path]), path) if one not in ordered]
    return ordered


def cut_ending(path: str) -> str:
    """The path without .ko or .ko.xz."""
    for ending in _ENDINGS:
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path


def find_release(unpacked: Path) -> str:
    """The kernel's release, by its folder of modules."""
    found = sorted(one.name for one in (unpacked / "usr/lib/modules").iterdir() if (one / "kernel").is_dir())
    if len(found) != 1:
        raise RitiError.because(f"the kernel's packages hold {len(found)} kernels", "see boxos/flavour.py")
    return found[0]


def put_modules(unpacked: Path, tree: Path) -> None:
    """The chosen modules of the unpacked kernel into tree, with their index; unpacked, since the root packs
    them again."""
    release = find_release(unpacked)
    source, target = unpacked / "usr/lib/modules" / release, tree / "usr/lib/modules" / release
    index_modules(unpacked, release)
    dependencies = read_dependencies((source / "modules.dep").read_text())
    for path in choose_modules(dependencies, KEPT):
        put(target / f"{cut_ending(path)}.ko", read_module(source / path))
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        put(target / name, (source / name).read_bytes())
    index_modules(tree, release)


def read_module(file: Path) -> bytes:
    """A module's bytes, unpacked."""
    content = file.read_bytes()
    return lzma.decompress(content) if file.suffix == ".xz" else content


def index_modules(root: Path, release: str) -> None:
    """Write modules.dep and its like. depmod looks below /lib, so root must have that link."""
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    run(["depmod", "--basedir", root, release])
