"""From a rendered fleet to what each Asterisk of the laboratory gets; and the public network's own files."""

from __future__ import annotations

import re

import pytest

from ritilib.devstack.telephony.company import choose_tone_hz
from ritilib.devstack.telephony.company_files import (
    FleetPlan,
    NodePlan,
    invent_document,
    plan_fleet,
    read_command,
)
from ritilib.devstack.telephony.public import (
    EMERGENCY_HZ,
    STRANGER_HZ,
    Adapter,
    Line,
    Outside,
    plan_public,
)
from ritilib.errors import DevstackError
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree
from ritilib.routing.country import describe_country
from tests.unit.fleets import make_files

MONTEVIDEO, SALTO = "acme/montevideo", "acme/salto"


@pytest.fixture(scope="module")
def plan() -> FleetPlan:
    files = make_files()
    return plan_fleet(render_tree(load_fleet(files), files, "1.0"))


def find_node(plan: FleetPlan, name: str) -> NodePlan:
    return next(node for node in plan.nodes if node.name == name)


def read_secret(text: str, section: str) -> str:
    found = re.search(rf"^\[{section}-secret\]\(!\)\nsecret=(\S+)$", text, re.MULTILINE)
    assert found is not None
    return found[1]


def test_every_unit_is_a_node_with_the_address_that_its_peers_call(plan: FleetPlan) -> None:
    names = [f"{kind}:{unit}" for unit in (MONTEVIDEO, SALTO) for kind in ("box", "pbx")]
    assert sorted(node.name for node in plan.nodes) == sorted(names)
    assert plan.boxes == (MONTEVIDEO, SALTO)
    addresses = {node.name: node.address for node in plan.nodes}
    assert str(plan.subnet) == "100.80.0.0/16"
    assert find_node(plan, f"box:{SALTO}").peers == {
        addresses[f"pbx:{SALTO}"],
        addresses[f"box:{MONTEVIDEO}"],
    }
    assert find_node(plan, f"pbx:{SALTO}").peers == {
        addresses[f"box:{SALTO}"],
        addresses[f"pbx:{MONTEVIDEO}"],
    }


def test_both_ends_of_each_link_have_the_same_secret(plan: FleetPlan) -> None:
    first = find_node(plan, f"pbx:{MONTEVIDEO}").folders["/secrets"]["iax.conf"]
    second = find_node(plan, f"pbx:{SALTO}").folders["/secrets"]["iax.conf"]
    box = find_node(plan, f"box:{SALTO}").folders["/local/asterisk"]["iax.conf"]
    assert read_secret(first, "pbx-salto") == read_secret(second, "pbx-montevideo")
    assert read_secret(second, "box") == read_secret(box, "cloud")
    assert read_secret(second, "box") != read_secret(second, "pbx-montevideo")


def test_a_pbx_has_its_static_files_and_the_live_dial_plan(plan: FleetPlan) -> None:
    node = find_node(plan, f"pbx:{SALTO}")
    files = node.folders["/local/asterisk"]
    assert f"bindaddr={node.address}" in files["iax.conf"]
    assert '#include "/secrets/iax.conf"' in files["iax.conf"]
    assert "[from-box]" in files["extensions.conf"]
    assert {"asterisk.conf", "modules.conf", "logger.conf"} < files.keys()


def test_a_pbx_is_started_as_its_job_says_and_a_box_likewise(plan: FleetPlan) -> None:
    node = find_node(plan, f"pbx:{SALTO}")
    words = list(node.command)
    assert words[:2] == ["/watcher", "start"]
    assert [words[words.index(option) + 1] for option in ("--address", "--interface", "--peer")] == [
        node.address,
        "eth0",
        "box",
    ]
    for folder, name in (("/local/asterisk", "extensions.conf"), ("/secrets", "iax.conf")):
        assert f"{folder}/{name}" in words
        assert name in node.folders[folder]
    box = find_node(plan, f"box:{SALTO}").command
    assert (box[:4], box[-5:]) == (("/watcher", "start", "--peer", "cloud"), tuple(words[-5:]))


def test_a_job_without_the_task_is_told() -> None:
    with pytest.raises(DevstackError, match="task `pbx` has no command"):
        read_command('job "x" {\n  group "pbx" {\n  }\n}\n', "100.80.0.1")


def test_every_telephone_has_the_password_that_its_box_expects(plan: FleetPlan) -> None:
    assert [(phone.box, phone.extension) for phone in plan.phones] == [(MONTEVIDEO, "101"), (SALTO, "201")]
    for phone in plan.phones:
        text = find_node(plan, f"box:{phone.box}").folders["/local/asterisk"]["pjsip.conf"]
        assert f"password={phone.password}\n" in text
        assert f"[{phone.user}]\n" in text


def test_a_wish_that_is_true_gets_one_secret() -> None:
    wanted = {"pairs": {"cloud": ["box/a", "pbx/a"]}, "line": True, "generation": 1}
    document = invent_document(wanted, SALTO)
    assert sorted(document) == ["iax", "line"]
    assert document["line"] == Adapter().password(SALTO)


def test_the_public_network_knows_every_line_by_each_form_of_its_number() -> None:
    lines = (Line(MONTEVIDEO, "+59826001101"), Line(SALTO, "+59847331201"))
    offices = {MONTEVIDEO: "192.0.2.2", SALTO: "192.0.2.3"}
    outside = Outside(describe_country("UY"), lines, ("911",), ("+59824000000",), Adapter("fxo", "26001101"))
    files = plan_public(outside, offices).folders["/local/asterisk"]
    for form in ("59847331201", "0059847331201", "47331201"):
        assert f"exten => {form},1,Set(CALLEE=line1)\n" in files["extensions.conf"]
    assert "exten => 24000000,1,Goto(stranger,s,1)\n" in files["extensions.conf"]
    assert "exten => 911,1,Goto(emergency,s,1)\n" in files["extensions.conf"]
    assert "Dial(PJSIP/26001101@${CALLEE}" in files["extensions.conf"]
    assert "client_uri=sip:fxo@192.0.2.3\n" in files["pjsip.conf"]
    assert files["modules.conf"].endswith("load = res_pjsip_outbound_registration.so\n")


def test_every_telephone_has_a_tone_of_its_own() -> None:
    tones = [choose_tone_hz(place) for place in range(50)]
    assert len(set(tones)) == 50
    assert not {EMERGENCY_HZ, STRANGER_HZ} & set(tones)
    with pytest.raises(DevstackError, match="telephones only"):
        choose_tone_hz(60)
