"""The box's image: whether another version is to be installed or started now. Pure functions of values.

The agent has no rights for either: it asks root's own services by a file each (box-os/onbox/update.py, slot.py), which
look once more. What it decides is when: without a call, within the window, and not again where a version went back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from ritilib.box.word import Word
from ritilib.reconcile.backoff import Backoff
from ritilib.reconcile.image_value import ImageValue
from ritilib.reconcile.windows import is_inside

# "": as wished. waits: it is to be installed, and not now; installing, beside running calls; installed: it waits for a
# restart; restarting; trial: it runs, and shows whether it works; failed: it stays with what it had
State = Literal["", "waits", "installing", "installed", "restarting", "trial", "failed"]
Act = Literal["", "install", "restart"]
# A watcher that says nothing may have calls that nobody sees. After this Asterisk itself is asked, by whoever restarts
# the machine: else an image whose Asterisk is broken could never be replaced.
SILENT_S = 600.0
# A line of 64 kbit/s takes two minutes for a hundredth of 100 MB; what has not moved for so long has been ended.
STUCK_S = 1800.0
SHOWN_S = 60.0  # so soon root's status service shows what was installed
ASKED_AGAIN_S = 120.0  # a restart that did not come: a call was faster
AGAIN = Backoff(first_s=300.0, longest_s=4 * 3600.0, share=0.5)  # an installation that failed for now
MOST_FAILED = 5  # that are remembered


@dataclass(frozen=True)
class Running:
    """What root's status service says: version and slot that run; committed: whether the next start takes them too.

    installed: the version in the other slot that waits for its try; failed: the one that was tried there and went back
    ("": none), and why.
    """

    version: str
    slot: str
    committed: bool
    installed: str = ""
    failed: str = ""
    failed_why: str = ""


@dataclass(frozen=True)
class Installing:
    """What root's update service said last. stamp: when, as a number that is another at each word; final: no second try
    mends it; age_s: how long ago."""

    version: str = ""
    state: Literal["", "installing", "installed", "failed"] = ""
    percent: int | None = None
    why: str = ""
    final: bool = False
    stamp: int = 0
    age_s: float = 0.0


@dataclass(frozen=True)
class Memory:
    """What outlives a restart. trying: the name of what is tried; failed: name → why it went back, or was refused."""

    trying: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What this process asked of root: which act for which name, when (monotonic seconds), and the stamp before it.
    failures: installations of that name that failed for now, and before when it is not asked again."""

    act: Act = ""
    name: str = ""
    at_s: float = float("-inf")
    stamp: int = 0
    failures: int = 0
    not_before_s: float = float("-inf")


@dataclass(frozen=True)
class Progress:
    """What the box says of it (ritilib.sync.seen.boxes.Update). wished: the name of what it is to run, "" for none."""

    version: str
    slot: str = ""
    committed: bool = False
    wished: str = ""
    state: State = ""
    why: str = ""
    percent: int | None = None
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """act: what to ask root for now; memory and asked as they are to be kept first."""

    progress: Progress
    memory: Memory
    asked: Asked
    act: Act = ""


def learn(memory: Memory, running: Running) -> Memory:
    """What became of the version that was tried."""
    tried = _find_version(memory.trying)
    if not running.committed:
        return memory
    if running.failed and (tried == running.failed or not _knows(memory, running.failed)):
        name = memory.trying if tried == running.failed else running.failed
        why = running.failed_why or "it went back by itself"
        return _remember(replace(memory, trying=""), name, why)
    return replace(memory, trying="") if tried == running.version else memory


def find_hindrance(word: Word, is_configured: bool, silent_s: float, wish: ImageValue, now: datetime) -> str:
    """Why neither is begun now, in words; "" where it may be.

    silent_s: for how long the watcher has said nothing; is_configured: whether telephones may be in use at all.
    """
    if word.is_busy:
        return "a call is up"
    if not word.is_up and is_configured and silent_s < SILENT_S:
        return "Asterisk does not answer its watcher"
    if wish.windows and not is_inside(wish.windows, now):
        return "it is outside its maintenance window"
    return ""


def decide(
    wish: ImageValue | None,
    running: Running,
    done: Installing,
    memory: Memory,
    asked: Asked,
    hindrance: str,
    now_s: float,
    chance: float,
) -> Step:
    """What to do now; hindrance is find_hindrance's, now_s monotonic, chance a random number for pauses."""
    memory = learn(memory, running)
    wished = wish.name if wish else ""
    said = Progress(running.version, running.slot, running.committed, wished, failed=dict(memory.failed))
    if asked.name != wished:
        asked = Asked(name=wished)
    if not running.committed:
        return Step(replace(said, state="trial", wished=wished or running.version), memory, asked)
    if wish is None or wish.version == running.version:
        return Step(said, memory, asked)
    if wished in memory.failed:
        return Step(replace(said, state="failed", why=memory.failed[wished]), memory, asked)
    if _read_numbers(wish.version) < _read_numbers(running.version):
        # RAUC would say so after a look at the bundle; a Consul that was restored may name it for a while
        why = f"it is older than {running.version}, which runs"
        return Step(
            replace(said, state="failed", why=why, failed={**memory.failed, wished: why}), memory, asked
        )
    if asked.act == "restart" and now_s - asked.at_s < ASKED_AGAIN_S:
        # root's record has forgotten by now what it is to try: nothing may be written into that slot any more
        return Step(replace(said, state="restarting"), memory, asked)
    if running.installed == wish.version:
        return _restart(said, memory, asked, hindrance, now_s)
    return _install(wish, said, done, memory, asked, hindrance, now_s, chance)


def _restart(said: Progress, memory: Memory, asked: Asked, hindrance: str, now_s: float) -> Step:
    if hindrance:
        return Step(replace(said, state="installed", why=hindrance), memory, asked)
    asking = replace(asked, act="restart", at_s=now_s)
    return Step(replace(said, state="restarting"), replace(memory, trying=said.wished), asking, "restart")


def _install(
    wish: ImageValue,
    said: Progress,
    done: Installing,
    memory: Memory,
    asked: Asked,
    hindrance: str,
    now_s: float,
    chance: float,
) -> Step:
    is_own = asked.act == "install" and done.stamp != asked.stamp and done.version in ("", wish.version)
    if done.state == "installing" and done.version == wish.version and done.age_s < STUCK_S:
        return Step(replace(said, state="installing", percent=done.percent), memory, asked)
    if asked.act == "install" and not is_own and now_s - asked.at_s < STUCK_S:
        return Step(replace(said, state="installing"), memory, asked)  # it is not taken up yet
    if is_own and done.state == "failed":
        if done.final:
            memory = _remember(memory, wish.name, done.why)
            failed = replace(said, state="failed", why=done.why, failed=dict(memory.failed))
            return Step(failed, memory, Asked(name=wish.name))
        failures = asked.failures + 1
        pause_s = AGAIN.delay(failures, lambda: chance)
        asked = Asked(name=wish.name, failures=failures, not_before_s=now_s + pause_s)
        return Step(replace(said, state="waits", why=_say_again(done.why)), memory, asked)
    if is_own and done.state == "installed" and done.age_s < SHOWN_S:
        return Step(replace(said, state="installed"), memory, asked)
    if hindrance:
        return Step(replace(said, state="waits", why=hindrance), memory, asked)
    if now_s < asked.not_before_s:
        return Step(replace(said, state="waits", why=_say_again(done.why)), memory, asked)
    asking = replace(asked, act="install", at_s=now_s, stamp=done.stamp)
    return Step(replace(said, state="installing"), memory, asking, "install")


def _say_again(why: str) -> str:
    return f"it could not be installed, and is tried again: {why}"


def _find_version(name: str) -> str:
    return name.partition(",")[0]


def _read_numbers(version: str) -> tuple[int, ...]:
    """1.2.4-rc.1 → (1, 2, 4): what stands behind is left to RAUC, which knows its order."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()


def _knows(memory: Memory, version: str) -> bool:
    return any(_find_version(name) == version for name in memory.failed)


def _remember(memory: Memory, name: str, why: str) -> Memory:
    """The oldest is forgotten: it is long past, or the fleet has named it five versions in a row."""
    kept = {one: words for one, words in memory.failed.items() if one != name} | {name: why}
    return replace(memory, failed=dict(list(kept.items())[-MOST_FAILED:]))
