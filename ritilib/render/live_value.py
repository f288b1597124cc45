"""What a PBX's value in Consul looks like as a whole, as a pattern for the templates of its job.

Nomad (1.10.5) renders nothing of a task any more, and says nothing, once one of its templates fails; and a template
fails on what is no JSON, or has no files. Anybody with the right may write such a value by hand. So a template looks
first, and what is none it waits through with what it rendered before, until the controller has put the value right.
"""

from __future__ import annotations

_TEXT = r'"([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*"'  # as Python's json writes it
# encode_live (ritilib/reconcile/state.py) of the files in pbx/live, for Go's regexp and for Python's
WHOLE_VALUE = (
    rf'^\{{"files": \{{"extensions\.conf": {_TEXT}, "iax\.conf": {_TEXT}(, "words\.txt": {_TEXT})?\}}, '
    r'"format": [0-9], "secrets_version": (0|[1-9][0-9]{0,14})\}$'
)
