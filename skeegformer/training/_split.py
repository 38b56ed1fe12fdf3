"""Which epochs early stopping holds out."""

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit


def split_epochs(codes, classes, groups, fraction, random_state):
    """Choose the epochs to train on and those that are held out: whole groups where there are some.

    `fraction` is the share of the groups, or else of the epochs, that is held out. Returns indices.
    """
    options = {"test_size": fraction, "random_state": random_state}
    if groups is not None:
        if len(np.unique(groups)) < 2:
            raise ValueError(
                "early_stopping holds out whole groups, but groups holds only "
                f"{groups.tolist()[0]!r}; pass more groups, none at all, or early_stopping=False."
            )
        splitter = GroupShuffleSplit(1, **options)
    elif np.bincount(codes).min() >= 2:
        splitter = StratifiedShuffleSplit(1, **options)
    else:
        splitter = ShuffleSplit(1, **options)
    try:
        train, held_out = next(splitter.split(codes, codes, groups))
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot hold out validation_fraction={fraction} of {len(codes)} epochs "
            f"with {len(classes)} classes; change the fraction, give more epochs, or set "
            "early_stopping=False."
        ) from error
    missing = np.setdiff1d(codes, codes[train])
    if len(missing):
        raise ValueError(
            f"early_stopping held out every epoch of class {classes[missing].tolist()[0]!r}; lower "
            "validation_fraction, or set early_stopping=False."
        )
    return train, held_out
