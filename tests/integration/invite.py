"""A SIP client that says what no telephone would: whatever stands in the user parts of its INVITE (RFC 3261)."""

from __future__ import annotations

import re
import secrets
import socket

from tests.integration.digest import write_proof

_PORT = 5060
_WITHIN_S = 20.0
_SDP = "v=0\r\no=- 1 1 IN IP4 {here}\r\ns=-\r\nc=IN IP4 {here}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"


class Caller:
    """An account of a box at `server`, from the address `here`."""

    def __init__(self, here: str, server: str, user: str, password: str) -> None:
        self._here, self._server, self._user, self._password = here, server, user, password

    def call(self, dialled: str, shown: str, name: str = "") -> int:
        """Dial, as `shown` and under that name, and return the final status; an answered call is left to the box.

        dialled and shown are the user parts of URIs as they go over the wire: a quote is %22 there. name is plain text,
        of which a header takes no control characters.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.bind((self._here, 0))
            line.settimeout(_WITHIN_S)
            call = secrets.token_hex(8)
            first = self._ask(line, "INVITE", dialled, shown, name, call, 1, "")
            if first[0] != 401:
                return first[0]
            uri = f"sip:{dialled}@{self._server}"
            proof = write_proof(first[1], "INVITE", uri, self._user, self._password)
            return self._ask(line, "INVITE", dialled, shown, name, call, 2, proof)[0]

    def _ask(
        self,
        line: socket.socket,
        method: str,
        dialled: str,
        shown: str,
        name: str,
        call: str,
        count: int,
        proof: str,
    ) -> tuple[int, str]:
        port = line.getsockname()[1]
        body = _SDP.format(here=self._here, port=port)
        branch = f"z9hG4bK{call}{count}"
        quoted = re.sub(r'(["\\])', r"\\\1", re.sub(r"[\x00-\x1f\x7f]", "", name))

        def write(method: str, more: str, body: str) -> bytes:
            return (
                f"{method} sip:{dialled}@{self._server} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {self._here}:{port};branch={branch};rport\r\n"
                f'From: "{quoted}" <sip:{shown}@{self._here}>;tag={call}\r\n'
                f"To: <sip:{dialled}@{self._server}>{more}"
                f"Call-ID: {call}\r\nCSeq: {count} {method}\r\nMax-Forwards: 70\r\n"
                f"Contact: <sip:x@{self._here}:{port}>\r\n{proof}"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode("utf-8", "surrogateescape")

        more = f"\r\nP-Asserted-Identity: <sip:{shown}@{self._here}>\r\nContent-Type: application/sdp\r\n"
        line.sendto(write(method, more, body), (self._server, _PORT))
        while True:
            answer = line.recv(65536).decode("utf-8", "replace")
            status = int(answer.split(" ")[1]) if answer.startswith("SIP/2.0 ") else 0
            if status >= 200:
                tag = re.search(r"^To:.*(;tag=\S+)", answer, re.MULTILINE | re.IGNORECASE)
                line.sendto(write("ACK", f"{tag[1] if tag else ''}\r\n", ""), (self._server, _PORT))
                return status, answer
