"""No thread of the clients outlives its test."""

from tests.unit.threads import no_thread_left

__all__ = ["no_thread_left"]
