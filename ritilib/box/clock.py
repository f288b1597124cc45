"""What time it is on a box whose own clock may be wrong by years: a Pi has none that runs without power."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, VerificationError
from cryptography.x509.verification import Store as Authorities

from ritilib.enroll.claim import Claim
from ritilib.errors import Unreachable

# What an operator's own authority leaves out of its certificates was for TLS to judge; here it is the time.
_CA_POLICY = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_SERVER_POLICY = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)
MARGIN = timedelta(days=1)  # the operator's clock, when the claim was written, against the servers'


@dataclass(frozen=True)
class Window:
    """The times between which the box's own clock is believed."""

    start: datetime
    end: datetime

    def holds(self, now: datetime) -> bool:
        return self.start <= now <= self.end


def find_window(claim: Claim, identity: str) -> Window:
    """The claim's time at first; once the box is bound that of its certificate (PEM; "": it has none)."""
    if identity:
        crt = x509.load_pem_x509_certificate(identity.encode())
        return Window(crt.not_valid_before_utc - MARGIN, crt.not_valid_after_utc)
    return Window(datetime.fromtimestamp(claim.iat, UTC) - MARGIN, datetime.fromtimestamp(claim.exp, UTC))


class Clock:
    """The system's clock where it is inside the window; else, or once it has been told, what the gateway said."""

    def __init__(
        self,
        window: Window,
        system: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window, self._system, self._monotonic = window, system, monotonic
        self._told: tuple[datetime, float] | None = None

    def now(self) -> datetime | None:
        """The time; None where nobody knows it yet."""
        if self._told:
            date, at_s = self._told
            return date + timedelta(seconds=self._monotonic() - at_s)
        # a year that no date can have is wrong too
        try:
            now = datetime.fromtimestamp(self._system(), UTC)
        except (OverflowError, ValueError, OSError):
            return None
        return now if self._window.holds(now) else None

    def tell(self, date: datetime) -> None:
        """Believe a time that a gateway said whose chain was verified; Unreachable where it cannot be.

        The claim, or the certificate, was made before this moment, whatever the time is.
        """
        if date < self._window.start:
            what = f"the gateway's clock is wrong: it says {date:%Y-%m-%d}"
            raise Unreachable.because(what, "set the clock of the gateway")
        self._told = (date, self._monotonic())

    def move(self, window: Window) -> None:
        """Have another window: the box has a certificate now."""
        self._window = window


def is_valid_at(chain: Sequence[bytes], authority: str, host: str, now: datetime) -> bool:
    """Whether a server's certificates (DER, its own first) lead to this authority (PEM) at that time.

    TLS has verified the rest of it before, by the same authority, with times ignored.
    """
    store = Authorities(x509.load_pem_x509_certificates(authority.encode()))
    verifier = (
        PolicyBuilder()
        .store(store)
        .time(now.replace(tzinfo=None))
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_SERVER_POLICY)
        .build_server_verifier(_find_name(host))
    )
    try:
        server, *between = map(x509.load_der_x509_certificate, chain)
        verifier.verify(server, between)
    except (VerificationError, ValueError):
        return False
    return True


def _find_name(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
