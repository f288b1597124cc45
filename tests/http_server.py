"""A handler of HTTP served on loopback by threads that have all ended when it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serve(handler: type[BaseHTTPRequestHandler], let_go: Callable[[], None]) -> Iterator[str]:
    """Its URL; let_go frees the requests that wait in the handler, before the server ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        let_go()
        server.shutdown()
        server.server_close()
        thread.join()
