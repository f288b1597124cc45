"""Mailboxes in the rendered files: who comes to them, who opens them, and that others have no line of them."""

from __future__ import annotations

import pytest

from ritilib.devstack.asterisk_check.conf import read_conf
from ritilib.devstack.asterisk_check.dialplan import Step, list_steps
from ritilib.devstack.asterisk_check.mailboxes import check_mailboxes
from ritilib.fleet.kinds import LANGUAGES
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree
from tests.unit.fleets import ACME, FLEET, MONTEVIDEO, SALTO, make_files

GROUP = 'groups: [{number: "600", name: All, rings: ["101", "102", "201"]}]\n'
MAILBOXES = {
    "acme": ACME + GROUP + "timezone: America/Montevideo\n",
    "montevideo": MONTEVIDEO + '    mailbox: {after_s: 30}\n  - {number: "102", name: B, phone: sip}\n',
    "salto": SALTO + '    mailbox: {}\n    forward: {busy: "101"}\n',
}
OPTIONS = ("format", "maxmsg", "minsecs", "tz")


def render(**changed: str) -> dict[str, str]:
    files = make_files(**changed)
    return render_tree(load_fleet(files), files, "test")


def list_plan(tree: dict[str, str], place: str) -> list[Step]:
    return list_steps(read_conf("extensions.conf", tree[f"rendered/acme/{place}/extensions.conf"]))


def find_dials(tree: dict[str, str], place: str, context: str) -> list[tuple[str, str]]:
    """What each Dial of a context rings, and for how many seconds."""
    steps = list_plan(tree, place)
    dialled = [step.argument for step in steps if (step.context, step.application) == (context, "Dial")]
    return [(channels, seconds) for channels, seconds, *_ in (one.split(",") for one in dialled)]


def test_only_a_telephone_comes_to_a_menu_and_to_its_own() -> None:
    """The context of telephones is the only one that has the menu, and it belongs to no peer and not to the line."""
    tree = render(**MAILBOXES)
    for box in ("montevideo", "salto"):
        steps = list_plan(tree, f"{box}/box/etc")
        [menu] = [step for step in steps if step.application == "VoiceMailMain"]
        assert (menu.context, menu.extension, menu.argument) == ("from-phone", "*97", "${MAILBOX}@office,s")
        assert not [step for step in steps if step.extension in ("a", "o", "i", "t", "h")]
        peers = read_conf("iax.conf", tree[f"rendered/acme/{box}/box/etc/iax.conf"]).sections
        assert "from-phone" not in [one.value for section in peers for one in section.settings]
    phones = read_conf("pjsip.conf", tree["rendered/acme/montevideo/box/etc/pjsip.conf"]).sections
    said = {
        section.name: [one.value for one in section.settings if one.name == "set_var"] for section in phones
    }
    assert said["phone-102"] == []
    endpoints = [section for section in phones if section.name == "phone-101"]
    assert [one.value for one in endpoints[0].settings if one.name == "set_var"] == ["MAILBOX=101"]


def test_the_telephone_rings_as_long_as_was_said_and_a_groups_only_rings() -> None:
    tree = render(**MAILBOXES)
    assert find_dials(tree, "montevideo/box/etc", "mailbox") == [("PJSIP/phone-101", "30")]
    assert find_dials(tree, "salto/box/etc", "mailbox") == [("PJSIP/phone-201", "20")]
    assert find_dials(tree, "montevideo/pbx/live", "group-600") == [
        ("IAX2/box/ring-101&IAX2/box/102&IAX2/pbx-salto/ring-201", "20")
    ]
    assert find_dials(tree, "salto/box/etc", "group-600") == [
        ("IAX2/box-montevideo/ring-101&IAX2/box-montevideo/102&PJSIP/phone-201", "20")
    ]
    for place in ("montevideo/box/etc", "montevideo/pbx/live"):
        rung = {step.context for step in list_plan(tree, place) if step.extension == "ring-101"}
        assert rung == ({"phones"} if "box" in place else {"to-box", "from-mesh"})


def test_busy_goes_back_where_a_forward_is_to_be_followed_or_a_call_is_taken_over() -> None:
    tree = render(**MAILBOXES)
    for box, condition in (
        ("salto", '$["${DIALSTATUS}" = "BUSY"]'),
        ("montevideo", '$["${DIALSTATUS}" = "BUSY" & "${TAKEN}" = "over"]'),
    ):
        steps = [step for step in list_plan(tree, f"{box}/box/etc") if step.context == "mailbox"]
        assert [step.argument for step in steps if "Hangup(17)" in step.argument] == [
            f"{condition}?Hangup(17)"
        ]
    dialled = find_dials(tree, "montevideo/box/etc", "to-peer")
    assert dialled == [('IAX2/${PEER}/${IF($["${TAKEN}" = "over"]?over-)}${EXTEN}', "60")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_office_speaks_the_language_nearest_to_it(language: str) -> None:
    salto = SALTO + f"    mailbox: {{}}\nlanguage: {language}\n"
    tree = render(fleet=FLEET + "language: fr\n", montevideo=MAILBOXES["montevideo"], salto=salto)
    for box, spoken in (("montevideo", "fr"), ("salto", language)):
        steps = list_plan(tree, f"{box}/box/etc")
        assert f"CHANNEL(language)={spoken}" in [step.argument for step in steps]
        assert f"\nlanguage={spoken}\n" in tree[f"rendered/acme/{box}/box/etc/pjsip.conf"]


def test_the_hour_is_told_in_the_companys_time_zone_where_it_has_one() -> None:
    path = "rendered/acme/salto/box/etc/voicemail.conf"
    assert "\noffice=America/Montevideo|" in render(**MAILBOXES)[path]
    assert "\n201 => -,,,,minsecs=2|tz=office\n" in render(**MAILBOXES)[path]
    without = render(**MAILBOXES | {"acme": ACME})[path]
    assert "[zonemessages]" not in without and "\n201 => -,,,,minsecs=2\n" in without


def test_who_has_no_mailbox_has_no_line_of_one() -> None:
    tree = render()
    with_them = "".join(render(**MAILBOXES).values())
    for word in ("ring-", "over-", "MAILBOX", "VoiceMail", "voicemail_extension", "mailboxes="):
        assert word in with_them
        assert not [path for path, text in tree.items() if word in text], word
    assert tree["rendered/acme/salto/box/etc/voicemail.conf"] == "[general]\n"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[general]\nfromat=gsm", "`fromat` is no option of general"),
        ("[zonemessages]\nz=Europe/Rome", "`z` is no zone and what is said"),
        ("[office]\nten => -", "`ten` is no mailbox"),
        ("[office]\n101 => -,A,a@example.org", "101 wants mail sent"),
        ("[office]\n101 => -,,,a@example.org", "101 wants mail sent"),
        ("[office]\n101 => -,,,,minsecs=2|zt=z", "`zt` is no option of a mailbox"),
        ("[office]\n101 => -,,,,tz=z", "there is no zone `z`"),
    ],
)
def test_a_misspelt_word_of_a_mailbox_is_found(line: str, what: str) -> None:
    good = "[general]\nformat=gsm\n[zonemessages]\no=Europe/Rome|q\n[office]\n102 => -,,,,minsecs=2|tz=o\n"
    assert list(check_mailboxes("voicemail.conf", read_conf("voicemail.conf", good), OPTIONS)) == []
    bad = read_conf("voicemail.conf", good + line + "\n")
    [problem] = check_mailboxes("voicemail.conf", bad, OPTIONS)
    assert what in problem.what and problem.line == 8
