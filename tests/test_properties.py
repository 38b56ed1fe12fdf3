"""What has to hold whatever the data: tried on random epochs, montages, labels and sizes."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import test_surroundings
from sklearn.base import clone

from skeegformer import (
    StreamPredictor,
    load_memmap,
    load_model,
    make_simulated_eeg,
    save_model,
    write_memmap,
)

KINDS = "ours", "adapting", "original"


@pytest.fixture(scope="module", params=product(KINDS, range(3)), ids=str)
def drawn(request):
    """Fit a classifier to random epochs of random channels; the random numbers go on."""
    kind, seed = request.param
    rng = np.random.default_rng(seed)
    n_epochs, duration = int(rng.integers(6, 12)), rng.uniform(0.3, 0.8)
    X, y, metadata, _ = make_simulated_eeg(3, n_epochs, duration=duration, random_state=seed)
    names = rng.permutation(["C3", "C4", "Cz", *rng.choice(["Pz", "Fz", "Oz", "CPz"], 2, False)])
    X = X.pick(names.tolist()).reorder_channels(names.tolist())
    classifier = test_surroundings.KINDS[kind]().set_params(random_state=seed).fit(X, y)
    return classifier, X, y, metadata, rng


def test_predictions(drawn, tmp_path):
    """Neither the order of epochs and channels, nor the batch, the form or a file counts."""
    classifier, X, y, metadata, rng = drawn
    expected = classifier.predict_proba(X)
    assert expected.shape == (len(X), 2)
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-5)
    close = {"rtol": 1e-4, "atol": 1e-5}

    order = rng.permutation(len(X))
    np.testing.assert_allclose(classifier.predict_proba(X[order]), expected[order], **close)
    few = np.sort(rng.choice(len(X), 5, replace=False))
    np.testing.assert_allclose(classifier.predict_proba(X[few]), expected[few], **close)
    shuffled = X.copy().reorder_channels(rng.permutation(X.ch_names).tolist())
    np.testing.assert_array_equal(classifier.predict_proba(shuffled), expected)
    listed = pd.Series([X[i] for i in range(len(X))], index=order)
    np.testing.assert_array_equal(classifier.predict_proba(listed), expected)

    groups = {"groups": metadata["subject"]} if getattr(classifier, "adapt", False) else {}
    array = X.get_data(units="uV")
    np.testing.assert_allclose(classifier.predict_proba(array, **groups), expected, **close)
    mapped, labels, _ = load_memmap(write_memmap(X, y, metadata, tmp_path))
    assert (labels == y).all()
    np.testing.assert_allclose(classifier.predict_proba(mapped), expected, **close)

    loaded = load_model(save_model(classifier, tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    assert (loaded.predict(X) == classifier.classes_[expected.argmax(axis=1)]).all()


def test_fits(drawn):
    """Neither names of labels nor an earlier fit counts."""
    classifier, X, y, metadata, _ = drawn
    expected = classifier.predict_proba(X)
    np.testing.assert_array_equal(clone(classifier).fit(X, y).predict_proba(X), expected)
    classifier.fit(X[:8], y[:8])
    np.testing.assert_array_equal(classifier.fit(X, y).predict_proba(X), expected)
    plain = clone(classifier).set_params(sfreq=160.0)
    array, subjects = X.get_data(units="uV"), metadata["subject"].to_numpy()
    groups = subjects if getattr(plain, "adapt", False) else None
    first = plain.fit(array, y, subjects).predict_proba(array, groups)
    for names in ([5, 7], ["a", "b"], [False, True]):  # in the order of left and right
        labels = np.array(names)[(y == "right").astype(int)]
        renamed = clone(plain).fit(array, labels, subjects)
        np.testing.assert_array_equal(renamed.predict_proba(array, groups), first)
        assert renamed.classes_.tolist() == names


def test_streams(drawn):
    """Whatever the sizes of its chunks, a stream gives what epochs cut from it give."""
    classifier, X, _, _, rng = drawn
    subject = {"subject": 1} if getattr(classifier, "adapt", False) else {}
    signal = np.hstack(X.get_data(units="uV")[:6])
    predictor = StreamPredictor(classifier, step=0.05, unit="uV", **subject)
    cuts = np.sort(rng.integers(0, signal.shape[1], 20))
    found = [one for chunk in np.split(signal, cuts, axis=1) for one in predictor.push(chunk)]
    n_times = classifier.n_times_
    ends = [round(160 * prediction.time) for prediction in found]
    assert ends == list(range(n_times, signal.shape[1] + 1, 8))
    windows = np.stack([signal[:, end - n_times : end] for end in ends])
    groups = {"groups": np.ones(len(windows), int)} if subject else {}
    expected = classifier.predict_proba(windows, **groups)
    np.testing.assert_allclose([one.probabilities for one in found], expected, atol=1e-4)
