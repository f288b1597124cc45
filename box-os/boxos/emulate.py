"""A box in QEMU: starts from its card as the firmware would, is typed to, cut off, and started again."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from boxos import firmware
from boxos.cables import Cables
from ritilib.errors import RitiError

SERIAL = "10000000c0ffee01"
FLAG_PORT = "riti.tryboot"  # onbox/slot.py writes to it where the kernel cannot tell the firmware
_TAIL = 3000
NOTHING = Cables()
_END_S = 120.0
_PROMPT = "# "


def read_patience() -> float:
    """By how much every deadline is longer, from PATIENCE in the environment: for a machine that has other work.

    RitiError where it is no number above 0.
    """
    said = os.environ.get("PATIENCE", "") or "1"
    try:
        patience = float(said)
    except ValueError:
        patience = 0.0
    if not patience > 0:
        raise RitiError.because(f"PATIENCE is {said}", "write a number such as 3")
    return patience


def read_clock() -> tuple[str, ...]:
    """QEMU's words for the guest's clock, from CLOCK in the environment.

    "instructions": it goes by what the guest has done, 500 million instructions a second, so that a deadline of the
    box's own means the same however little of this machine QEMU gets. Its two processors take turns then. Else it is
    this machine's. RitiError for another word.
    """
    said = os.environ.get("CLOCK", "")
    if said not in ("", "instructions"):
        raise RitiError.because(f"CLOCK is {said}", "write instructions, or nothing")
    return ("-icount", "shift=1,align=off,sleep=on") if said else ()


def has_said(console: str, text: str) -> bool:
    """Whether the console said text and ended that line, of which more may be wanted; a prompt's line does not end."""
    _, found, rest = console.partition(text)
    return bool(found) and (text.endswith(_PROMPT) or "\n" in rest)


class Machine:
    """One box with its card, which is written to. Only one start at a time; the end of `with` cuts it off.

    cables: what is plugged in. log: where all that its consoles say is kept. serial: of the board, as its device tree
    has it. write_log: where the next start's writes are noted (see firmware.compose); none are where it is None.
    """

    def __init__(
        self,
        card: Path,
        work: Path,
        cables: Cables = NOTHING,
        log: Path = Path(os.devnull),
        serial: str = SERIAL,
    ) -> None:
        self.card, self.partition, self.console = card, 0, ""
        self._work, self._cables, self._log, self._serial = work, cables, log, serial
        self.write_log: Path | None = None
        self._patience = read_patience()
        self._flag = work / "flag"
        self._qemu: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def start(self, arguments: str = "") -> int:
        """Power on; the boot partition that the firmware took. A try that was asked for before is this start, and no
        other. arguments are added to the kernel's own."""
        assert self._qemu is None
        is_try = self._flag.exists() and self._flag.read_bytes().strip() == b"try"
        self._flag.write_bytes(b"")
        chosen = firmware.choose(self.card, self._work, is_try)
        tree = firmware.describe_board(chosen, self._work / "board.dtb", is_try, self._serial)
        device = f"virtserialport,chardev=flag,name={FLAG_PORT}"
        port = (
            "-device",
            "virtio-serial-device",
            "-chardev",
            f"file,id=flag,path={self._flag}",
            "-device",
            device,
        )
        argv = firmware.compose(
            chosen, self.card, tree, port + self._cables.words + read_clock(), self.write_log
        )
        if arguments:
            argv[argv.index("-append") + 1] += f" {arguments}"
        self.partition, self.console = chosen.partition, ""
        self._started_s = time.monotonic()
        self._qemu = subprocess.Popen(
            [*self._cables.before, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=self._cables.handles,
        )
        return self.partition

    def follow(
        self, marks: Mapping[str, str], timeout_s: float, report: Callable[[str], None] = lambda _: None
    ) -> dict[str, float]:
        """Seconds from power on until the console said each text (mark → text).

        RitiError with the console's last words where they do not all come in time, or where the machine ends first.
        """
        seconds: dict[str, float] = {}
        end_s = time.monotonic() + timeout_s * self._patience
        while len(seconds) < len(marks):
            for mark, text in marks.items():
                if mark not in seconds and has_said(self.console, text):
                    seconds[mark] = round(time.monotonic() - self._started_s, 1)
                    report(f"  {mark}: {seconds[mark]} s")
            if len(seconds) < len(marks) and not self._read(end_s):
                absent = ", ".join(mark for mark in marks if mark not in seconds)
                what = f"the box did not come as far as: {absent}; its console:\n{self.console[-_TAIL:]}"
                mend = "start it with more words: make image-boot MORE=systemd.log_target=console"
                raise RitiError.because(what, mend)
        return seconds

    def wait(self, seconds: float) -> None:
        """So long, or until it ends; what it says meanwhile is kept."""
        end_s = time.monotonic() + seconds
        while self._read(end_s):
            pass

    def wait_end(self, timeout_s: float = _END_S) -> None:
        """Until it switches itself off or starts anew; RitiError where it does not in time."""
        assert self._qemu is not None
        end_s = time.monotonic() + timeout_s * self._patience
        while self._read(end_s):
            pass
        try:
            self._qemu.wait(max(0.1, end_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            waited_s = timeout_s * self._patience
            what = f"the box did not end within {waited_s:.0f} s; its console:\n{self.console[-_TAIL:]}"
            raise RitiError.because(what, "look at what holds it up") from None
        self.cut()

    def run(self, command: str, timeout_s: float = 120.0) -> tuple[int, str]:
        """What a shell on the console ends with and says; one must be there (the rescue way's)."""
        before = len(self.console)
        # what is typed comes back too, and does not have the mark's letters side by side
        self.type(f"{command}; printf 'EN%s:%s\\n' D $?")
        end_s = time.monotonic() + timeout_s * self._patience
        while "END:" not in self.console[before:] or "\n" not in self.console[before:].partition("END:")[2]:
            if not self._read(end_s):
                what = f"{command} did not end; the console:\n{self.console[-_TAIL:]}"
                raise RitiError.because(what, "look at its words")
        said, _, rest = self.console[before:].partition("END:")
        return int(rest.split()[0]), said.rpartition(" D $?\n")[2]

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        assert self._qemu is not None and self._qemu.stdin is not None
        self._qemu.stdin.write(f"{line}\n".encode())
        self._qemu.stdin.flush()

    def cut(self) -> None:
        """Pull the power."""
        if self._qemu is not None:
            if self._qemu.poll() is None:
                self._qemu.send_signal(signal.SIGKILL)
            self._qemu.wait()
            for stream in (self._qemu.stdin, self._qemu.stdout):
                if stream:
                    stream.close()
            self._qemu = None

    def _read(self, end_s: float) -> bool:
        """Some more of the console; False where nothing comes until then, or where it has ended."""
        assert self._qemu is not None and self._qemu.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._qemu.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, end_s - time.monotonic())):
                return False
        said = os.read(self._qemu.stdout.fileno(), 65536)
        text = said.decode(errors="replace").replace("\r", "")
        self.console += text
        with self._log.open("a") as log:
            log.write(text)
        return bool(said)
