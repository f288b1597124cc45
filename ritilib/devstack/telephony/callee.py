"""A telephone of the lab and the person at it: what that person does when it rings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from ritilib.devstack.processes import is_running
from ritilib.devstack.telephony.phone import Phone
from ritilib.devstack.telephony.phone_events import Call
from ritilib.errors import DevstackError

Manner = Literal["answer", "busy", "let ring"]
WATCH_S = 3600.0


class Callee:
    """A registered telephone that answers every call, or is busy (SIP 486), or lets it ring: as manner says.

    manner may be changed at any time. Calls dialled by hand on `phone` are left alone.
    """

    def __init__(self, box: str, extension: str, endpoint: str, tone_hz: int, phone: Phone) -> None:
        self.box = box
        self.extension = extension
        self.endpoint = endpoint
        self.tone_hz = tone_hz
        self.phone = phone
        self.manner: Manner = "answer"
        self._thread = self._start()

    @property
    def name(self) -> str:
        """ "acme/salto:201"."""
        return f"{self.box}:{self.extension}"

    def find_call(self) -> Call | None:
        """The incoming call that is up or rings now."""
        live = [call for call in self.phone.calls if not call.outgoing and call.is_live]
        return live[-1] if live else None

    def change_phone(self, start: Callable[[], Phone]) -> None:
        """Put another telephone in the place of this one, which is ended first."""
        self.stop()
        self.phone = start()
        self._thread = self._start()

    def stop(self) -> None:
        """End the telephone's program."""
        self.phone.stop()
        self._thread.join()

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._attend, name=f"callee {self.name}", daemon=True)
        thread.start()
        return thread

    def _attend(self) -> None:
        phone = self.phone
        while is_running(phone.process):
            call = phone.take_ring(WATCH_S)
            if call is None:
                continue
            try:
                if self.manner == "answer":
                    phone.answer(call)
                elif self.manner == "busy":
                    phone.hang_up(call)
            except DevstackError:
                continue  # the caller was faster: it has hung up meanwhile
