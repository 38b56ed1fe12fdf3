"""Protocols: who is trained on, who is tested, who is missing."""

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from skeegformer import make_baseline, make_simulated_eeg
from skeegformer.evaluation import FixedSplit, LeaveOneSubjectOut, SubjectFolds, run_benchmark
from skeegformer.evaluation.protocols import describe_missing, make_protocol


@pytest.fixture(scope="module")
def under_other_numbers():
    """Six simulated subjects under numbers of the recorded ones: two of each part."""
    X, y, metadata, _ = make_simulated_eeg(n_subjects=6, n_epochs=20, random_state=0)
    numbers = dict(enumerate((3, 70, 71, 89, 90, 109), 1))
    return X, y, metadata["subject"].map(numbers).to_numpy()


@pytest.mark.parametrize(
    "protocol, splitter",
    [(LeaveOneSubjectOut(), LeaveOneGroupOut()), (SubjectFolds(3), GroupKFold(3))],
)
def test_folds_are_those_of_scikit_learn(protocol, splitter):
    groups = np.random.default_rng(0).choice(["Ada", "Emmy", "Sofja", "Lise"], 50)
    expected = list(splitter.split(groups, groups=groups))
    folds = protocol.folds(groups)
    assert [fold.number for fold in folds] == list(range(len(expected)))
    for fold, (train, test) in zip(folds, expected, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)
        assert fold.validation is None


def test_the_fixed_split_on_all_subjects():
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 110), 3))
    (fold,) = FixedSplit().folds(groups)
    assert set(groups[fold.train]) == set(range(1, 71))
    assert set(groups[fold.validation]) == set(range(71, 90))
    assert set(groups[fold.test]) == set(range(90, 110))
    assert len(fold.train) + len(fold.validation) + len(fold.test) == len(groups)
    assert FixedSplit().missing(groups) == {}
    (fold,) = FixedSplit(train_on_validation=True).folds(groups)
    assert set(groups[fold.train]) == set(range(1, 90))
    assert fold.validation is None


def test_the_fixed_split_with_missing_subjects(under_other_numbers):
    """It goes on with those that are there, and says who is not."""
    X, y, subjects = under_other_numbers
    result = run_benchmark(
        {"strict": {"CSP+LDA": make_baseline("csp+lda")}},
        lambda task: (X, y, subjects),
        "simulated",
        protocol=FixedSplit(),
    )
    scores = result.scores
    assert scores["protocol"].unique().tolist() == ["fixed-split"]
    assert scores["subject"].tolist() == [90, 109]
    assert scores["n_train_subjects"].tolist() == [2, 2]
    assert scores["n_train_epochs"].tolist() == [40, 40]
    train = np.isin(subjects, [3, 70])
    by_hand = make_baseline("csp+lda").fit(X[train], y[train])
    predicted = by_hand.predict(X[subjects == 109])
    assert scores["balanced_accuracy"].iloc[1] == np.mean(predicted == y[subjects == 109])
    missing = result.missing["simulated"]
    assert missing["train"] == [*range(1, 3), *range(4, 70)]
    assert missing["validation"] == list(range(72, 89))
    assert describe_missing(missing) == (
        "Missing: S1, S2, S4-S69 of train (68 subjects), S72-S88 of validation (17 subjects), "
        "S91-S108 of test (18 subjects)."
    )


def test_validation_subjects_are_trained_on_only_if_asked(under_other_numbers):
    X, y, subjects = under_other_numbers
    results = [
        run_benchmark(
            {"strict": {"CSP+LDA": make_baseline("csp+lda")}},
            lambda task: (X, y, subjects),
            "simulated",
            protocol=FixedSplit(train_on_validation=asked),
        ).scores
        for asked in (False, True)
    ]
    assert [set(scores["n_train_subjects"]) for scores in results] == [{2}, {4}]
    assert results[1]["protocol"][0] != results[0]["protocol"][0]


@pytest.mark.parametrize(
    "there, message",
    [
        ([1, 2, 71], "The test part of the fixed split is empty: .* S90-S109, .* only S1, S2, S71"),
        ([71, 90], "The train part of the fixed split is empty"),
        ([1, 90], "The validation part of the fixed split is empty"),
        ([1, 71, 90, 110], "has no part for S110"),
        (["1", "71", "90"], "The train part of the fixed split is empty: .* only 1, 71, 90"),
    ],
)
def test_a_whole_part_that_is_missing(there, message):
    with pytest.raises(ValueError, match=message):
        FixedSplit().folds(there)


def test_missing_subjects_of_the_other_protocols():
    for protocol in (LeaveOneSubjectOut(range(1, 6)), SubjectFolds(2, range(1, 6))):
        assert protocol.missing([1, 4, 4]) == {"all": [2, 3, 5]}
        assert describe_missing(protocol.missing([1, 4])) == "Missing: S2, S3, S5 (3 subjects)."
    assert LeaveOneSubjectOut().missing([1]) == {}
    assert describe_missing({}) == ""


@pytest.mark.parametrize("name", ["leave-one-subject-out", "2-fold", "10-fold", "fixed-split"])
def test_protocols_by_name(name):
    assert make_protocol(name).name == name


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: make_protocol("1-fold"), "'1-fold' is not a protocol"),
        (lambda: make_protocol("fold"), "'fold' is not a protocol"),
        (lambda: SubjectFolds(1), "n_folds=1 is not a whole number of at least 2"),
        (lambda: SubjectFolds(3).folds([1, 2, 2]), "3 folds need as many subjects, .* are 2"),
        (lambda: LeaveOneSubjectOut().folds([7, 7]), "at least 2 subjects, .* only S7"),
        (lambda: FixedSplit([1, 2], [2], [3]), "S2 occur twice"),
        (lambda: FixedSplit([], [2], [3]), "needs subjects to train on"),
        (lambda: LeaveOneSubjectOut().folds([1.0, np.nan]), "groups is missing"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_few_training_subjects_are_drawn_and_nested():
    """Each test subject is the same, and trained on by nobody; more is the fewer and others."""
    groups = np.repeat(["a", "b", "c", "d", "e"], 3)
    drawn = {}
    for number in (1, 2, 4):
        folds = LeaveOneSubjectOut(n_train_subjects=number).folds(groups)
        assert [set(groups[fold.test]) for fold in folds] == [{s} for s in "abcde"]
        drawn[number] = [set(groups[fold.train]) for fold in folds]
        for fold, subjects in zip(folds, drawn[number], strict=True):
            assert len(subjects) == number
            assert len(fold.train) == 3 * number
            assert not subjects & set(groups[fold.test])
    for fewer, more in ((1, 2), (2, 4)):
        assert all(a < b for a, b in zip(drawn[fewer], drawn[more], strict=True))
    everybody = LeaveOneSubjectOut().folds(groups)
    assert drawn[4] == [set(groups[fold.train]) for fold in everybody]
    other = LeaveOneSubjectOut(n_train_subjects=2, random_state=1)
    assert drawn[2] != [set(groups[fold.train]) for fold in other.folds(groups)]
    names = {protocol.name for protocol in (other, LeaveOneSubjectOut(n_train_subjects=2))}
    assert len(names) == 2  # finished fits are found by it


def test_more_training_subjects_than_there_are():
    with pytest.raises(ValueError, match="n_train_subjects=2, but beside .* only 1"):
        LeaveOneSubjectOut(n_train_subjects=2).folds([1, 1, 2])
    with pytest.raises(ValueError, match="n_train_subjects"):
        LeaveOneSubjectOut(n_train_subjects=0)
