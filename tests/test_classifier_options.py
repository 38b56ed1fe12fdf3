"""Votes, mirrored training, adaptation to subjects and tokens of covariance in the classifier."""

import pickle
from itertools import combinations

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback

from skeegformer import AttentionExplainer, EEGTransformerClassifier, make_simulated_eeg

SWAP = {"left": "right", "right": "left"}
# Both sides and the midline; enough for the reference of the mean.
_NAMES = "FC5 FC3 FCz FC4 FC6 C5 C3 C1 Cz C2 C4 C6 CP5 CP3 CPz CP4 CP6 O1 Oz O2"
_PARTNERS = "FC6 FC4 FCz FC3 FC5 C6 C4 C2 Cz C1 C3 C5 CP6 CP4 CPz CP3 CP5 O2 Oz O1"
CHANNELS, PARTNERS = _NAMES.split(), _PARTNERS.split()


def _make(**params):
    options = {"tokenizer": "covariance", "votes": True, "embed_dim": 16, "n_layers": 1}
    return EEGTransformerClassifier(**options | {"max_epochs": 5, "random_state": 0} | params)


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
    return _make(adapt=True, mirror="auto", max_epochs=10).fit(X[subjects <= 4], y[subjects <= 4])


@pytest.mark.parametrize("tokenizer", ["covariance", "spectral"])
def test_mirrored_training_learns_one_rule_for_both_sides(sides, tokenizer, report):
    """From few epochs; those of new subjects are the harder for it."""
    X, y, subjects, _ = sides
    train, test = subjects <= 3, subjects > 3
    options = {"tokenizer": tokenizer, "max_epochs": 30}
    scores, consistent = {}, {}
    for mirror in (None, SWAP):
        classifier = _make(mirror=mirror, **options).fit(X[train], y[train])
        predicted = classifier.predict(X[test])
        exchanged = [SWAP[label] for label in classifier.predict(_mirror(X[test]))]
        scores[bool(mirror)] = balanced_accuracy_score(y[test], predicted)
        consistent[bool(mirror)] = np.mean(predicted == exchanged)
    report(
        f"mirror, {tokenizer}: {scores[False]:.3f} to {scores[True]:.3f}, mirror images swapped "
        f"{consistent[False]:.3f} to {consistent[True]:.3f}"
    )
    assert scores[True] >= scores[False]
    assert scores[True] > 0.6
    assert consistent[True] > max(0.85, consistent[False] + 0.1)


def test_votes_trained_on_mirror_images_are_symmetric(sides):
    """A full batch of epochs and mirror images: what C3 says of left, C4 says of right."""
    X, y, _, _ = sides
    options = {"mirror": SWAP, "batch_size": 2 * len(y), "max_epochs": 10, "drop_prob": 0.0}
    network = _make(**options).fit(X, y).net_.module_
    pairs = torch.tensor([CHANNELS.index(name) for name in PARTNERS])
    by_channel = network.votes.weight.detach().permute(2, 0, 1)[:, :, None]
    mirrored = network.mirror_features(by_channel, pairs)[[1, 0]]
    similar = torch.cosine_similarity(mirrored.flatten(), by_channel.flatten(), dim=0)
    assert similar > 0.9
    without = _make(**options | {"mirror": None}).fit(X, y).net_.module_
    by_channel = without.votes.weight.detach().permute(2, 0, 1)[:, :, None]
    mirrored = without.mirror_features(by_channel, pairs)[[1, 0]]
    assert similar > torch.cosine_similarity(mirrored.flatten(), by_channel.flatten(), dim=0)


@pytest.mark.parametrize("tokenizer", ["covariance", "spectral"])
def test_auto_without_sides_mirrors_nothing(sides, tokenizer):
    X, y, _, _ = sides
    names = np.where(y == "left", "eyes-open", "eyes-closed")
    options = {"tokenizer": tokenizer, "max_epochs": 2}
    found, expected = (_make(mirror=m, **options).fit(X, names) for m in ("auto", None))
    assert _same_weights(found, expected)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_auto_with_sides_is_the_dict(sides):
    X, y, _, _ = sides
    found, expected = (_make(mirror=m, max_epochs=2).fit(X, y) for m in ("auto", SWAP))
    assert _same_weights(found, expected)
    assert not _same_weights(found, _make(mirror=None, max_epochs=2).fit(X, y))


@pytest.mark.parametrize(
    "params, message",
    [
        (
            {"mirror": {"left": "up"}},
            r"mirror names the class 'up', but there are \['left', 'right'",
        ),
        ({"mirror": {"feet": "left"}}, "mirror names the class 'feet'"),
        ({"mirror": {"left": "right", "right": "right"}}, "gives a class two partners"),
        ({"adapt": True, "noise": 0.1}, "noise=0.1 cannot be added .* set noise=0 or adapt=False"),
        ({"adapt": True, "crop": 20}, "crop=20 draws other samples .* put a Cropper in front"),
        ({"crop": 0}, "crop=0"),
        ({"crop": 10**6}, "crop=1000000 has to lie between 1 and the number of samples"),
        ({"mirror": "both"}, "mirror='both' is not a dict of labels, 'auto' or None"),
        ({"mirror": True}, "mirror=True is not a dict"),
        ({"votes": 1}, "votes=1 is not True or False"),
        ({"votes": "yes"}, "votes='yes' is not True or False"),
        ({"adapt": None}, "adapt=None is not True or False"),
        ({"tokenizer": "cov"}, "tokenizer='cov'"),
    ],
)
def test_bad_parameters(sides, params, message):
    X, y, _, _ = sides
    with pytest.raises(ValueError, match=message):
        _make(**params).fit(X, y)


def test_mirror_needs_channel_names(sides):
    X, y, _, _ = sides
    with pytest.raises(ValueError, match="which channels are left and which right; pass Epochs"):
        _make(mirror=SWAP).fit(X.get_data(units="uV"), y)


def test_auto_is_the_default_and_mirrors_only_what_has_two_sides(sides):
    """Arrays, channels without partner and classes without partner are not mirrored."""
    X, y, _, _ = sides
    options = {"max_epochs": 1}
    assert EEGTransformerClassifier().mirror == "auto"
    default = EEGTransformerClassifier(embed_dim=8, random_state=0, **options)
    codes = np.arange(2)
    assert default.fit(X, y)._trained_codes(codes).tolist() == [0, 1, 1, 0]
    one_sided = X.copy().drop_channels([X.ch_names[0]])
    unnamed = X.get_data(units="uV")
    rest = np.where(np.asarray(y) == "left", "left", "rest")
    for data, labels in ((one_sided, y), (unnamed, y), (X, rest)):
        assert default.fit(data, labels)._trained_codes(codes).tolist() == [0, 1]


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
    assert _make(mirror={}, max_epochs=1).fit(midline, y)._trained_codes(np.arange(2)).size == 2


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


def test_one_direction_of_a_swap_is_enough(sides):
    X, y, _, _ = sides
    found, expected = (_make(mirror=m, max_epochs=2).fit(X, y) for m in ({"left": "right"}, SWAP))
    assert _same_weights(found, expected)


def test_several_subjects_are_predicted_as_each_alone(adapted, sides):
    X, _, subjects, _ = sides
    together = adapted.predict_proba(X, groups=subjects)
    shuffled = np.random.default_rng(0).permutation(len(subjects))
    np.testing.assert_allclose(
        adapted.predict_proba(X[shuffled], groups=subjects[shuffled]),
        together[shuffled],
        atol=1e-4,
    )
    for subject in np.unique(subjects):
        own = subjects == subject
        np.testing.assert_allclose(
            adapted.predict_proba(X[own], groups=subjects[own]), together[own], atol=1e-5
        )
        array = X[own].get_data(units="uV")
        np.testing.assert_allclose(adapted.predict_proba(array), together[own], atol=1e-4)
        np.testing.assert_array_equal(
            adapted.predict(X[own], groups=subjects[own]),
            adapted.classes_[together[own].argmax(axis=1)],
        )


def test_a_single_epoch_of_somebody_unknown_is_refused(adapted, sides):
    """Centred on itself it would look like every other."""
    X, _, subjects, _ = sides
    unknown = np.flatnonzero(subjects == 5)
    with pytest.raises(ValueError, match="a single epoch of the unknown subject 5, and all single"):
        adapted.predict(X[unknown[:1]])
    with pytest.raises(ValueError, match="a single epoch of somebody unknown"):
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


def test_bands_are_those_of_the_epochs_that_are_trained_on(sides):
    X, y, subjects, _ = sides
    options = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 1}
    held_out = _make(**options).held_out(y, subjects)
    data = X.get_data()
    data[held_out] = np.random.default_rng(0).normal(scale=1e-5, size=data[held_out].shape)
    slow = X.copy().filter(None, 12.0, verbose="ERROR").get_data()
    data[~held_out] = slow[~held_out]
    changed = X.copy()
    changed._data = data
    network = _make(**options).fit(changed, y).net_.module_
    assert network.tokenizer.bands[-1][1] < 20


def test_who_adapts_wants_to_know_to_whom(sides):
    X, y, _, _ = sides
    with pytest.warns(UserWarning, match="was not told who the subjects are"):
        _make(adapt=True, max_epochs=1).fit(X.get_data(units="uV"), y)
    with pytest.raises(ValueError, match="Subject 0 has a single epoch, which adapt=True would"):
        _make(adapt=True, max_epochs=1).fit(X, y, groups=np.arange(len(y)))


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
    assert not _same_weights(clone(adapted).fit(bare, y[train]), adapted)


def test_a_gain_of_a_subject_does_not_move_adapted_predictions():
    """Few channels, whose own power is a feature: a gain per channel shifts its logarithm."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 60)
    subjects = np.repeat(np.arange(6), 20)
    X = rng.normal(size=(120, 4, 160))
    X[:, 0] *= 1 + y[:, None]
    X[:, 1] *= 2 - y[:, None]
    gains = np.array([3.0, 0.4, 1.0, 2.0])
    test = subjects >= 4
    change, accuracy = {}, {}
    for tokenizer in ("covariance", "spectral"):
        for adapt in (True, False):
            classifier = _make(adapt=adapt, sfreq=160.0, tokenizer=tokenizer, max_epochs=15)
            classifier.fit(X[~test], y[~test], groups=subjects[~test])
            before, after = (
                classifier.predict_proba(data, groups=subjects[test])
                for data in (X[test], X[test] * gains[:, None])
            )
            change[tokenizer, adapt] = np.abs(before - after).mean()
            assert balanced_accuracy_score(y[test], before.argmax(axis=1)) > 0.85
            accuracy[tokenizer, adapt] = balanced_accuracy_score(y[test], after.argmax(axis=1))
    for tokenizer in ("covariance", "spectral"):
        assert change[tokenizer, True] < 0.1 < 0.15 < change[tokenizer, False]
        assert accuracy[tokenizer, True] > 0.85
        assert accuracy[tokenizer, False] < 0.7


def test_groups_are_checked_where_they_are_used(adapted, sides):
    X, _, subjects, _ = sides
    with pytest.raises(ValueError, match="groups has 3 entries"):
        adapted.predict(X, groups=subjects[:3])


@pytest.mark.parametrize(
    "params",
    [{}, {"mirror": SWAP}, {"adapt": True}, {"noise": 0.1}, {"early_stopping": True}],
    ids=repr,
)
def test_equal_seeds_give_equal_weights(sides, params):
    X, y, subjects, _ = sides
    first, second, other = (
        _make(random_state=seed, max_epochs=2, **params).fit(X, y, groups=subjects)
        for seed in (1, 1, 2)
    )
    assert _same_weights(first, second)
    assert not _same_weights(first, other)


@pytest.mark.parametrize("tokenizer", ["covariance", "spectral", "linear"])
@pytest.mark.parametrize("adapt", [False, True])
def test_early_stopping_with_adaptation_and_mirror_images(sides, tokenizer, adapt):
    """What is watched is prepared like what is predicted."""
    X, y, subjects, _ = sides
    classifier = _make(
        tokenizer=tokenizer,
        adapt=adapt,
        mirror="auto",
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=3,
        max_epochs=8,
    ).fit(X, y)
    losses = classifier.history_[:, "valid_loss"]
    watched = None
    for subject_pair in combinations(range(1, 7), 2):
        rows = np.isin(subjects, subject_pair)
        probabilities = classifier.predict_proba(X[rows], groups=subjects[rows])
        codes = np.searchsorted(classifier.classes_, y[rows])
        loss = -np.log(probabilities[np.arange(rows.sum()), codes]).mean()
        if np.isclose(loss, min(losses), rtol=1e-4):
            watched = subject_pair
    assert watched is not None


def test_pickled_and_loaded(adapted, sides):
    X, _, _, _ = sides
    loaded = pickle.loads(pickle.dumps(adapted))
    np.testing.assert_array_equal(loaded.predict_proba(X), adapted.predict_proba(X))
    np.testing.assert_array_equal(loaded.feature_importances_, adapted.feature_importances_)


@pytest.mark.parametrize("shape", [(40, 3, 50), (40, 20, 30), (40, 1, 8), (40, 12)])
def test_arrays_without_rate_and_names(shape):
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 20)
    X = rng.normal(size=shape) * (1 + 3 * y.reshape(-1, *[1] * (len(shape) - 1)))
    if len(shape) == 3 and shape[1] == 20:  # how loud an epoch is does not count there
        X[:, 1:] /= (1 + 3 * y)[:, None, None]
    classifier = _make(max_epochs=40).fit(X, y)
    assert classifier.sfreq_ is None
    assert classifier.ch_names_ is None
    assert classifier.score(X, y) > 0.8
    assert classifier.net_.module_.tokenizer.frequencies == [None] * (
        classifier.net_.module_.tokenizer.n_features
    )


def test_bands_are_those_that_a_filter_has_left(sides):
    X, y, _, _ = sides
    filtered = X.copy().load_data().filter(8.0, 30.0)
    bands = _make(max_epochs=1).fit(filtered, y).net_.module_.tokenizer.bands
    assert 5 < bands[-1][0] < 8.5
    assert 30 < bands[-1][1] < 39
    unfiltered = _make(max_epochs=1).fit(X, y).net_.module_.tokenizer.bands
    assert unfiltered[-1][0] < 4
    assert unfiltered[-1][1] > 40


@pytest.fixture(scope="module")
def explained(sides):
    X, y, _, truth = sides
    relevant = truth.relevance[CHANNELS].to_numpy()
    return _make(max_epochs=15).fit(X, y), X, y, relevant > 0.5


def test_importances_point_at_informative_channels(explained, report):
    classifier, _, _, informative = explained
    importances = classifier.feature_importances_
    assert importances.shape == (len(CHANNELS),)
    assert importances.min() >= 0
    assert importances.sum() == pytest.approx(1)
    auc = roc_auc_score(informative, importances)
    report(f"covariance and votes: AUC of {informative.sum()} informative channels {auc:.3f}")
    assert auc > 0.7


@pytest.mark.parametrize("method", ["gradient-rollout", "rollout", "integrated-gradients"])
def test_explanations(explained, method, report):
    classifier, X, y, informative = explained
    explanation = AttentionExplainer(method, target="true").explain(classifier, X, y)
    assert explanation.values.shape == (len(y), len(CHANNELS))
    assert np.isfinite(explanation.values).all()
    np.testing.assert_allclose(explanation.probabilities, classifier.predict_proba(X), atol=1e-5)
    auc = roc_auc_score(informative, np.abs(explanation.values).mean(axis=0))
    report(f"covariance and votes, {method}: AUC {auc:.3f}")
    assert auc > 0.7


@pytest.mark.parametrize("method", ["rollout", "gradient-rollout", "integrated-gradients"])
def test_an_adapting_classifier_is_explained(adapted, sides, method):
    X, y, subjects, _ = sides
    explanation = AttentionExplainer(method).explain(adapted, X, y)
    np.testing.assert_allclose(
        explanation.probabilities, adapted.predict_proba(X, groups=subjects), atol=1e-5
    )
    # Each subject alone, in another order and by groups: the same.
    own = np.flatnonzero(subjects == 5)[::-1]
    bare = X[own]
    bare.metadata = None
    alone = AttentionExplainer(method).explain(adapted, bare, y[own], groups=subjects[own])
    np.testing.assert_allclose(alone.values, explanation.values[own], atol=1e-3)
    if method == "integrated-gradients":
        total = explanation.token_values.sum(axis=(1, 2))
        logits = adapted.decision_function(X)
        at_mean = adapted.net_.module_.classify_features(
            torch.zeros(1, len(CHANNELS), 1, adapted.net_.module_.tokenizer.n_features)
        )[0]
        base = float((at_mean[1] - at_mean[0]).detach())
        sign = np.where(explanation.predictions == adapted.classes_[1], 1, -1)
        np.testing.assert_allclose(total, sign * (logits - base), atol=5e-3)
    with pytest.raises(ValueError, match="would not be a test of the explanation"):
        explanation.evaluate()


@pytest.mark.parametrize("method", ["occlusion", "permutation"])
def test_what_an_adapting_classifier_needs_is_not_told(adapted, sides, method):
    X, y, _, _ = sides
    with pytest.raises(ValueError, match=f"method='{method}' changes the signal, and with it the"):
        AttentionExplainer(method).explain(adapted, X, y)


def test_groups_reach_an_adapting_classifier_by_routing(sides):
    X, y, groups, _ = sides
    data = X.get_data(units="uV")
    train, test = groups <= 4, groups > 4
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = _make(adapt=True, sfreq=X.info["sfreq"])
        routed = classifier.set_fit_request(groups=True).set_predict_proba_request(groups=True)
        pipeline = make_pipeline(FunctionTransformer(), routed)
        pipeline.fit(data[train], y[train], groups=groups[train])
        probabilities = pipeline.predict_proba(data[test], groups=groups[test])
    alone = [pipeline[-1].predict_proba(data[groups == subject]) for subject in (5, 6)]
    np.testing.assert_allclose(probabilities, np.concatenate(alone), atol=1e-5)


class _Watch(Callback):
    """Keeps the validation set and the learning rates."""

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        self.valid_ = dataset_valid

    def on_train_end(self, net, **kwargs):
        self.rates_ = np.concatenate(
            [[b["event_lr"] for b in row["batches"] if "event_lr" in b] for row in net.history]
        )


def _train(**params):
    rng = np.random.default_rng(0)
    X, y, groups = rng.normal(size=(40, 3, 32)), np.tile(["a", "b"], 20), np.repeat(range(10), 4)
    options = {"tokenizer": "linear", "votes": False, "embed_dim": 8, "n_heads": 2}
    options |= {"batch_size": 8, "random_state": 0, "callbacks": [_Watch()]}
    classifier = EEGTransformerClassifier(**options | params)
    return classifier.fit(X, y, groups), X, y, groups


def test_held_out_tells_what_fit_watches():
    classifier, X, y, groups = _train(early_stopping=True, validation_fraction=0.3, max_epochs=2)
    held_out = classifier.held_out(y, groups)
    assert len(set(groups[held_out])) == 3
    assert not set(groups[held_out]) & set(groups[~held_out])
    watched = dict(classifier.net_.callbacks_)["_Watch"].valid_
    order = np.flatnonzero(held_out)
    np.testing.assert_array_equal(
        np.sort(np.asarray(watched.X)[:, 0, 0]), np.sort(X[order, 0, 0].astype(np.float32))
    )
    assert not _make().held_out(y).any()
    with pytest.raises(ValueError, match="inconsistent numbers"):
        classifier.held_out(y, groups[1:])


def test_warm_up_in_steps_and_exponential_decay():
    classifier, *_ = _train(warmup=7, lr_schedule="exponential", lr=0.1, max_epochs=4)
    rates = dict(classifier.net_.callbacks_)["_Watch"].rates_
    # Five steps a pass; the warm-up ends within the second.
    expected = [*(0.1 * np.arange(1, 8) / 7), *[0.1] * 3, *[0.1 * 0.995] * 5, *[0.1 * 0.995**2] * 5]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    share, *_ = _train(warmup=0.35, lr=0.1, max_epochs=4)
    count, *_ = _train(warmup=7, lr=0.1, max_epochs=4)
    assert _same_weights(share, count)
    for warmup in (1.5, -1, True, "7"):
        with pytest.raises(ValueError, match=r"warmup=.* has to be a (whole )?number of at least"):
            _train(warmup=warmup)
