"""Training that goes on with a few labelled epochs of somebody new."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from test_classifier_options import CHANNELS, _same_weights, _weights

import skeegformer.training._fine_tuning as training
from skeegformer import EEGTransformerClassifier, make_simulated_eeg

make_eeg = partial(make_simulated_eeg, sfreq=80.0, duration=1.0, snr=12.0)


def _make(**params):
    options = {"n_groups": 1, "n_heads": 20, "mirror": None, "random_state": 0}
    return EEGTransformerClassifier(**options | params)


def _changed(before, after):
    before, after = _weights(before), _weights(after)
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture(scope="module")
def people():
    """Eight subjects: Epochs, labels, subjects."""
    X, y, metadata, _ = make_eeg(8, 20, random_state=0)
    return X.pick(CHANNELS), y, metadata["subject"].to_numpy()


@pytest.fixture(scope="module")
def stranger():
    """One whose rhythms come from elsewhere: Epochs without metadata, and labels."""
    X, y, _, _ = make_eeg(1, 60, random_state=7, sources={"left": "O1", "right": "O2"})
    X.metadata = None
    return X.pick(CHANNELS), y


@pytest.fixture(scope="module")
def trained(people):
    """Classifiers of four subjects, who know each subject's mean or do not."""
    X, y, subjects = people
    rows = subjects <= 4
    return {
        adapt: _make(adapt=adapt, max_epochs=100).fit(X[rows], y[rows]) for adapt in (False, True)
    }


@pytest.fixture(scope="module")
def quick(people):
    X, y, subjects = people
    return _make(max_epochs=2).fit(X[subjects <= 4], y[subjects <= 4])


def _before_and_after(classifier, people, stranger, report, what):
    """Accuracies of the stranger and of other new people, each before and after 20 epochs."""
    X, y, subjects = people
    X_new, y_new = stranger
    others, new = subjects > 4, np.repeat("new", 60)
    tuned = copy.deepcopy(classifier)
    assert tuned.fine_tune(X_new[:20], y_new[:20], groups=new[:20]) is tuned
    own, population = (
        [np.mean(one.predict(Z, groups=groups) == labels) for one in (classifier, tuned)]
        for Z, labels, groups in ((X_new[20:], y_new[20:], new[20:]), (X[others], y[others], None))
    )
    report(
        f"fine-tuning {what}: {own[0]:.3f} to {own[1]:.3f}, other new people "
        f"{population[0]:.3f} to {population[1]:.3f}"
    )
    return own, population


def test_it_helps_whose_rhythms_come_from_elsewhere(people, stranger, trained, report):
    """What was learnt before is of no use for that person, and still not lost for others."""
    own, population = _before_and_after(trained[False], people, stranger, report, "to a stranger")
    assert own[1] >= own[0] + 0.1
    assert population[1] >= population[0] - 0.15
    assert population[1] > 0.65


@pytest.mark.parametrize("adapt", [False, True])
def test_it_helps_whose_threshold_lies_elsewhere(people, trained, adapt, report):
    """A rhythm over one side all the time; whoever adapts has learnt of it without labels."""
    X, y, _, _ = make_eeg(1, 60, random_state=7)
    X.metadata = None
    X = X.pick(CHANNELS).copy()
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (60, 1))
    rhythm = np.sin(2 * np.pi * 10 * np.arange(80) / 80 + phase)
    X._data[:, CHANNELS.index("C3")] += X.get_data().std() * rhythm
    what = f"of a threshold, adapt={adapt}"
    own, population = _before_and_after(trained[adapt], people, (X, y), report, what)
    assert own[1] >= own[0] + (-0.05 if adapt else 0.1)
    assert own[1] > 0.85
    assert population[1] > (0.9 if adapt else 0.65)


def test_equal_seeds_give_equal_weights(people, quick):
    X, y, _ = people
    state = torch.get_rng_state()
    first, second = (copy.deepcopy(quick).fine_tune(X[:10], y[:10]) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert _same_weights(first, second)
    assert not _same_weights(first, quick)
    other = copy.deepcopy(quick).set_params(random_state=1, batch_size=4)
    assert not _same_weights(other.fine_tune(X[:10], y[:10]), first)


def test_standardisation_importances_and_parameters_stay(people, quick):
    X, y, _ = people
    tuned = copy.deepcopy(quick).fine_tune(X[:10], y[:10])
    weights = {name for name, _ in quick.net_.module_.named_parameters()}
    assert _changed(quick, tuned) == weights  # and no statistics
    np.testing.assert_array_equal(tuned.feature_importances_, quick.feature_importances_)
    np.testing.assert_array_equal(tuned.classes_, quick.classes_)
    assert tuned.get_params() == quick.get_params()
    again = pickle.loads(pickle.dumps(tuned))
    np.testing.assert_array_equal(again.predict_proba(X), tuned.predict_proba(X))
    rows = people[2] <= 4
    assert _same_weights(again.fit(X[rows], y[rows]), quick)  # fit starts anew


def test_a_new_subject_gets_a_mean_and_a_known_one_keeps_it(people):
    X, y, subjects = people
    rows = subjects <= 2
    classifier = _make(adapt=True, max_epochs=2).fit(X[rows], y[rows])
    known = dict(classifier.subject_means_)
    some = np.isin(subjects, (2, 3)) & (np.arange(len(y)) % 2 == 0)
    classifier.fine_tune(X[some], y[some], n_steps=2)
    assert set(classifier.subject_means_) == {1, 2, 3}
    for subject, mean in known.items():
        np.testing.assert_array_equal(classifier.subject_means_[subject], mean)
    # From now on single epochs of that subject can be told apart, without further ones.
    together = classifier.predict_proba(X[subjects == 3])
    alone = classifier.predict_proba(X[subjects == 3][0])
    np.testing.assert_allclose(alone[0], together[0], atol=1e-4)
    classifier.fit(X[rows], y[rows])
    assert set(classifier.subject_means_) == {1, 2}


def test_with_adapt_heads_stay_as_means_of_subjects_are_of_their_sources(people, trained):
    X, y, _ = people
    tuned = copy.deepcopy(trained[True]).fine_tune(X[:10], y[:10], groups=np.repeat("new", 10))
    assert _changed(trained[True], tuned) == {"class_weight", "class_bias"}


def test_balanced_classes_are_balanced_anew(people):
    """Of the new epochs, whatever was rare in fit."""
    X, y, subjects = people
    rare = np.concatenate([np.flatnonzero(y == "left")[:40], np.flatnonzero(y == "right")[:10]])
    new = np.flatnonzero(subjects == 8)
    few = np.concatenate([new[y[new] == "left"][:4], new[y[new] == "right"][:8]])
    classifier = _make(class_weight="balanced", max_epochs=1).fit(X[rare], y[rare])
    np.testing.assert_allclose(classifier.net_.criterion_.weight, [50 / 80, 50 / 20])
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "tune", lambda *args, **kwargs: seen.append(args))
        for class_weight in ("balanced", {"left": 3.0}):
            classifier.class_weight = class_weight
            with pytest.raises(TypeError):  # nothing was trained
                classifier.fine_tune(X[few], y[few])
    np.testing.assert_allclose(seen[0][2].weight, [12 / 8, 12 / 16])
    np.testing.assert_allclose(seen[1][2].weight, [50 / 80, 50 / 20])


def test_classes_that_are_not_there_are_not_unlearnt():
    sources = {"a": "C3", "b": "C4", "c": "Oz"}
    X, y, metadata, _ = make_eeg(4, 30, sources=sources, random_state=0)
    X, new = X.pick(CHANNELS), (metadata["subject"] == 4).to_numpy()
    classifier = _make(max_epochs=60).fit(X[~new], y[~new])
    rows = np.flatnonzero(new & (y != "c"))[:10]
    before = np.mean(classifier.predict(X[y == "c"]) == "c")
    classifier.fine_tune(X[rows], y[rows])
    assert before > 0.7
    assert np.mean(classifier.predict(X[y == "c"]) == "c") >= before - 0.1


@pytest.mark.parametrize(
    "change, params, message",
    [
        (lambda X, y: (X, np.where(y == "left", "up", y)), {}, "y has the label 'up', but this EE"),
        (lambda X, y: (X[y == "left"], y[y == "left"]), {}, "y has only the label 'left'"),
        (lambda X, y: (X.copy().drop_channels("Cz"), y), {}, "X has 19 channels, .* missing: Cz"),
        (None, {"n_steps": 0}, "n_steps=0 is not a whole number of at least 1"),
        (None, {"lr": 0}, "lr=0 has to be a number above 0"),
        (None, {"lr": np.nan}, "lr=nan"),
    ],
)
def test_bad_input(people, quick, change, params, message):
    X, y, _ = people
    before = copy.deepcopy(quick)
    given = (X[:10], y[:10]) if change is None else change(X[:10], y[:10])
    with pytest.raises(ValueError, match=message):
        quick.fine_tune(*given, **params)
    assert _same_weights(quick, before)


@pytest.mark.parametrize("ending", ["diverged", "interrupted"])
def test_what_ends_badly_leaves_the_classifier_as_it_was(people, ending, monkeypatch):
    X, y, subjects = people
    rows = subjects <= 2
    classifier = _make(adapt=True, max_epochs=1).fit(X[rows], y[rows])
    before = copy.deepcopy(classifier)
    new = subjects == 5
    if ending == "diverged":
        with pytest.raises(ValueError, match=r"The fine-tuning diverged: .* Lower lr \(now 1e\+30"):
            classifier.fine_tune(X[new], y[new], lr=1e30)
    else:
        calls = []

        def press_ctrl_c(optimizer, *args, **kwargs):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr(torch.optim.lr_scheduler.CosineAnnealingLR, "step", press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            classifier.fine_tune(X[new], y[new])
    assert _same_weights(classifier, before)
    assert classifier.subject_means_.keys() == before.subject_means_.keys() == {1, 2}
    assert len(classifier.history_) == 1
    monkeypatch.undo()
    assert set(classifier.fine_tune(X[new], y[new], n_steps=1).subject_means_) == {1, 2, 5}
