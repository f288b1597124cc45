"""Whether Asterisk knows every word of a configuration: it passes over misspelt options and applications in silence."""

from ritilib.devstack.asterisk_check.check import check_files
from ritilib.devstack.asterisk_check.knowledge import Knowledge, read_knowledge

__all__ = ["Knowledge", "check_files", "read_knowledge"]
