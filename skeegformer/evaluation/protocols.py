"""Who is trained on and who is tested: the protocols of cross-subject evaluation."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from skeegformer._validation import check_count, validate_groups
from skeegformer.evaluation._subjects import name_subjects


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows of the epochs to train on and of those to test.

    Parameters
    ----------
    number : int
        From 0.
    train : ndarray of int
        Rows to train on.
    test : ndarray of int
        Rows to test, of subjects that are not trained on.
    validation : ndarray of int or None
        Rows of subjects that are in neither, where the protocol sets some apart.
    """

    number: int
    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray | None = None


class _OfAllSubjects:
    """A protocol in which every subject takes the same part."""

    def __init__(self, subjects):
        self.subjects = None if subjects is None else tuple(subjects)

    def missing(self, groups):
        """Name the subjects that ought to be there and are not.

        Parameters
        ----------
        groups : array-like of shape (n_epochs,)
            The subject of each epoch.

        Returns
        -------
        dict of str to list
            Part of the protocol to its missing subjects, only where there are some. The only
            part here is "all".
        """
        return _missing({"all": self.subjects or ()}, groups)


class LeaveOneSubjectOut(_OfAllSubjects):
    """Test each subject by a model of all others, or of some of them.

    Parameters
    ----------
    subjects : iterable or None, default=None
        Subjects that there ought to be, so that missing ones can be named; None for whoever
        is there.
    n_train_subjects : int or None, default=None
        How many of the others to train on, for learning curves; None for all. They are drawn
        for each test subject, and those of a smaller number are among those of a larger one.
    random_state : int, default=0
        Seed of what is drawn.

    Attributes
    ----------
    name : str
        "leave-one-subject-out", and how many are trained on where not all are.

    Examples
    --------
    >>> from skeegformer.evaluation import LeaveOneSubjectOut
    >>> [fold.test.tolist() for fold in LeaveOneSubjectOut().folds([1, 1, 2, 2])]
    [[0, 1], [2, 3]]
    """

    name = "leave-one-subject-out"

    def __init__(self, subjects=None, *, n_train_subjects=None, random_state=0):
        super().__init__(subjects)
        self.n_train_subjects, self.random_state = n_train_subjects, random_state
        if n_train_subjects is not None:
            check_count("n_train_subjects", n_train_subjects, 1)
            check_count("random_state", random_state, 0)
            self.name = f"{self.name}, {n_train_subjects} to train on"
            if random_state:
                self.name += f", draw {random_state}"

    def folds(self, groups):
        """Split epochs.

        Parameters
        ----------
        groups : array-like of shape (n_epochs,)
            The subject of each epoch.

        Returns
        -------
        list of Fold
            One for each subject.

        Raises
        ------
        ValueError
            If there are fewer than two subjects, or fewer others than are to be trained on.
        """
        groups = validate_groups(groups, len(groups))
        subjects = np.unique(groups)
        if len(subjects) < 2:
            raise ValueError(
                f"Leaving one subject out needs at least 2 subjects, but there is only "
                f"{name_subjects(subjects.tolist())}."
            )
        folds = _folds(LeaveOneGroupOut(), groups)
        if self.n_train_subjects is None:
            return folds
        if self.n_train_subjects >= len(subjects):
            raise ValueError(
                f"n_train_subjects={self.n_train_subjects}, but beside the test subject there are "
                f"only {len(subjects) - 1}."
            )
        return [self._draw(fold, groups) for fold in folds]

    def _draw(self, fold, groups):
        """Leave some of the training subjects of a fold."""
        others = np.unique(groups[fold.train])
        order = np.random.default_rng([self.random_state, fold.number]).permutation(len(others))
        drawn = others[order[: self.n_train_subjects]]
        return Fold(fold.number, fold.train[np.isin(groups[fold.train], drawn)], fold.test)


class SubjectFolds(_OfAllSubjects):
    """Split the subjects into k folds of about as many epochs, and test each by the others.

    Parameters
    ----------
    n_folds : int, default=4
        Number of folds.
    subjects : iterable or None, default=None
        Subjects that there ought to be, as in `LeaveOneSubjectOut`.

    Attributes
    ----------
    name : str
        Such as "4-fold".

    Raises
    ------
    ValueError
        If there are fewer than two folds.

    See Also
    --------
    sklearn.model_selection.GroupKFold : Makes these folds.

    Examples
    --------
    >>> from skeegformer.evaluation import SubjectFolds
    >>> [fold.test.tolist() for fold in SubjectFolds(2).folds([1, 2, 3, 4])]
    [[1, 3], [0, 2]]
    """

    def __init__(self, n_folds=4, subjects=None):
        check_count("n_folds", n_folds, 2)
        self.n_folds = int(n_folds)
        super().__init__(subjects)
        self.name = f"{self.n_folds}-fold"

    def folds(self, groups):
        """Split epochs.

        Parameters
        ----------
        groups : array-like of shape (n_epochs,)
            The subject of each epoch.

        Returns
        -------
        list of Fold
            As many as `n_folds`.

        Raises
        ------
        ValueError
            If there are fewer subjects than folds.
        """
        groups = validate_groups(groups, len(groups))
        n_subjects = len(np.unique(groups))
        if n_subjects < self.n_folds:
            raise ValueError(
                f"{self.n_folds} folds need as many subjects, but there are {n_subjects}; take "
                "fewer folds, or more subjects."
            )
        return _folds(GroupKFold(self.n_folds), groups)


class FixedSplit:
    """One split, always the same: some subjects to train on, some to validate, some to test.

    The default is the one that foundation models of EEG are compared on for the imagery of
    four movements in the EEG Motor Movement/Imagery Dataset [1]_: subjects 1 to 70 for training,
    71 to 89 for validation and 90 to 109 for test.

    Parameters
    ----------
    train, validation, test : iterable, default=1 to 70, 71 to 89 and 90 to 109
        Subjects of each part; `validation` may be empty.
    train_on_validation : bool, default=False
        Whether the validation subjects join the training. They are **not** used at all
        otherwise: the field chooses the pass of training with them, but a classifier of this
        package that stops early holds out some of its training subjects itself, and a classical
        Pipeline has nothing to choose. ``fold.validation`` has their rows for whoever wants to.

    Attributes
    ----------
    name : str
        "fixed-split", or "fixed-split, trained on validation subjects too".

    Raises
    ------
    ValueError
        If a subject is in two parts, or none is to train on or to test.

    Notes
    -----
    Where recordings of some subjects are missing, the split goes on with those that are there;
    `missing` names the others. Scores are comparable with published ones only where none is.

    References
    ----------
    .. [1] Wang et al. (2025), CBraMod: a criss-cross brain foundation model for EEG decoding.
       ICLR. arXiv:2412.07236

    Examples
    --------
    >>> from skeegformer.evaluation import FixedSplit
    >>> split = FixedSplit()
    >>> fold, = split.folds([1, 70, 71, 89, 90, 109])
    >>> fold.train.tolist(), fold.validation.tolist(), fold.test.tolist()
    ([0, 1], [2, 3], [4, 5])
    >>> len(split.missing([1, 70, 71, 89, 90, 109])["train"])
    68
    """

    def __init__(
        self,
        train=range(1, 71),
        validation=range(71, 90),
        test=range(90, 110),
        *,
        train_on_validation=False,
    ):
        self.parts = {"train": tuple(train), "validation": tuple(validation), "test": tuple(test)}
        self.train_on_validation = train_on_validation
        self.name = "fixed-split"
        if train_on_validation:
            self.name += ", trained on validation subjects too"
        everyone = [subject for part in self.parts.values() for subject in part]
        twice = sorted({subject for subject in everyone if everyone.count(subject) > 1})
        if twice or not self.parts["train"] or not self.parts["test"]:
            raise ValueError(
                f"{name_subjects(twice)} occur twice in the split; name each subject once."
                if twice
                else "The split needs subjects to train on and subjects to test."
            )

    def folds(self, groups):
        """Split epochs.

        Parameters
        ----------
        groups : array-like of shape (n_epochs,)
            The subject of each epoch.

        Returns
        -------
        list of Fold
            One.

        Raises
        ------
        ValueError
            If no subject of a part is there, or one is in none of the parts.
        """
        groups = validate_groups(groups, len(groups))
        rows = {
            part: np.flatnonzero([subject in subjects for subject in groups.tolist()])
            for part, subjects in self.parts.items()
        }
        there = name_subjects(np.unique(groups).tolist())
        for part, subjects in self.parts.items():
            if subjects and not len(rows[part]):
                raise ValueError(
                    f"The {part} part of the fixed split is empty: it is made of "
                    f"{name_subjects(subjects)}, but there are only {there}."
                )
        everyone = {subject for part in self.parts.values() for subject in part}
        other = [subject for subject in np.unique(groups).tolist() if subject not in everyone]
        if other:
            raise ValueError(
                f"The fixed split has no part for {name_subjects(other)}; leave them out."
            )
        train, validation = rows["train"], rows["validation"]
        if self.train_on_validation:
            train, validation = np.union1d(train, validation), validation[:0]
        return [Fold(0, train, rows["test"], validation if len(validation) else None)]

    def missing(self, groups):
        """Name the subjects of the split that are not there.

        Parameters
        ----------
        groups : array-like of shape (n_epochs,)
            The subject of each epoch.

        Returns
        -------
        dict of str to list
            Part ("train", "validation" or "test") to its missing subjects, only where there are
            some.
        """
        return _missing(self.parts, groups)


def make_protocol(name, subjects=None):
    """Make a protocol by its name.

    Parameters
    ----------
    name : str
        "leave-one-subject-out", "4-fold" (or another number) or "fixed-split".
    subjects : iterable or None, default=None
        Subjects that there ought to be; the fixed split knows its own.

    Returns
    -------
    LeaveOneSubjectOut, SubjectFolds or FixedSplit
        The protocol.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> from skeegformer.evaluation.protocols import make_protocol
    >>> make_protocol("5-fold").n_folds
    5
    """
    if name == LeaveOneSubjectOut.name:
        return LeaveOneSubjectOut(subjects)
    if name == "fixed-split":
        return FixedSplit()
    number = name.removesuffix("-fold")
    if number != name and number.isdecimal() and int(number) >= 2:
        return SubjectFolds(int(number), subjects)
    raise ValueError(
        f"{name!r} is not a protocol: take {LeaveOneSubjectOut.name}, fixed-split, or a number of "
        "folds of at least 2 such as 4-fold."
    )


def describe_missing(missing):
    """Say in a sentence which subjects are missing.

    Parameters
    ----------
    missing : dict of str to list
        From ``protocol.missing``.

    Returns
    -------
    str
        Such as "Missing: S5-S9 (5 subjects)."; empty where nobody is.

    Examples
    --------
    >>> from skeegformer.evaluation.protocols import describe_missing
    >>> describe_missing({"train": [2, 3, 4], "test": [90]})
    'Missing: S2-S4 of train (3 subjects), S90 of test (1 subject).'
    """
    parts = [
        name_subjects(subjects)
        + ("" if part == "all" else f" of {part}")
        + f" ({len(subjects)} subject{'s' * (len(subjects) > 1)})"
        for part, subjects in missing.items()
    ]
    return f"Missing: {', '.join(parts)}." if parts else ""


def _folds(splitter, groups):
    """Take the folds of a scikit-learn splitter."""
    splits = splitter.split(np.empty(len(groups)), groups=groups)
    return [Fold(number, train, test) for number, (train, test) in enumerate(splits)]


def _missing(parts, groups):
    """List for each part those of its subjects who have no epochs."""
    there = set(np.unique(np.asarray(groups)).tolist())
    absent = {part: [s for s in subjects if s not in there] for part, subjects in parts.items()}
    return {part: subjects for part, subjects in absent.items() if subjects}
