"""Filters and patterns of sources."""

from dataclasses import replace

import mne
import numpy as np
import pytest
import torch
from scipy.signal import correlate

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    OriginalTransformerClassifier,
    make_simulated_eeg,
)


def _fitted(case):
    X, y, metadata, truth = make_simulated_eeg(case=case, random_state=0)
    subjects = metadata["subject"].to_numpy()
    train = subjects <= 6
    classifier = EEGTransformerClassifier(max_epochs=20, random_state=0).fit(X[train], y[train])
    data = X[~train].get_data(units="uV").astype(np.float32)
    explanation = AttentionExplainer().explain(classifier, data, groups=subjects[~train])
    return classifier, explanation, truth


@pytest.fixture(scope="module")
def suppressed():
    return _fitted("suppressor")


def test_patterns_are_where_sources_are_seen_and_filters_where_heads_listen(suppressed):
    """The suppressors help to see the rhythms, which are not seen there."""
    _, explanation, truth = suppressed
    found, frequency = explanation.patterns(n_sources=4), truth.subjects["frequency"].mean()
    assert np.all(np.diff(found.shares) <= 0)
    for source in range(4):
        gain = truth.gain.loc[found.classes[source]]
        pattern = np.abs(found.patterns[source])
        assert np.corrcoef(pattern, gain)[0, 1] > 0.8
        assert found.tokens[source] == "log power"
        assert found.weights[source, 0].sum() > 0
        assert abs(found.frequencies[found.responses[source].argmax()] - frequency) < 5
        assert abs(found.frequencies[found.spectra[source].argmax()] - frequency) < 1
        assert found.patterns[source].max() == pattern.max()
        electrodes = truth.electrodes[found.classes[source]]
        helps = [truth.suppressed.get(name) in electrodes for name in truth.ch_names]
        weights = np.abs(found.filters[source])
        listens = weights[helps].max() / weights.max()
        assert listens > 2 * pattern[helps].max() / pattern.max()


def test_potentials_are_told_by_the_mean():
    _, explanation, truth = _fitted("phase-locked")
    found = explanation.patterns(n_sources=2)
    assert list(found.tokens) == ["mean", "mean"]
    for source in range(2):
        gain = truth.gain.loc[found.classes[source]]
        assert np.corrcoef(np.abs(found.patterns[source]), gain)[0, 1] > 0.8


def test_filters_and_patterns_number_by_number(suppressed):
    """The kernel is spatial times temporal filter; patterns covary with what it gathers."""
    classifier, explanation, _ = suppressed
    few = explanation.select(range(6))
    data, found = few.source.data, few.patterns(n_sources=3)
    network = classifier.net_.module_
    assert np.all((found.fits > 0.5) & (found.fits <= 1))
    kernels = network.kernel()[: network.n_sources].detach().double().numpy()
    kernels /= np.sqrt(network.source_power.double().numpy())[:, None, None]
    scale = network.scale.double().numpy()[:, 0]
    for source in range(3):
        spatial = found.filters[source] / scale
        error = []
        for kernel in kernels:  # which one it is, is not told
            temporal = spatial @ kernel / (spatial @ spatial)
            rest = kernel - np.outer(spatial, temporal)
            error.append(((rest**2).sum() / (kernel**2).sum(), kernel, temporal))
        rest, kernel, temporal = min(error, key=lambda one: one[0])
        assert rest == pytest.approx(1 - found.fits[source], abs=1e-4)
        response = np.abs(np.fft.rfft(temporal, 256))
        np.testing.assert_allclose(found.responses[source], response, atol=1e-3)

        signal = network.prepare(torch.from_numpy(data)).double().numpy() / scale[:, None]
        same = [[correlate(x, temporal, "same") for x in epoch] for epoch in signal]
        gathered = [
            sum(correlate(x * s, k, "same") for x, s, k in zip(epoch, scale, kernel, strict=True))
            for epoch in signal
        ]
        gathered = np.array(gathered) - np.mean(gathered, axis=1, keepdims=True)
        pattern = np.einsum("ect,et->c", same, gathered) / gathered.size / gathered.std()
        sign = np.sign(pattern @ found.patterns[source])
        np.testing.assert_allclose(found.patterns[source], sign * pattern, rtol=1e-3, atol=1e-3)


def test_weights_are_those_of_the_class_token(suppressed):
    classifier, explanation, _ = suppressed
    found = explanation.patterns(n_sources=40)
    network = classifier.net_.module_
    weights = (network.class_weight[1] - network.class_weight[0]).detach().numpy()
    weights = weights.swapaxes(0, 1) / network.n_groups * network.gains.numpy()[:, None]
    sign = np.where(found.classes == "right", 1, -1)
    shown = np.abs(found.weights * sign[:, None, None])
    # As a set: sources come in another order.
    np.testing.assert_allclose(np.sort(shown.ravel()), np.sort(np.abs(weights).ravel()), rtol=1e-4)
    assert found.shares.sum() == pytest.approx(1, rel=1e-5)
    assert str(found).startswith("40 sources, with their shares of the attention:\n  ")
    assert len(found.times) == network.n_windows
    assert found.times[0] == pytest.approx((network.window - 1) / 2 / network.rate)


def test_times_are_those_of_the_epochs(suppressed):
    classifier, explanation, _ = suppressed
    data = 1e-6 * explanation.source.data[:2]
    X = mne.EpochsArray(data, classifier.info_, tmin=-0.2, verbose="ERROR")
    times = explanation.patterns(n_sources=1).times - 0.2
    for epochs in (X, [X[:1], X[1:]]):  # a list is what scikit-learn makes of Epochs
        later = AttentionExplainer().explain(classifier, epochs).patterns(n_sources=1)
        np.testing.assert_allclose(later.times, times)


def test_figures_of_patterns_and_what_has_none(suppressed):
    _, explanation, _ = suppressed
    expected = explanation.patterns(n_sources=2)
    first, _ = explanation.plot_patterns(2)
    np.testing.assert_array_equal(first[2].lines[1].get_ydata(), expected.spectra[0])
    title = f"{100 * expected.shares[0]:.0f} %, log power\nfor {expected.classes[0]}"
    assert first[0].texts[-1].get_text() == title
    with pytest.raises(ValueError, match="Patterns are computed from the model and its epochs"):
        replace(explanation, source=None).patterns()
    X = explanation.source.data[:8, :3]
    original = OriginalTransformerClassifier(max_epochs=1, n_time_tokens=1, random_state=0)
    original.fit(X, [0, 1] * 4)
    with pytest.raises(TypeError, match="OriginalTransformer has no sources"):
        AttentionExplainer().explain(original, X).patterns()
