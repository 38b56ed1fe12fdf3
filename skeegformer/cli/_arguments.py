"""Reading of arguments, and messages, that several commands share."""

import argparse
import re
from pathlib import Path


def number_list(text):
    """Read a list such as ``1-8`` or ``1,2,5-9`` as a tuple of different numbers."""
    numbers = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            part = range(int(first), int(last if dash else first) + 1)
        except ValueError:
            part = ()
        if not part:
            raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 1-8 or 1,2,5-9")
        numbers += part
    return tuple(dict.fromkeys(numbers))


def n_processes(text):
    """Read a number of processes; -1 is for one per core."""
    if int(text) == 0:
        raise argparse.ArgumentTypeError("0 does no work; give a number of processes, or -1")
    return int(text)


def expanded(text):
    """Read a path; a shell leaves ~ as it is after --output=, and YAML always."""
    return Path(text).expanduser()


def recorded(tasks):
    """List the subjects whose recordings of all tasks of the benchmark are on this machine."""
    from skeegformer.datasets._files import data_root, recording_path
    from skeegformer.datasets._tasks import BENCHMARK_TASKS, N_SUBJECTS, TASKS

    root = data_root()
    runs = [run for task in tasks for name in BENCHMARK_TASKS[task] for run in TASKS[name].runs]
    found = [
        subject
        for subject in range(1, N_SUBJECTS + 1)
        if all(recording_path(root, subject, run).is_file() for run in runs)
    ]
    if not found:
        raise ValueError(
            f"There are no recordings of {', '.join(tasks)} on this machine; let MNE_DATA point to "
            "them, or name --subjects, such as 1-10, to download."
        )
    return found


def count(n, noun):
    """Write how many there are, such as "1 subject" or "2 subjects"."""
    return f"{n} {noun}{'s' * (n != 1)}"


def name_flags(message, flags):
    """Write parameters in a message, such as ``n_heads=0``, as the options that set them."""
    for name, flag in flags.items():
        message = re.sub(rf"(?<![\w.]){name}=", f"{flag} ", message)
    return message
