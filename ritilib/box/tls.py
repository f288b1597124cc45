"""TLS to a gateway whose authority the card names, with times judged by the box's clock and not by the system's."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from urllib3.connection import HTTPSConnection
from urllib3.exceptions import SystemTimeWarning

from ritilib.errors import RitiError

Judge = Callable[
    [Sequence[bytes], str], None
]  # certificates (DER, the server's first) and the host; may raise
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL 1.1 and newer, which Python has no name for

# the box's clock is looked at by ritilib.box.clock; a warning would go to whoever reads the box's log
warnings.simplefilter("ignore", SystemTimeWarning)


def make_context(authority: str, files: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Chain and name are verified by this authority (PEM) alone; times are left to the judge of the connection.

    files are the box's own certificate and key. RitiError where either is no such thing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies, and checks the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    try:
        context.load_verify_locations(cadata=authority)
        if files:
            context.load_cert_chain(*files)
    except (ssl.SSLError, ValueError):
        what = "the card's authority, or the box's own certificate, is none"
        raise RitiError.because(what, "write the card again: riti box claim") from None
    return context


def make_connection(judge: Judge) -> type[HTTPSConnection]:
    """A kind of connection over which nothing is sent before the judge has seen the server's certificates."""

    class Judged(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            try:
                judge(list_chain(self.sock), self.host.strip("[]"))
            except BaseException:
                self.close()
                raise

    return Judged


def list_chain(sock: Any) -> list[bytes]:
    """The server's certificates as it sent them (DER). Before Python 3.13 only its own is to be had, which then must
    be signed by the card's authority itself."""
    if hasattr(sock, "get_unverified_chain"):
        return [bytes(one) for one in sock.get_unverified_chain()]
    return [sock.getpeercert(binary_form=True)]
