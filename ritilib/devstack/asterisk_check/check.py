"""Every word of a configuration that Asterisk, with these modules, would not know."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ritilib.devstack.asterisk_check.conf import Conf, Section, Setting, read_conf
from ritilib.devstack.asterisk_check.dialplan import check_dial_plan
from ritilib.devstack.asterisk_check.knowledge import Kind, Knowledge
from ritilib.devstack.asterisk_check.mailboxes import check_mailboxes
from ritilib.errors import Problem

_MEND = "see the names in Asterisk's documentation (core-en_US.xml) and its samples in etc/asterisk"
_MEND_MODULE = "add the module that reads it to ritilib/render/modules.py"
# The only section of these files, by its name there → in the XML.
_GENERAL = ("general", "global", "globals")
_FIXED_SECTIONS = {
    "asterisk.conf": {"directories", "options"},
    "ccss.conf": {"general"},
    "logger.conf": {"general", "logfiles"},
    "modules.conf": {"modules"},
    "rtp.conf": {"general"},
}
_PEER_KINDS = {"friend", "peer", "user"}


def check_files(
    files: Mapping[str, str], known: Knowledge, modules: Collection[str], made_later: Collection[str] = ()
) -> list[Problem]:
    """Sorted problems of the files of one configuration folder (name → text, secrets put in, includes too).

    Those that are called .conf are Asterisk's; others, such as the watcher's words.txt, are not judged.

    modules are those of the image ("app_dial"), made_later the paths of included files that a program writes
    there. Judged are the names of sections, options, applications, functions and contexts, and whether one of the
    modules brings them.
    """
    confs = {name: read_conf(name, text) for name, text in files.items() if name.endswith(".conf")}
    contexts = {section.name for section in confs.get("extensions.conf", Conf((), (), ())).sections}
    problems: list[Problem] = []
    for name, conf in confs.items():
        problems += conf.problems
        problems += (
            Problem(name, one.line, 0, f"`#{one.name}` is a directive, and its file is not here", _MEND)
            for one in conf.directives
            if one.value.strip('"') not in made_later
        )
        problems += _check_bases(name, conf)
        if name == "extensions.conf":
            problems += check_dial_plan(name, conf, known, modules)
        elif name == "pjsip.conf":
            problems += _check_typed(name, conf, known.kinds[name], modules)
        elif name == "voicemail.conf":
            problems += check_mailboxes(name, conf, known.samples[name])
        elif name in known.samples:
            problems += _check_sampled(name, conf, known.samples[name])
        elif name in known.kinds:
            problems += _check_kinds(name, conf, known.kinds[name])
        else:
            problems.append(Problem(name, 0, 0, "is a file that Asterisk does not read", _MEND))
        problems += _check_contexts(name, conf, contexts)
    if "modules.conf" in confs:
        problems += _check_modules(confs["modules.conf"], modules)
    return sorted(problems)


def _check_bases(name: str, conf: Conf) -> Iterator[Problem]:
    """A section takes over from a template that stands before it in the same file; its absence ends IAX2."""
    seen: set[str] = set()
    for section in conf.sections:
        for base in section.bases:
            if base not in seen:
                yield Problem(name, section.line, 0, f"[{section.name}] has no template [{base}]", _MEND)
        if section.is_template and section.name in seen:
            yield Problem(name, section.line, 0, f"the template [{section.name}] is there before", _MEND)
        seen.add(section.name)


def _check_typed(
    name: str, conf: Conf, kinds: Mapping[str, Kind], modules: Collection[str]
) -> Iterator[Problem]:
    """pjsip.conf: each section says what it is by `type`."""
    for section in conf.sections:
        settings = list(conf.inherited(section))
        kind = next((one.value for one in settings if one.name == "type"), "")
        if section.is_template and not kind:
            continue
        if kind not in kinds:
            yield Problem(name, section.line, 0, f"[{section.name}] has the unknown type `{kind}`", _MEND)
            continue
        if kinds[kind].module not in modules:
            what = f"[{section.name}]: no module here reads the type `{kind}`"
            yield Problem(name, section.line, 0, what, _MEND_MODULE)
        yield from _check_options(name, section.settings, kinds[kind].options | {"type"}, kind)


def _check_kinds(name: str, conf: Conf, kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    """A file whose sections have fixed names."""
    for section in conf.sections:
        names = _GENERAL if section.name in _GENERAL else (section.name,)
        found = [kinds[one] for one in names if one in kinds]
        # where all of a file's options are of one kind, [general] is that kind (features.conf, udptl.conf)
        if not found:
            yield Problem(name, section.line, 0, f"[{section.name}] is no section of it", _MEND)
            continue
        yield from _check_options(name, section.settings, found[0].options, section.name)


def _check_sampled(name: str, conf: Conf, options: frozenset[str]) -> Iterator[Problem]:
    fixed = _FIXED_SECTIONS.get(name)
    for section in conf.sections:
        if fixed is not None and section.name not in fixed:
            yield Problem(name, section.line, 0, f"[{section.name}] is no section of it", _MEND)
        if name == "iax.conf":
            yield from _check_peer(name, conf, section)
        yield from _check_options(name, section.settings, options, section.name)


def _check_peer(name: str, conf: Conf, section: Section) -> Iterator[Problem]:
    if section.name == "general" or section.is_template:
        return
    kind = next((one.value for one in conf.inherited(section) if one.name == "type"), "")
    if kind not in _PEER_KINDS:
        yield Problem(name, section.line, 0, f"[{section.name}] has the unknown type `{kind}`", _MEND)


def _check_options(
    name: str, settings: tuple[Setting, ...], options: frozenset[str], where: str
) -> Iterator[Problem]:
    for one in settings:
        # what stands in brackets says more of the option: eventfilter(name(Hangup))
        if one.name.partition("(")[0] not in options:
            yield Problem(name, one.line, 0, f"`{one.name}` is no option of {where}", _MEND)


def _check_contexts(name: str, conf: Conf, contexts: Collection[str]) -> Iterator[Problem]:
    """What calls are led to by a peer or a telephone is a context of the dial plan."""
    if name not in ("iax.conf", "pjsip.conf"):
        return
    for section in conf.sections:
        for one in section.settings:
            if one.name == "context" and one.value not in contexts:
                yield Problem(name, one.line, 0, f"extensions.conf has no context [{one.value}]", _MEND)


def _check_modules(conf: Conf, modules: Collection[str]) -> Iterator[Problem]:
    for section in conf.sections:
        for one in section.settings:
            if one.name == "load" and one.value.removesuffix(".so") not in modules:
                what = f"the image has no module {one.value}"
                yield Problem("modules.conf", one.line, 0, what, _MEND_MODULE)
