"""A telephone made of one socket: it registers, takes no call, and hears what its box tells of the mailbox."""

from __future__ import annotations

import re
import socket
from types import TracebackType
from typing import Self

from tests.integration.digest import write_proof

TIMEOUT_S = 20.0


class Listener:
    """user at the box of address server, on a socket of this host's address local. OSError where the box is silent."""

    def __init__(self, local: str, server: str, user: str, password: str) -> None:
        self.user, self.server, self.password = user, server, password
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.bind((local, 0))
        self._socket.connect((server, 5060))
        self._contact = f"{local}:{self._socket.getsockname()[1]}"
        self._sent = 0
        self._told: list[str] = []
        self._asked = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def register(self) -> str:
        """As an adapter does, which asks for no news: the status of the box's answer, "200 OK".

        It returns when the box has asked, as it does now and then, whether the telephone is there.
        """
        answer = self._ask("REGISTER", f"sip:{self.server}", "Expires: 60\r\n")
        while not self._asked:
            self._receive()
        return answer

    def subscribe(self) -> str:
        """As most telephones do; likewise."""
        more = "Expires: 60\r\nEvent: message-summary\r\nAccept: application/simple-message-summary\r\n"
        return self._ask("SUBSCRIBE", f"sip:{self.user}@{self.server}", more)

    def wait_told(self, words: str) -> str:
        """The first NOTIFY that has these words ("Messages-Waiting: yes"); TimeoutError where none comes.

        What was told before it is forgotten.
        """
        while True:
            while self._told:
                if words in (said := self._told.pop(0)):
                    return said
            self._receive()

    def _ask(self, method: str, uri: str, more: str) -> str:
        """Send a request, and again with the proof that the box asks for."""
        proof = write_proof(self._try(method, uri, more), method, uri, self.user, self.password)
        return self._try(method, uri, more + proof).partition("\r\n")[0].removeprefix("SIP/2.0 ")

    def _try(self, method: str, uri: str, more: str) -> str:
        self._sent += 1
        own = f"<sip:{self.user}@{self.server}>"
        self._socket.send(
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self._contact};rport;branch=z9hG4bK{self._sent}\r\n"
            f"From: {own};tag={method}\r\nTo: {own}\r\nCall-ID: {method}-{self._contact}\r\n"
            f"CSeq: {self._sent} {method}\r\nContact: <sip:{self.user}@{self._contact}>\r\n{more}"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode()
        )
        while not (said := self._receive()).startswith("SIP/2.0 "):
            pass
        return said

    def _receive(self) -> str:
        """The next thing said; requests are answered, or they would be said again, calls left alone."""
        said = self._socket.recv(65536).decode()
        if said.startswith(("NOTIFY ", "OPTIONS ")):
            kept = re.findall(r"^((?:Via|From|To|Call-ID|CSeq): [^\r]*)", said, re.MULTILINE)
            self._socket.send(
                ("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0"]) + "\r\n\r\n").encode()
            )
            self._asked = self._asked or said.startswith("OPTIONS ")
            self._told += [said] if said.startswith("NOTIFY ") else []
        return said
