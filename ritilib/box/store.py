"""The box's data partition as a folder: each file is whole and on the disk, or is still the one before it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ritilib.box.kept import Generation, Kept, Trust, keep_request
from ritilib.enroll import jose
from ritilib.enroll.reply import Reply, read_reply
from ritilib.errors import EnrollError, RitiError

IDENTITY_KEY, OVERLAY_KEY = "identity.key", "overlay.key"
IDENTITY_CRT, OVERLAY_CRT, OVERLAY_CA = "identity.crt", "overlay.crt", "overlay-ca.crt"
REQUEST, REPLY, GENERATION, STATUS = "request.jws", "reply.json", "generation.json", "status.json"
TRUST = "overlay-trust.json"
_BESIDE = ".new"


class Store:
    """The folder `data`, made where it is not there (0700, its files 0600).

    Methods raise OSError where the disk does not do it, and RitiError where a file is there and is none of ours.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        data.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> Kept:
        """What is there."""
        identity, request, reply = self.read(IDENTITY_KEY), self.read(REQUEST), self.read(REPLY)
        held = self.read(GENERATION)
        try:
            bound = read_reply(reply.encode()) if reply else None
            return Kept(
                thumbprint=jose.find_thumbprint(identity) if identity else "",
                has_overlay_key=bool(self.read(OVERLAY_KEY)),
                generation=_read_generation(json.loads(held)) if held else Generation(),
                request=keep_request(request.encode()) if request else None,
                reply=bound,
                has_files=bound is not None
                and all(self.read(name) == text for name, text in list_files(bound).items()),
                trust=self.read_trust(),
            )
        except (EnrollError, ValueError, TypeError) as error:
            mend = "this box has to be made anew: riti enroll replace, and a new card"
            raise RitiError.because(f"{self.data} holds what no box wrote ({error})", mend) from None

    def read(self, name: str) -> str:
        """A file's text; "" where it is not there."""
        try:
            return (self.data / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except ValueError:
            raise RitiError.because(f"{self.data / name} is no text", "see what wrote it") from None

    def write(self, name: str, text: str) -> None:
        """Have a file say this, from when this returns and for ever: a power cut leaves it or the one before it."""
        beside = self._write_beside(name, text, is_safe=True)
        beside.rename(self.data / name)
        folder = os.open(self.data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # without it a cut right after may bring the old name back
        finally:
            os.close(folder)

    def show(self, name: str, text: str) -> None:
        """Have a file say this that nobody needs after a cut."""
        self._write_beside(name, text, is_safe=False).rename(self.data / name)

    def keep_generation(self, generation: Generation) -> None:
        self.write(GENERATION, json.dumps(asdict(generation)))

    def keep_trust(self, trust: Trust) -> None:
        self.write(TRUST, json.dumps(asdict(trust)))

    def read_trust(self) -> Trust:
        """What was said of the overlay's authorities last; of nothing that can be read, nothing."""
        try:
            return Trust(**json.loads(self.read(TRUST) or "{}"))
        except (ValueError, TypeError):
            return Trust()

    def keep_reply(self, reply: Reply) -> None:
        self.write(REPLY, reply.encode().decode())

    def keep_files(self, reply: Reply) -> None:
        """Write out the certificates of a reply for the programs that read them as files."""
        for name, text in list_files(reply).items():
            if self.read(name) != text:
                self.write(name, text)

    def _write_beside(self, name: str, text: str, is_safe: bool) -> Path:
        beside = self.data / (name + _BESIDE)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            if is_safe:
                os.fsync(file.fileno())
        return beside


def list_files(reply: Reply) -> dict[str, str]:
    """The files of a reply's certificates, by name."""
    return {IDENTITY_CRT: reply.identity, OVERLAY_CRT: reply.overlay_crt, OVERLAY_CA: reply.overlay_ca}


def _read_generation(held: dict[str, Any]) -> Generation:
    """What keep_generation wrote, an older or a newer version's too: a box that went back to the image before would
    else have lost its identity."""
    known = {field.name: held[field.name] for field in fields(Generation) if field.name in held}
    return Generation(**{**known, "past": tuple(known.get("past", ()))})
