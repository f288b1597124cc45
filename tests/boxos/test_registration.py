"""A telephone that registers without changing anything: the request, the proof of its password, what an answer means.

Against the real Asterisk: tests/integration/test_box_closing.py.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from onbox import registration
from onbox.health import Health, find_lacks
from onbox.registration import Account, answer_challenge, can_register, find_account, read_answer, register
from ritilib.box.compose import compose_box
from tests.golden.update import render_case

FOLDER = "rendered/acme/montevideo/box/"
SECRETS = {"iax": {"cloud": "one", "box-salto": "two"}, "phones": {"101": "pw-of-101"}}
ACCOUNT = Account("phone-101", "phone-101", "pw-of-101")


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The very pjsip.conf that an agent composes of what is rendered."""
    tree = render_case("two-companies")
    files = {path.removeprefix(FOLDER): text for path, text in tree.items() if path.startswith(FOLDER)}
    (tmp_path / "pjsip.conf").write_text(compose_box(files, SECRETS, 1)["pjsip.conf"])
    return tmp_path / "pjsip.conf"


class Registrar:
    """What a SIP registrar does with a REGISTER: it asks for the password, and looks at the proof (RFC 2617)."""

    def __init__(self, algorithm: str = "MD5", qop: str = "auth", password: str = "pw-of-101") -> None:
        self.algorithm, self.qop, self.password = algorithm, qop, password
        self.requests: list[str] = []
        self._link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._link.bind(("127.0.0.1", 0))
        self.place: tuple[str, int] = self._link.getsockname()
        self.drops = 0
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        while True:
            data, sender = self._link.recvfrom(65536)
            if data == b"end":
                return
            if self.drops:
                self.drops -= 1
                continue
            request = data.decode()
            self.requests.append(request)
            call = re.search(r"Call-ID: (\S+)", request)
            assert call
            for status, more in self._judge(request):
                head = f"SIP/2.0 {status} Words\r\nCall-ID: {call[1]}\r\n{more}\r\n"
                self._link.sendto(head.encode(), sender)

    def _judge(self, request: str) -> list[tuple[int, str]]:
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', request.partition("Authorization: Digest ")[2]))
        if not said:
            qop = f', qop="{self.qop}"' if self.qop else ""
            ask = f'Digest realm="asterisk", nonce="n0nce", algorithm={self.algorithm}, opaque="0p"{qop}'
            return [(100, ""), (401, f"WWW-Authenticate: {ask}\r\n")]
        digest = hashlib.sha256 if self.algorithm == "SHA-256" else hashlib.md5
        one = digest(f"{said['username']}:asterisk:{self.password}".encode()).hexdigest()
        two = digest(f"REGISTER:{said['uri']}".encode()).hexdigest()
        middle = f"n0nce:{said['nc']}:{said['cnonce']}:auth" if self.qop else "n0nce"
        wanted = digest(f"{one}:{middle}:{two}".encode()).hexdigest()
        return [(200 if said["response"].strip() == wanted else 403, "")]

    def end(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
            waking.sendto(b"end", self.place)
        self._thread.join()
        self._link.close()


@pytest.fixture(params=[("MD5", "auth"), ("MD5", ""), ("SHA-256", "auth")], ids=str)
def registrar(request: pytest.FixtureRequest) -> Iterator[Registrar]:
    made = Registrar(*request.param)
    yield made
    made.end()


def test_the_telephone_is_one_of_the_rendered_configuration(configuration: Path) -> None:
    assert find_account(configuration.read_text()) == ACCOUNT
    assert "pw-of-101" not in repr(ACCOUNT)
    assert find_account("") is None
    assert find_account("[a]\ntype=endpoint\nauth=b\n[b]\ntype=auth\nusername=c\n") is None


def test_it_is_accepted_and_no_contact_is_given(registrar: Registrar) -> None:
    assert register(ACCOUNT, registrar.place) == ""
    assert len(registrar.requests) == 2
    for request in registrar.requests:
        assert "Contact:" not in request and "Expires:" not in request and "pw-of-101" not in request


def test_a_lost_datagram_is_sent_again(registrar: Registrar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "TIMEOUT_S", 0.3)
    registrar.drops = 1
    assert register(ACCOUNT, registrar.place) == ""


def test_a_wrong_password_and_a_silence_are_told() -> None:
    registrar = Registrar(password="another")
    assert register(ACCOUNT, registrar.place) == "Asterisk answers 403 to a telephone that registers"
    registrar.end()
    assert "does not answer a telephone" in register(ACCOUNT, registrar.place)


def test_an_answer_of_another_call_is_none() -> None:
    data = b"SIP/2.0 200 OK\r\nCall-ID: a\r\n\r\n"
    assert read_answer(data, "a") == (200, {}) and read_answer(data, "b") == (0, {})
    for noise in (b"", b"\r\n\r\n", b"OPTIONS sip:x SIP/2.0\r\nCall-ID: a\r\n\r\n", b"\xff\xfe"):
        assert read_answer(noise, "a") == (0, {})


def test_the_proof_is_that_of_rfc_2617() -> None:
    """Section 3.5's example, with its own method and address put in place of ours."""
    challenge = {
        "realm": "testrealm@host.com",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "qop": "auth,auth-int",
    }
    line = answer_challenge(Account("Mufasa", "Mufasa", "Circle Of Life"), challenge, "0a4f113b")
    one = hashlib.md5(b"Mufasa:testrealm@host.com:Circle Of Life").hexdigest()
    assert one == "939e7578ed9e3c518a452acee763bce9"  # as the RFC has it
    two = hashlib.md5(b"REGISTER:sip:127.0.0.1").hexdigest()
    middle = f"{challenge['nonce']}:00000001:0a4f113b:auth"
    assert f'response="{hashlib.md5(f"{one}:{middle}:{two}".encode()).hexdigest()}"' in line


def test_where_nothing_is_configured_nothing_registers_and_nothing_lacks(tmp_path: Path) -> None:
    assert not can_register(tmp_path / "absent")
    well = Health(started=True, root_verified=True, data=True)
    assert find_lacks(well, well.reach()) == []


def test_a_version_whose_telephones_do_not_register_is_not_healthy() -> None:
    before = Health(started=True, root_verified=True, data=True, phones=True)
    after = Health(started=True, root_verified=True, data=True, phones=False)
    assert find_lacks(after, before.reach()) == ["no telephone can register"]
    assert find_lacks(before, before.reach()) == []
    assert find_lacks(after, {"is_in": False}) == []
