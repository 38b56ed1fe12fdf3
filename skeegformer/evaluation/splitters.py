"""A splitter that scikit-learn does not have."""

import warnings

import numpy as np

from skeegformer._validation import validate_groups
from skeegformer.evaluation._subjects import name_subjects


class FixedSplit:
    """One split, always the same: some subjects to train on, others to test.

    The default is the one that foundation models of EEG are compared on for the imagery of
    four movements in the EEG Motor Movement/Imagery Dataset [1]_: subjects 1 to 70 for training,
    71 to 89 for validation and 90 to 109 for test.

    Parameters
    ----------
    train, validation, test : iterable, default=1 to 70, 71 to 89 and 90 to 109
        Subjects of each set; `validation` may be empty.
    train_on_validation : bool, default=False
        Whether the validation subjects join the training. They are not used at all otherwise:
        the field chooses the epoch of training with them, but a classifier of this package that
        stops early holds out some of its training subjects itself, and a classical Pipeline has
        nothing to choose.

    Raises
    ------
    ValueError
        If a subject is in two sets, or none is to train on or to test.

    References
    ----------
    .. [1] Wang et al. (2025), CBraMod: a criss-cross brain foundation model for EEG decoding.
       ICLR. arXiv:2412.07236

    Examples
    --------
    >>> from skeegformer.evaluation import FixedSplit
    >>> splitter = FixedSplit([1, 2], [3], [4])
    >>> for train, test in splitter.split(None, groups=[4, 3, 2, 1]):
    ...     print(train, test)
    [2 3] [0]
    """

    def __init__(
        self,
        train=range(1, 71),
        validation=range(71, 90),
        test=range(90, 110),
        *,
        train_on_validation=False,
    ):
        self.sets = {"train": tuple(train), "validation": tuple(validation), "test": tuple(test)}
        self.train_on_validation = train_on_validation
        everyone = [subject for subjects in self.sets.values() for subject in subjects]
        twice = sorted({subject for subject in everyone if everyone.count(subject) > 1})
        if twice:
            raise ValueError(
                f"{name_subjects(twice)} occur twice in the split; name each subject once."
            )
        if not self.sets["train"] or not self.sets["test"]:
            raise ValueError("The split needs subjects to train on and subjects to test.")

    def get_n_splits(self, X=None, y=None, groups=None):
        """Tell the number of splits.

        Parameters
        ----------
        X, y, groups : object
            Ignored, as in scikit-learn's splitters.

        Returns
        -------
        int
            1.
        """
        return 1

    def split(self, X, y=None, groups=None):
        """Split epochs.

        Parameters
        ----------
        X, y : object
            Ignored, as in scikit-learn's splitters.
        groups : array-like of shape (n_epochs,)
            The subject of each epoch.

        Yields
        ------
        train, test : ndarray of int
            Positions of the epochs to train on and to test, once.

        Raises
        ------
        ValueError
            If no subject of a set is there, or one is in none of the sets.

        Warns
        -----
        UserWarning
            If some subjects of the split are missing: it goes on with the others, but scores are
            not comparable with published ones.
        """
        if groups is None:
            raise ValueError("FixedSplit needs groups: the subject of each epoch.")
        groups = validate_groups(groups, len(groups))
        there = np.unique(groups).tolist()
        for part, subjects in self.sets.items():
            if subjects and not set(subjects) & set(there):
                raise ValueError(
                    f"The {part} set of the fixed split is empty: it is made of "
                    f"{name_subjects(subjects)}, but there are only {name_subjects(there)}."
                )
        everyone = [subject for subjects in self.sets.values() for subject in subjects]
        other = [subject for subject in there if subject not in everyone]
        if other:
            raise ValueError(
                f"The fixed split has no set for {name_subjects(other)}; leave them out."
            )
        missing = [subject for subject in everyone if subject not in there]
        if missing:
            warnings.warn(
                f"The fixed split lacks {name_subjects(missing)} ({len(missing)} subjects); its "
                "scores are not comparable with those of the whole split.",
                stacklevel=2,
            )
        trained = self.sets["train"] + self.train_on_validation * self.sets["validation"]
        yield tuple(
            np.flatnonzero([subject in subjects for subject in groups.tolist()])
            for subjects in (trained, self.sets["test"])
        )

    def __repr__(self):
        more = ", trained on validation subjects too" if self.train_on_validation else ""
        return f"fixed-split{more}"
