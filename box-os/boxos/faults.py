"""What can be wrong with a version that is tried, each brought about by the kernel's arguments of that one start.

The slot's own bytes stay: a broken root of its own would need another image for each, and ends in the same code.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from boxos.verity import Verity

# in the rescue way, before the box tries the version: what the version that runs had reached
_AGENT_RUNS = "systemctl start riti-agent.service"
# the agent's own word, which the laboratory's box has nobody to give it: in, and the link up
_IS_IN = """printf '{"state": "in", "link": "up"}' > /data/riti/agent.json"""
_CRASH = """\
[Unit]
DefaultDependencies=no
After=sysinit.target
[Service]
Type=oneshot
# once systemd has taken the watchdog: before that a board has its firmware's, which QEMU has not
ExecStart=/usr/bin/sh -c 'until grep -qx active /sys/class/watchdog/watchdog0/state; do sleep 1; done'
ExecStart=/usr/bin/sh -c 'echo RITI fault: the kernel stops > /dev/console; echo c > /proc/sysrq-trigger'
"""
_NO_AGENT = """\
[Service]
ExecStartPre=/usr/bin/false
"""


@dataclass(frozen=True)
class Fault:
    """arguments: the kernel's, at the try alone. before: what a shell does in the version before. said: what the
    console must say (an expression), so that it is this and no other reason for which the box went back."""

    name: str
    arguments: str
    said: str
    before: str = ""


def list_faults(verity: Verity) -> tuple[Fault, ...]:
    """Those of the issue: a root of another hash, a panic, a hang, an agent that does not start, no Consul."""
    other = Verity(verity.data_blocks, "0" * 64, verity.salt)
    return (
        Fault("wrong-hash", other.word(), "RITI initrd: the root"),
        # the first program ends: the kernel gives up
        Fault("panic", "rdinit=/usr/sbin/dmsetup", "Kernel panic - not syncing: Attempted to kill init"),
        # a kernel that gives up and does not start again: only the watchdog is left
        Fault(
            "hang",
            f"{add_unit('riti-fault.service', _CRASH)} systemd.wants=riti-fault.service panic=0",
            "Kernel panic - not syncing: sysrq triggered crash",
        ),
        Fault(
            "agent-fails",
            add_drop_in("riti-agent.service", _NO_AGENT),
            "RITI slot is given up: .*the agent does not run",
            _AGENT_RUNS,
        ),
        Fault("no-consul", "", "RITI slot is given up: .*the box is not in", _IS_IN),
    )


def add_unit(name: str, text: str) -> str:
    """A kernel argument by which systemd has one unit more."""
    return _credential(f"systemd.extra-unit.{name}", text)


def add_drop_in(unit: str, text: str) -> str:
    """A kernel argument by which a unit of systemd's says something else."""
    return _credential(f"systemd.unit-dropin.{unit}", text)


def _credential(name: str, text: str) -> str:
    return f"systemd.set_credential_binary={name}:{b64encode(text.encode()).decode()}"
