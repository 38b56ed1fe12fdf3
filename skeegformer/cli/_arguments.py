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


def recorded(tasks):
    """List the subjects whose recordings of all tasks are on this machine.

    Parameters
    ----------
    tasks : list of str
        Names of tasks of the benchmark.

    Returns
    -------
    list of int
        The subjects.

    Raises
    ------
    ValueError
        If there are none.
    """
    from skeegformer.evaluation.tasks import recorded_subjects

    found = set.intersection(*(set(recorded_subjects(task)) for task in tasks))
    if not found:
        raise ValueError(
            f"There are no recordings of {', '.join(tasks)} on this machine; let MNE_DATA point to "
            "them, or name --subjects, such as 1-10, to download."
        )
    return sorted(found)


def count(n, noun):
    """Write how many there are.

    Parameters
    ----------
    n : int
        The number.
    noun : str
        Of what, in the singular.

    Returns
    -------
    str
        Such as "1 subject" or "2 subjects".
    """
    return f"{n} {noun}{'s' * (n != 1)}"


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
