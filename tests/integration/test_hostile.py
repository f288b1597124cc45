"""Hostile words before the real parsers: Nomad's, its templates', a booted Asterisk's, and what a telephone dials."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ritilib.clients.consul import Consul
from ritilib.clients.docker import Docker
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import Settings, read_settings
from ritilib.clients.vault import Vault
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.office import Office, remove_offices, start_office
from ritilib.devstack.telephony.phone import Phone, start_phone
from ritilib.errors import DevstackError
from ritilib.fleet.load import load_fleet
from ritilib.reconcile.state import encode_live
from ritilib.render.asterisk_conf import write_pbx_files
from ritilib.render.language import escape_heredoc, write_caller_id
from ritilib.render.names import CONFIG_FORMAT, UnitNames
from ritilib.render.records import write_record_files
from ritilib.render.tree import render_tree
from ritilib.sync.lead.bootstrap import bootstrap
from tests.hostile import (
    FRAGMENTS,
    admitted_names,
    image_names,
    is_admitted,
    make_fleet_files,
    make_menu,
    slugs,
)
from tests.integration.boots import (
    ask,
    boot,
    count_steps,
    find_complaints,
    make_box,
    make_pbx,
    read_dial_plan,
)

JOBS = 100  # fleets, each with two jobs
HEREDOCS = 300
TIMEOUT_S = 60.0
LABEL = "riti-test-hostile"
ADMITTED = [word for word in FRAGMENTS if is_admitted("name", word)]
WIDE = ["é" * 64, "名" * 64, "a\u0301" * 32, "😀" * 40, "x" * 62 + "éé"]


def tries(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )


@pytest.fixture(scope="module")
def docker(stack: Stack) -> Docker:
    return Docker(stack.docker_host)


@pytest.fixture(scope="module")
def clients(env: dict[str, str]) -> Settings:
    return read_settings(env)


def render(files: dict[str, bytes]) -> dict[str, str]:
    return render_tree(load_fleet(files), files, "test")


def find_templates(job: dict[str, Any], task: str) -> dict[str, str]:
    [found] = [one for one in job["TaskGroups"][0]["Tasks"] if one["Name"] == task]
    return {one["DestPath"]: one["EmbeddedTmpl"] for one in found["Templates"]}


def test_nomad_reads_each_job_as_it_was_meant(clients: Settings) -> None:
    """Slugs that are words of a language, images of every form, and names that must not be in a job at all."""
    nomad = Nomad(clients)
    parsed = 0

    @tries(JOBS)
    @given(
        st.lists(slugs.filter(lambda slug: is_admitted("slug", slug)), min_size=2, max_size=2, unique=True),
        slugs.filter(lambda slug: is_admitted("slug", slug) and slug not in ("any", "lighthouse")),
        image_names.filter(lambda name: is_admitted("image", name)),
        admitted_names,
    )
    def parse(boxes: list[str], company: str, image: str, name: str) -> None:
        nonlocal parsed
        said = {
            "name": boxes[1],
            "images": {"pbx": image, "box": image, "overlay": image},
            "lighthouses": [{"name": boxes[0], "address": "192.0.2.1"}],
        }
        files = make_fleet_files({box: [name] for box in boxes}, company, (name, name), said)
        fleet, tree = load_fleet(files).fleet, render(files)
        for box in fleet.companies[0].boxes:
            job = nomad.parse(tree[f"rendered/{company}/{box.slug}/pbx/job.nomad.hcl"])
            names = UnitNames(boxes[1], company, box.slug)
            assert job["ID"] == names.job_id
            assert job["Meta"] == {"riti.fleet": str(fleet.said.id), "riti.box": box.key}
            [group] = job["TaskGroups"]
            tasks = ("take", "release", "overlay", "pbx")
            assert [(task["Name"], task["Config"]["image"]) for task in group["Tasks"]] == [
                (task, image) for task in tasks
            ]
            templates = find_templates(job, "pbx")
            static = write_pbx_files() | write_record_files("pbx", box.key)
            for file, text in static.items():
                assert templates[f"local/asterisk/{file}"] == text.rstrip("\n") + "\n"
            assert f'key "{names.kv_key}"' in templates["local/asterisk/extensions.conf"]
            assert f'"{names.vault_path}?version' in templates["secrets/iax.conf"]
            parsed += 1
        lighthouse = nomad.parse(tree[f"rendered/_fleet/lighthouse-{boxes[0]}/pbx/job.nomad.hcl"])
        assert lighthouse["ID"] == UnitNames(boxes[1], "lighthouse", boxes[0]).job_id

    parse()
    assert parsed >= 2 * JOBS


def test_a_heredoc_gives_back_every_text(clients: Settings) -> None:
    """The escape itself, with texts that no field admits today: blocks of a template, and the heredoc's own mark."""
    nomad = Nomad(clients)
    pieces = [
        "$",
        "%",
        "{",
        "}",
        "~",
        "\\",
        '"',
        "EOT",
        "\n",
        " ",
        "\t",
        "${",
        "%{",
        "$${",
        "%%{",
        "#",
        "/*",
        "é",
    ]
    texts = st.lists(st.sampled_from([*pieces, "\u2003", "\x85", "{{ key }}"]), max_size=24).map("".join)

    @tries(HEREDOCS)
    @given(texts.map(lambda text: unicodedata.normalize("NFC", text)))
    def parse(text: str) -> None:
        job = nomad.parse(
            'job "x" {\n group "g" {\n task "t" {\n driver = "docker"\n template {\n destination = "local/x"\n'
            f"data = <<EOT\n{escape_heredoc(text)}\nEOT\n }}\n }}\n }}\n}}\n"
        )
        assert find_templates(job, "t") == {"local/x": text.rstrip("\n") + "\n"}

    parse()


@pytest.fixture(scope="module")
def fleet(stack: Stack, clients: Settings) -> str:
    """A fleet's slug whose jobs may read their values in Consul."""
    slug = f"h{uuid.uuid4().hex[:10]}"
    bootstrap(
        Nomad(clients),
        Consul(clients),
        Vault(clients),
        OverlayTool(Path(stack.nebula_cert)),
        slug,
        f"id-{slug}",
        stack.jwks_url,
        None,
        lambda words: None,
    )
    return slug


def test_a_live_value_is_text_to_nomads_template(stack: Stack, clients: Settings, fleet: str) -> None:
    """The very template of a PBX, over a value that is full of templates: Go's text/template writes what an action
    yields as it is, and never reads it again."""
    nomad, consul = Nomad(clients), Consul(clients)
    names = UnitNames(fleet, "acme", "office")
    tree = render(make_fleet_files({"office": ["Name"]}, fleet={"name": fleet}))
    job = nomad.parse(tree["rendered/acme/office/pbx/job.nomad.hcl"])
    template, words = (
        find_templates(job, "pbx")[f"local/asterisk/{name}"] for name in ("extensions.conf", "words.txt")
    )
    hostile = "\n".join(word for word in FRAGMENTS if "\ud800" not in word) + '\n{{ env "PATH" }}{{ end }}\n'
    files = {"extensions.conf": hostile, "iax.conf": hostile}
    value = encode_live({"format": CONFIG_FORMAT, "secrets_version": 1, "files": files})
    mark = f"riti id-{fleet}"
    consul.write(names.kv_key, value, 0)
    consul.put_policy(names.role, f'key "{names.kv_key}" {{\n  policy = "read"\n}}\n', mark)
    consul.put_role(names.role, (names.role,), mark)
    small = nomad.parse(
        f'job "{names.job_id}" {{\n update {{\n health_check = "task_states"\n min_healthy_time = "1s"\n }}\n'
        'group "g" {\n consul {}\n task "t" {\n driver = "docker"\n kill_timeout = "1s"\n'
        'config {\n image = "riti/pause:dev"\n }\n resources {\n cpu = 20\n memory = 16\n }\n'
        f'template {{\n destination = "local/x"\n data = <<EOT\n{escape_heredoc(template)}\nEOT\n }}\n'
        # a company without menus has no words
        f'template {{\n destination = "local/y"\n data = <<EOT\n{escape_heredoc(words)}\nEOT\n }}\n }}\n }}\n}}\n'
    )
    registered = nomad.register(small, 0)
    try:
        deployment = nomad.wait_deployed(names.job_id, registered.modify_index, TIMEOUT_S)
        assert deployment.status == "successful", deployment.description
        (allocation,) = nomad.list_allocations(names.job_id)
        with requests.Session() as session:
            session.trust_env = False
            x, y = (
                session.get(
                    f"{stack.nomad_address}/v1/client/fs/cat/{allocation.id}",
                    params={"path": f"t/local/{name}"},
                    headers={"X-Nomad-Token": stack.nomad_token},
                    timeout=TIMEOUT_S,
                )
                for name in "xy"
            )
        assert (x.content.decode(), y.status_code, y.content) == (hostile + "\n", 200, b"\n")
    finally:
        current = nomad.read_job(names.job_id)
        nomad.stop_job(names.job_id, current["JobModifyIndex"] if current else 0)


def test_a_booted_box_gives_back_every_name(docker: Docker, tmp_path: Path) -> None:
    """Dozens of hostile names: no complaint, each caller ID as it was written, and the dial plan that was rendered."""
    # several words in one name, or Asterisk would be asked a hundred times
    words = [
        *("".join(three)[:64] for three in zip(ADMITTED, ADMITTED[31:], ADMITTED[47:], strict=False)),
        *WIDE,
    ]
    words += [word for word in ADMITTED if len(word) <= 2]
    # and menus of such names, with words that are called as sections are
    spoken = zip(("general", "x-secret", "s", "a" * 24), words, strict=False)
    menus = [make_menu(name, said, str(700 + place)) for place, (said, name) in enumerate(spoken)]
    files = make_fleet_files({"x": words, "x-secret": ["Name"], "general": ["Name"]}, menus=menus)
    tree = render(files)
    unit = make_box(tree, "acme/x")
    (box,) = [one for one in load_fleet(files).fleet.companies[0].boxes if one.slug == "x"]
    with boot(docker, tmp_path, unit) as container:
        assert find_complaints(docker, container) == []
        assert read_dial_plan(docker, container) == count_steps(unit.files["extensions.conf"])
        wrong = {}
        for extension in box.said.extensions:
            said = ask(docker, container, f"pjsip show endpoint phone-{extension.number}")
            shown = re.findall(r"^ callerid +: (.*)$", said, re.MULTILINE)
            if shown != [write_caller_id(extension)]:
                wrong[extension.name] = shown
        assert wrong == {}
        assert ask(docker, container, "pjsip show endpoints").count("Endpoint:  phone-") == len(words)
        assert find_complaints(docker, container) == []


@pytest.mark.parametrize("kind", ["box", "pbx"])
def test_peers_with_the_names_of_sections_are_peers(
    docker: Docker, clients: Settings, tmp_path: Path, kind: str
) -> None:
    boxes = ["x", "x-secret", "x-secret-secret", "general", "box", "cloud", "secret", "a" * 24]
    tree = render(make_fleet_files({box: ["Name"] for box in boxes}, lent=True))
    unit = make_box(tree, "acme/x") if kind == "box" else make_pbx(tree, "acme/x", Nomad(clients))
    peers = {"cloud" if kind == "box" else "box", *(f"{kind}-{box}" for box in boxes[1:])}
    with boot(docker, tmp_path, unit) as container:
        assert find_complaints(docker, container) == []
        assert f"\n{len(boxes)} iax2 peers [" in ask(docker, container, "iax2 show peers")
        assert read_dial_plan(docker, container) == count_steps(unit.files["extensions.conf"])
        for peer in peers:
            said = ask(docker, container, f"iax2 show peer {peer}")
            assert f"* Name       : {peer}\n" in said and "Secret       : <Set>" in said


@pytest.fixture
def phone(docker: Docker, tmp_path: Path) -> Iterator[Phone]:
    """A telephone of an office whose box runs on rendered files, but without the overlay. The other office's peer has a
    name longer than Asterisk's list of peers shows."""
    tree = render(make_fleet_files({"office": ["Name"], "a" * 24: ["Name"]}))
    folder = "rendered/acme/office/box/"
    rendered = {path.removeprefix(folder): text for path, text in tree.items() if path.startswith(folder)}
    rendered["etc/iax.conf"] = re.sub(
        r"^bindaddr=.*$", "bindaddr=127.0.0.1", rendered["etc/iax.conf"], flags=re.MULTILINE
    )
    secrets = {"iax": {"cloud": "f0r-cl0ud", f"box-{'a' * 24}": "f0r-b0x"}, "phones": {"1000": "pw-of-1000"}}
    started: Office | None = None
    try:
        started = start_office(docker, "o", rendered, secrets, None, "", tmp_path / "o", LABEL, print)
        made = start_phone(
            tmp_path / "phone", "p", started.address, started.gateway, "phone-1000", "pw-of-1000", 600
        )
        made.wait_registered(20)
        yield made
        made.stop()
    finally:
        if started is not None:
            started.stop()
        remove_offices(docker, LABEL)


def test_what_a_telephone_dials_is_no_part_of_the_dial_plan(phone: Phone) -> None:
    """A comma would lead Goto to another priority: each is refused as incomplete (cause 28), and rings nobody."""
    for dialled in (
        "+1,4",
        "+1,99",
        "+1,from-cloud,1",
        "1000,2",
        "1000a",
        "+1x",
        "1+2",
        "10;x",
        "1-1",
        "1$1",
        "1&1",
    ):
        phone.dial(dialled)
        with pytest.raises(DevstackError, match="484 Address Incomplete"):
            phone.wait_for("established", 20)
