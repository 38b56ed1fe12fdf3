"""Reading of arguments that several commands take."""

import argparse


def number_list(text):
    """Read a list such as ``1-8`` or ``1,2,5-9``.

    Parameters
    ----------
    text : str
        What the user wrote.

    Returns
    -------
    tuple of int
        The numbers, once each.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is no such list.
    """
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


def check_jobs(jobs):
    """Refuse a number of processes that does no work.

    Parameters
    ----------
    jobs : int
        What the user wrote.

    Raises
    ------
    ValueError
        If it is 0.
    """
    if jobs == 0:
        raise ValueError("--jobs 0 does no work; give a number of processes, or -1.")
