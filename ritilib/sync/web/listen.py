"""Serves a WSGI application in threads of this process, and ends them.

By Cheroot (CherryPy's server): it bounds headers, bodies and time, and has a `stop` that closes what is open. Waitress
has none by design (its issue 372), Werkzeug calls its server one for development, and gunicorn wants a process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import format_exc
from wsgiref.types import WSGIApplication

from cheroot.wsgi import Server

from ritilib.errors import RitiError

THREADS = 4
TIMEOUT_S = 10  # for a request to come in whole, piece by piece
END_S = 1  # what is being answered may be finished; then its connection is shut
_HEADER_LIMIT = 32 << 10


class _Server(Server):
    """Says what it has to say to `report`, and not to standard error."""

    report: Callable[[str], None]

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        self.report(" ".join(f"{msg} {format_exc() if traceback else ''}".split()))


@contextmanager
def listen(
    application: WSGIApplication, host: str, port: int, body_limit: int, report: Callable[[str], None]
) -> Iterator[int]:
    """Serve the application at host and port (0: any) while it lasts; gives the port.

    report gets what the server itself has to say, in one line. Its threads have ended when it is over. RitiError where
    the address cannot be had.
    """
    server = _Server((host, port), application, numthreads=THREADS, timeout=TIMEOUT_S, shutdown_timeout=END_S)
    server.server_name = "riti"
    server.max_request_header_size = _HEADER_LIMIT
    server.max_request_body_size = body_limit
    server.report = report
    try:
        server.prepare()
    except OSError as error:
        what = f"cannot listen at {host}, port {port}: {error}"
        raise RitiError.because(what, "name another address, or end what listens there") from None
    thread = threading.Thread(target=server.serve, name="web", daemon=True)
    thread.start()
    try:
        yield int(server.bind_addr[1])
    finally:
        server.stop()
        thread.join()
