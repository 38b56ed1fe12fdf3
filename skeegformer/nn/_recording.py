"""Who listens to a network, thread by thread, so that others who use it at once do not notice."""

from contextlib import contextmanager
from contextvars import ContextVar

_LISTENERS = ContextVar("listeners", default={})  # noqa: B039 (it is never changed)


class Recorded:
    """A module whose forward pass hands what it computes to a `recorder`, where there is one."""

    @property
    def recorder(self):
        """The function that listens to this module in this thread, or None."""
        return _LISTENERS.get().get(self)


@contextmanager
def recording(recorders):
    """Have functions, a dict by module, listen inside a with block of this thread."""
    token = _LISTENERS.set({**_LISTENERS.get(), **recorders})
    try:
        yield
    finally:
        _LISTENERS.reset(token)
