"""The adapter's configuration: well-formed, each setting once, no secret in Git, every secret put in by the box."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ritilib.box.adapter import compose_adapter
from ritilib.errors import FleetError, GitopsError
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree
from tests.unit.fleets import FLEET, MONTEVIDEO, SALTO, make_files

ADAPTER = 'adapter: {mac: "00:0B:82:12:34:56"}\n'
LINE = 'line: {number: "+59826001101"}\n'
SECRETS = {"phones": {"101": "p<w&1"}, "line": "l1ne", "adapter": "adm1n"}
FOLDER = "rendered/acme/montevideo/box/"


def render(montevideo: str) -> dict[str, str]:
    """The files of Montevideo's box, by their path below its folder."""
    files = make_files(montevideo=montevideo, fleet=FLEET + 'emergency: ["104"]\n')
    tree = render_tree(load_fleet(files), files, "test")
    return {path.removeprefix(FOLDER): text for path, text in tree.items() if path.startswith(FOLDER)}


def read_settings(text: str) -> dict[str, str]:
    root = ElementTree.fromstring(text)
    assert root.findtext("mac") == "000b82123456"
    config = root.find("config")
    assert config is not None
    tags = [one.tag for one in config]
    assert len(tags) == len(set(tags))
    return {one.tag: one.text or "" for one in config}


def test_telephone_and_line_find_the_box_with_their_secrets() -> None:
    rendered = render(MONTEVIDEO + ADAPTER + LINE)
    assert not any(secret in "".join(rendered.values()) for secret in ("p<w&1", "l1ne", "adm1n"))
    (name,) = composed = compose_adapter(rendered, SECRETS)
    assert name == "cfg000b82123456.xml"
    said = read_settings(composed[name])
    assert {said[key] for key in ("P47", "P747", "P237", "P3306")} == {"192.168.213.1"}
    assert (said["P34"], said["P734"], said["P2"]) == ("p<w&1", "l1ne", "adm1n")
    assert (said["P36"], said["P736"], said["P3305"]) == ("phone-101", "line", "line")
    assert (said["P271"], said["P401"]) == ("1", "1")
    for number in ("104", "128", "911"):
        assert f" {number} |" in said["P4200"]


def test_a_port_that_nobody_uses_is_off() -> None:
    said = read_settings(compose_adapter(render(MONTEVIDEO + ADAPTER), SECRETS)["cfg000b82123456.xml"])
    assert (said["P271"], said["P401"]) == ("1", "0")
    soft = MONTEVIDEO.replace("name: Recepción", "name: Recepción\n    phone: sip")
    said = read_settings(compose_adapter(render(soft + ADAPTER + LINE), SECRETS)["cfg000b82123456.xml"])
    assert (said["P271"], said["P401"]) == ("0", "1")


def test_an_office_without_an_adapter_has_no_file_for_one() -> None:
    assert compose_adapter(render(MONTEVIDEO + LINE), SECRETS) == {}


def test_every_missing_secret_is_named_at_its_line() -> None:
    with pytest.raises(GitopsError) as caught:
        compose_adapter(render(MONTEVIDEO + ADAPTER + LINE), {"phones": {}})
    problems = caught.value.problems
    assert [problem.what.split()[-1] for problem in problems] == ["adapter", "phone-101", "line"]
    assert all(problem.line > 1 for problem in problems)


def test_one_adapter_stands_in_one_office() -> None:
    twice = SALTO + 'adapter: {mac: "00-0b-82-12-34-56"}\n'
    with pytest.raises(FleetError, match="adapter 000b82123456 is twice in the fleet"):
        load_fleet(make_files(montevideo=MONTEVIDEO + ADAPTER, salto=twice))
    with pytest.raises(FleetError, match="mac"):
        load_fleet(make_files(montevideo=MONTEVIDEO + 'adapter: {mac: "00:0b:82:12:34"}\n'))
