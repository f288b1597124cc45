"""The files of one unit: a box with its PBX, or a lighthouse."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import IPv4Address
from typing import Any

from ritilib.fleet.fleet_file import Lighthouse
from ritilib.fleet.model import Box, Company, Fleet
from ritilib.render.asterisk_conf import (
    BIND_FILE,
    SCRATCH_FOLDERS,
    SPOKEN_FOLDER,
    write_box_files,
    write_pbx_files,
)
from ritilib.render.language import config_environment, job_environment, write_json
from ritilib.render.links import derive_cloud_link, derive_direct_link, derive_mesh_link
from ritilib.render.lists import write_leads, write_peer
from ritilib.render.live_value import SECRETS_VERSION, WHOLE_VALUE
from ritilib.render.mailboxes import OWN_MAILBOX, render_mailboxes
from ritilib.render.names import OPEN_DOOR, SECOND_OVERLAY, EnrollmentNames, UnitNames
from ritilib.render.policies import render_box_policies
from ritilib.render.records import write_record_files
from ritilib.routing.directory import Directory
from ritilib.routing.outside import SHORTEST

OVERLAY_PORT = 4242
# Q.850 causes that say that the way failed, not that the callee answered: none given, no route, subscriber absent,
# out of order, no circuit, network out of order, temporary failure, congestion, channel unavailable, bearer not
# available, timer expired, interworking.
NO_ROUTE_CAUSES = (0, 3, 20, 27, 34, 38, 41, 42, 44, 58, 102, 127)
# Of telephones' passwords. Those of links have one of their own, the company's `secrets`, whose change
# reconcile.rotation leads step by step; a telephone's other end is a person with a screen.
SECRETS_GENERATION = 1
TAKEN_FILE = "/alloc/data/taken"  # which half this allocation has
TOKEN_FILE = "/alloc/data/turn.token"  # by which it says that it has ended
LOST_AFTER = "10m"  # for which an instance waits that finds both addresses spoken for (docs/pair.md)


NO_ROUTE = " | ".join(f"${{CAUSE}} = {cause}" for cause in NO_ROUTE_CAUSES)
# What a call ends with that no answer came to: Asterisk gives it up after twice `qualify`, and says congestion.
SILENT = "${CAUSE} = 0 | ${CAUSE} = 34"


def render_pbx(fleet: Fleet, company: Company, box: Box, directory: Directory) -> dict[str, str]:
    """path below rendered/<company>/<box>/ → text, for the PBX in the cloud."""
    names = UnitNames(fleet.name, company.slug, box.slug)
    peers = [peer for peer in company.boxes if peer is not box]
    overlay = _overlay(
        fleet,
        f"pbx of {box.key}",
        "/secrets",
        company.slug,
        advertise=_advertised(),
        port=OVERLAY_PORT,
        blocklist=_blocklist(fleet),
        keys="/local",
    )
    cloud, mesh = derive_cloud_link(box.settings), derive_mesh_link()
    office = directory.offices[box.slug]
    borrowers = set(office.borrowers)
    asked = ("from-box", *(f"borrow-{lender}" for lender in office.lenders))
    sections = [write_peer("box", "cloud", [box.box_address], asked, box.settings.codecs, cloud)]
    sections += [
        write_peer(
            f"pbx-{peer.slug}",
            f"pbx-{box.slug}",
            peer.pbx_addresses,
            ("from-mesh", "lend") if peer.slug in borrowers else ("from-mesh",),
            _find_common(box, peer),
            mesh,
        )
        for peer in peers
    ]
    job = job_environment().get_template("pbx/job.nomad.hcl.j2")
    secrets = {
        **_name_generations(company),
        **{
            field: _identity(fleet, f"pbx.{company.slug}.{box.slug}", address, company.slug)
            for field, address in zip(("overlay", SECOND_OVERLAY), box.pbx_addresses, strict=True)
        },
        "pairs": {"box": [f"box/{box.key}", f"pbx/{box.key}"]}
        | {f"pbx-{peer.slug}": sorted([f"pbx/{box.key}", f"pbx/{peer.key}"]) for peer in peers},
    }
    return {
        "pbx/job.nomad.hcl": job.render(
            fleet=fleet,
            box=box,
            **_job_names(names),
            overlay=overlay,
            scratch_folders=SCRATCH_FOLDERS,
            identities=("overlay", SECOND_OVERLAY),
            taken_file=TAKEN_FILE,
            token_file=TOKEN_FILE,
            lost_after=LOST_AFTER,
            bind_file=BIND_FILE,
            generation_key=names.generation,
            generations=names.generations,
            whole_value=WHOLE_VALUE,
            static_files=write_pbx_files() | write_record_files("pbx", box.key),
        ),
        "pbx/live/extensions.conf": _config(
            "pbx/extensions.conf.j2",
            kind="pbx",
            box=box,
            office=office,
            at_once=None,
            peers=peers,
            directory=directory,
            leads=write_leads(directory, box.slug, "to-box"),
            channels=_name_channels(directory, box, "IAX2/box/{rung}", "IAX2/pbx-{slug}/{rung}"),
            words_folder=SPOKEN_FOLDER,
            cloud=cloud,
            mesh=mesh,
            door=OPEN_DOOR,
            no_route=NO_ROUTE,
            silent=SILENT,
        ),
        "pbx/live/iax.conf": _config("pbx/iax.conf.j2", box=box, peers="\n".join(sections)),
        "pbx/secrets.json": write_json(secrets),
        **render_policies(names, "pbx/", takes_turns=True),
    }


def render_box(fleet: Fleet, company: Company, box: Box, directory: Directory) -> dict[str, str]:
    """path below rendered/<company>/<box>/ → text, for the box in the office."""
    peers = [peer for peer in company.boxes if peer is not box]
    secrets = {
        **_name_generations(company),
        "overlay": _identity(fleet, f"box.{company.slug}.{box.slug}", box.box_address, company.slug),
        "pairs": {"cloud": [f"box/{box.key}", f"pbx/{box.key}"]}
        | {f"box-{peer.slug}": sorted([f"box/{box.key}", f"box/{peer.key}"]) for peer in peers},
        "phones": sorted(extension.number for extension in box.said.extensions),
        "line": box.said.line is not None,
        "adapter": box.said.adapter is not None,
    }
    offices, office = directory.offices, directory.offices[box.slug]
    directs = {peer.slug: derive_direct_link(box.settings, peer.settings, len(peers)) for peer in peers}
    cloud = derive_cloud_link(box.settings)
    etc = write_box_files() | write_record_files("box", box.key)
    borrowers = set(office.borrowers)
    asked = ("from-cloud", "lend") if borrowers else ("from-cloud",)
    sections = [write_peer("cloud", "box", box.pbx_addresses, asked, box.settings.codecs, cloud)]
    sections += [
        write_peer(
            f"box-{peer.slug}",
            f"box-{box.slug}",
            [peer.box_address],
            ("from-peer", "lend") if peer.slug in borrowers else ("from-peer",),
            _find_common(box, peer),
            directs[peer.slug],
        )
        for peer in peers
    ]
    return {
        **{f"box/etc/{name}": text for name, text in etc.items()},
        "box/etc/extensions.conf": _config(
            "box/extensions.conf.j2",
            kind="box",
            box=box,
            office=office,
            at_once=office.settings.at_once,
            lenders=[(lender, directs[lender]) for lender in office.lenders],
            peers=[(offices[peer.slug], directs[peer.slug]) for peer in peers],
            cloud=cloud,
            directory=directory,
            leads=write_leads(directory, box.slug, "phones"),
            channels=_name_channels(directory, box, "PJSIP/phone-{number}", "IAX2/box-{slug}/{rung}"),
            nearby={
                ring.number: [f"PJSIP/phone-{number}" for slug, number in ring.members if slug == box.slug]
                for ring in directory.rings.values()
            },
            words_folder=SPOKEN_FOLDER,
            colleagues=_list_colleagues(directory),
            country=directory.country,
            shortest=SHORTEST,
            no_route=NO_ROUTE,
            silent=SILENT,
            own_mailbox=OWN_MAILBOX,
        ),
        "box/etc/iax.conf": _config("box/iax.conf.j2", box=box, peers="\n".join(sections)),
        "box/etc/pjsip.conf": _config("box/pjsip.conf.j2", box=box, own_mailbox=OWN_MAILBOX),
        **render_mailboxes(box, fleet.find_timezone(company)),
        **_render_adapter(box, directory),
        "box/overlay.yml": _overlay(fleet, f"box of {box.key}", "/overlay", company.slug, port=0),
        "box/secrets.json": write_json(secrets),
        **render_box_policies(UnitNames(fleet.name, company.slug, box.slug)),
    }


def _render_adapter(box: Box, directory: Directory) -> dict[str, str]:
    """The HT813's configuration under the name by which it asks for it; nothing where the office has none."""
    adapter = box.said.adapter
    if adapter is None:
        return {}
    phones = [extension.number for extension in box.said.extensions if extension.phone == "adapter"]
    text = _config(
        "box/adapter.xml.j2",
        box=box,
        adapter=adapter,
        phone=phones[0] if phones else "",
        line=box.said.line,
        emergencies=directory.emergencies,
    )
    return {f"box/adapter/cfg{adapter.mac}.xml": text}


def render_words(company: Company) -> dict[str, str]:
    """path below each rendered/<company>/<box>/ → text: what the company's menus say, for the watchers to unpack.

    A line for each recording, its name and its content in base64: to read JSON the watcher would need 120 KB of code
    more. {} for a company without menus.
    """
    if not company.words:
        return {}
    text = "".join(f"{name} {b64encode(company.words[name]).decode()}\n" for name in sorted(company.words))
    return {"pbx/live/words.txt": text, "box/etc/words.txt": text}


def render_lighthouse(fleet: Fleet, lighthouse: Lighthouse, address: IPv4Address) -> dict[str, str]:
    """path below rendered/_fleet/lighthouse-<name>/ → text."""
    names = UnitNames(fleet.name, "lighthouse", lighthouse.name)
    job = job_environment().get_template("lighthouse/job.nomad.hcl.j2")
    overlay = _overlay(
        fleet,
        f"lighthouse/{lighthouse.name}",
        "/secrets",
        "",
        port=OVERLAY_PORT,
        am_lighthouse=True,
        blocklist=_blocklist(fleet),
    )
    secrets = {
        "generation": SECRETS_GENERATION,
        "overlay": _identity(fleet, f"lighthouse.{lighthouse.name}", address, "lighthouse"),
        "pairs": {},
    }
    return {
        "pbx/job.nomad.hcl": job.render(
            fleet=fleet,
            lighthouse=lighthouse,
            **_job_names(names),
            overlay=overlay,
            identities=("overlay",),
            taken_file="",
        ),
        "pbx/secrets.json": write_json(secrets),
        **render_policies(names, "pbx/"),
    }


def render_policies(names: UnitNames, folder: str, takes_turns: bool = False) -> dict[str, str]:
    """What the unit's own identity may read: its own value, its own document, and the block list of all (rule 12).

    takes_turns: its instances say in Consul which of its pair of addresses they have, and read its company's.
    """
    read = (EnrollmentNames(names.fleet).blocked, names.never, names.kv_key)
    rules = {f'key "{key}"': "read" for key in read}
    if takes_turns:
        rules |= {f'key_prefix "{names.generations}"': "read", f'key "{names.generation}"': "write"}
    return {
        f"{folder}consul-policy.hcl": "\n".join(
            f'{what} {{\n  policy = "{right}"\n}}\n' for what, right in rules.items()
        ),
        f"{folder}vault-policy.hcl": f'path "{names.vault_path}" {{\n  capabilities = ["read"]\n}}\n',
    }


def _name_generations(company: Company) -> dict[str, int]:
    """Of what secrets are made; the links' is left out while it is the first."""
    links = {"links": company.said.secrets} if company.said.secrets != 1 else {}
    return {"generation": SECRETS_GENERATION, **links}


def _job_names(names: UnitNames) -> dict[str, str]:
    return {
        "job_id": names.job_id,
        "role": names.role,
        "kv_key": names.kv_key,
        "secrets_version": SECRETS_VERSION,
        "never": names.never,
        "vault_path": names.vault_path,
    }


def _identity(fleet: Fleet, name: str, address: IPv4Address, group: str) -> dict[str, Any]:
    return {"name": name, "network": f"{address}/{fleet.said.overlay.prefixlen}", "groups": [group]}


def _name_channels(directory: Directory, box: Box, here: str, there: str) -> dict[str, list[str]]:
    """group → what is dialled for each of its members: telephones of this office, and of others.

    In `here` and `there` stand {slug} for the member's office, {number} for its extension, and {rung} for that by which
    it rings and no mailbox answers.
    """
    return {
        group: [
            (here if slug == box.slug else there).format(
                slug=slug, number=number, rung=directory.name_rung(number)
            )
            for slug, number in ring.members
        ]
        for group, ring in directory.rings.items()
    }


def _list_colleagues(directory: Directory) -> list[str]:
    """What a line may show as the number of a colleague's line: its digits at home, and with the country's code."""
    lines = [office.line for office in directory.offices.values() if office.line]
    return sorted({form for line in lines for form in (line.digits, line.number.removeprefix("+"))})


def _find_common(one: Box, other: Box) -> list[str]:
    """The codecs that both speak, in the first one's order."""
    return [codec for codec in one.settings.codecs if codec in other.settings.codecs]


def _advertised() -> str:
    """Where the public network finds the sidecar: known to Nomad only when it has placed it."""
    return '{{ env "RITI_PUBLIC_ADDR" }}:{{ env "NOMAD_HOST_PORT_nebula" }}'


def _blocklist(fleet: Fleet) -> str:
    """The overlay's block list as Nomad's template writes it: an absent key is an empty list, and no task waits for it.

    Only hexadecimal digits come out of the key, whatever stands in it: a list that were no YAML, or a template that
    failed, would end every PBX's overlay at once.
    """
    key = EnrollmentNames(fleet.name).blocked
    digits = f'keyOrDefault "{key}" "[]" | regexReplaceAll "[^0-9a-f]+" " " | trimSpace | split " "'
    return f'  blocklist:\n{{{{- range {digits} }}}}{{{{ if . }}}}\n    - "{{{{ . }}}}"{{{{ end }}}}{{{{ end }}}}'


def _overlay(
    fleet: Fleet,
    name: str,
    secrets: str,
    company: str,
    port: int,
    advertise: str = "",
    am_lighthouse: bool = False,
    blocklist: str = "",
    keys: str = "",
) -> str:
    """Nebula's configuration; secrets is the folder of its keys, company "" admits nobody's traffic.

    A task of Nomad's has its certificates where the controller may look at them. keys is the folder of its key where
    that is another than its secrets: of a pair the gate puts a link there.

    A box's has no block list: its agent puts it below `pki:` (ritilib.box.overlay), so that it outlives a day without
    a network.
    """
    pairs = list(zip(fleet.said.lighthouses, fleet.lighthouse_addresses, strict=True))
    return _config(
        "overlay/nebula.yml.j2",
        name=name,
        secrets=secrets,
        certificates="/local" if blocklist else secrets,
        keys=keys or secrets,
        company=company,
        port=port,
        advertise=advertise,
        am_lighthouse=am_lighthouse,
        blocklist=blocklist,
        lighthouses=[] if am_lighthouse else pairs,
    )


def _config(template: str, **values: Any) -> str:
    return config_environment().get_template(template).render(**values)
