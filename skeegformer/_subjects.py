"""Epochs of one subject and of others, for what is centred on each subject's mean."""

import warnings

import numpy as np

# With fewer epochs the mean of a subject is that of its classes' whims.
FEW_EPOCHS = 10


def rows_by_subject(subjects, n_epochs):
    """Map each subject to its epochs; None to all where subjects are not known."""
    if subjects is None:
        return {None: np.arange(n_epochs)}
    return {
        subject: np.flatnonzero(subjects == subject) for subject in np.unique(subjects).tolist()
    }


def refuse_single_epochs(rows_of, learn):
    """Raise where an epoch would be centred on itself, and warn where on hardly more."""
    for subject, rows in rows_of.items():
        if learn:
            if len(rows) == 1:
                raise ValueError(
                    f"Subject {subject!r} has a single epoch, which adapt=True would centre on "
                    "itself: leave it out, or check that groups are subjects and not epochs."
                )
            continue
        of_whom = "somebody unknown" if subject is None else f"the unknown subject {subject!r}"
        way_out = (
            "adapt=True centres features on each subject's mean. Pass more epochs at once, or "
            "teach it the mean by fine_tune"
        )
        if len(rows) == 1:
            raise ValueError(
                f"There is a single epoch of {of_whom}, and all single epochs look alike: "
                f"{way_out}."
            )
        if len(rows) < FEW_EPOCHS:
            warnings.warn(
                f"There are only {len(rows)} epochs of {of_whom}: {way_out}.",
                UserWarning,
                stacklevel=2,
            )


def warn_of_unnamed_subjects():
    """Say that all epochs count as those of one subject."""
    warnings.warn(
        "adapt=True was not told who the subjects are: all epochs are taken for one person's, and "
        "so are those to predict, which does not adapt to anybody new. Pass groups (by metadata "
        "routing where it is a step of a Pipeline), or Epochs whose metadata have a column "
        "'subject'.",
        UserWarning,
        stacklevel=2,
    )
