"""What a unit's value in Consul looks like, as patterns for the templates of its job.

A template fails on what is no JSON, or has no files, and anybody with the right may write such a value by hand. Nomad
(1.10.5) then ends the task at once, calls and all; or, where none of its templates does anything but write a file, it
renders nothing of that task any more and says nothing. So a template looks first, and waits with what it rendered
before, by asking for a key that nobody writes, until the controller has put the value right.
"""

from __future__ import annotations

_TEXT = r'"([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*"'  # as Python's json writes it
# encode_live (ritilib/reconcile/state.py) of the files in pbx/live, for Go's regexp and for Python's
WHOLE_VALUE = (
    rf'^\{{"files": \{{"extensions\.conf": {_TEXT}, "iax\.conf": {_TEXT}(, "words\.txt": {_TEXT})?\}}, '
    r'"format": [0-9], "secrets_version": (0|[1-9][0-9]{0,14})\}$'
)
# its end alone, for what asks for nothing else; the only group is the version
SECRETS_VERSION = r'(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$'
