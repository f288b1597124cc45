"""A company of three offices that talk while its fleet changes: real PBXes, real boxes, real telephones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ritilib.clients.consul import Consul
from ritilib.clients.docker import Docker
from ritilib.clients.nebula import OverlayTool
from ritilib.clients.nomad import Nomad
from ritilib.clients.settings import read_settings
from ritilib.clients.vault import Document, Vault
from ritilib.devstack.controllers import SECRET, Instance, start_controller
from ritilib.devstack.processes import poll, wait_until
from ritilib.devstack.stack import Stack
from ritilib.devstack.telephony.audio import longest_gap_s, read_wav, share_at
from ritilib.devstack.telephony.console import ask_console
from ritilib.devstack.telephony.contacts import wait_answers
from ritilib.devstack.telephony.enrolled import start_enrolled
from ritilib.devstack.telephony.office import Office
from ritilib.devstack.telephony.phone import Phone, start_phone
from ritilib.devstack.telephony.phone_events import Call
from ritilib.errors import GitopsError, RitiError
from ritilib.gitops.objects import read_texts
from ritilib.reconcile.rotation import settle
from ritilib.reconcile.state import Record, read_record
from ritilib.render.names import read_generation
from ritilib.sync.observe import Places
from ritilib.sync.unit.secrets import read_authority
from ritilib.sync.unit.word import Word, read_word, understand_word
from tests.integration.fleets import Fleet, know_author, make_fleet
from tests.integration.holdings import Holdings

DEADLINE_S = 120.0
MONTEVIDEO, SALTO, RIVERA = OFFICES = ("acme/montevideo", "acme/salto", "acme/rivera")
ZORRO = "zorro/paysandu"  # another company, whose box was never plugged in
NUMBERS = {MONTEVIDEO: ("101", "102"), SALTO: ("201", "202"), RIVERA: ("301", "302"), ZORRO: ("401",)}
# each leaves another office without a call, and no telephone is in two that follow each other
CALLS = (("101", "201"), ("202", "301"), ("302", "102"))
TONES_HZ = {"101": 1000, "201": 1400, "202": 1000, "301": 1400, "302": 1000, "102": 1400}
SHARE_LEAST = 0.9
MEDIA_S = 1.0  # of the beginning of a call, in which the other side's media may not have come yet


@dataclass
class Agent:
    """What a box's agent will do: gives its box the files of the merged commit with the secrets of its document, and
    passes the watcher's word on. held: it does nothing (an office that is offline)."""

    office: Office
    key: str
    company: Company
    held: threading.Event = field(default_factory=threading.Event)
    # the commit, the document's version and the PBX's generation that are in force
    done: tuple[str, int, int] = ("", 0, 0)

    def follow(self, stopped: threading.Event) -> None:
        while not stopped.wait(0.3):
            if not self.held.is_set():
                try:
                    self.look()
                except (
                    RitiError
                ) as error:  # the commit may be ahead of Vault, a server busy: an agent tries again
                    print(f"agent of {self.key}: {str(error)[:200]}")

    def look(self) -> None:
        commit, document = self.company.find_commit(), self.company.read_box(self.key)
        generation = self.company.read_generation(self.key)
        if (commit, document.version, generation) != self.done:
            rendered = self.company.read_rendered(self.key, commit)
            self.office.apply(rendered, document.data, document.version, generation)
            self.done = (commit, document.version, generation)
        self.company.consul.put(self.company.fleet.names(self.key).box_word, self.office.read_word())


@dataclass
class Talk:
    """A call that is up: who called whom, both ends, and since when it is listened to."""

    ends: tuple[tuple[Phone, Call, int], tuple[Phone, Call, int]]

    def is_cut(self) -> bool:
        return not all(call.is_live for _, call, _ in self.ends)

    def is_heard(self, more_s: float) -> bool:
        """Whether both ends hear the other for so much longer than now."""
        lengths = [phone.recording_of(call).length_s() for phone, call, _ in self.ends]
        return poll(
            lambda: all(
                phone.recording_of(call).length_s() >= length + more_s
                for (phone, call, _), length in zip(self.ends, lengths, strict=True)
            ),
            DEADLINE_S,
        )


@dataclass
class Company:
    """The fleet, its controller as a service, offices with their agents, telephones; and what was heard."""

    fleet: Fleet
    stack: Stack
    folder: Path
    instance: Instance
    offices: dict[str, Agent] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)
    placed: int = 0
    cut: list[str] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    missing_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = read_settings(self.stack.environment())
        self.nomad, self.consul, self.vault = Nomad(settings), Consul(settings), Vault(settings)
        self.docker = Docker(self.stack.docker_host)
        self._commit = ""

    def find_commit(self) -> str:
        """The newest that was merged and of which the controller knows: an agent is not told before it."""
        return self._commit

    def read_box(self, key: str) -> Document:
        found = self.vault.read_document(self.fleet.names(key).box_document)
        if found is None:
            raise GitopsError.because(f"{key} has no document yet", "wait")
        return found

    def read_generation(self, key: str) -> int:
        """Of the newest instance of an office's PBX."""
        entry = self.consul.read(self.fleet.names(key).generation)
        return read_generation(entry.value if entry else None)

    def read_rendered(self, key: str, commit: str) -> dict[str, str]:
        folder = f"rendered/{key}/box/"
        texts = read_texts(self.fleet.forge, commit, folder.rstrip("/"))
        return {path.removeprefix(folder): text for path, text in texts.items()}

    def merge(self, message: str) -> str:
        """Render, propose, merge, and tell the controller; the commit."""
        with know_author():
            self._commit = self.fleet.merge_change(message)
        self.instance.tell_push()
        return self._commit

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        wait_until(holds, DEADLINE_S, what, self.instance.log)

    def read_record(self, key: str) -> Record | None:
        entry = self.consul.read(Places(self.fleet.name).record(key))
        return read_record(entry.key, entry.value) if entry else None

    def read_box_word(self, key: str) -> Word | None:
        entry = self.consul.read(self.fleet.names(key).box_word)
        return understand_word(entry.value, entry.key) if entry else None

    def is_live(self, key: str, commit: str) -> bool:
        """Whether what the commit says of a PBX is in force, and where it was replaced it is judged well."""
        record = self.read_record(key)
        if record is None or record.commit != commit or record.state != "applied":
            return False
        entry = self.consul.read(self.fleet.names(key).kv_key)
        word = read_word(self.nomad, self.fleet.names(key).job_id)
        if entry is None or word is None or (record.replaced_at and not record.judged):
            return False
        texts = json.loads(entry.value)["files"]
        plans = {name: text for name, text in texts.items() if name.endswith(".conf")}
        return word.has_in_force(plans) and word.secrets_version == record.secrets_version

    def holds(self, key: str, generation: int, only: bool) -> bool:
        """Whether both ends of an office's links let calls in by a generation of secrets, or have no other any more."""
        record, pbx, box = (
            self.read_record(key),
            read_word(self.nomad, self.fleet.names(key).job_id),
            self.read_box_word(key),
        )
        if record is None or pbx is None or box is None or record.state != "applied":
            return False
        held = record.holds == settle(generation) if only else generation in record.holds.accept
        return held and (pbx.secrets_version, box.secrets_version) == (
            record.secrets_version,
            record.box_version,
        )

    def acknowledges_pbx(self, key: str) -> bool:
        record, word = self.read_record(key), read_word(self.nomad, self.fleet.names(key).job_id)
        return record is not None and word is not None and word.secrets_version == record.secrets_version

    def count_tasks(self) -> dict[str, str]:
        """The running allocation of each PBX."""
        found = {}
        for key in NUMBERS:
            [found[key]] = self.nomad.find_running(self.fleet.names(key).job_id)
        return found

    def ask_pbx(self, key: str, command: str) -> str:
        return ask_console(self.find_pbx(key), command)

    def find_pbx(self, key: str) -> int:
        [allocation] = self.nomad.find_running(self.fleet.names(key).job_id)
        return int(self.docker.inspect(f"pbx-{allocation}")["State"]["Pid"])

    def is_linked(self, key: str) -> bool:
        """Whether the PBX of an office reaches its box and every other PBX of its company."""
        try:
            lines = self.ask_pbx(key, "iax2 show peers").splitlines()
        except (RitiError, ValueError):
            return False
        peers = [line for line in lines if line.startswith(("box/", "pbx-"))]
        return len(peers) == len(OFFICES) and all(" OK (" in line for line in peers)

    def wait_linked(self) -> None:
        for key in OFFICES:
            self.wait(partial(self.is_linked, key), f"{key} is linked")
            self.offices[key].office.wait_cloud_link(DEADLINE_S)

    def talk(self, numbers: tuple[str, str]) -> Talk:
        """A new call, answered, in which both hear each other."""
        caller, callee = (self.phones[number] for number in numbers)
        out = caller.dial(numbers[1])
        ring = callee.take_ring(DEADLINE_S)
        assert ring, f"{numbers[1]} does not ring"
        callee.answer(ring)
        caller.wait_for("established", DEADLINE_S, out)
        self.placed += 1
        tones = TONES_HZ[numbers[1]], TONES_HZ[numbers[0]]
        talk = Talk(((caller, out, tones[0]), (callee, ring, tones[1])))
        assert talk.is_heard(MEDIA_S)
        return talk

    def end(self, talk: Talk) -> None:
        """Hang up, and judge what both heard: the other's tone, to the end."""
        if talk.is_cut():
            self.cut.append(f"{talk.ends[0][0].name} to {talk.ends[0][1].number}")
        elif not talk.is_heard(MEDIA_S):
            self.cut.append(f"{talk.ends[0][0].name} to {talk.ends[0][1].number} (silence)")
        for phone, call, tone_hz in talk.ends:
            recording = phone.recording_of(call)
            samples, rate_hz = read_wav(recording.path, MEDIA_S)
            assert share_at(samples, rate_hz, tone_hz) >= SHARE_LEAST
            self.gaps_s.append(longest_gap_s(samples, rate_hz, tone_hz))
            self.missing_s.append(recording.missing_s())
        phone, call, _ = talk.ends[0]
        if call.is_live:
            phone.hang_up(call)
        other, ring, _ = talk.ends[1]
        other.wait_for("closed", DEADLINE_S, ring)


@contextmanager
def open_company(
    stack: Stack,
    folder: Path,
    name: str,
    port: int,
    settings: Callable[[str], str] = str,
    environ: Mapping[str, str] = {},
) -> Iterator[Company]:
    """Everything up and linked, no call placed; all of it ended afterwards.

    settings changes the usual fleet.yaml; environ: more of the controller's.
    """
    tool = OverlayTool(stack.nebula_cert)
    holdings = Holdings(name, stack.environment())
    with ExitStack() as running:
        with know_author():
            fleet = make_fleet(
                stack, folder, name, port, lambda said: settings(f"{said}rollout: {{canaries: 100}}\n")
            )
        running.callback(holdings.remove, folder / "log")
        fleet.write("companies/zorro.yaml", "name: Zorro Ltda.\n")
        fleet.write("companies/acme.yaml", write_acme())
        for key, numbers in NUMBERS.items():
            fleet.write_box(*key.split("/"), *numbers)
        environ = {**fleet.controller, "RITI_HOOK_GITEA": SECRET, **environ}
        with know_author():
            commit = fleet.merge_change("three offices, and another company")
        options = ["--listen", "127.0.0.1:0", "--poll", "3600"]
        instance = start_controller(folder, "controller", str(fleet.forge), environ, options)
        running.callback(instance.end)
        company = Company(fleet, stack, folder, instance)
        company._commit = commit
        for key in NUMBERS:
            company.wait(partial(company.is_live, key, commit), f"the PBX of {key} runs")
        stopped = threading.Event()
        authority = read_authority(company.vault, name)
        for key in OFFICES:
            rendered, document = company.read_rendered(key, commit), company.read_box(key)
            generation = company.read_generation(key)
            office = start_enrolled(
                company.docker,
                key,
                rendered,
                document,
                tool,
                authority,
                folder,
                f"{stack.name}-{name}",
                print,
                generation,
            )
            running.callback(office.stop)
            agent = company.offices[key] = Agent(
                office, key, company, done=(commit, document.version, generation)
            )
            thread = threading.Thread(target=agent.follow, args=(stopped,), name=f"agent {key}")
            thread.start()
            running.callback(thread.join)
            running.callback(stopped.set)
            for number in NUMBERS[key]:
                phone = start_phone(
                    folder / "phones" / number,
                    name=f"phone-{number}",
                    server=office.address,
                    local_address=office.gateway,
                    user=f"phone-{number}",
                    password=document.data["phones"][number],
                    tone_hz=TONES_HZ[number],
                )
                running.callback(phone.stop)
                phone.wait_registered(DEADLINE_S)
                wait_answers(office.asterisk, (f"phone-{number}",), DEADLINE_S)
                company.phones[number] = phone
        company.wait_linked()
        yield company


def write_acme(route: str = "101", secrets: int = 1) -> str:
    """The company's file; what may change in it."""
    said = "" if secrets == 1 else f"secrets: {secrets}\n"
    return f'name: Acme S.A.\n{said}routes:\n  - {{number: "100", to: "{route}"}}\n'


def measure(change: Callable[[], None]) -> float:
    began_s = time.monotonic()
    change()
    return time.monotonic() - began_s
