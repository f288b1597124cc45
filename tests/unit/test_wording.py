"""What is wrong with a value, in words that help whoever edits YAML."""

from __future__ import annotations

import re

import pytest

from ritilib.errors import FleetError
from ritilib.fleet.load import load_fleet
from ritilib.fleet.wording import EXAMPLES
from tests.unit.fleets import ACME, FLEET, SALTO, make_files


@pytest.mark.parametrize(("pattern", "example"), EXAMPLES.items())
def test_an_example_has_the_form_that_it_shows(pattern: str, example: str) -> None:
    assert re.fullmatch(pattern, example.strip('"'))


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "salto",
            '"201"',
            '"1"',
            "salto.yaml:3: `extensions.0.number` ('1') has not the form asked for; "
            'write it such as "201"; it must match ^[0-9]{2,6}$',
        ),
        (
            "salto",
            '"201"',
            "201",
            "salto.yaml:3: `extensions.0.number` (201): input should be a valid string; "
            "quote it, so that YAML keeps it as text",
        ),
        (
            "salto",
            "name: Salto",
            "name: [Salto]",
            "salto.yaml:1: `name`: input should be a valid string; write one word or line of text",
        ),
        (
            "salto",
            "name: Salto",
            "name:",
            "salto.yaml:1: `name` has no value; write one, or remove the key where it may be absent",
        ),
        (
            "acme",
            ACME,
            "name: Acme\nroutes: none\n",
            "acme.yaml:2: `routes` ('none') is no list; begin each item on a line of its own with `- `",
        ),
        (
            "acme",
            ACME,
            'name: Acme\nroutes: ["100"]\n',
            "acme.yaml:2: `routes.0` ('100') is no mapping of keys to values; "
            "write its keys, one a line, such as `name: …`",
        ),
        (
            "fleet",
            "  - {name: one, address: 10.93.0.1, port: 4242}\n",
            "  []\n",
            "fleet.yaml:6: `lighthouses` is empty; give it at least one item, below it and beginning with `- `",
        ),
        (
            "fleet",
            "10.93.0.1",
            "10",
            "fleet.yaml:7: `lighthouses.0.address` (10): input should be an address such as 192.0.2.1; "
            "change it so",
        ),
        ("salto", "    name: Depósito\n", "", "salto.yaml:3: `extensions.0.name` is missing; add it"),
    ],
)
def test_a_value_that_is_wrong_comes_with_what_to_write(file: str, old: str, new: str, expected: str) -> None:
    text = {"fleet": FLEET, "acme": ACME, "salto": SALTO}[file]
    assert old in text
    with pytest.raises(FleetError) as caught:
        load_fleet(make_files(**{file: text.replace(old, new)}))
    (problem,) = caught.value.problems
    assert str(problem).endswith(expected)
