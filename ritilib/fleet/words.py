"""Recorded words, fleet/words/<company>/<name>.gsm: what a company's menus say.

They are GSM 06.10 as Asterisk plays it (format_gsm): frames of 33 bytes and 20 ms, each beginning with the nibble 0xD,
so that nothing is converted when they are rendered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ritilib.errors import FleetError, Problem
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.model import Fleet
from ritilib.fleet.source import Source

WORDS_FOLDER = "fleet/words/"
WORDS_PATH = re.compile(rf"^{WORDS_FOLDER}([^/]+)/([^/]+)\.gsm\Z")  # company, name
FRAME_BYTES = 33
FRAMES_PER_S = 50
FRAME_MARK = 0xD  # ETSI EN 300 961, as the format of files has it
LONGEST_S = 60
# A PBX's one value in Consul holds 512 KB, of which this takes 330 in base64; the dial plan needs room too.
TOGETHER_S = 150
_MEND = "record it anew: riti words add"


def name_words(company: str, name: str) -> str:
    """The path of a recording in the repository."""
    return f"{WORDS_FOLDER}{company}/{name}.gsm"


def measure_s(content: bytes) -> float:
    """How long a recording is, in seconds."""
    return len(content) / FRAME_BYTES / FRAMES_PER_S


def list_used(said: CompanyFile) -> list[str]:
    """The names of the recordings that a company's menus say, sorted."""
    return sorted({menu.words for menu in said.menus})


def judge_recording(path: str, content: bytes) -> Iterator[Problem]:
    """What is wrong with one recording by itself."""
    whole = len(content) % FRAME_BYTES == 0 and len(content) > 0
    if not whole or any(first >> 4 != FRAME_MARK for first in content[::FRAME_BYTES]):
        yield Problem(path, 0, 0, "is no recording in GSM 06.10, frame after frame", _MEND, "words-no-gsm")
    elif measure_s(content) > LONGEST_S:
        what = f"is {measure_s(content):.0f} s long, and words may be {LONGEST_S}"
        yield Problem(path, 0, 0, what, f"say less, and {_MEND}", "words-too-long")


def judge_words(source: Source, said: CompanyFile, words: Mapping[str, bytes]) -> Iterator[Problem]:
    """A problem for each menu without its words, and one where they are too much; words are the company's, by name."""
    for index, menu in enumerate(said.menus):
        if menu.words not in words:
            known = ", ".join(sorted(words)) or "none yet"
            what = f"menu {menu.number} says the words `{menu.words}`, which are not recorded"
            mend = f"name one of the recordings ({known}), or add this one: riti words add"
            yield source.problem(("menus", index, "words"), what, mend, "unknown-words")
    together_s = sum(measure_s(words[name]) for name in list_used(said) if name in words)
    if together_s > TOGETHER_S:
        what = f"the words of these menus are {together_s:.0f} s together, and may be {TOGETHER_S}"
        yield source.problem(("menus",), what, f"say less, and {_MEND}", "words-too-much")


def find_unused(company: str, said: CompanyFile, words: Mapping[str, bytes]) -> Iterator[Problem]:
    """A warning for each recording that no menu says."""
    for name in sorted(words.keys() - set(list_used(said))):
        what, mend = "no menu says these words", f"let one of {said.name} say them, or remove the file"
        yield Problem(name_words(company, name), 0, 0, what, mend, "words-unused", "warning")


@dataclass(frozen=True)
class Recorded:
    """One recording, and the numbers of the menus that say it."""

    company: str
    name: str
    seconds: float
    menus: tuple[str, ...]


def list_words(files: Mapping[str, bytes], fleet: Fleet) -> list[Recorded]:
    """Every recording among the fleet's files (path → content), sorted; fleet is what they say."""
    menus = {company.slug: company.said.menus for company in fleet.companies}
    found = []
    for path in sorted(files):
        if match := WORDS_PATH.match(path):
            company, name = match.groups()
            said_by = tuple(menu.number for menu in menus[company] if menu.words == name)
            found.append(Recorded(company, name, round(measure_s(files[path]), 2), said_by))
    return found


def add_words(files: Mapping[str, bytes], company: str, name: str, content: bytes) -> dict[str, bytes]:
    """path → content of a company's recording, in GSM 06.10; what is wrong with it is judged with the whole fleet."""
    return {name_words(company, name): content}


def remove_words(files: Mapping[str, bytes], company: str, name: str) -> dict[str, None]:
    """path → None for a recording; FleetError where there is no such one."""
    path = name_words(company, name)
    if path not in files:
        mend = "name one of those that `riti words list` shows"
        raise FleetError([Problem(path, 0, 0, "is not there", mend, "missing-file")])
    return {path: None}
