"""What a trial of an update serves and counts, and the version of one changed package that it is made with."""

from __future__ import annotations

import http.client
from pathlib import Path

from boxos.changed import mark, name_version
from boxos.serve import Sent, Served, answer
from boxos.update import spoil
from boxos.verity import BLOCK


def ask(port: int, name: str, span: str = "") -> tuple[int, str, bytes, int]:
    """Status, Content-Range, body, and all bytes of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", f"/{name}", headers={"Range": span} if span else {})
        said = connection.getresponse()
        body = said.read()
        lines = [
            "HTTP/1.1 " + f"{said.status} {said.reason}",
            *(f"{one}: {two}" for one, two in said.getheaders()),
        ]
        head = sum(len(line) + 2 for line in lines) + 2
        return said.status, said.getheader("Content-Range", ""), body, head + len(body)
    finally:
        connection.close()


def test_every_byte_that_goes_out_is_counted_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(bytes(range(256)) * 64)
    bundle = Served(tmp_path / "payload", 10_000, b"tail", {5_000: 1})
    sent: dict[str, Sent] = {}
    with answer({"good": bundle, "other": bundle}, sent) as port:
        status, span, part, first = ask(port, "good", "bytes=4999-5001")
        assert (status, span, part) == (206, "bytes 4999-5001/10004", bytes([135, 1, 137]))
        status, span, whole, second = ask(port, "good")
        assert (status, span, len(whole), whole[-4:]) == (200, "", 10_004, b"tail")
        assert ask(port, "other", "bytes=9998-")[2][-4:] == b"tail"
        assert ask(port, "absent")[0] == 404
    assert sent["good"] == Sent(first + second, 2)
    assert sent["other"].answers == 1 and set(sent) == {"good", "other"}


def test_a_payload_is_spoiled_wherever_a_box_may_read_the_root(tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(bytes(100 * BLOCK))
    changed = spoil(tmp_path / "payload", 100 * BLOCK)
    assert [offset // BLOCK for offset in changed] == list(range(30, 95)) and set(changed.values()) == {1}


def test_every_file_of_the_changed_package_is_another_and_still_python() -> None:
    source = '"""Says."""\n\nfrom __future__ import annotations\n\nX = 1\n'
    space: dict[str, object] = {}
    exec(compile(mark(source, "1.2.4"), "x", "exec"), space)
    assert space["X"] == 1 and space["__doc__"] == "Says." and mark(source, "1.2.4") != mark(source, "1.2.3")


def test_the_changed_image_says_its_own_version() -> None:
    release = 'ID=riti\nIMAGE_ID=riti-box-virt\nIMAGE_VERSION="1.2.3"\n'
    assert name_version(release, "1.2.4") == release.replace("1.2.3", "1.2.4")
