"""A telephone of the lab: baresip with a steady tone as its microphone and a WAV as its ear."""

from __future__ import annotations

import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ritilib.devstack.folders import write_private
from ritilib.devstack.processes import Process, end_process, start_process, wait_until
from ritilib.devstack.record import LOOPBACK, choose_ports
from ritilib.devstack.telephony.audio import RIFF_HEADER_BYTES
from ritilib.devstack.telephony.phone_events import Call, Calls, State, split_netstrings, write_netstring
from ritilib.errors import DevstackError, Problem

PROGRAM = "baresip"
BYTES_PER_SECOND = 16000  # 8 kHz, 16 bits, as _CONFIG has it
MODULES = Path("/usr/lib/baresip/modules")
START_S = 20.0
COMMAND_S = 10.0
END_S = 5.0

# What each module is for: g711 the codec, ausine the tone, sndfile the recording (it taps what is decoded,
# so that no player is needed), account the account, menu the calls, ctrl_tcp the control. Without a player
# there is no ringing tone.
_CONFIG = """\
poll_method epoll
sip_listen {address}:0
net_interface {address}
rtp_ports 40000-48000
call_local_timeout 120
call_max_calls 8
audio_source ausine,{tone_hz}
ausrc_srate 48000
ausrc_channels 2
auplay_srate 8000
auplay_channels 1
snd_path {recordings}
ringback_disabled yes
menu_bell no
statmode_default off
module_path {modules}
module g711.so
module ausine.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {loopback}:{control_port}
"""
_ACCOUNT = (
    '"{name}" <sip:{user}@{server}>;auth_user={user};auth_pass={password};regint=120;'
    "answermode=manual;audio_codecs=pcma;mwi=no\n"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# An account is one line of `;`-separated parameters, with the address in angle brackets.
_UNSAFE = re.compile(r"[\s;,<>\"\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Recording:
    """The WAV (8 kHz, 16 bits, one channel) of what one call heard; it grows while the call is up.

    It holds what arrived and nothing else: a lost packet makes it shorter, and only `missing_s` shows that.
    """

    path: Path
    call: Call

    def length_s(self) -> float:
        """Seconds so far, by the file's size: it is asked many times a second, and may be long."""
        return max(0, self.path.stat().st_size - RIFF_HEADER_BYTES) / BYTES_PER_SECOND

    def missing_s(self) -> float:
        """Seconds since the call was answered (until its end) that brought no audio.

        No pause was longer than this. The start of the media alone is about a tenth of a second.
        """
        lasted_s = (self.call.closed_at_s or time.monotonic()) - self.call.established_at_s
        return max(0.0, lasted_s - self.length_s())


class Phone:
    """One registered telephone. What waits ends at an event, or raises DevstackError at its timeout."""

    def __init__(self, name: str, folder: Path, process: Process, control: socket.socket) -> None:
        self.name = name
        self.folder = folder
        self.process = process
        self._control = control
        self._changed = threading.Condition()
        self._calls = Calls(self.wait_for)
        self._in_hand: Call | None = None
        self._answers: dict[str, dict[str, object]] = {}
        self._asked = 0
        self._registered: bool | None = None
        self._registration = "no answer from the server yet"
        self._gone = False
        self._reader = threading.Thread(target=self._read, name=f"phone {name}", daemon=True)
        self._reader.start()

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls so far, oldest first."""
        with self._changed:
            return tuple(self._calls.all)

    def wait_registered(self, timeout_s: float) -> None:
        """Return when the server has accepted the registration."""
        if self._registered is None and " OK " in _COLOUR.sub("", self._command("reginfo")):
            return  # the event came before we listened
        with self._changed:
            if not self._wait(lambda: self._registered is True, timeout_s):
                raise self._failed(f"is not registered after {timeout_s:.0f} s: {self._registration}")

    def dial(self, number: str) -> Call:
        """Start a call, beside those that are up; it does not wait for an answer."""
        with self._changed:
            call = self._in_hand = self._calls.dial(number)
        self._command("dial", number)
        return call

    def wait_for(self, state: State, timeout_s: float, call: Call | None = None) -> Call:
        """Wait until a call is (or was) ringing, established or closed, and return it.

        Without a call: the one last dialled or last waited for; when that is over, the next incoming one.
        Raises DevstackError, with the reason that SIP gave, when the call ends instead.
        """

        def choose() -> Call | None:
            return call or self._calls.choose(state, self._in_hand)

        def is_decided() -> bool:
            chosen = choose()
            return chosen is not None and (chosen.has_reached(state) or not chosen.is_live)

        with self._changed:
            decided = self._wait(is_decided, timeout_s)
            chosen = choose()
            if chosen is None:
                raise self._failed(f"got no call in {timeout_s:.0f} s")
            chosen.taken = True
            self._in_hand = chosen
            if not decided:
                raise self._failed(
                    f"call with {chosen.number} is {chosen.state}, not {state}, after {timeout_s:.0f} s"
                )
            chosen.end_told = chosen.end_told or not chosen.is_live
            if not chosen.has_reached(state):
                raise self._failed(f"call with {chosen.number} ended instead of {state}: {chosen.reason}")
            return chosen

    def take_ring(self, timeout_s: float) -> Call | None:
        """The oldest incoming call that nobody has taken, now taken; None when none comes in time.

        None at once, too, when the phone's program has ended. The call in hand stays in hand.
        """

        def find() -> Call | None:
            return next((one for one in self._calls.all if not one.outgoing and not one.taken), None)

        with self._changed:
            self._wait(lambda: find() is not None, timeout_s)
            found = find()
            if found is not None:
                found.taken = True
            return found

    def answer(self, call: Call | None = None) -> Call:
        """Answer a ringing call (another one that is up is put on hold, as telephones do)."""
        chosen = self.wait_for("ringing", COMMAND_S, call)
        self._command("callfind", chosen.id, then="accept")
        return chosen

    def press(self, keys: str, call: Call | None = None) -> None:
        """Press keys (0-9 * #), one after the other, in a call that is up, the one in hand by default."""
        chosen = self.wait_for("established", COMMAND_S, call)
        self._command("callfind", chosen.id, then="sndcode", then_params=keys)

    def hang_up(self, call: Call | None = None) -> Call:
        """End one call, the one in hand by default, and wait for its end; other calls go on."""
        chosen = call or self._in_hand
        if chosen is None:
            raise self._failed("has no call to hang up")
        with self._changed:
            # its first event brings the id by which it can be named
            self._wait(lambda: bool(chosen.id) or not chosen.is_live, COMMAND_S)
        if chosen.is_live:
            self._command("callfind", chosen.id, then="hangup")
        return self.wait_for("closed", COMMAND_S, chosen)

    @contextmanager
    def second_call(self, number: str) -> Iterator[Call]:
        """Dial a number beside the call in hand, which stays in hand; hang the second one up at the end."""
        first = self._in_hand
        call = self.dial(number)
        try:
            yield call
        finally:
            if call.is_live:
                self.hang_up(call)
            self._in_hand = first

    @property
    def rings(self) -> int:
        """How many calls have come in so far."""
        return sum(not call.outgoing for call in self.calls)

    @property
    def recording(self) -> Recording:
        """What the call in hand has heard so far."""
        return self.recording_of(self._in_hand)

    def recording_of(self, call: Call | None) -> Recording:
        """What was heard in one call; DevstackError where it was never answered."""
        if call is None or call.recording is None:
            raise self._failed("has heard nothing: the call was never established")
        return Recording(call.recording, call)

    def stop(self) -> None:
        """Unregister, end calls and the program; again without harm. Recordings stay."""
        end_process(self.process, END_S)
        self._reader.join(END_S)
        self._control.close()

    def _command(self, command: str, params: str = "", then: str = "", then_params: str = "") -> str:
        """Have commands carried out, in one packet, so that no event comes between; the first's answer."""
        with self._changed:
            self._asked += 1
            token = str(self._asked)
        message = write_netstring({"command": command, "params": params, "token": token})
        if then:
            message += write_netstring({"command": then, "params": then_params, "token": f"{token}+"})
        try:
            self._control.sendall(message)
        except OSError as error:
            raise self._failed(f"does not take commands: {error}") from error
        last = f"{token}+" if then else token
        with self._changed:
            if not self._wait(lambda: last in self._answers, COMMAND_S):
                raise self._failed(f"did not answer to {command}")
            answer = self._answers[token]
        if not answer.get("ok"):
            raise self._failed(f"could not {command} {params}: {answer.get('data')}")
        return str(answer.get("data", ""))

    def _wait(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        self._changed.wait_for(lambda: self._gone or holds(), timeout_s)
        return holds()

    def _failed(self, what: str) -> DevstackError:
        ended = " (its program has ended)" if self._gone else ""
        return DevstackError(
            [Problem("", 0, 0, f"phone {self.name} {what}{ended}", f"its log is {self.folder / 'log'}")]
        )

    def _read(self) -> None:
        received = b""
        while True:
            try:
                part = self._control.recv(65536)
            except OSError:
                part = b""
            with self._changed:
                if not part:
                    self._gone = True
                    self._changed.notify_all()
                    return
                messages, received = split_netstrings(received + part)
                for message in messages:
                    self._register(message)
                self._changed.notify_all()

    def _register(self, message: dict[str, object]) -> None:
        if message.get("response"):
            self._answers[str(message.get("token"))] = message
        elif message.get("type") in ("REGISTER_OK", "REGISTER_FAIL"):
            self._registered = message["type"] == "REGISTER_OK"
            self._registration = str(message.get("param"))
        elif (call := self._calls.register(message, time.monotonic())) and call.recording is None:
            call.recording = self._find_recording(call)

    def _find_recording(self, call: Call) -> Path | None:
        """The file of a call that is answered or over; None where there is none, or not yet.

        The file is made before the event is sent, and files come in the order of the calls. It gets a name of its
        own at once, as the program's next call in the same second would overwrite it.
        """
        others = [one for one in self._calls.all if one is not call and one.is_live and one.recording is None]
        if not call.has_reached("established") and (call.is_live or others):
            return None
        new = sorted(_recordings(self.folder).glob("dump-*-dec.wav"))
        kept = _recordings(self.folder) / f"{self._calls.all.index(call):05d}.wav"
        return new[0].rename(kept) if new else None


def start_phone(
    folder: Path,
    name: str,
    server: str,
    local_address: str,
    user: str,
    password: str,
    tone_hz: int,
) -> Phone:
    """Start a phone that registers as user at server (an IP address, UDP 5060) and plays tone_hz.

    folder (made, 0700; emptied of what an earlier phone heard) keeps its configuration, log and recordings.
    local_address: the address of this host to which its sockets are bound; ports are free ones, so any
    number of phones share it.
    """
    program = shutil.which(PROGRAM)
    if program is None or not (MODULES / "ctrl_tcp.so").exists():
        raise DevstackError.because(
            "baresip, the lab's telephone, is missing", "apt-get install baresip-core"
        )
    for what, value in (("name", name), ("user", user), ("password", password), ("server", server)):
        if _UNSAFE.search(value) or not value:
            raise DevstackError.because(
                f"phone {user}: its {what} cannot stand in an account", "letters and digits do"
            )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(_recordings(folder), ignore_errors=True)
    _recordings(folder).mkdir()
    port = choose_ports(["control"])["control"]
    texts = {
        "config": _CONFIG.format(
            address=local_address,
            tone_hz=tone_hz,
            recordings=_recordings(folder),
            modules=MODULES,
            loopback=LOOPBACK,
            control_port=port,
        ),
        "accounts": _ACCOUNT.format(
            name=name,
            user=user,
            server=server,
            password=password,
        ),
        "contacts": "",
    }
    for file_name, text in texts.items():
        write_private(folder / file_name, text)
    log = folder / "log"
    log.unlink(missing_ok=True)
    process = start_process([program, "-f", str(folder)], log)
    connected: list[socket.socket] = []

    def connect() -> bool:
        try:
            connected.append(socket.create_connection((LOOPBACK, port)))
        except ConnectionRefusedError:
            return False
        connected[0].settimeout(None)
        return True

    try:
        wait_until(connect, START_S, f"waiting for phone {name}", log, process)
    except DevstackError:
        end_process(process, END_S)
        raise
    return Phone(name, folder, process, connected[0])


def _recordings(folder: Path) -> Path:
    return folder / "heard"
