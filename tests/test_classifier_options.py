"""Mirror images and adaptation to subjects in the classifier, and what it is trained on then."""

import warnings

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback

from skeegformer import EEGTransformerClassifier, make_simulated_eeg

SWAP = {"left": "right", "right": "left"}
# Both sides and the midline; enough for the reference of the mean.
_NAMES = "FC5 FC3 FCz FC4 FC6 C5 C3 C1 Cz C2 C4 C6 CP5 CP3 CPz CP4 CP6 O1 Oz O2"
_PARTNERS = "FC6 FC4 FCz FC3 FC5 C6 C4 C2 Cz C1 C3 C5 CP6 CP4 CPz CP3 CP5 O2 Oz O1"
CHANNELS, PARTNERS = _NAMES.split(), _PARTNERS.split()


def _make(**params):
    options = {"n_groups": 1, "n_heads": 4, "max_epochs": 5, "random_state": 0}
    return EEGTransformerClassifier(**options | params)


def _weights(classifier):
    return classifier.net_.module_.state_dict()


def _same_weights(first, second):
    first, second = _weights(first), _weights(second)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def _mirror(epochs):
    """Exchange the sides by names that are written out."""
    mirrored = epochs.copy()
    order = [epochs.ch_names.index(PARTNERS[CHANNELS.index(name)]) for name in epochs.ch_names]
    mirrored._data = epochs.get_data()[:, order]
    return mirrored


@pytest.fixture(scope="module")
def sides():
    """Six subjects with a rhythm at C3 or C4: Epochs, labels, subjects, truth."""
    X, y, metadata, truth = make_simulated_eeg(6, 20, snr=5.0, duration=1.5, random_state=1)
    return X.pick(CHANNELS), y, metadata["subject"].to_numpy(), truth


@pytest.fixture(scope="module")
def adapted(sides):
    X, y, subjects, _ = sides
    return _make(adapt=True, mirror="auto", max_epochs=30).fit(X[subjects <= 4], y[subjects <= 4])


def test_mirrored_training_learns_one_rule_for_both_sides(sides, report):
    """From few epochs; those of new subjects are the harder for it."""
    X, y, subjects, _ = sides
    train, test = subjects <= 3, subjects > 3
    scores, consistent = {}, {}
    for mirror in (None, SWAP):
        classifier = _make(mirror=mirror, n_heads=10, max_epochs=40).fit(X[train], y[train])
        predicted = classifier.predict(X[test])
        exchanged = [SWAP[label] for label in classifier.predict(_mirror(X[test]))]
        scores[bool(mirror)] = balanced_accuracy_score(y[test], predicted)
        consistent[bool(mirror)] = np.mean(predicted == exchanged)
    report(
        f"mirror: {scores[False]:.3f} to {scores[True]:.3f}, mirror images swapped "
        f"{consistent[False]:.3f} to {consistent[True]:.3f}"
    )
    assert scores[True] >= scores[False]
    assert scores[True] > 0.6
    assert consistent[True] == 1 > consistent[False]


def test_a_mirror_image_has_the_probabilities_of_the_other_class(sides):
    """However few the epochs and passes were, and where one side is much louder."""
    X, y, _, _ = sides
    X = X.copy()
    X._data[:, CHANNELS.index("C3")] *= 9
    classifier = _make(mirror=SWAP, max_epochs=2).fit(X[:30], y[:30])
    found = classifier.predict_proba(_mirror(X))
    np.testing.assert_allclose(found, classifier.predict_proba(X)[:, ::-1], atol=1e-4)
    assert np.ptp(found[:, 0]) > 0.01
    scale = classifier.net_.module_.scale[:, 0]  # both sides are standardised alike
    order = [CHANNELS.index(name) for name in PARTNERS]
    torch.testing.assert_close(scale, scale[order])
    assert scale.argmin() in (CHANNELS.index("C3"), CHANNELS.index("C4"))
    assert scale.min() < 0.5 * scale.max()


def test_an_offset_on_one_side_does_not_hurt_mirrored_training(sides):
    """5 mV, which mirror images would have on the other side."""
    X, y, subjects, _ = sides
    train, test = subjects <= 3, subjects > 3
    offset = X.copy()
    offset._data[:, CHANNELS.index("C3")] += 5e-3
    classifier = _make(mirror=SWAP, n_heads=10, max_epochs=40).fit(offset[train], y[train])
    probabilities = classifier.predict_proba(offset[test])
    predicted = classifier.classes_[probabilities.argmax(axis=1)]
    assert balanced_accuracy_score(y[test], predicted) > 0.8
    np.testing.assert_allclose(classifier.predict_proba(X[test]), probabilities, atol=0.02)
    found = classifier.predict_proba(_mirror(offset[test]))
    np.testing.assert_allclose(found, probabilities[:, ::-1], atol=0.02)


def test_auto_is_the_dict_of_sides_and_one_direction_is_enough(sides):
    X, y, _, _ = sides
    auto, whole, half, none = (
        _make(**params, max_epochs=2).fit(X, y)
        for params in ({}, {"mirror": SWAP}, {"mirror": {"left": "right"}}, {"mirror": None})
    )
    assert _same_weights(auto, whole)
    assert _same_weights(auto, half)
    assert none.mirror_pairs_ is none.mirrored_classes_ is none.net_.module_.pairs is None


def test_auto_mirrors_only_what_has_two_sides(sides):
    """Arrays, channels without partner and classes without partner are not mirrored."""
    X, y, _, _ = sides
    feet = np.where(np.arange(len(y)) % 3, y, "feet")
    classifier = _make(max_epochs=1).fit(X, feet)
    assert [CHANNELS[partner] for partner in classifier.mirror_pairs_] == PARTNERS
    assert classifier.mirrored_classes_ == {"feet": "feet", **SWAP}
    network = classifier.net_.module_
    assert network.pairs.tolist() == classifier.mirror_pairs_.tolist()
    assert network.swapped.tolist() == [0, 2, 1]
    one_sided = X.copy().drop_channels([X.ch_names[0]])
    rest = np.where(np.asarray(y) == "left", "left", "rest")
    for data, labels in ((one_sided, y), (X.get_data(units="uV"), y), (X, rest)):
        assert classifier.fit(data, labels).mirrored_classes_ is None
        assert classifier.mirror_pairs_ is None


def test_channels_on_the_midline_have_no_other_side(sides):
    """Mirror images would be the same epochs with the other label."""
    X, y, _, _ = sides
    midline = X.copy().pick(["FCz", "Cz", "CPz"])
    default, without = (
        EEGTransformerClassifier(max_epochs=2, random_state=0, **params).fit(midline, y)
        for params in ({}, {"mirror": None})
    )
    assert _same_weights(default, without)
    with pytest.raises(ValueError, match=r"channels that are all on the midline \(FCz, Cz, CPz\)"):
        _make(mirror=SWAP).fit(midline, y)
    assert _make(mirror={}, max_epochs=1).fit(midline, y).mirror_pairs_ is None


def test_balanced_classes_count_mirror_images(sides):
    """As many of each side are trained on, however many there were."""
    X, y, _, _ = sides
    rows = np.concatenate([np.flatnonzero(y == "left"), np.flatnonzero(y == "right")[:12]])
    options = {"mirror": "auto", "class_weight": "balanced", "max_epochs": 3}
    balanced = _make(**options).fit(X[rows], y[rows])
    assert balanced.net_.criterion_.weight.tolist() == [1.0, 1.0]
    assert _same_weights(balanced, _make(**options | {"class_weight": None}).fit(X[rows], y[rows]))
    feet = np.where(np.arange(len(y)) % 3, y, "feet")  # more of them than of each side
    with_feet = _make(**options).fit(X, feet)
    counts = np.bincount(np.unique(feet, return_inverse=True)[1])
    counts = np.array([2 * counts[0], counts[1] + counts[2], counts[1] + counts[2]])
    np.testing.assert_allclose(
        with_feet.net_.criterion_.weight, counts.sum() / (3 * counts), rtol=1e-6
    )


def test_several_subjects_are_predicted_as_each_alone(adapted, sides):
    X, _, subjects, _ = sides
    together = adapted.predict_proba(X, groups=subjects)
    for subject in np.unique(subjects):
        own = subjects == subject
        np.testing.assert_allclose(
            adapted.predict_proba(X[own], groups=subjects[own]), together[own], atol=1e-5
        )
        array = X[own].get_data(units="uV")
        np.testing.assert_allclose(adapted.predict_proba(array), together[own], atol=1e-4)


def test_a_single_epoch_of_somebody_unknown_is_refused(adapted, sides):
    """Centred on itself it would look like every other."""
    X, _, subjects, _ = sides
    unknown = np.flatnonzero(subjects == 5)
    with pytest.raises(ValueError, match="a single epoch of an unknown subject"):
        adapted.predict(X[unknown[:1]].get_data(units="uV"))
    with pytest.warns(UserWarning, match="only 4 epochs of the unknown subject 5: adapt=True cen"):
        adapted.predict(X[unknown[:4]])
    known = np.flatnonzero(subjects == 2)
    alone = np.concatenate([adapted.predict_proba(X[row : row + 1]) for row in known[:3]])
    np.testing.assert_allclose(alone, adapted.predict_proba(X[known])[:3], atol=1e-5)


def test_a_model_of_one_person_knows_that_person(sides):
    X, y, subjects, _ = sides
    own = subjects == 3
    classifier = _make(adapt=True, max_epochs=2).fit(X[own], y[own])
    assert list(classifier.subject_means_) == [3]
    named = _make(adapt=True, max_epochs=2).fit(X[own], y[own], groups=subjects[own])
    assert _same_weights(classifier, named)
    one = classifier.predict_proba(X[own][:1])
    np.testing.assert_allclose(one, classifier.predict_proba(X[own])[:1], atol=1e-5)
    # With nobody else to hold out, early stopping holds out epochs as before.
    stopping = _make(adapt=True, early_stopping=True, validation_fraction=0.3)
    assert list(stopping.fit(X[own], y[own]).subject_means_) == [3]


def test_subjects_that_early_stopping_holds_out_are_known_as_well(sides):
    X, y, subjects, _ = sides
    stopping = _make(adapt=True, early_stopping=True, validation_fraction=0.3, max_epochs=2)
    stopping.fit(X, y)
    held_out = np.unique(subjects[stopping.held_out(y, subjects)])
    assert len(held_out) == 2
    assert sorted(stopping.subject_means_) == [1, 2, 3, 4, 5, 6]
    own = np.flatnonzero(subjects == held_out[0])
    one = stopping.predict_proba(X[own[:1]])  # one of somebody unknown would be refused
    np.testing.assert_allclose(one, stopping.predict_proba(X[own])[:1], atol=1e-5)


def test_subjects_come_from_the_metadata_or_from_groups(adapted, sides):
    X, y, subjects, _ = sides
    np.testing.assert_array_equal(
        adapted.predict_proba(X), adapted.predict_proba(X, groups=subjects)
    )
    np.testing.assert_array_equal(
        adapted.decision_function(X), adapted.decision_function(X, groups=subjects)
    )
    as_one = adapted.predict_proba(X, groups=np.zeros(len(y)))
    assert np.abs(as_one - adapted.predict_proba(X)).max() > 0.02
    train = subjects <= 4
    bare = X[train]
    bare.metadata = None
    again = clone(adapted)
    assert _same_weights(again.fit(bare, y[train], groups=subjects[train]), adapted)
    with pytest.warns(UserWarning, match="was not told who the subjects are"):
        again.fit(bare, y[train])
    assert not _same_weights(again, adapted)


def test_a_gain_of_a_subject_does_not_move_adapted_predictions():
    """It shifts the log power of every source by as much."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 60)
    subjects = np.repeat(np.arange(6), 20)
    X = rng.normal(size=(120, 4, 160))
    X[:, 0] *= 1 + 2 * y[:, None]
    test = subjects >= 4
    gains = np.where(subjects[test] == 4, 4.0, 0.2)[:, None, None]
    change, accuracy = {}, {}
    for adapt in (True, False):
        classifier = _make(adapt=adapt, sfreq=160.0, max_epochs=40)
        classifier.fit(X[~test], y[~test], groups=subjects[~test])
        before, after = (
            classifier.predict_proba(data, groups=subjects[test])
            for data in (X[test], X[test] * gains)
        )
        change[adapt] = np.abs(before - after).mean()
        assert balanced_accuracy_score(y[test], before.argmax(axis=1)) > 0.85
        accuracy[adapt] = balanced_accuracy_score(y[test], after.argmax(axis=1))
    assert change[True] < 0.1 < 0.15 < change[False]
    assert accuracy[True] > 0.85
    assert accuracy[False] < 0.7


@pytest.mark.parametrize("mirror", ["auto", None])
@pytest.mark.parametrize("adapt", [False, True])
def test_early_stopping_with_adaptation_and_mirror_images(sides, mirror, adapt):
    """What is watched is prepared like what is predicted."""
    X, y, subjects, _ = sides
    stopping = {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 3}
    classifier = _make(adapt=adapt, mirror=mirror, max_epochs=8, **stopping).fit(X, y)
    held_out = classifier.held_out(y, subjects)
    assert len(np.unique(subjects[held_out])) == 2
    loss = log_loss(y[held_out], classifier.predict_proba(X[held_out]))
    assert loss == pytest.approx(min(classifier.history_[:, "valid_loss"]), rel=1e-4)


@pytest.mark.parametrize("shape", [(40, 3, 50), (40, 20, 30), (40, 1, 8), (40, 12)])
def test_arrays_without_rate_and_names(shape):
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 20)
    X = rng.normal(size=shape) * (1 + 3 * y.reshape(-1, *[1] * (len(shape) - 1)))
    if len(shape) == 3 and shape[1] == 20:  # one channel of many
        X[:, 1:] /= (1 + 3 * y)[:, None, None]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier = _make(max_epochs=40).fit(X, y)
        _make(max_epochs=1, sfreq=80.0).fit(X, y)
    where = [one.filename for one in caught if "sampling rate of X is not" in str(one.message)]
    assert where == [__file__] * (len(shape) == 3)  # samples of scikit-learn's tables have no rate
    assert classifier.sfreq_ is None
    assert classifier.ch_names_ is None
    assert classifier.score(X, y) > 0.8
    assert classifier.net_.module_.rate == 80.0


def test_groups_reach_an_adapting_classifier_by_routing(sides):
    X, y, groups, _ = sides
    data = X.get_data(units="uV")
    train, test = groups <= 4, groups > 4
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = _make(adapt=True, sfreq=X.info["sfreq"])
        routed = classifier.set_fit_request(groups=True).set_predict_proba_request(groups=True)
        routed.set_score_request(groups=True)
        pipeline = make_pipeline(FunctionTransformer(), routed)
        pipeline.fit(data[train], y[train], groups=groups[train])
        probabilities = pipeline.predict_proba(data[test], groups=groups[test])
        score = pipeline.score(data[test], y[test], groups=groups[test])
    alone = [pipeline[-1].predict_proba(data[groups == subject]) for subject in (5, 6)]
    np.testing.assert_allclose(probabilities, np.concatenate(alone), atol=1e-5)
    predicted = pipeline[-1].classes_[np.concatenate(alone).argmax(axis=1)]
    assert score == np.mean(predicted == y[test]) != pipeline.score(data[test], y[test])


@pytest.mark.parametrize("adapt", [False, True])
def test_what_fit_trains_on_is_mirrored_and_knows_the_subjects(sides, adapt):
    """The very batches that reach the network: each epoch once in a training epoch."""
    X, y, subjects, _ = sides
    data = X.get_data(units="uV").astype(np.float32)
    order = [CHANNELS.index(name) for name in PARTNERS]
    original = {epoch.tobytes(): row for row, epoch in enumerate(data)}
    mirrored = {epoch.tobytes(): row for row, epoch in enumerate(data[:, order])}
    seen = []

    class Spy(Callback):
        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            x, codes = batch
            rows, flips = [], []
            for epoch, code in zip((x["x"] if adapt else x).numpy(), codes.tolist(), strict=True):
                key = epoch.tobytes()
                flips.append(key in mirrored)
                rows.append(mirrored[key] if flips[-1] else original[key])
                label = y[rows[-1]]
                assert ["left", "right"][code] == (SWAP[label] if flips[-1] else label)
            if adapt:
                present, whose = np.unique(subjects[rows], return_inverse=True)
                np.testing.assert_array_equal(x["subject"], whose)
                assert len(present) <= 4
                shares = np.bincount(whose, flips) / np.bincount(whose)  # none of somebody, or all
                assert set(shares) <= {0.0, 1.0}
                assert abs(shares.sum() - len(present) / 2) <= 0.5
            seen.append((rows, flips))

    _make(adapt=adapt, callbacks=[Spy()], max_epochs=4).fit(X, y)
    rows, flips = map(np.concatenate, zip(*seen, strict=True))
    assert np.bincount(rows).tolist() == [4] * len(y)
    orders = np.split(rows, 4)
    assert all(sorted(one) == list(range(len(y))) for one in orders)
    assert orders[0].tolist() != orders[1].tolist()
    assert np.mean(flips) == pytest.approx(0.5, abs=0.1)
