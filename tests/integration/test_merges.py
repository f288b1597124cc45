"""Merges of every kind while offices talk: what can be reloaded is at once, what replaces a PBX waits for its calls,
and no call is cut. Seconds are printed, and never judged.

The short one takes one merge of each kind; fifty are a suite of their own (make test-merges).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle

import pytest

from ritilib.devstack.stack import Stack
from ritilib.reconcile.rotation import settle
from ritilib.render.names import split_secrets
from tests.integration.fleets import hold_image
from tests.integration.holdings import Holdings
from tests.integration.live_company import (
    CALLS,
    MONTEVIDEO,
    NUMBERS,
    OFFICES,
    SALTO,
    Company,
    Talk,
    open_company,
    write_acme,
)

FLEET = "merged"
KINDS = ("route", "extension", "secrets", "image", "resources", "placement")
REPLACING = KINDS[3:]  # what changes the job; Nomad changes a constraint that the client meets in place
STEPS = 3  # of a rotation
ALL = tuple(NUMBERS)
SAID = re.compile(r"^(places|place|resources): .*\n", re.MULTILINE)


@pytest.fixture(scope="module")
def company(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    name_place(stack)
    with (
        hold_image(stack, name_tag(stack)),
        open_company(stack, tmp_path_factory.mktemp(FLEET), FLEET, 4316) as made,
    ):
        yield made


def name_tag(stack: Stack) -> str:
    """A tag of the PBX's image that no other stack of this Docker takes away."""
    return f"merged-{stack.slot}"


def name_place(stack: Stack) -> None:
    """Have the stack's one client say where it stands, as operators' clients do in their configuration."""
    holdings = Holdings(FLEET, stack.environment())
    [node] = holdings.nomad("GET", "nodes")
    holdings.nomad("POST", f"client/metadata?node_id={node['ID']}", {"Meta": {"riti.place": "here"}})


@dataclass
class Merges:
    """What is merged one after the other, what it took, and what it did."""

    company: Company
    generation: int = 1
    wish: dict[str, str] = field(default_factory=lambda: {"route": "101", "tag": "dev", "memory": "64"})
    extensions: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    replaced: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)

    def make(self, kind: str) -> tuple[str, ...]:
        """Change the files; the PBXes that the change concerns."""
        fleet = self.company.fleet
        if kind == "extension":
            self.extensions += 1
            fleet.write_box(*SALTO.split("/"), *NUMBERS[SALTO], str(210 + self.extensions))
            return OFFICES
        if kind == "route":
            self.wish["route"] = {"101": "201", "201": "301", "301": "101"}[self.wish["route"]]
        if kind == "secrets":
            self.generation += 1
        if kind in ("route", "secrets"):
            fleet.write("companies/acme.yaml", write_acme(self.wish["route"], self.generation))
            return OFFICES
        if kind == "image":
            self.wish["tag"] = name_tag(self.company.stack) if self.wish["tag"] == "dev" else "dev"
        if kind == "resources":
            self.wish["memory"] = {"64": "72", "72": "64"}[self.wish["memory"]]
        if kind == "placement":
            self.wish["place"] = "" if self.wish.get("place") else "here"
        file = fleet.work / "fleet" / "fleet.yaml"
        said = re.sub(
            r"pbx: riti/pbx:[\w-]+", f"pbx: riti/pbx:{self.wish['tag']}", SAID.sub("", file.read_text())
        )
        said += f"resources: {{memory_mb: {self.wish['memory']}}}\n"
        if self.wish.get("place"):
            said += "places: [{name: here, boxes: 100}]\nplace: here\n"
        file.write_text(said)
        return ALL

    def merge(self, kind: str, talk: Talk, calls: Iterator[tuple[str, str]]) -> Talk:
        """One merge under a call, until it is live everywhere; the call that is up then. PBXes get their turn as calls
        end, each after another one has begun."""
        company = self.company
        before = company.count_tasks()
        keys = self.make(kind)
        began_s = time.monotonic()
        commit = company.merge(f"{kind} {len(self.seconds.get(kind, ())) + 1}")
        waiting = set(keys)

        def look() -> bool:
            waiting.difference_update([key for key in waiting if company.is_live(key, commit)])
            return not waiting

        def is_idle_done(talk: Talk) -> bool:
            return look() or waiting <= find_busy(talk)

        if kind in REPLACING:
            company.wait(partial(is_idle_done, talk), f"{kind}: who has no call has it")
            while waiting:
                company.wait_linked()
                following = company.talk(next(calls))
                company.end(talk)
                talk = following
                company.wait(partial(is_idle_done, talk), f"{kind}: who has no call has it")
        else:
            company.wait(lambda: look() or kind == "secrets", f"{kind}: it is live")
        if kind == "secrets":
            company.wait(partial(self._hold, False), "the new secrets are let in everywhere")
            self.note("secrets, in force at both ends", began_s)
            company.wait(partial(self._hold, True), "the old secrets are gone everywhere")
        self.note(kind, began_s)
        after = company.count_tasks()
        changed = [key for key in after if after[key] != before[key]]
        self.replaced[kind] += len(changed)
        self.written[kind] += len(keys)
        assert kind in REPLACING or not changed
        assert not talk.is_cut()
        assert talk.is_heard(1.0)
        return talk

    def note(self, what: str, began_s: float) -> None:
        self.seconds.setdefault(what, []).append(time.monotonic() - began_s)

    def _hold(self, only: bool) -> bool:
        return all(self.company.holds(key, self.generation, only) for key in OFFICES)

    def report(self, merges: int) -> str:
        company = self.company
        reloads = self.written["route"] + self.written["extension"] + STEPS * self.written["secrets"]
        in_place = sum(self.written[kind] - self.replaced[kind] for kind in REPLACING)
        rows = [
            f"{merges} merges: {', '.join(f'{len(self.seconds[kind])} {kind}' for kind in KINDS)}",
            f"PBXes replaced: {self.replaced.total()} ({dict(self.replaced)}), changed in place: {in_place},"
            f" reloads: {reloads}",
            f"calls placed: {company.placed}, calls cut: {len(company.cut)} {company.cut or ''}",
            f"longest gap {max(company.gaps_s) * 1000:.0f} ms, most missing {max(company.missing_s) * 1000:.0f} ms",
        ]
        for what, seconds in self.seconds.items():
            found = sorted(seconds)
            rows.append(f"{what}: live after {found[len(found) // 2]:.1f} s, at the worst {found[-1]:.1f} s")
        return "\n".join(rows)


def find_busy(talk: Talk) -> set[str]:
    """The offices that have the call."""
    talking = {phone.name.removeprefix("phone-") for phone, _, _ in talk.ends}
    return {key for key, numbers in NUMBERS.items() if talking & set(numbers)}


def run(company: Company, count: int) -> Merges:
    """So many merges, kind after kind, with a call up all the time."""
    merges = Merges(company)
    calls = cycle(CALLS)
    company.placed, company.cut, company.gaps_s, company.missing_s = 0, [], [], []
    merges.generation = max(
        (record.holds.use for key in OFFICES if (record := company.read_record(key))), default=1
    )
    talk = company.talk(next(calls))
    for number in range(count):
        talk = merges.merge(KINDS[number % len(KINDS)], talk, calls)
        if number % len(KINDS) < 3:  # a call that goes over what was just reloaded
            following = company.talk(next(calls))
            company.end(talk)
            talk = following
    company.end(talk)
    print(merges.report(count))
    return merges


def test_one_merge_of_each_kind_cuts_no_call(company: Company) -> None:
    merges = run(company, len(KINDS))
    assert company.cut == []
    assert merges.replaced["image"] == merges.replaced["resources"] == len(ALL)


def test_new_secrets_step_by_step_with_calls_after_each(company: Company) -> None:
    """The boxes take up each step only when they are told to, so that calls meet every mixture of old and new."""
    [record] = [one for one in [company.read_record(MONTEVIDEO)] if one]
    old = record.holds.use
    before = company.read_box(MONTEVIDEO).data["iax"]["cloud"]
    for agent in company.offices.values():
        agent.held.set()
    calls = cycle(CALLS)
    talk = company.talk(next(calls))
    tasks = company.count_tasks()
    company.fleet.write("companies/acme.yaml", write_acme(secrets=old + 1))
    began_s = time.monotonic()
    company.merge("Acme's links get new secrets")
    for step in range(3):
        company.wait(partial(has_stepped, company, old, step), f"step {step + 1} is written")
        for late in range(len(OFFICES)):
            following = company.talk(next(calls))
            company.end(talk)
            talk = following
            agent = company.offices[OFFICES[late]]
            agent.look()
            company.wait(
                partial(acknowledges, company, OFFICES[late]), f"{OFFICES[late]} acknowledges step {step + 1}"
            )
            if late < len(OFFICES) - 1:
                assert has_stepped(company, old, step), "it went on before all had acknowledged"
    print(f"from the merge to the last step, with calls between: {time.monotonic() - began_s:.1f} s")
    for agent in company.offices.values():
        agent.held.clear()
    company.wait(
        lambda: all(company.holds(key, old + 1, True) for key in OFFICES), "the old secrets are gone"
    )
    assert company.count_tasks() == tasks
    company.end(talk)
    assert company.cut == []
    after = company.read_box(MONTEVIDEO).data["iax"]["cloud"]
    assert (len(split_secrets(after)), after in split_secrets(before)) == (1, False)
    assert_refused(company, before)


def has_stepped(company: Company, old: int, step: int) -> bool:
    """Whether all PBXes are given the step after so many, and acknowledge it."""
    new = old + 1
    wanted = [((old, new), old), ((old, new), new), (settle(new).accept, new)][step]
    for key in OFFICES:
        record = company.read_record(key)
        if record is None or record.state != "applied" or (record.holds.accept, record.holds.use) != wanted:
            return False
    return all(company.acknowledges_pbx(key) for key in OFFICES)


def acknowledges(company: Company, key: str) -> bool:
    company.offices[key].look()
    record, word = company.read_record(key), company.read_box_word(key)
    return record is not None and word is not None and word.secrets_version >= record.box_version


def assert_refused(company: Company, old: str) -> None:
    """A box that still calls by the old secret is refused by its PBX, which sees no call; by the new one not."""
    agent = company.offices[MONTEVIDEO]
    agent.held.set()
    document, rendered = (
        company.read_box(MONTEVIDEO),
        company.read_rendered(MONTEVIDEO, company.find_commit()),
    )
    outdated = document.data | {"iax": document.data["iax"] | {"cloud": old}}
    generation = company.read_generation(MONTEVIDEO)
    agent.office.apply(rendered, outdated, document.version, generation)
    before = count_calls(company)
    call = company.phones["101"].dial("201")
    # by another way than the cloud, or not at all
    company.wait(lambda: call.has_reached("ringing") or not call.is_live, "the call goes on, or ends")
    assert count_calls(company) == before
    if call.is_live:
        company.phones["101"].hang_up(call)
    agent.office.apply(rendered, document.data, document.version, generation)
    agent.held.clear()
    company.end(company.talk(("102", "202")))
    assert count_calls(company) > before


def count_calls(company: Company) -> int:
    """How many its PBX has had since it began."""
    found = re.search(
        r"^(\d+) calls? processed", company.ask_pbx(MONTEVIDEO, "core show channels"), re.MULTILINE
    )
    assert found
    return int(found[1])


@pytest.mark.slow
def test_fifty_merges_cut_no_call(company: Company) -> None:
    merges = run(company, 50)
    assert company.cut == []
    for kind in ("image", "resources"):
        assert merges.replaced[kind] == len(ALL) * len(merges.seconds[kind])
