"""A box's file changed by `riti enroll`: one value, and every other byte stays."""

from __future__ import annotations

import pytest

from ritilib.errors import FleetError
from ritilib.fleet.edit_enrollment import approve, read_box, replace, revoke

PATH, KEY = "fleet/boxes/acme/salto.yaml", "acme/salto"
BOX = """\
# the depot
name: Salto   # as on the door
extensions:
  - {number: "201", name: Depot}
"""


def change(text: str, *edits: object) -> str:
    for edit in edits:
        text = edit({PATH: text.encode()})[PATH]  # type: ignore[operator]
        read_box({PATH: text.encode()}, KEY)
    return text


def test_approve_writes_the_serial_number_once() -> None:
    text = change(BOX, lambda files: approve(files, KEY, "10000000abcdef01"))
    assert text == BOX.replace("on the door\n", 'on the door\nserial: "10000000abcdef01"\n')
    assert change(text, lambda files: approve(files, KEY, "10000000abcdef01")) == text
    with pytest.raises(FleetError, match="says 10000000abcdef02"):
        approve({PATH: text.encode()}, KEY, "10000000abcdef02")


def test_revoke_and_replace_count_the_hardware() -> None:
    revoked = change(BOX, lambda files: revoke(files, KEY))
    assert "enrollment: {revoked: true}\n" in revoked
    replaced = change(revoked, lambda files: replace(files, KEY, "10000000abcdef02"))
    said = read_box({PATH: replaced.encode()}, KEY)
    assert (said.enrollment.generation, said.enrollment.revoked) == (2, False)
    assert said.serial == "10000000abcdef02"
    again = read_box({PATH: change(replaced, lambda files: replace(files, KEY)).encode()}, KEY)
    assert (again.enrollment.generation, again.serial) == (3, None)


@pytest.mark.parametrize(
    "before",
    [
        'name: S\nenrollment:\n  generation: 4 # so many\n  revoked: false\nextensions: [{number: "20", name: D}]\n',
        '{name: S, enrollment: {generation: 4}, extensions: [{number: "20", name: D}]}\n',
        'name: S\r\nenrollment: {generation: 4}\r\nextensions:\r\n  - {number: "20", name: D}\r\n',
    ],
)
def test_however_it_is_written(before: str) -> None:
    said = read_box({PATH: change(before, lambda files: replace(files, KEY)).encode()}, KEY)
    assert said.enrollment.generation == 5


def test_there_is_no_such_box() -> None:
    with pytest.raises(FleetError, match="is not there"):
        revoke({}, KEY)
