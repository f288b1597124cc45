"""Steps 6 to 8: a call judged by its audio, a change merged under it, and servers taken away from under it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial

from ritilib.devstack import stack as stacks
from ritilib.devstack.demo.deploy import merge_change, read_document, sync
from ritilib.devstack.demo.lab import Lab
from ritilib.devstack.demo.pbx import BOXES, find_running, has_peer, knows, read_tasks
from ritilib.devstack.demo.verdicts import Step
from ritilib.devstack.guests import adopt_process
from ritilib.devstack.telephony.audio import longest_gap_s, read_wav, share_at
from ritilib.devstack.telephony.contacts import wait_answers
from ritilib.devstack.telephony.office import wait_until
from ritilib.devstack.telephony.phone import Phone, Recording, start_phone
from ritilib.devstack.telephony.probe import lead_around, probe_iax
from ritilib.sync.lead.rights import Rights
from ritilib.sync.observe import Places

MONTEVIDEO, SALTO, ZORRO = BOXES
CALLER_HZ, CALLEE_HZ = 1000, 1400  # far enough apart that neither's share holds the other's harmonics
SHARE_LEAST = 0.9
GAP_MOST_S = 0.5  # a person hears half a second as a break; measured figures are printed
REGISTER_TIMEOUT_S = 20
ANSWER_TIMEOUT_S = 20
PROBE_S = 2.0
TAKEN_TIMEOUT_S = 90
RIVERA = """\
name: Rivera
extensions:
  - number: "401"
    name: Mostrador
    public: "+59846221401"
"""
# consul-template waits up to a minute between two tries (Nomad's max_backoff)
TEMPLATE_TIMEOUT_S = 120


def place_call(lab: Lab, step: Step) -> None:
    """Step 6: Montevideo calls Salto's public number; Zorro can be reached neither by number nor by a packet."""
    caller = connect_phone(lab, MONTEVIDEO, "101", CALLER_HZ)
    callee = connect_phone(lab, SALTO, "201", CALLEE_HZ)
    other = connect_phone(lab, ZORRO, "301", CALLEE_HZ)
    start = time.monotonic()
    caller.dial("59847331201")
    callee.wait_for("ringing", ANSWER_TIMEOUT_S)
    rang_s = time.monotonic() - start
    callee.answer()
    caller.wait_for("established", ANSWER_TIMEOUT_S)
    up_s = time.monotonic() - start
    step.find(
        "Salto's number rings at Salto and is answered",
        True,
        f"phone → box → PBX → PBX → box → phone; rings after {rang_s * 1000:.0f} ms, up after {up_s * 1000:.0f} ms",
    )
    judge_audio(step, listen(lab), 3.0)
    for number in ("301", "59847221301"):
        with caller.second_call(number) as call:
            caller.wait_for("closed", ANSWER_TIMEOUT_S, call)
        step.find(
            f"Zorro's {number} is nobody's at Acme",
            other.rings == 0 and call.reason.startswith("404"),
            call.reason,
        )
    _probe_separation(lab, step)


def merge_under_call(lab: Lab, step: Step) -> None:
    """Step 7: a pull request adds an extension and moves a route while the call is up."""
    before, ears = read_tasks(lab), listen(lab)
    fleet = lab.work / "fleet"
    salto = fleet / "boxes" / f"{SALTO}.yaml"
    salto.write_text(salto.read_text() + '  - number: "202"\n    name: Taller\n    phone: sip\n')
    (fleet / "boxes" / "acme" / "rivera.yaml").write_text(RIVERA)
    move_route(lab, "101", "202")
    merge_change(lab, "Salto gets a workshop, reception is answered there, and Rivera becomes an office")
    done = sync(lab)
    step.find(
        "Acme's PBXes were written, Rivera's started",
        sorted(done["changed"]) == [MONTEVIDEO, "acme/rivera", SALTO],
        str(done["changed"]),
    )
    has_new = partial(has_telephone, lab, SALTO, "202")
    wait_until(has_new, TAKEN_TIMEOUT_S, f"Salto's box has 202 ({lab.offices[SALTO].read_report()})")
    step.find("Salto's box took its new telephone over by itself", True, "no hand on it")
    new = connect_phone(lab, SALTO, "202", CALLEE_HZ)
    caller = lab.phones["101"]
    wait_until(
        lambda: knows(lab, MONTEVIDEO, "202", "office-salto,202,1") and knows(lab, SALTO, "202", "to-box"),
        30,
        "the PBXes know 202",
    )
    peers = partial(has_peer, lab, MONTEVIDEO, "pbx-rivera")
    wait_until(peers, ANSWER_TIMEOUT_S, "Montevideo's PBX reaches Rivera's")
    step.find("a new peer came by a reload, and is reached", True, "pbx-rivera")
    judge_audio(step, ears, 3.0)
    for number, why in (("202", "the new extension rings"), ("100", "the moved route rings there")):
        rings = new.rings
        with caller.second_call(number):
            rung = new.wait_for("ringing", ANSWER_TIMEOUT_S)
            step.find(why, new.rings == rings + 1, f"{number} dialled at Montevideo rings 202 at Salto")
        new.wait_for("closed", ANSWER_TIMEOUT_S, rung)
    after = read_tasks(lab)
    step.find(
        "no task was restarted", before == after, ", ".join(task.allocation[:8] for task in after.values())
    )
    judge_audio(step, listen(lab), 2.0)


def has_telephone(lab: Lab, key: str, number: str) -> bool:
    """Whether a box has the telephone in force, and its agent has confirmed it."""
    office = lab.offices[key]
    if f"phone-{number}" not in office.asterisk("pjsip show endpoints"):
        return False
    return bool(json.loads(office.read_report() or "{}").get("confirmed"))


def move_route(lab: Lab, old: str, new: str) -> None:
    """Have Acme's reception answered elsewhere."""
    company = lab.work / "fleet" / "companies" / "acme.yaml"
    company.write_text(company.read_text().replace(f'to: "{old}"', f'to: "{new}"'))


def take_servers_away(lab: Lab, step: Step, outage_s: float) -> None:
    """Step 8: a second sync writes nothing; Consul and Vault are away for outage_s, and the call goes on."""
    before = read_indexes(lab)
    done = sync(lab)
    step.find(
        "a second sync reports no change",
        not done["changed"] and not done["problems"],
        f"{done['unchanged']} as wished",
    )
    step.find("and moves nothing on the servers", read_indexes(lab) == before, f"indexes {before}")
    tasks, ears = read_tasks(lab), listen(lab)
    for server in ("consul", "vault"):
        stacks.stop_server(lab.state, server)
    judge_audio(step, ears, outage_s)
    for server in ("consul", "vault"):
        stacks.start_server(lab.state, server, lab.report)
    lasted = f"PBXes and call outlive {outage_s:.0f} s without Consul and Vault"
    step.find(lasted, read_tasks(lab) == tasks)
    # A template whose retries are used up leaves its task running and never changes again: so change something.
    move_route(lab, "202", "101")
    merge_change(lab, "Reception is answered at Montevideo again")
    sync(lab)
    arrives = partial(knows, lab, MONTEVIDEO, "100", "to-box,101,1")
    wait_until(arrives, TEMPLATE_TIMEOUT_S, "a change arrives at the PBX after the outage")
    step.find("a merge after it still reaches the running PBX", read_tasks(lab) == tasks, "100 → 101")
    judge_audio(step, listen(lab), 2.0)
    lab.phones["101"].hang_up()
    lab.phones["201"].wait_for("closed", ANSWER_TIMEOUT_S)


def read_indexes(lab: Lab) -> tuple[int, ...]:
    """What moves if anything but who led is written: Nomad's job list, Consul's tree, the documents' versions.

    Who led stands in the lock, and in the leader's own view of the fleet; the boxes themselves say how they are.
    """
    others = (Rights("demo").lock, Places("demo").status, "/word", "/report", "/generation")
    jobs = lab.nomad.list_jobs("demo--")
    documents = [lab.vault.read_document(f"demo/{kind}/{key}") for key in BOXES for kind in ("pbx", "box")]
    tree = lab.consul.read_tree("riti/demo/")
    newest = max(entry.modify_index for entry in tree.entries if not entry.key.endswith(others))
    return (
        max(job.modify_index for job in jobs.jobs),
        newest,
        *(one.version if one else 0 for one in documents),
    )


def connect_phone(lab: Lab, key: str, number: str, tone_hz: int) -> Phone:
    """A telephone at the box, registered with the password that Vault holds for it, once the box reaches it."""
    office = lab.offices[key]
    secrets = read_document(lab, key).data
    phone = start_phone(
        lab.folder / "phones" / number,
        name=f"phone-{number}",
        server=office.address,
        local_address=office.gateway,
        user=f"phone-{number}",
        password=secrets["phones"][number],
        tone_hz=tone_hz,
    )
    lab.phones[number] = phone
    adopt_process(lab.state, f"telephone {number}", phone.process)
    phone.wait_registered(REGISTER_TIMEOUT_S)
    wait_answers(office.asterisk, (f"phone-{number}",), REGISTER_TIMEOUT_S)
    return phone


@dataclass(frozen=True)
class Ear:
    """One telephone in the call, and from which second of its recording on it is listened to."""

    where: str
    recording: Recording
    tone_hz: int
    start_s: float
    missing_s: float


def listen(lab: Lab) -> tuple[Ear, Ear]:
    """Begin to listen at both telephones."""
    ears = []
    for number, tone_hz, where in (("101", CALLEE_HZ, "Montevideo"), ("201", CALLER_HZ, "Salto")):
        recording = lab.phones[number].recording
        ears.append(Ear(where, recording, tone_hz, recording.length_s(), recording.missing_s()))
    return ears[0], ears[1]


def judge_audio(step: Step, ears: tuple[Ear, Ear], seconds: float, lost_most_s: float = GAP_MOST_S) -> None:
    """What both telephones heard since `listen`, of at least so many seconds: the other's tone, without a break.

    lost_most_s: by how much the recording may be shorter than the time.
    """
    for ear in ears:
        wait_until(partial(_has_heard, ear, seconds), seconds + 20, "enough was heard")
        samples, rate_hz = read_wav(ear.recording.path, ear.start_s)
        share, gap_s = share_at(samples, rate_hz, ear.tone_hz), longest_gap_s(samples, rate_hz, ear.tone_hz)
        lost_s = max(0.0, ear.recording.missing_s() - ear.missing_s)
        held = share >= SHARE_LEAST and gap_s <= GAP_MOST_S and lost_s <= lost_most_s
        heard_s = len(samples) / rate_hz
        breaks = f"longest gap {gap_s * 1000:.0f} ms, missing {lost_s * 1000:.0f} ms"
        figure = f"share {share:.4f} over {heard_s:.1f} s, {breaks}"
        step.find(f"{ear.where} hears the other's tone", held, figure)


def _has_heard(ear: Ear, seconds: float) -> bool:
    return ear.recording.length_s() >= ear.start_s + seconds


def _probe_separation(lab: Lab, step: Step) -> None:
    """Packets from Acme, from its box and from its PBX's own namespace, to its own side and to Zorro's.

    Each place first reaches what it may reach, so that silence means refusal and not a probe that cannot speak.
    """
    box = lab.offices[MONTEVIDEO].pid
    pbx = lab.docker.inspect(f"pbx-{find_running(lab, MONTEVIDEO).id}")["State"]["Pid"]
    own, zorro = (lab.offices[key].peer_address for key in (MONTEVIDEO, ZORRO))
    beside = find_running(lab, ZORRO).network_address
    step.find("a packet from Acme's box reaches its PBX", probe_iax(box, own, PROBE_S), own)
    salto = lab.offices[SALTO].peer_address
    step.find("and one from its PBX reaches Salto's PBX", probe_iax(pbx, salto, PROBE_S), salto)
    for place, pid in (("box", box), ("PBX", pbx)):
        answered = probe_iax(pid, zorro, PROBE_S)
        step.find(f"none from Acme's {place} reaches Zorro's PBX by the overlay", not answered, zorro)
    # Acme's PBX stands on the same bridge as Zorro's: led around the overlay, a packet to the very address that Zorro's
    # Asterisk listens on arrives in its namespace, where only the gate's firewall is left.
    with lead_around(pbx, zorro, beside):
        answered = probe_iax(pbx, zorro, PROBE_S)
    step.find("nor does one that is led around the overlay", not answered, f"{zorro} via {beside}")
