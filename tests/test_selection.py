"""Channels are chosen as scikit-learn would choose features, and by known truth."""

import mne
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from skeegformer import (
    BandPassFilter,
    ChannelDropper,
    EEGTransformerClassifier,
    EuclideanAlignment,
    channel_permutation_importance,
    make_simulated_eeg,
)
from skeegformer.selection import ChannelSelector

CHANNELS = ["Fp1", "Fp2", "F3", "Fz", "F4", "T7", "C3", "Cz", "C4", "T8", "P3", "Pz", "P4", "O1"]


class OneFeatureEach(ClassifierMixin, BaseEstimator):
    """Give an estimator one feature of each channel: its only sample, or its log variance."""

    def __init__(self, estimator=None):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator_ = clone(self.estimator).fit(self._features(X), y)
        for name in {"classes_", "coef_", "feature_importances_"} & set(dir(self.estimator_)):
            setattr(self, name, getattr(self.estimator_, name))
        return self

    def predict(self, X):
        return self.estimator_.predict(self._features(X))

    def _features(self, X):
        if isinstance(X, mne.BaseEpochs):
            return np.log(X.get_data(picks="eeg", units="uV").var(axis=2))
        return X.reshape(len(X), -1)


class GivenImportances(ClassifierMixin, BaseEstimator):
    """Knows what it is told to know."""

    def __init__(self, importances=(), attribute="feature_importances_"):
        self.importances = importances
        self.attribute = attribute

    def fit(self, X, y, groups=None):
        self.classes_, self.groups_ = np.unique(y), groups
        setattr(self, self.attribute, np.asarray(self.importances))
        return self


def named_epochs():
    """Make random Epochs of four channels and a stimulus channel after the first."""
    X, y = np.random.default_rng(1).standard_normal((20, 5, 50)), np.arange(20) % 2
    info = mne.create_info(["C3", "STI", "Cz", "C4", "Pz"], 100.0, ["eeg", "stim", *["eeg"] * 3])
    return mne.EpochsArray(X * 1e-6, info, verbose="ERROR"), y


def small(**params):
    params = {"max_epochs": 2, "n_groups": 1, "n_heads": 4, "random_state": 0} | params
    return EEGTransformerClassifier(**params)


def loss_without(estimator, X, y):
    """Measure how much each channel's permutation over epochs costs in log loss."""
    options = {"scoring": "neg_log_loss", "n_repeats": 1, "random_state": 0}
    return channel_permutation_importance(estimator, X, y, **options).importances_mean


@pytest.fixture(scope="module")
def rhythms():
    """Epochs in which C3 tells one class, C4 another, and neither the third."""
    sources = {"left": ["C3"], "right": ["C4"], "rest": []}
    X, y, metadata, _ = make_simulated_eeg(3, 36, sources=sources, snr=10.0, random_state=0)
    return X.copy().pick(CHANNELS), y, metadata["subject"].to_numpy()


LINEAR = OneFeatureEach(LogisticRegression(max_iter=1000))
FOREST = OneFeatureEach(RandomForestClassifier(20, random_state=0))


@pytest.mark.parametrize("estimator", [LINEAR, FOREST], ids=["coef", "importances"])
@pytest.mark.parametrize("n_channels", [None, 1, 5, 12])
def test_selects_as_select_from_model(estimator, n_channels):
    # Every other feature differs between the three classes.
    y = np.arange(120) % 3
    X = np.random.default_rng(0).standard_normal((120, 12))
    X[:, 1::2] += 0.7 * y[:, np.newaxis]
    threshold = "mean" if n_channels is None else -np.inf
    theirs = SelectFromModel(estimator, max_features=n_channels, threshold=threshold).fit(X, y)
    ours = ChannelSelector(estimator, n_channels=n_channels).fit(X[:, :, None], y)
    assert 0 < theirs.get_support().sum() == ours.n_channels_
    np.testing.assert_array_equal(ours.get_support(), theirs.get_support())
    np.testing.assert_array_equal(ours.transform(X[:, :, None])[:, :, 0], theirs.transform(X))


def test_finds_the_electrodes_above_the_sources_and_what_the_transformer_needs(rhythms):
    X, y, _ = rhythms
    narrow = BandPassFilter(8.0, 12.0).fit_transform(X)
    assert ChannelSelector(LINEAR, n_channels=2).fit(narrow, y).kept_ch_names_ == ["C3", "C4"]
    classifier = small(max_epochs=40, lr=1e-2)
    selector = ChannelSelector(classifier, n_channels=2, importance_getter=loss_without)
    assert selector.fit(X, y).kept_ch_names_ == ["C3", "C4"]


def test_searches_inside_a_pipeline_on_epochs(rhythms):
    X, y, subjects = rhythms
    pipe, cv = make_pipeline(ChannelSelector(LINEAR), LINEAR), GroupKFold(3)
    search = GridSearchCV(pipe, {"channelselector__n_channels": [1, 4]}, cv=cv)
    search.fit(X, y, groups=subjects)
    assert search.best_params_ == {"channelselector__n_channels": 4}
    # By hand, with the training epochs alone.
    train, test = next(cv.split(X, y, subjects))
    selector = ChannelSelector(LINEAR, n_channels=4).fit(X[train], y[train])
    model = clone(LINEAR).fit(selector.transform(X[train]), y[train])
    by_hand = model.score(selector.transform(X[test]), y[test])
    assert search.cv_results_["split0_test_score"][1] == by_hand


def test_the_default_estimator_can_be_repeated():
    X, y = named_epochs()
    first = ChannelSelector(n_channels=2).fit(X, y)
    again = ChannelSelector(EEGTransformerClassifier(random_state=0), n_channels=2).fit(X, y)
    np.testing.assert_array_equal(first.importances_, again.importances_)


def test_epochs_keep_other_channels_and_their_order():
    X, y = named_epochs()
    before = X.get_data(copy=True)
    selector = ChannelSelector(GivenImportances([0, 3, 1, 2]), n_channels=2).fit(X, y)
    out = selector.transform(X)
    assert out.ch_names == ["STI", "Cz", "Pz"]
    np.testing.assert_array_equal(out.get_data(), before[:, [1, 2, 4]])
    assert selector.get_feature_names_out().tolist() == selector.kept_ch_names_ == ["Cz", "Pz"]
    shuffled = X.copy().reorder_channels(["Pz", "C4", "STI", "Cz", "C3"])
    np.testing.assert_array_equal(selector.transform(shuffled).get_data("eeg"), before[:, [2, 4]])
    parts = [X[i] for i in range(len(X))]  # what cross-validation makes of Epochs
    np.testing.assert_array_equal(clone(selector).fit_transform(parts, y).get_data(), out)
    array = X.get_data(picks="eeg")
    np.testing.assert_array_equal(selector.transform(array), array[:, [1, 3]])
    of_array = clone(selector).fit(array, y)
    assert of_array.get_feature_names_out().tolist() == ["x1", "x3"]
    assert of_array.kept_ch_names_ is None


def test_equal_importances_keep_every_channel_and_negative_ones_are_less_than_none():
    X, y = np.zeros((4, 10, 5)), [0, 1, 0, 1]
    for importances in (np.full(10, 0.1), np.full(10, 1 / 3), np.full(10, -0.7)):
        assert ChannelSelector(GivenImportances(importances)).fit(X, y).support_.all()
    for attribute, kept in (("feature_importances_", [1, 2]), ("coef_", [0, 2])):
        known = GivenImportances([-5.0, 0.0, 1.0], attribute)
        selector = ChannelSelector(known, n_channels=2).fit(X[:, :3], y)
        assert selector.get_support(indices=True).tolist() == kept


def test_groups_reach_an_estimator_that_takes_them_and_are_routed_into_a_pipeline():
    rng = np.random.default_rng(0)
    X, y, groups = rng.standard_normal((24, 3, 40)), np.arange(24) % 2, np.repeat([1, 2, 3], 8)
    known = GivenImportances([1, 2, 3])
    fitted = ChannelSelector(known, n_channels=2).fit(X, y, groups=groups)
    np.testing.assert_array_equal(fitted.estimator_.groups_, groups)
    ChannelSelector(LINEAR).fit(X[:, :, :1], y, groups=groups)  # whose fit has no such parameter
    with sklearn.config_context(enable_metadata_routing=True):
        aligner = (
            EuclideanAlignment().set_fit_request(groups=True).set_transform_request(groups=True)
        )
        inner = make_pipeline(aligner, known.set_fit_request(groups=False))
        selector = ChannelSelector(inner, importance_getter=lambda pipe, X, y: [1, 2, 3])
        selector.fit(X, y, groups=groups)
    assert sorted(selector.estimator_[0].references_) == [1, 2, 3]


def test_importances_are_read_from_pipelines_by_a_function(rhythms):
    X, y, _ = rhythms
    expected = ChannelSelector(small(), n_channels=4).fit(X, y).importances_
    pipe = make_pipeline(ChannelDropper(), small())
    with pytest.raises(ValueError, match="Pipeline has neither .* pass a function"):
        ChannelSelector(pipe).fit(X, y)
    by_function = ChannelSelector(
        pipe, importance_getter=lambda pipe, X, y: pipe[-1].feature_importances_.tolist()
    )
    np.testing.assert_array_equal(by_function.fit(X, y).importances_, expected)


def test_a_frozen_estimator_is_used_as_it_is(rhythms):
    X, y, _ = rhythms
    fitted = small().fit(X, y)
    selector = ChannelSelector(FrozenEstimator(fitted), n_channels=3).fit(X, y)
    np.testing.assert_array_equal(selector.importances_, fitted.feature_importances_)
    best = np.sort(np.argsort(-fitted.feature_importances_)[:3])
    assert selector.transform(X).ch_names == [CHANNELS[i] for i in best]
    for other in (X.copy().drop_channels(["Fp1"]), X.copy().reorder_channels(CHANNELS[::-1])):
        with pytest.raises(ValueError, match="are of the channels Fp1, .* not those of X in their"):
            selector.fit(other, y)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_channels": 9}, "n_channels=9 is more than the 8 of X"),
        ({"n_channels": 0}, "n_channels=0 is not a whole number of at least 1"),
        ({"importance_getter": 3}, "importance_getter=3 is neither"),
        ({"importance_getter": lambda *_: [1, 2]}, r"\(2,\), but X has 8"),
        ({"estimator": GivenImportances([np.nan] * 8)}, "is nan for 8 of 8 channels"),
        ({"estimator": GivenImportances(np.ones((2, 8)))}, r"\(2, 8\), but X has 8 channels"),
        ({"estimator": GivenImportances([], "other_")}, "neither feature_importances_ nor"),
        ({"estimator": EEGTransformerClassifier}, "cannot be fitted"),
        ({"estimator": "svm"}, "cannot be fitted"),
    ],
)
def test_bad_input_gets_a_sentence(params, message):
    X, y = np.random.default_rng(0).standard_normal((8, 8, 1)), [0, 0, 1, 1] * 2
    selector = ChannelSelector(GivenImportances(np.arange(8) / 10)).fit(X, y)
    with pytest.raises((TypeError, ValueError), match=message):
        selector.set_params(**params).fit(X, y)
    with pytest.raises((NotFittedError, TypeError)):  # a fit that fails is no fit
        selector.transform(X)
