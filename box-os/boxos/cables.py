"""What a box in QEMU has plugged in: two networks, a watchdog; and in which of this machine's networks QEMU runs."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boxos.programs import run
from ritilib.errors import RitiError

WAN_MAC = "52:54:00:12:34:56"
WAN = ("-device", f"virtio-net-device,netdev=wan,mac={WAN_MAC}")
# The telephones' side of a Pi is a socket on USB; so it is here, and the same rule gives it its name.
LAN = ("-device", "qemu-xhci,id=usb", "-device", "usb-net,bus=usb.0,netdev=lan")
# QEMU's router gives the first guest this address; the other one is made of WAN_MAC (EUI-64)
BOX_WAN, BOX_WAN_LOCAL, BOX_LAN = "10.0.2.15", "fe80::5054:ff:fe12:3456%beside", "192.168.213.1"
BESIDE_WAN, BESIDE_LAN = "10.0.2.77/24", "192.168.213.77/24"
# The board's watchdog, as QEMU has one: what it ends is a restart, as on a Pi.
WATCHDOG = ("-device", "i6300esb", "-watchdog-action", "reset")
_MONITOR_PROMPT, _MONITOR_S = b"(qemu) ", 30.0
# <linux/if_tun.h>
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


@dataclass(frozen=True)
class Cables:
    """words: QEMU's own, for networks and devices; none: nothing is plugged in. before: the program that starts QEMU in
    another network of this machine. handles: what QEMU inherits, and words name by number."""

    words: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    handles: tuple[int, ...] = ()

    def __add__(self, other: Cables) -> Cables:
        return Cables(self.words + other.words, self.before + other.before, self.handles + other.handles)


def route_from(pid: int) -> Cables:
    """wan by a router such as a home has: its own addresses inside, and outside those of the network of process pid.

    QEMU runs there, so the guest reaches what that network reaches, and nothing else of this machine.
    """
    words = ("-netdev", "user,id=wan,ipv6=off", *WAN)
    return Cables(words, before=("nsenter", f"--net=/proc/{pid}/ns/net", "--"))


@contextmanager
def hold_lan(name: str, address: str) -> Iterator[Cables]:
    """lan by a cable whose other end is this machine's interface name, with address; it goes with the block.

    RitiError where the address cannot be had; OSError where an interface of that name is in use.
    """
    handle = os.open("/dev/net/tun", os.O_RDWR)
    try:
        # not persistent: whatever ends this process takes the interface away
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
        run(["ip", "address", "add", address, "dev", name])
        run(["ip", "link", "set", name, "up"])
        yield Cables(("-netdev", f"tap,id=lan,fd={handle}", *LAN), handles=(handle,))
    finally:
        os.close(handle)


@contextmanager
def hold_beside(name: str, monitor: Path) -> Iterator[Cables]:
    """Both networks in a namespace called name, with somebody else on each: what the box's neighbours can reach.

    wan has a router, which leads nowhere (the namespace has no way out), and BESIDE_WAN on the same wire; lan has
    BESIDE_LAN. `ip netns exec <name>` is that neighbour. All of it goes with the block. monitor: where QEMU's socket is
    made, for unplug_router.
    """
    run(["ip", "netns", "add", name])
    try:
        # by it the kernel tells who asks that a neighbour is not there
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        for tap, address in (("beside", BESIDE_WAN), ("lan", BESIDE_LAN)):
            run(["ip", "-n", name, "tuntap", "add", "dev", tap, "mode", "tap"])
            run(["ip", "-n", name, "address", "add", address, "dev", tap])
            run(["ip", "-n", name, "link", "set", tap, "up"])
        words = (
            *("-netdev", "hubport,id=wan,hubid=0"),
            *("-netdev", "user,id=router,ipv6=off", "-netdev", "hubport,id=to-router,hubid=0,netdev=router"),
            *("-netdev", "tap,id=beside,ifname=beside,script=no,downscript=no"),
            *("-netdev", "hubport,id=to-beside,hubid=0,netdev=beside"),
            *("-netdev", "tap,id=lan,ifname=lan,script=no,downscript=no"),
            *("-monitor", f"unix:{monitor},server=on,wait=off"),
            *WAN,
            *LAN,
        )
        yield Cables(words, before=("ip", "netns", "exec", name))
    finally:
        # not by run(): what it would raise hides what went wrong before
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def unplug_router(monitor: Path) -> None:
    """Pull the router's cable in a running hold_beside, once the box has its address.

    It hears what neighbours say to the box, as all on a hub do, takes each packet for its own, whoever it is for, and
    answers in the box's place: that no network leads there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_MONITOR_S)
        asking.connect(str(monitor))
        asking.sendall(b"set_link to-router off\n")
        said = b""
        # it greets with a prompt, and has done it when there is another
        while said.count(_MONITOR_PROMPT) < 2:
            more = asking.recv(4096)
            if not more:
                raise RitiError.because(f"QEMU's monitor ends: {said!r}", "look at the box's console")
            said += more
    if b"Device '" in said or b"unknown" in said:
        raise RitiError.because(f"QEMU does not unplug the router: {said!r}", "see its version")
