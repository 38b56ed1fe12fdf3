"""A temperature that is learnt on held-out training subjects."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.fixes import parse_version

from skeegformer import (
    EEGTransformerClassifier,
    MirroredClassifier,
    TemperatureScaledClassifier,
    make_baseline,
    make_eeg_pipeline,
    make_simulated_eeg,
)
from skeegformer.evaluation.metrics import expected_calibration_error

CHANNELS = ["FC3", "FC4", "C3", "Cz", "C4", "CP3", "CP4", "Oz"]


@pytest.fixture(scope="module")
def people():
    """Ten subjects whose classes are hard to tell apart: Epochs, labels, subjects."""
    X, y, metadata, _ = make_simulated_eeg(10, 20, sfreq=80.0, duration=1.0, snr=4, random_state=0)
    return X.pick(CHANNELS), np.asarray(y), metadata["subject"].to_numpy()


@pytest.fixture(scope="module")
def few(people):
    X, y, subjects = people
    rows = subjects <= 4
    return X[rows], y[rows], subjects[rows]


def _make(**params):
    options = {"n_groups": 1, "n_heads": 4, "mirror": None, "max_epochs": 2, "random_state": 0}
    return EEGTransformerClassifier(**options | params)


def test_it_helps_an_overconfident_model_on_unseen_subjects(people, report):
    X, y, subjects = people
    train, test = subjects <= 6, subjects > 6
    sure = _make(max_epochs=25, n_heads=10, lr=3e-2, drop_prob=0.0, weight_decay=0.0)
    calibrated = TemperatureScaledClassifier(sure, n_splits=3).fit(X[train], y[train])
    loss, error = {}, {}
    for name, model in (("before", calibrated.classifier_), ("after", calibrated)):
        proba = model.predict_proba(X[test])
        loss[name] = log_loss(np.searchsorted(model.classes_, y[test]), proba)
        error[name] = expected_calibration_error(y[test], proba, classes=model.classes_)
    report(
        f"temperature {calibrated.temperature_:.1f}: log loss {loss['before']:.3f} to "
        f"{loss['after']:.3f}, calibration error {error['before']:.3f} to {error['after']:.3f}"
    )
    assert calibrated.temperature_ > 1.5
    assert loss["after"] < loss["before"] - 0.05
    predicted = calibrated.predict(X[test])
    np.testing.assert_array_equal(predicted, calibrated.classifier_.predict(X[test]))
    columns = calibrated.predict_proba(X[test]).argmax(axis=1)
    np.testing.assert_array_equal(predicted, calibrated.classes_[columns])


def test_a_temperature_divides_the_logits(few):
    X, y, _ = few
    calibrated = TemperatureScaledClassifier(_make(), n_splits=2).fit(X, y)
    odds = calibrated.classifier_.decision_function(X) / calibrated.temperature_
    expected = 1 / (1 + np.exp(-odds))
    np.testing.assert_allclose(calibrated.predict_proba(X)[:, 1], expected, atol=1e-6)


def test_no_model_is_asked_about_subjects_that_it_has_seen(few):
    X, y, _ = few
    seen = []

    class Watched(EEGTransformerClassifier):
        def fit(self, X, y, groups=None):
            self.seen_ = set(groups)
            return super().fit(X, y, groups)

        def decision_function(self, X, groups=None):
            asked = set(X.metadata["subject"])
            seen.append((self.seen_, asked))
            return super().decision_function(X, groups)

    TemperatureScaledClassifier(Watched(**_make().get_params()), n_splits=2).fit(X, y)
    assert len(seen) == 4  # each subject in a call of its own
    assert set.union(*(asked for _, asked in seen)) == {1, 2, 3, 4}
    assert all(len(asked) == 1 and not asked & known for known, asked in seen)


def test_epochs_lists_of_epochs_and_arrays_are_taken(few):
    X, y, subjects = few
    make = TemperatureScaledClassifier(_make(adapt=True, sfreq=80.0), n_splits=2).fit
    found = [make(E, y).temperature_ for E in (X, [X[i] for i in range(len(X))])]
    found.append(make(X.get_data(units="uV"), y, groups=subjects).temperature_)
    np.testing.assert_allclose(found, found[0], rtol=1e-3)


def test_pipelines_and_whoever_has_probabilities(few):
    X, y, subjects = few
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_eeg_pipeline(make_baseline("csp+lda"), drop=(), align=True)
        calibrated = TemperatureScaledClassifier(pipe, n_splits=2).fit(X, y, groups=subjects)
    assert calibrated.temperature_ > 0
    without_logits = MirroredClassifier(make_baseline("csp+lda"), swap={"left": "right"})
    assert not hasattr(without_logits, "decision_function")
    proba = TemperatureScaledClassifier(without_logits, n_splits=2).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_three_classes(people):
    X, _, subjects = people
    rows = subjects <= 3
    y = np.arange(rows.sum()) % 3
    calibrated = TemperatureScaledClassifier(make_baseline("csp+lda")).fit(X[rows], y)
    assert calibrated.temperature_ > 1  # there is nothing to be sure of
    assert calibrated.predict_proba(X[:2]).shape == (2, 3)


def test_held_out_people_who_are_all_right_leave_some_doubt():
    """The likelihood alone would make every probability 0 or 1, however close the call."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y, groups = (X[:, 0] > 0).astype(int), np.repeat([1, 2, 3, 4], 50)
    X[:, 0] += np.where(y, 1.0, -1.0)
    scaled = TemperatureScaledClassifier(LinearDiscriminantAnalysis(), n_splits=2)
    scaled.fit(X, y, groups)
    assert scaled.temperature_ > 0.1
    # Platt's targets, by hand: what is asked for is a mean log loss against them.
    targets = np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2))
    scores = np.concatenate(
        [
            clone(scaled.classifier).fit(X[rest], y[rest]).decision_function(X[~rest])
            for rest in (np.isin(groups, part) for part in ([1, 3], [2, 4]))
        ]
    )
    order = np.concatenate([np.flatnonzero(~np.isin(groups, part)) for part in ([1, 3], [2, 4])])

    def loss(temperature):
        z, t = scores / temperature, targets[order]
        return np.mean(np.logaddexp(0, z) - t * z)

    around = scaled.temperature_ * np.array([0.9, 1.0, 1.1])
    assert np.argmin([loss(one) for one in around]) == 1


def test_what_cannot_be_calibrated_is_refused(few):
    X, y, subjects = few
    array = X.get_data(units="uV")
    csp = make_baseline("csp+lda")
    for classifier, arguments, message in (
        (csp, (array, y), "holding out whole subjects; pass groups"),
        (csp, (array, y, np.zeros(len(y))), "only the subject 0.0, and none would be left"),
        (csp, (array, y, subjects[1:]), "groups has 79 entries"),
        (csp, (array, np.where(subjects == 1, "a", y), subjects), "no epoch of 'a'"),
        (StandardScaler(), (array, y, subjects), "neither decision_function nor predict_proba"),
    ):
        with pytest.raises(ValueError, match=message):
            TemperatureScaledClassifier(classifier).fit(*arguments)
    flat, pairs = array[:, 0], SVC(decision_function_shape="ovo")
    with pytest.raises(ValueError, match="SVC gives 6 scores for 4 classes, but one for each"):
        TemperatureScaledClassifier(pairs).fit(flat, np.arange(len(flat)) % 4, subjects)
    with pytest.raises(ValueError, match="n_splits=1 is not a whole number of at least 2"):
        TemperatureScaledClassifier(csp, n_splits=1).fit(X, y)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="method='temperature' came with scikit-learn 1.8",
)
def test_scikit_learns_own_takes_epochs_but_hides_the_names_of_classes(few):
    X, y, subjects = few
    splits = list(GroupKFold(2).split(y, y, subjects))
    arguments = {"method": "temperature", "ensemble": False}
    by_hand = CalibratedClassifierCV(_make(), cv=splits, **arguments).fit(X, y)
    ours = TemperatureScaledClassifier(_make(), n_splits=2).fit(X, y)
    np.testing.assert_allclose(by_hand.predict_proba(X), ours.predict_proba(X), atol=1e-3)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = CalibratedClassifierCV(
            _make().set_fit_request(groups=True), cv=GroupKFold(2), **arguments
        )
        routed.fit(X, y, groups=subjects)
    np.testing.assert_array_equal(routed.predict_proba(X), by_hand.predict_proba(X))
    with pytest.raises(ValueError, match=r"mirror names the class 'left', but there are \[0, 1\]"):
        CalibratedClassifierCV(
            _make(mirror={"left": "right"}), cv=splits, method="temperature"
        ).fit(X, y)
    TemperatureScaledClassifier(_make(mirror={"left": "right"}), n_splits=2).fit(X, y)
