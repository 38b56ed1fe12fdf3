"""Any network as a classifier: what training leaves in it, and what callbacks see of it."""

import copy
import inspect
import pickle
from dataclasses import field

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, EpochScoring
from torch import nn

from skeegformer import (
    BandPassFilter,
    EEGTransformerClassifier,
    NetworkClassifier,
    OriginalTransformerClassifier,
    ResumableTraining,
)
from skeegformer.training import network_estimator


class LogPower(nn.Module):
    """A network of somebody else: spatial filters, log power, a linear layer."""

    def __init__(self, n_chans, n_outputs, n_filters=4):
        super().__init__()
        self.spatial = nn.Conv1d(n_chans, n_filters, 1, bias=False)
        self.norm = nn.BatchNorm1d(n_filters)
        self.linear = nn.Linear(n_filters, n_outputs)

    def forward(self, x):
        return self.linear(self.norm(self.spatial(x).square().mean(dim=-1).log()))


def _log_power(**params):
    return NetworkClassifier(LogPower, **{"max_epochs": 30, "lr": 0.02, "random_state": 0} | params)


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
    classifier.set_params(
        callbacks=[("note", note), scoring], max_epochs=6, sfreq=80.0, random_state=0
    )
    classifier.fit(X, y)
    note = dict(classifier.net_.callbacks_)["note"]
    # Batches of 32 and 28 epochs.
    expected = np.average(np.reshape(note.seen, (6, 2)), axis=1, weights=[32, 28])
    np.testing.assert_allclose(classifier.history_[:, "right"], expected, rtol=1e-5)
    if isinstance(classifier, EEGTransformerClassifier):
        assert expected[-1] > 0.9


def test_any_network_learns_whatever_the_unit(data):
    X, y = data
    classifier = _log_power(module_params={"n_filters": 6}).fit(X, y)
    assert classifier.score(X, y) > 0.9
    module = classifier.net_.module_
    assert module.network.spatial.weight.shape == (6, 4, 1)
    np.testing.assert_allclose(module.mean[:, 0], X.mean(axis=(0, 2)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(module.scale[:, 0], 1 / X.std(axis=(0, 2)), rtol=1e-4)
    in_volts = _log_power(module_params={"n_filters": 6}).fit(1e-6 * X, y)
    np.testing.assert_allclose(
        in_volts.predict_proba(1e-6 * X), classifier.predict_proba(X), atol=1e-3
    )


def test_any_network_in_scikit_learns_world(data, tmp_path):
    X, y = data
    groups = np.arange(60) // 10
    pipe = make_pipeline(BandPassFilter(4.0, 30.0, sfreq=160.0), _log_power(max_epochs=3))
    assert cross_val_score(pipe, X, y, groups=groups, cv=GroupKFold(2)).shape == (2,)
    grid = {"module_params": [None, {"n_filters": 2}], "lr": [0.01]}
    assert GridSearchCV(_log_power(max_epochs=1), grid, cv=2).fit(X, y).best_params_ is not None
    state = ResumableTraining(tmp_path / "training.safetensors")
    first = clone(_log_power(callbacks=[state], early_stopping=True)).fit(X, y, groups)
    again = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X))
    again.fit(X, y, groups)  # nothing is left to do
    np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X))
    tuned = copy.deepcopy(first).fine_tune(X[:10], y[:10])
    assert not np.array_equal(tuned.predict_proba(X), first.predict_proba(X))
    running = first.net_.module_.network.norm.running_mean
    assert torch.equal(tuned.net_.module_.network.norm.running_mean, running)


def test_parameters_are_inherited_with_their_descriptions():
    @network_estimator
    class Filters(NetworkClassifier):
        """Another classifier.

        Parameters
        ----------
        n_filters : int, default=3
            Number of filters.
        lr : float, default=0.5
            Learning rate.

        Attributes
        ----------
        net_ : object
            The net.
        """

        n_filters: int = 3
        lr: float = 0.5
        module: type = field(default=LogPower, init=False)
        module_params: None = field(default=None, init=False)

    classifier = Filters(n_filters=4, verbose=2)
    assert repr(classifier) == "Filters(n_filters=4, verbose=2)"
    params = classifier.get_params()
    assert set(params) == {*_log_power().get_params(), "n_filters"} - {"module", "module_params"}
    assert (params["lr"], params["n_filters"], params["batch_size"]) == (0.5, 4, 32)
    assert list(inspect.signature(Filters).parameters)[:3] == ["n_filters", "lr", "max_epochs"]
    assert clone(classifier).set_params(lr=1.0).lr == 1.0
    with pytest.raises(TypeError, match="unexpected keyword argument 'module'"):
        Filters(module=LogPower)
    doc = inspect.getdoc(Filters)
    assert doc.count("lr : float") == doc.count("batch_size : int, default=32\n    Number") == 1
    assert doc.index("verbose : int") < doc.index("Attributes\n")
