"""How many calls fit into an office's link."""

from __future__ import annotations

from ritilib.fleet.kinds import Codec

# bytes of voice in 20 ms, IAX2's usual packet
VOICE_BYTES: dict[Codec, int] = {"alaw": 160, "ulaw": 160, "g722": 160, "gsm": 33}
# IAX2's mini frame 4 (RFC 5456, 8.1.2), UDP 8, IP 20; Nebula's header 16, its tag of AES-GCM 16, UDP 8 and IP 20 again
PACKET_BYTES = 4 + 8 + 20 + 16 + 16 + 8 + 20
PACKETS_PER_S = 50


def compute_call_kbit_s(codec: Codec) -> float:
    """What one call takes each way inside the overlay, in kbit/s of IP: alaw 100.8, gsm 50.

    The frames of the line below (Ethernet, PPPoE, ATM) come on top; a trunk (render.links) takes less from the second
    call on, which is left as a reserve.
    """
    return (VOICE_BYTES[codec] + PACKET_BYTES) * PACKETS_PER_S * 8 / 1000


def derive_at_once(kbit_s: int, codec: Codec) -> int:
    """How many calls in codec a link of kbit_s carries at once; one even where it is too thin for that."""
    return max(1, int(kbit_s / compute_call_kbit_s(codec)))
