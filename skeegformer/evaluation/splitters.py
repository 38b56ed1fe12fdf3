"""A splitter that scikit-learn does not have."""

import warnings

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from skeegformer._validation import validate_groups
from skeegformer.evaluation._subjects import name_subjects

_TRAIN, _TEST = range(1, 71), range(90, 110)


class FixedSplit(BaseCrossValidator):
    """A single predefined split into training and test subjects.

    The default is the split on which EEG foundation models are compared for the four-class imagery
    of the EEG Motor Movement/Imagery Dataset [1]_. Subjects 71 to 89, the validation set there, are
    left out: a classifier with early stopping holds out its own.

    Parameters
    ----------
    train, test : iterable, default=1 to 70 and 90 to 109
        Subjects of each set.

    Raises
    ------
    ValueError
        If a subject is in both sets or a set is empty, also of the subjects that `split` is given.

    References
    ----------
    .. [1] Wang et al. (2025), CBraMod: a criss-cross brain foundation model for EEG decoding.
       ICLR. arXiv:2412.07236

    Examples
    --------
    >>> from skeegformer.evaluation import FixedSplit
    >>> for train, test in FixedSplit([1, 2], [4]).split(None, groups=[4, 3, 2, 1]):
    ...     print(train, test)
    [2 3] [0]
    """

    __metadata_request__split = {"groups": True}  # noqa: RUF012

    def __init__(self, train=_TRAIN, test=_TEST):
        self.train, self.test = list(dict.fromkeys(train)), list(dict.fromkeys(test))
        both = [subject for subject in self.train if subject in self.test]
        if both:
            raise ValueError(f"{name_subjects(both)} are to be trained on and tested; choose one.")
        if not self.train or not self.test:
            raise ValueError("The split needs subjects to train on and subjects to test.")

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return 1, the number of splits."""
        return 1

    def split(self, X, y=None, groups=None):
        """Give the indices of training and test epochs, of which `groups` names the subjects."""
        if groups is None:
            raise ValueError("FixedSplit needs groups: the subject of each epoch.")
        groups = validate_groups(groups, len(groups))
        there = np.unique(groups).tolist()
        for name, subjects in (("train", self.train), ("test", self.test)):
            if not set(subjects) & set(there):
                raise ValueError(
                    f"The {name} set of the fixed split is empty: it is made of "
                    f"{name_subjects(subjects)}, but there are only {name_subjects(there)}."
                )
        missing = [subject for subject in self.train + self.test if subject not in there]
        if missing:
            warnings.warn(
                f"The fixed split lacks {name_subjects(missing)} ({len(missing)} subjects); its "
                "scores are not comparable with those of the whole split.",
                stacklevel=2,
            )
        yield tuple(np.flatnonzero(np.isin(groups, sides)) for sides in (self.train, self.test))

    def __repr__(self):
        if (self.train, self.test) == (list(_TRAIN), list(_TEST)):
            return "fixed-split"
        return f"fixed-split, {name_subjects(self.train)} and {name_subjects(self.test)}"
