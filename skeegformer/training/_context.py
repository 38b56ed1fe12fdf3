"""What surrounds a training: the device, random numbers, and Ctrl-C."""

import signal
import threading
from contextlib import contextmanager

import torch


def pick_device(name):
    """Resolve ``"auto"``, and refuse what torch does not have here."""
    if isinstance(name, str) and name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        there = "'cpu' and 'cuda'" if torch.cuda.is_available() else "'cpu'"
        raise ValueError(
            f"device={name!r} is not available to torch here, only {there}; 'auto' takes a GPU if "
            "there is one."
        ) from error
    return name if name is not None else "cpu"


@contextmanager
def seeded(seed):
    """Seed torch on all devices inside a with block, and put all states back after it."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def ctrl_c_ends_more_than_training():
    """Raise KeyboardInterrupt at the end of a with block in which the user pressed Ctrl-C.

    skorch lets callbacks end a training by that exception, and so takes Ctrl-C for the same:
    it would return a net that looks trained.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed = []

    def note(number, frame):
        pressed.append(number)
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if pressed:
        raise KeyboardInterrupt
