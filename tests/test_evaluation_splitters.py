"""Splitters: who is trained on, who is tested, who is missing."""

import numpy as np
import pytest
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    cross_val_score,
)

from skeegformer import make_baseline, make_simulated_eeg
from skeegformer.evaluation import FixedSplit, run_benchmark
from skeegformer.evaluation._splitting import cv_name, split_subjects


def _same(found, expected):
    for one, other in zip(found, expected, strict=True):
        for side, expected_side in zip(one, other, strict=True):
            np.testing.assert_array_equal(side, expected_side)


def test_folds_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    groups = rng.choice(["Ada", "Emmy", "Sofja", "Lise"], 50)
    y = rng.permutation(np.arange(50) % 2)
    expected = list(GroupKFold(3).split(groups, y, groups))
    for cv in (3, np.int64(3), GroupKFold(3), expected):
        _same(split_subjects(cv, y, groups), expected)
    for cv in (LeaveOneGroupOut(), StratifiedGroupKFold(2)):
        _same(split_subjects(cv, y, groups), cv.split(groups, y, groups))


def test_names_of_splitters():
    names = {
        "4-fold": 4,
        "3-fold": GroupKFold(3),
        "2-fold, stratified": StratifiedGroupKFold(2),
        "leave-one-subject-out": LeaveOneGroupOut(),
        "fixed-split": FixedSplit(),
        "fixed-split, S1-S89 and S90-S109": FixedSplit(range(1, 90)),
        "splits as given": [([0], [1])],
    }
    assert {cv_name(cv): cv for cv in names.values()} == names
    assert "shuffle=True" in cv_name(StratifiedGroupKFold(2, shuffle=True, random_state=1))


@pytest.fixture(scope="module")
def under_other_numbers():
    """Six simulated subjects under numbers of the recorded ones: two of each set."""
    X, y, metadata, _ = make_simulated_eeg(n_subjects=6, n_epochs=20, random_state=0)
    numbers = dict(enumerate((3, 70, 71, 89, 90, 109), 1))
    return X, y, metadata["subject"].map(numbers).to_numpy()


def test_the_fixed_split_on_all_subjects():
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 110), 3))
    ((train, test),) = FixedSplit().split(groups, None, groups)
    assert set(groups[train]) == set(range(1, 71))
    assert set(groups[test]) == set(range(90, 110))
    assert (len(train), len(test)) == (210, 60)
    assert FixedSplit().get_n_splits() == 1


def test_the_fixed_split_with_missing_subjects(under_other_numbers):
    """It goes on with those that are there, and says who is not."""
    X, y, subjects = under_other_numbers
    with pytest.warns(UserWarning, match=r"lacks S1, S2, S4-S69, .* \(86 subjects\); i"):
        scores = run_benchmark(
            {"strict": {"CSP+LDA": make_baseline("csp+lda")}},
            lambda task: (X, y, subjects),
            "simulated",
            cv=FixedSplit(),
        ).scores
    assert set(scores["n_train_subjects"]) == {2}
    assert set(scores["protocol"]) == {"fixed-split"}
    assert scores["subject"].tolist() == [90, 109]
    train = np.isin(subjects, [3, 70])
    predicted = make_baseline("csp+lda").fit(X[train], y[train]).predict(X[subjects == 109])
    assert scores["balanced_accuracy"].iloc[1] == np.mean(predicted == y[subjects == 109])


@pytest.mark.filterwarnings("ignore:The fixed split lacks")
def test_the_fixed_split_is_a_splitter_of_scikit_learn(under_other_numbers):
    X, y, subjects = under_other_numbers
    baseline, data = make_baseline("csp+lda"), X.get_data(units="uV")
    scores = cross_val_score(baseline, data, y, groups=subjects, cv=FixedSplit())
    search = GridSearchCV(baseline, {"csp__n_components": [6]}, cv=FixedSplit())
    search.fit(data, y, groups=subjects)
    assert scores.tolist() == [search.best_score_]


@pytest.mark.parametrize(
    "there, message",
    [
        ([1, 2, 71], "The test set of the fixed split is empty: .* S90-S109, .* only S1, S2, S71"),
        ([71, 90], "The train set of the fixed split is empty"),
        (["1", "71", "90"], "The train set of the fixed split is empty: .* only 1, 71, 90"),
        ([1.0, np.nan], "groups is missing"),
        (None, "needs groups"),
    ],
)
def test_subjects_that_do_not_fit_the_split(there, message):
    with pytest.raises(ValueError, match=message):
        next(FixedSplit().split(there, groups=there))
    with pytest.raises(ValueError, match="needs subjects to train on"):
        FixedSplit([], [2])
