"""Every rendered Asterisk file: each of its words is known, and the real image boots on it without a complaint."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ritilib.clients.docker import Docker
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.devstack.asterisk_check import Knowledge, check_files, read_knowledge
from ritilib.devstack.asterisk_check.conf import read_conf
from ritilib.devstack.asterisk_check.dialplan import list_steps
from ritilib.devstack.folders import find_cache
from ritilib.devstack.images.debian import unpack_asterisk
from ritilib.devstack.stack import Stack
from ritilib.render.asterisk_conf import MANAGER_SECRET
from ritilib.render.modules import BOX_MODULES, PBX_MODULES
from tests.golden.update import list_cases, render_case
from tests.integration.boots import (
    Unit,
    ask,
    boot,
    count_steps,
    find_complaints,
    list_units,
    make_box,
    make_pbx,
    read_dial_plan,
)

MODULES = {"box": BOX_MODULES, "pbx": PBX_MODULES}
AT_ONCE = 4


@pytest.fixture(scope="module")
def docker(stack: Stack) -> Docker:
    return Docker(stack.docker_host)


@pytest.fixture(scope="module")
def known(stack: Stack) -> Knowledge:
    return read_knowledge(unpack_asterisk(find_cache() / "images", print))


@pytest.fixture(scope="module")
def units(env: dict[str, str]) -> list[Unit]:
    """Every box and every PBX of the golden cases; whole-company has every branch of the templates."""
    nomad = Nomad(read_settings(env))
    found = []
    for case in list_cases():
        tree = render_case(case)
        for key in list_units(tree):
            found += [
                replace(unit, name=f"{case}-{unit.name}")
                for unit in (make_box(tree, key), make_pbx(tree, key, nomad))
            ]
    return found


@pytest.fixture(scope="module")
def salto(units: list[Unit]) -> dict[str, Unit]:
    """Kind → the unit of the office that has a line and may call everywhere."""
    return {unit.kind: unit for unit in units if unit.name == "whole-company-granja/salto"}


def test_every_word_is_known(units: list[Unit], known: Knowledge) -> None:
    assert len(units) == 2 * 8
    assert {
        unit.name: found
        for unit in units
        if (found := check_files(unit.files, known, MODULES[unit.kind], made_later=(MANAGER_SECRET,)))
    } == {}


@pytest.mark.parametrize(
    ("kind", "file", "old", "new", "expected"),
    [
        ("box", "pjsip.conf", "direct_media=", "direct_medai=", "`direct_medai` is no option of endpoint"),
        ("box", "pjsip.conf", "max_contacts=", "allow=", "`allow` is no option of aor"),
        ("box", "pjsip.conf", "type=aor", "type=aro", "has the unknown type `aro`"),
        ("box", "pjsip.conf", "type=aor", "type=phoneprov", "no module here reads the type `phoneprov`"),
        ("box", "pjsip.conf", "](phone-101-secret)", "]", "[phone-101-auth] has the unknown type"),
        ("box", "pjsip.conf", "context=from-phone", "context=from-phoen", "no context [from-phoen]"),
        ("box", "pjsip.conf", "direct_media=no", "direct_media", "`direct_media` has no equal sign"),
        ("box", "iax.conf", "qualifyfreqok=", "qualifyfreqko=", "`qualifyfreqko` is no option of cloud"),
        ("box", "iax.conf", "type=friend", "type=freind", "[cloud] has the unknown type `freind`"),
        ("box", "iax.conf", "(cloud-secret,", "(clod-secret,", "[cloud] has no template [clod-secret]"),
        ("box", "iax.conf", "[general]", "[general", "`[general` is no section"),
        ("pbx", "iax.conf", "context=from-mesh", "context=mesh", "extensions.conf has no context [mesh]"),
        ("pbx", "iax.conf", "autokill=yes", "autokil=yes", "`autokil` is no option of general"),
        ("pbx", "iax.conf", "[general]", '[general]\n#include "x"', "`#include` is a directive"),
        ("pbx", "asterisk.conf", "[options]", "[option]", "[option] is no section of it"),
        ("pbx", "asterisk.conf", "astrundir", "astrudnir", "`astrudnir` is no option of directories"),
        ("pbx", "logger.conf", "dateformat", "datefromat", "`datefromat` is no option of general"),
        ("pbx", "indications.conf", "congestion", "congestoin", "`congestoin` is no option of uy"),
        ("pbx", "manager.conf", "enabled=no", "enabeld=no", "`enabeld` is no option of general"),
        ("pbx", "cdr.conf", "enable=", "enabled=", "`enabled` is no option of general"),
        ("pbx", "cdr_custom.conf", "fields=", "filds=", "`filds` is no option of /dev/stdout"),
        ("pbx", "features.conf", "[general]", "[generals]", "[generals] is no section of it"),
        ("pbx", "modules.conf", "app_dial.so", "app_dail.so", "the image has no module app_dail.so"),
        ("box", "voicemail.conf", "maxsecs=", "maxsces=", "`maxsces` is no option of general"),
        ("box", "voicemail.conf", "tz=office", "zt=office", "`zt` is no option of a mailbox"),
        ("box", "extensions.conf", "VoiceMail(", "VoiceMial(", "`VoiceMial` is no application of Asterisk"),
        ("box", "extensions.conf", "Dial(", "Dail(", "`Dail` is no application of Asterisk"),
        ("box", "extensions.conf", "?Hangup(28)", "?Hangpu(28)", "`Hangpu` is no application of Asterisk"),
        ("box", "extensions.conf", "Wait(5)", "WaitForSilence(5)", "needs the module app_waitforsilence"),
        ("box", "extensions.conf", "${FILTER(", "${FITLER(", "`FITLER` is no function of Asterisk"),
        ("box", "extensions.conf", "${REGEX(", "${SHELL(", "function SHELL needs the module func_shell"),
        ("box", "extensions.conf", "Set(GROUP(", "Set(GRUOP(", "`GRUOP` is no function of Asterisk"),
        ("box", "extensions.conf", "[judge]", "[jugde]", "leads to the unknown [judge]"),
        ("box", "extensions.conf", "b(leg^s^1)", "b(lge^s^1)", "leads to the unknown [lge]"),
        ("box", "extensions.conf", "include => nobody", "include => nobdy", "includes the unknown [nobdy]"),
        (
            "box",
            "extensions.conf",
            "?refused)",
            "?refsued)",
            "unknown label refsued of _[0-9*#]! in [outside]",
        ),
        ("box", "extensions.conf", "exten => line,", "extne => line,", "`extne` is no word of a dial plan"),
        ("box", "extensions.conf", "Return()", "Return", "is no priority and application"),
        ("pbx", "extensions.conf", "Goto(ended,s,1)", "Goto(edned,s,1)", "leads to the unknown [edned]"),
    ],
)
def test_a_misspelt_word_is_found(
    units: list[Unit], known: Knowledge, kind: str, file: str, old: str, new: str, expected: str
) -> None:
    """In an office that has a line, and may not call premium numbers."""
    [unit] = [one for one in units if (one.kind, one.name) == (kind, "whole-company-granja/montevideo")]
    files = unit.files
    assert old in files[file]
    changed = {**files, file: files[file].replace(old, new)}
    found = check_files(changed, known, MODULES[kind], made_later=(MANAGER_SECRET,))
    assert [one for one in found if one.file == file and expected in str(one)], found


def test_an_application_of_a_module_that_the_image_lacks_is_found(
    salto: dict[str, Unit], known: Knowledge
) -> None:
    without = [module for module in BOX_MODULES if module not in ("app_softhangup", "func_devstate")]
    found = "\n".join(map(str, check_files(salto["box"].files, known, without, made_later=(MANAGER_SECRET,))))
    assert "application SoftHangup needs the module app_softhangup" in found
    assert "function DEVICE_STATE needs the module func_devstate" in found
    assert "the image has no module app_softhangup.so" in found


def test_every_unit_boots_and_says_what_was_rendered(
    docker: Docker, units: list[Unit], tmp_path: Path
) -> None:
    """No WARNING, no ERROR; the very contexts, extensions, peers and telephones of the files, and no others."""

    def find_faults(unit: Unit) -> list[str]:
        with boot(docker, tmp_path, unit) as container:
            return [f"{unit.kind} {unit.name}: {fault}" for fault in list_faults(docker, container, unit)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert [fault for faults in pool.map(find_faults, units) for fault in faults] == []


def list_faults(docker: Docker, container: str, unit: Unit) -> Iterator[str]:
    files = unit.files
    if complaints := find_complaints(docker, container):
        yield from complaints
        return
    if read_dial_plan(docker, container) != count_steps(files["extensions.conf"]):
        yield "its dial plan is not what was rendered"
    peers = [
        section.name
        for section in read_conf("iax.conf", files["iax.conf"]).sections
        if not section.is_template and section.name != "general"
    ]
    if f"\n{len(peers)} iax2 peers [" not in ask(docker, container, "iax2 show peers"):
        yield "it has other peers"
    for peer in peers:
        if f"* Name       : {peer}\n" not in ask(docker, container, f"iax2 show peer {peer}"):
            yield f"it lacks the peer {peer}"
    yield from find_complaints(docker, container)


@pytest.mark.parametrize("kind", ["box", "pbx"])
def test_the_image_has_every_application_and_function(
    docker: Docker, units: list[Unit], salto: dict[str, Unit], tmp_path: Path, kind: str
) -> None:
    """Asked of the running Asterisk itself, so that the checker's list of modules is no matter of belief."""
    steps = [
        step
        for unit in units
        if unit.kind == kind
        for step in list_steps(read_conf("extensions.conf", unit.files["extensions.conf"]))
    ]
    applications = {name for step in steps for name in step.applications}
    functions = {name for step in steps for name in step.functions}
    assert {"Dial", "Set", "Hangup"} <= applications and {"FILTER"} <= functions
    with boot(docker, tmp_path, salto[kind]) as container:
        absent = [
            name
            for what, names in (("application", applications), ("function", functions))
            for name in sorted(names)
            if "not registered" in (said := ask(docker, container, f"core show {what} {name}"))
            or "No function by that name" in said
        ]
        assert absent == []
        # what a name that is not there looks like
        assert "not registered" in ask(docker, container, "core show application Dail")
        assert "No function by that name" in ask(docker, container, "core show function FITLER")


@pytest.mark.parametrize(
    ("kind", "file", "old", "new"),
    [
        ("box", "pjsip.conf", "direct_media=no", "direct_medai=no"),
        ("box", "iax.conf", "](cloud-secret,", "](clod-secret,"),
        ("pbx", "extensions.conf", "[to-peer]", "[to-peer]\ninclude => nowhere"),
        ("pbx", "extensions.conf", "exten => _[0-9*#]!,1,Hangup(3)\n", ""),
    ],
)
def test_a_boot_with_a_fault_is_no_clean_boot(
    docker: Docker, salto: dict[str, Unit], tmp_path: Path, kind: str, file: str, old: str, new: str
) -> None:
    unit = salto[kind]
    broken = replace(unit, config={**unit.config, file: unit.config[file].replace(old, new)})
    assert broken != unit
    with boot(docker, tmp_path, broken) as container:
        assert list(list_faults(docker, container, unit)) != []
