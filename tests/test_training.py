"""What training leaves in the network, and what callbacks see of it."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EpochScoring

from skeegformer import EEGTransformerClassifier, OriginalTransformerClassifier


@pytest.fixture(scope="module")
def data():
    """Two classes that the power of one channel tells apart, in microvolts."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = 20 * rng.normal(size=(60, 4, 160))
    X[y == 1, 2] *= 3
    return X, y


@pytest.mark.parametrize("max_epochs", [1, 3, 20])
def test_sources_are_measured_in_units_of_their_power_however_short_the_training(data, max_epochs):
    """A running mean alone would remember for dozens of steps where it began."""
    X, y = data
    classifier = EEGTransformerClassifier(
        n_heads=4, max_epochs=max_epochs, lr=1e-2, mirror=None, sfreq=160.0, random_state=0
    ).fit(X, y)
    network = classifier.net_.module_
    with torch.no_grad():
        sources = network.gather(network.prepare(torch.from_numpy(X).float()))
    power = sources[:, 0].square().mean(dim=(0, 2))
    ratio = (network.source_power / power).numpy()
    assert 0.3 < ratio.min() <= ratio.max() < 3
    assert classifier.score(X, y) > (0.9 if max_epochs > 1 else 0.7)


def test_silent_epochs_leave_a_power_to_divide_by(data):
    X, y = np.zeros((20, 4, 160)), data[1][:20]
    classifier = EEGTransformerClassifier(n_heads=4, max_epochs=1, random_state=0).fit(X, y)
    assert np.isfinite(classifier.predict_proba(X)).all()


class Note(Callback):
    """Keep what the network is said to say, batch by batch."""

    def __init__(self):
        self.seen = []

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        if training:
            self.seen.append((y_pred.argmax(dim=1) == batch[1]).float().mean().item())
            assert y_pred.shape == (len(batch[1]), 2)


@pytest.mark.parametrize(
    "classifier",
    [
        EEGTransformerClassifier(n_heads=4, n_groups=1, mirror=None, lr=1e-2),
        EEGTransformerClassifier(n_heads=4, n_groups=3, mirror=None, lr=1e-2),
        OriginalTransformerClassifier(embed_dim=8, n_layers=1, early_stopping=False),
    ],
    ids=["one group", "three groups", "original"],
)
def test_callbacks_see_logits_of_epochs_and_score_training(data, classifier):
    X, y = data
    note = Note()
    scoring = EpochScoring("accuracy", on_train=True, name="right")
    classifier.set_params(callbacks=[("note", note), scoring], max_epochs=6, random_state=0)
    classifier.fit(X, y)
    note = dict(classifier.net_.callbacks_)["note"]
    # Batches of 32 and 28 epochs.
    expected = np.average(np.reshape(note.seen, (6, 2)), axis=1, weights=[32, 28])
    np.testing.assert_allclose(classifier.history_[:, "right"], expected, rtol=1e-5)
    if isinstance(classifier, EEGTransformerClassifier):
        assert expected[-1] > 0.9
