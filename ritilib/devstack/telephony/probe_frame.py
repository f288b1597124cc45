"""One IAX2 frame to an address: does anything answer?

Run as `python -m ritilib.devstack.telephony.probe_frame ADDRESS SECONDS`: a program of its own, because it must run
inside a network namespace, which `ritilib.devstack.telephony.probe` enters for it. It ends with 0 when something
answered, with 1 when nothing did.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import time

IAX_PORT = 4569
ANSWERED, SILENT = 0, 1
_AGAIN_S = 0.5
_SOURCE_CALL = 0x2A01
# RFC 5456: a full frame (8.1.1) of type 6, IAX control, subclass 0x1e, POKE; 0x03, PONG, answers it
_FULL_FRAME = struct.Struct("!HHIBBBB")
_IAX_CONTROL, _POKE = 0x06, 0x1E


def build_poke() -> bytes:
    """The 12 bytes of a POKE: "are you there?", which needs neither a call nor an account."""
    return _FULL_FRAME.pack(0x8000 | _SOURCE_CALL, 0, 0, 0, 0, _IAX_CONTROL, _POKE)


def is_answered(address: str, timeout_s: float, port: int = IAX_PORT) -> bool:
    """Whether anything came back from address within timeout_s; the frame is sent again each half second."""
    end_s = time.monotonic() + timeout_s
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.connect((address, port))
        except OSError:  # no route
            return False
        while (left_s := end_s - time.monotonic()) > 0:
            sender.settimeout(min(_AGAIN_S, left_s))
            try:
                sender.send(build_poke())
                return bool(sender.recv(2048))
            except TimeoutError:
                continue
            except (
                OSError
            ):  # an ICMP refusal came for the last frame; a filter's, perhaps, so the next may fare better
                time.sleep(min(_AGAIN_S, left_s))
    return False


if __name__ == "__main__":
    _address, _timeout = sys.argv[1:]
    sys.exit(ANSWERED if is_answered(str(ipaddress.ip_address(_address)), float(_timeout)) else SILENT)
