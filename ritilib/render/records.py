"""Call records: what Asterisk writes of each call, one JSON object a line on its task's standard output.

The keys come from here and the words from the dial plan (templates/record.conf.j2), which lets through only what needs
no escape: res_cdrel_custom writes a backslash before a quote and before nothing else (format_string in
res/cdrel_custom/formatters.c, Asterisk 22), so a backslash in a caller ID would make a line that is no JSON.
"""

from __future__ import annotations

from typing import Literal

# A record is shorter than PIPE_BUF (4,096 bytes; pipe(7)), and stdio writes it at once: no line of a log gets into it.
# Docker's and Nomad's logs carry it away, so nothing fills the scratch folders.
_PLACE = "/dev/stdout"
_TIME = "%FT%T.%3q%z"  # ISO 8601; the images know no local time, so it is UTC
_FIELDS = (
    '"riti: call"',  # first, so that whoever reads the log knows the line by its beginning
    '"node: {node}"',
    "call(uservar)",
    "from(uservar)",
    "to(uservar)",
    "rung(uservar)",
    "taken(uservar)",
    "channel",
    "dstchannel",
    f"start({_TIME})",
    f"answer({_TIME})",
    f"end({_TIME})",
    "duration",
    "billsec",
    "disposition",
    "cause(uservar)",
)


def write_record_files(kind: Literal["box", "pbx"], key: str) -> dict[str, str]:
    """file name → text for the box or the PBX of the unit ("acme/salto").

    A box also records a call for which there was no way at all; a PBX does not, since the box does. Neither goes on
    with a record while hangup handlers run, which would begin another one.
    """
    unanswered = "yes" if kind == "box" else "no"
    fields = ",".join(_FIELDS).format(node=f"{kind}:{key}")
    return {
        "cdr.conf": f"[general]\nenable=yes\nunanswered={unanswered}\nendbeforehexten=yes\n",
        "cdr_custom.conf": f"[{_PLACE}]\nformat=json\nfields={fields}\n",
    }
