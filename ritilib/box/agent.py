"""The box's agent: keeps the box on its live value, its overlay on its certificate and block list, and says how it is.

One loop in one thread decides and touches the disk; it asks no server, so that none that is away or slow holds up a
telephone. Beside it threads follow the live value and the block list, keep the certificates, and tell. Nothing listens.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import random as any_random
from typing import Any, Protocol

from ritilib.box.configure import Configurer, TryOut
from ritilib.box.durable import write_durable
from ritilib.box.follow import BACK, Follower, Take, need_document
from ritilib.box.live import OVERLAY, Configuration, Live, compose_configuration, understand_live
from ritilib.box.overlay import (
    CONFIGURATION,
    choose_authorities,
    keep_overlay,
    understand_blocked,
    understand_trust,
    write_blocked,
)
from ritilib.box.own import Access, Document, OwnServers, Tokens
from ritilib.box.report import Report, compose_report, read_machine
from ritilib.box.showing import Shown
from ritilib.box.store import IDENTITY_CRT, OVERLAY_CA, OVERLAY_CRT, OVERLAY_KEY, REPLY, Store
from ritilib.box.swap import Generations
from ritilib.box.telling import Teller
from ritilib.box.updating import MEMORY, ImagePlaces, Updater
from ritilib.box.word import SILENT, Word, understand_word
from ritilib.enroll.reply import Reply, read_reply
from ritilib.errors import GitopsError, RitiError, ServerError
from ritilib.reconcile.backoff import Backoff, Random, spread
from ritilib.reconcile.image_value import read_image_value
from ritilib.render.names import EnrollmentNames, UnitNames, read_generation

TICK_S = 0.5
LOOK_S = 5.0  # at the machine and at the overlay's files
# Between two looks whether certificates are due, and after a stop that only a person can end.
KEEP_S = 600.0
# Between two looks which image the box is to run: no rollout is in such a hurry, and a query that waits would be one
# more connection of each box to the gateway.
IMAGE_S = 300.0
IMAGE_BACK = Backoff(first_s=60.0, longest_s=3600.0, share=1.0)
# beside what the store keeps there, whose generation.json is of the box's own identity
BLOCKED, PBX_GENERATION, REPORT = "blocked.json", "pbx-generation.json", "agent.json"
_OVERLAY_FILES = {"ca.crt": OVERLAY_CA, "host.crt": OVERLAY_CRT, "host.key": OVERLAY_KEY}


class Joining(Protocol):
    """A Joiner: goes on until the box is in, and renews."""

    def run(self, is_once: bool = False) -> Shown: ...


@dataclass(frozen=True)
class Place:
    """data is the data partition; state the file of the watcher. The groups may read what Asterisk and Nebula read.
    image: where root's services are asked for another image (None: there are none)."""

    data: Path
    state: Path
    asterisk_group: int | None = None
    overlay_group: int | None = None
    image: ImagePlaces | None = None

    @property
    def configuration(self) -> Path:
        return self.data / "configuration"

    @property
    def overlay(self) -> Path:
        return self.data / "overlay"


@dataclass(frozen=True)
class Box:
    """Who this is."""

    names: UnitNames
    version: str
    image: str = ""
    serial: str = ""


class Agent:
    """make_joiner is given what is to be told of how far the box is, and makes its Joiner."""

    def __init__(
        self,
        box: Box,
        place: Place,
        access: Access,
        make_joiner: Callable[[Callable[[Shown], None]], Joining],
        try_out: TryOut,
        tell: Callable[[str], None],
        random: Random = any_random,
    ) -> None:
        self._box, self._place, self._access = box, place, access
        self._make_joiner, self._tell, self._random = make_joiner, tell, random
        self._stopped = threading.Event()
        self._renewing = threading.Event()
        self._store = Store(place.data)
        self._configurer = Configurer(
            Generations(place.configuration, place.asterisk_group), try_out, self.read_word, tell
        )
        self._generations = Generations(place.configuration, place.asterisk_group)
        self._updater = Updater(place.image, place.data / MEMORY, tell, random) if place.image else None
        self._teller = Teller(access, box.names, self._stopped, random=random)
        self._lock = threading.Lock()
        self._offered: Configuration | None = None
        self._parts: tuple[Live, Document] | None = None  # that it was made of
        self._generation = self._read_generation()
        self._troubles: dict[str, str] = {}
        self._state = "starting"
        self._identity = ""
        self._trust = self._store.read_trust()
        self._authorities = 0, 0  # edition, and who signed the certificate, that the overlay has
        self._blocked = self._read_blocked()
        self._looked_s = float("-inf")
        self._machine = read_machine(place.data, {})
        self._report: Report | None = None
        self.is_ending = False

    def run(self) -> None:
        """Until `is_ending`. What goes wrong with a server is told and tried again; OSError where the disk fails."""
        names = self._box.names
        blocked = EnrollmentNames(names.fleet).blocked
        threads = [
            self._follow(names.box_kv_key, self._take_value, "value"),
            self._follow(blocked, self._take_blocked, "block list"),
            self._follow(names.generation, self._take_generation, "its PBX's generation"),
            self._keep_certificates,
            self._teller.run,
        ]
        if self._updater:
            threads.append(self._follow(names.box_image, self._take_image, "image", IMAGE_S, IMAGE_BACK))
        for work in threads:
            # a blocking query may have a minute to go when the agent is to end
            threading.Thread(target=work, daemon=True).start()
        try:
            while not self.is_ending:
                self.step()
                time.sleep(TICK_S)
        finally:
            self._stopped.set()
            self._renewing.set()

    def step(self) -> None:
        """One look at everything that is on this machine, and what follows from it."""
        said, word = self._read_state()
        with self._lock:
            offered, state = self._offered, self._state
        why = self._configurer.step(offered, word)
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_S or self._overlay_is_due():
            self._looked_s = now_s
            self._look_at_certificate()
            self._keep_overlay()
            current = self._configurer.held.current
            adapters = self._list_adapters(current.identity) if current else {}
            self._machine = read_machine(self._place.data, adapters)
        with self._lock:
            # what the value is refused for goes before what the network does
            reasons = [
                self._troubles.get(name, "")
                for name in ("value", "overlay", "authorities", "block list", "image", "certificate")
            ]
        whys = [one for one in (why, *reasons) if one]
        box = self._box
        is_configured = self._configurer.held.current is not None
        progress = self._updater.step(word, is_configured) if self._updater else None
        report = compose_report(
            box.version,
            self._configurer.held,
            word,
            "; ".join(whys),
            self._machine,
            state,
            box.image,
            box.serial,
            self._authorities,
            progress,
        )
        if self._report is None or report.gist != self._report.gist:
            self._store.show(REPORT, report.encode().decode() + "\n")
        self._report = report
        self._teller.give(said, report)

    def read_word(self) -> Word:
        return self._read_state()[1]

    def _read_state(self) -> tuple[bytes | None, Word]:
        try:
            said = self._place.state.read_bytes()
            age_s = time.time() - self._place.state.stat().st_mtime
        except OSError:
            return None, SILENT
        return said, understand_word(said, age_s)

    def _take_value(self, data: bytes, servers: OwnServers, tokens: Tokens) -> None:
        """The live value with its secrets. What is wrong with it stays so until another comes; what is wrong with the
        secrets may pass."""
        try:
            live = understand_live(data)
        except GitopsError as error:
            self._note("value", "the live value is refused: " + _join(error))
            return
        try:
            document = need_document(servers, tokens)
            self._take_trust(document.data)
            self._compose(live, document)
        except ServerError:
            raise
        except RitiError as error:
            self._note("value", "the live value waits for its secrets: " + _join(error))
            raise
        self._note("value", "")

    def _take_trust(self, document: Mapping[str, Any]) -> None:
        """The overlay's authorities; what cannot be understood leaves them as they are."""
        try:
            trust = understand_trust(document)
        except GitopsError as error:
            self._note("authorities", _join(error))
            return
        if trust and trust != self._trust:
            self._store.keep_trust(trust)
            self._trust = trust
            self._looked_s = float("-inf")
            self._renewing.set()
            self._tell(f"the overlay's authorities are those of edition {trust.edition}")
        self._note("authorities", "")

    def _compose(self, live: Live, document: Document) -> None:
        with self._lock:
            generation = self._generation
            self._offered = compose_configuration(live, document.data, document.version, generation)
            self._parts = live, document

    def _take_generation(self, data: bytes, _servers: OwnServers, _tokens: Tokens) -> None:
        """Where the newest instance of its PBX is. It is kept: a start without a network knows it, too."""
        generation = read_generation(data)
        if generation == self._generation:
            return
        write_durable(self._place.data / PBX_GENERATION, data.decode(errors="replace"))
        with self._lock:
            self._generation, parts = generation, self._parts
        if parts:
            self._compose(*parts)
        self._tell(f"its PBX is at generation {generation}")

    def _take_image(self, data: bytes, _servers: OwnServers, _tokens: Tokens) -> None:
        """Which image it is to run; what cannot be understood leaves what is wished as it is."""
        assert self._updater
        try:
            self._updater.give(read_image_value(data))
        except GitopsError as error:
            self._note("image", _join(error))
            return
        self._note("image", "")

    def _take_blocked(self, data: bytes, _servers: OwnServers, _tokens: Tokens) -> None:
        try:
            blocked = understand_blocked(data)
        except GitopsError as error:
            self._note("block list", _join(error))
            return
        if blocked != self._blocked:
            write_durable(self._place.data / BLOCKED, json.dumps(blocked) + "\n")
            self._blocked = blocked
            self._looked_s = float("-inf")
            self._tell(f"the overlay's block list has {len(blocked)}")
        self._note("block list", "")

    def _follow(
        self, key: str, take: Take, name: str, poll_s: float = 0.0, backoff: Backoff = BACK
    ) -> Callable[[], None]:
        complain = self._complain(name)
        follower = Follower(self._access, key, take, complain, self._stopped, backoff=backoff, poll_s=poll_s)
        return follower.run

    def _complain(self, name: str) -> Callable[[str], None]:
        """For a Follower: what went wrong with a server. The report has none of it, as it would not get through."""
        return lambda what: self._note(f"{name} (network)", what)

    def _keep_certificates(self) -> None:
        """In, and then from one renewal to the next. A box that must stop has its telephones all the same."""
        while not self._stopped.is_set():
            joiner = self._make_joiner(self._show)
            try:
                while not self._stopped.is_set():
                    shown = joiner.run()
                    self._show(shown)
                    self._rest(spread(KEEP_S, self._random, 0.5))
                    if shown.state not in ("in", "unconfigured"):
                        break  # another card may be there by now
            except (RitiError, OSError) as error:
                self._note("certificate", _join(error) if isinstance(error, RitiError) else str(error))
                self._stopped.wait(spread(KEEP_S, self._random, 0.5))

    def _rest(self, pause_s: float) -> None:
        """Until certificates are looked at again: at once where other authorities came."""
        self._renewing.wait(pause_s)
        self._renewing.clear()

    def _show(self, shown: Shown) -> None:
        with self._lock:
            before, self._state = self._state, shown.state
        if shown.state != before:
            self._tell(shown.words)
        if shown.state in ("in", "unconfigured") and before not in ("in", "unconfigured"):
            self._note("certificate", "")
            self._looked_s = float("-inf")

    def _look_at_certificate(self) -> None:
        """The first one opens the way to the servers, and each that follows is shown from then on."""
        identity = self._store.read(IDENTITY_CRT) if self._has_certificates() else ""
        if identity and identity != self._identity:
            self._access.certify()
        self._identity = identity

    def _has_certificates(self) -> bool:
        files = (IDENTITY_CRT, *_OVERLAY_FILES.values())
        return all((self._place.data / name).is_file() for name in files)

    def _overlay_is_due(self) -> bool:
        """Whether there is a configuration for it, and it has none yet: the office waits."""
        return (
            self._configurer.held.current is not None and not (self._place.overlay / CONFIGURATION).exists()
        )

    def _keep_overlay(self) -> None:
        current = self._configurer.held.current
        if current is None or not self._has_certificates():
            return
        try:
            overlay = self._generations.read_files(current.identity)[OVERLAY]
            files = {name: self._store.read(source) for name, source in _OVERLAY_FILES.items()}
            told, signed_by = self._read_numbers()
            files["ca.crt"], edition = choose_authorities(files["ca.crt"], told, self._trust)
            files[CONFIGURATION] = write_blocked(overlay, self._blocked)
            written = keep_overlay(self._place.overlay, files, self._place.overlay_group)
        except RitiError as error:
            self._note("overlay", _join(error))
            return
        self._authorities = edition, signed_by
        self._note("overlay", "")
        if written:
            self._tell(f"the overlay has another {', '.join(written)}")

    def _read_numbers(self) -> tuple[int, int]:
        """Of the last reply: the edition of its authorities, and which of them signed."""
        text = self._store.read(REPLY)
        reply = read_reply(text.encode()) if text else Reply(request="0" * 64, state="waiting")
        return reply.overlay_edition, reply.overlay_authority

    def _list_adapters(self, identity: str) -> dict[str, str]:
        folder = "adapter/"
        files = self._generations.read_files(identity)
        return {path.removeprefix(folder): "" for path in files if path.startswith(folder)}

    def _read_blocked(self) -> tuple[str, ...]:
        """The list that was in force last: a start without a network lets nobody back in."""
        try:
            return understand_blocked((self._place.data / BLOCKED).read_bytes())
        except (OSError, GitopsError):
            return ()

    def _read_generation(self) -> int:
        try:
            return read_generation((self._place.data / PBX_GENERATION).read_bytes())
        except OSError:
            return 0

    def _note(self, name: str, what: str) -> None:
        with self._lock:
            before = self._troubles.get(name, "")
            self._troubles[name] = what
        if what and what != before:
            self._tell(what)


def _join(error: RitiError) -> str:
    return "; ".join(f"{one.file}: {one.what}" if one.file else one.what for one in error.problems)
