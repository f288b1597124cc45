"""The dial plan: applications, functions, contexts and labels that it names and Asterisk does not have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ritilib.devstack.asterisk_check.conf import Conf, Setting
from ritilib.devstack.asterisk_check.knowledge import BUILTIN, Knowledge
from ritilib.errors import Problem

_MEND = "see `core show applications` and `core show functions` of the image"
_MEND_MODULE = "add the module that brings it to ritilib/render/modules.py"
_MEND_PLACE = "write the place where the call shall go on"
_STEP = re.compile(r"(?:n|\d+)(?:\(([^)]*)\))?,\s*([^(]+)\((.*)\)$")
_CALL = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\(")
_SET_FUNCTION = re.compile(r"(?:^|\()([A-Z_][A-Z0-9_]*)\([^)]*\)=")
# ExecIf runs an application that stands in its own argument: behind ? and :
_NESTED = re.compile(r"[?:]([A-Za-z]+)\(")
_PLACED = {"Goto", "GotoIf", "Gosub", "GosubIf"}
# Dial's option b: where the new leg goes before it is dialled
_LEG = re.compile(r"b\(([^()^]+)\^([^()^]+)\^([^()^]+)\)")
_ARGUMENTS = re.compile(r"\(.*\)$")


@dataclass(frozen=True)
class Step:
    """One priority of one extension: its label ("" where it has none), application and what stands in brackets."""

    line: int
    context: str
    extension: str
    label: str
    application: str
    argument: str

    @property
    def applications(self) -> set[str]:
        """Its own application, and those that ExecIf may run."""
        nested = _NESTED.findall(self.argument) if self.application == "ExecIf" else ()
        return {self.application, *nested}

    @property
    def functions(self) -> set[str]:
        """Every function that it reads or sets."""
        is_set = bool(self.applications & {"Set", "ExecIf"})
        return {*_CALL.findall(self.argument), *(_SET_FUNCTION.findall(self.argument) if is_set else ())}


def check_dial_plan(name: str, conf: Conf, known: Knowledge, modules: Collection[str]) -> Iterator[Problem]:
    """Problems of extensions.conf; known are all of Asterisk's names, modules what the image has of them."""
    contexts = {section.name for section in conf.sections}
    steps = list_steps(conf)
    labels = {(step.context, step.extension, step.label) for step in steps if step.label}
    for section in conf.sections:
        for one in section.settings:
            if one.name == "include":
                if one.value not in contexts:
                    yield Problem(name, one.line, 0, f"includes the unknown [{one.value}]", _MEND_PLACE)
            elif one.name not in ("exten", "same"):
                yield Problem(name, one.line, 0, f"`{one.name}` is no word of a dial plan", _MEND)
            elif _match_step(one) is None:
                yield Problem(name, one.line, 0, f"`{one.value}` is no priority and application", _MEND)
    for step in steps:
        yield from _judge(name, step, "application", step.applications, known.applications, modules)
        yield from _judge(name, step, "function", step.functions, known.functions, modules)
        for place in _list_places(step):
            yield from _judge_place(name, step, place, contexts, labels)


def list_steps(conf: Conf) -> list[Step]:
    """Every priority of a dial plan, in the order of its lines."""
    return list(_find_steps(conf))


def _find_steps(conf: Conf) -> Iterator[Step]:
    for section in conf.sections:
        extension = ""
        for one in section.settings:
            if one.name == "exten":
                extension = one.value.partition(",")[0].strip()
            if found := _match_step(one):
                label, application, argument = found.groups()
                yield Step(one.line, section.name, extension, label or "", application.strip(), argument)


def _match_step(one: Setting) -> re.Match[str] | None:
    said = one.value.partition(",")[2] if one.name == "exten" else one.value
    return _STEP.match(said.strip())


def _judge(
    name: str,
    step: Step,
    what: str,
    used: set[str],
    known: Mapping[str, frozenset[str]],
    modules: Collection[str],
) -> Iterator[Problem]:
    for one in sorted(used):
        found = known.get(one.lower() if what == "application" else one)
        if found is None:
            yield Problem(name, step.line, 0, f"`{one}` is no {what} of Asterisk", _MEND)
        elif not found & {BUILTIN, *modules}:
            wanted = " or ".join(sorted(found))
            yield Problem(name, step.line, 0, f"{what} {one} needs the module {wanted}", _MEND_MODULE)


def _list_places(step: Step) -> Iterator[list[str]]:
    """The parts (context, extension, priority) of each place that a step leads to; those with variables too."""
    if step.application == "Dial":
        yield from map(list, _LEG.findall(step.argument))
    if step.application not in _PLACED:
        return
    said = [step.argument]
    if step.application.endswith("If"):
        # the last question mark: an expression may hold others, in a regular expression
        said = step.argument.rpartition("?")[2].split(":")
    for place in said:
        if place:
            yield _ARGUMENTS.sub("", place).split(",")  # a Gosub may give some to where it goes


def _judge_place(
    name: str, step: Step, place: list[str], contexts: Collection[str], labels: Collection[tuple[str, ...]]
) -> Iterator[Problem]:
    *before, priority = place
    context = before[-2] if len(before) > 1 else step.context
    extension = before[-1] if before else step.extension
    if "$" not in context and context not in contexts:
        yield Problem(name, step.line, 0, f"leads to the unknown [{context}]", _MEND_PLACE)
    is_label = not priority.isdigit() and priority != "n" and "$" not in priority + context + extension
    if is_label and (context, extension, priority) not in labels:
        what = f"leads to the unknown label {priority} of {extension} in [{context}]"
        yield Problem(name, step.line, 0, what, _MEND_PLACE)
