"""The spoken words of a box: what voicemail says, dates and numbers, in each language that Debian has them in."""

from __future__ import annotations

from pathlib import Path

from ritilib.devstack.images.archive import File
from ritilib.errors import DevstackError
from ritilib.fleet.kinds import LANGUAGES

SOUNDS = "usr/share/asterisk/sounds"
# voicemail's own words, and dates and numbers for it
_SPOKEN = ("vm-*.gsm", "digits/*.gsm", "beep.gsm")


def list_words(tree: Path) -> dict[str, File]:
    """Path in the image → the file of every word; tree is Debian's Asterisk, unpacked.

    DevstackError with every language or word that the tree lacks.
    """
    found: dict[str, File] = {}
    absent = []
    for language in LANGUAGES:
        folder = next((tree / SOUNDS).glob(f"{language}_*"), tree / "absent")
        for spoken in _SPOKEN:
            words = sorted(folder.glob(spoken))
            found |= {f"{SOUNDS}/{language}/{word.relative_to(folder)}": File(word) for word in words}
            absent += [] if words else [f"{language}: {spoken}"]
    if absent:
        what = f"Debian's Asterisk lacks these words: {', '.join(absent)}"
        raise DevstackError.because(what, "see PACKAGES in ritilib/devstack/images/debian.py")
    return found
