"""The transformers do to a signal what they say, to Epochs and arrays alike."""

import pickle
import warnings

import mne
import numpy as np
import pandas as pd
import pytest
from scipy import signal
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf
from sklearn.pipeline import make_pipeline

from skeegformer._utils.info import electrode_montage
from skeegformer.datasets._files import data_root, recording_path
from skeegformer.preprocessing import (
    BandPassFilter,
    ChannelDropper,
    ChannelPicker,
    EuclideanAlignment,
    NotchFilter,
    Resampler,
)

# MNE's warning of FIR filters that are longer than an epoch is meant for users, and documented.
pytestmark = pytest.mark.filterwarnings("ignore:filter_length .* is longer than the signal")

NAMES = ["Fz", "C3", "Cz", "C4", "Pz"]
SFREQ = 160.0

# With arrays; test_common.py puts them through scikit-learn's checks as well.
TRANSFORMERS = [
    BandPassFilter(),
    BandPassFilter(None, 10, sfreq=100),
    BandPassFilter(1, 10, sfreq=100),
    BandPassFilter(None, 10, method="fir", sfreq=100),
    NotchFilter(20, sfreq=100),
    Resampler(),
    Resampler(50, input_sfreq=100),
    Resampler(130, input_sfreq=100),
    ChannelDropper(),
    ChannelPicker(),
    ChannelPicker(["Cz"], input_ch_names=["Cz"]),
    EuclideanAlignment(),
    EuclideanAlignment(shrinkage=0.0),
]

# What each transformer would be in a pipeline on `make_epochs`, which is at 160 Hz.
ON_EPOCHS = [
    BandPassFilter(8, 30),
    BandPassFilter(8, 30, method="fir"),
    NotchFilter(50),
    Resampler(100),
    ChannelDropper(["Cz", "EOG"]),
    ChannelPicker(["C4", "C3"]),
    EuclideanAlignment(),
]


def make_epochs(n_epochs=8, n_times=320, sfreq=SFREQ, subjects=None):
    """Simulate epochs with all that Epochs can have."""
    names, types = [*NAMES, "EOG", "STI"], [*["eeg"] * 5, "eog", "stim"]
    info = mne.create_info(names, sfreq, types).set_montage(electrode_montage())
    info["line_freq"] = 50.0
    metadata = pd.DataFrame({"trial": np.arange(n_epochs)})
    if subjects is not None:
        metadata["subject"] = subjects
    return mne.EpochsArray(
        10e-6 * np.random.default_rng(0).standard_normal((n_epochs, len(names), n_times)),
        info,
        events=np.c_[np.arange(n_epochs) * 400, np.zeros(n_epochs, int), np.arange(n_epochs) % 2],
        event_id={"left": 0, "right": 1},
        tmin=-0.5,
        metadata=metadata,
        verbose="ERROR",
    )


def sines(freqs, n_times=320, sfreq=SFREQ):
    """Make one epoch with a sine of each frequency, each in a channel of its own."""
    times = np.arange(n_times) / sfreq
    return np.sin(2 * np.pi * np.multiply.outer(freqs, times))[np.newaxis]


def decibels(found, reference):
    """Compare the power in the middle of the epochs, away from the edges."""
    middle = slice(reference.shape[-1] // 4, -(reference.shape[-1] // 4))
    middle_found = slice(found.shape[-1] // 4, -(found.shape[-1] // 4))
    power = np.mean(found[..., middle_found] ** 2, axis=(0, -1))
    return 10 * np.log10(power / np.mean(reference[..., middle] ** 2, axis=(0, -1)))


def mean_covariance(X):
    return np.mean([epoch @ epoch.T / X.shape[-1] for epoch in X], axis=0)


@pytest.mark.parametrize("transformer", ON_EPOCHS, ids=str)
def test_epochs_and_arrays_give_the_same(transformer):
    epochs = make_epochs()
    array = epochs.get_data(picks="eeg", units="uV")
    rate = "input_sfreq" if isinstance(transformer, Resampler) else "sfreq"
    params = {rate: SFREQ, "input_ch_names": NAMES}
    params = {key: value for key, value in params.items() if key in transformer.get_params()}
    told = clone(transformer).set_params(**params)
    if isinstance(transformer, ChannelDropper):
        told.set_params(ch_names=["Cz"])
    fitted = clone(transformer).fit(epochs)
    expected = fitted.transform(epochs).get_data(picks="eeg", units="uV")
    # Fitted on Epochs, an array needs nothing told, and the other way round.
    found = [told.fit_transform(array), fitted.transform(array)]
    found.append(told.transform(epochs.copy().pick("eeg")).get_data(units="uV"))
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("transformer", ON_EPOCHS, ids=str)
def test_epochs_keep_what_belongs_to_them(transformer):
    epochs = make_epochs(subjects=[1, 1, 1, 1, 2, 2, 2, 2])
    before = pickle.dumps(epochs)
    for X in (epochs, [epochs[i] for i in range(len(epochs))]):
        out = clone(transformer).fit_transform(X)
        assert isinstance(out, mne.BaseEpochs)
        assert out is not epochs
        np.testing.assert_array_equal(out.events, epochs.events)
        assert out.event_id == epochs.event_id
        pd.testing.assert_frame_equal(out.metadata, epochs.metadata)
        assert out.tmin == epochs.tmin
        positions = epochs.get_montage().get_positions()["ch_pos"]
        for name, position in out.get_montage().get_positions()["ch_pos"].items():
            np.testing.assert_array_equal(position, positions[name])
        if not isinstance(transformer, ChannelDropper | ChannelPicker):
            assert out.ch_names == epochs.ch_names
            if not isinstance(transformer, Resampler):
                same = [out.get_data(picks=["EOG", "STI"]), epochs.get_data(picks=["EOG", "STI"])]
                np.testing.assert_array_equal(*same)
        assert not np.shares_memory(out.get_data(copy=False), epochs.get_data(copy=False))
    assert pickle.dumps(epochs) == before


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-12), (np.float32, 1e-3)])
def test_arrays_keep_their_kind(transformer, dtype, rtol):
    X = np.random.default_rng(0).standard_normal((4, 1, 200))
    deep = clone(transformer).fit_transform(X.astype(dtype))
    flat = clone(transformer).fit_transform(X[:, 0].astype(dtype))
    assert deep.dtype == flat.dtype == dtype
    np.testing.assert_array_equal(deep[:, 0], flat)
    expected = clone(transformer).fit_transform(X)
    np.testing.assert_allclose(deep, expected, rtol=rtol, atol=rtol)
    assert not np.shares_memory(expected, X)


@pytest.mark.parametrize("transformer", ON_EPOCHS, ids=str)
def test_lengths_rates_and_channels_later(transformer):
    epochs = make_epochs()
    fitted = clone(transformer).fit(epochs)
    expected = fitted.transform(epochs)
    found = fitted.transform(epochs.copy().reorder_channels(epochs.ch_names[::-1]))
    eeg = expected.copy().pick("eeg").ch_names
    assert found.copy().pick("eeg").ch_names == eeg
    np.testing.assert_allclose(found.get_data(eeg), expected.get_data(eeg), atol=1e-18)
    cropped = epochs.copy().crop(-0.5, 1.0)
    out = fitted.transform(cropped)
    assert len(out.times) == round(len(cropped.times) * out.info["sfreq"] / SFREQ)
    with pytest.raises(ValueError, match="missing: Pz"):
        fitted.transform(epochs.copy().drop_channels(["Pz"]))
    if not isinstance(transformer, Resampler):
        with pytest.raises(ValueError, match=r"at 128 Hz, but this .* was fitted at 160 Hz"):
            fitted.transform(make_epochs(sfreq=128.0))


@pytest.mark.parametrize("n_times", [1, 2, 3])
@pytest.mark.parametrize("transformer", [*TRANSFORMERS, Resampler(10, input_sfreq=160)], ids=str)
def test_epochs_of_a_few_samples(transformer, n_times):
    X = np.random.default_rng(0).standard_normal((4, 1, n_times))
    out = clone(transformer).fit_transform(X)
    assert out.shape[:2] == (4, 1)
    assert out.shape[2] >= 1
    assert np.isfinite(out).all()


def test_told_rates_and_names_have_to_agree_with_epochs():
    epochs = make_epochs()
    for transformer in (BandPassFilter(8, 30, sfreq=250), Resampler(80, input_sfreq=250)):
        with pytest.raises(ValueError, match=r"sampled at 160 Hz, but .* was told 250 Hz"):
            transformer.fit(epochs)
    for names, message in (
        (["Cz", "Oz"], "told the names of 2; missing: Oz; extra"),
        (["Cz", "Cz"], "given to ChannelDropper has channels that occur twice"),
    ):
        with pytest.raises(ValueError, match=message):
            ChannelDropper(["Cz"], input_ch_names=names).fit(epochs)


@pytest.mark.parametrize("method", ["iir", "fir"])
def test_bands_are_kept_and_the_rest_is_removed(method):
    freqs = np.array([2.0, 11, 15, 20, 25, 60, 75])
    X = sines(freqs, n_times=1600)
    out = BandPassFilter(8, 30, method=method, sfreq=SFREQ).fit_transform(X)
    gain = decibels(out, X)
    inside = (freqs > 8) & (freqs < 30)
    assert np.all(np.abs(gain[inside]) < 1)
    assert np.all(gain[~inside] < -40)
    # No phase is shifted: what is inside the band is the sine that went in.
    np.testing.assert_allclose(
        out[:, 3, 400:-400], X[:, 3, 400:-400], atol=0.02 if method == "iir" else 0.005
    )


@pytest.mark.parametrize(
    "band, kind", [((None, 30), "low"), ((8, None), "high"), ((8, 30), "band")]
)
def test_default_filter_is_a_zero_phase_butterworth(band, kind):
    X = np.random.default_rng(0).standard_normal((3, 2, 3200))
    out = BandPassFilter(*band, sfreq=SFREQ).fit_transform(X)
    limits = [freq for freq in band if freq]
    limits = limits if len(limits) == 2 else limits[0]
    b, a = signal.butter(4, limits, kind, fs=SFREQ)
    response = np.abs(signal.freqz(b, a, worN=1601, fs=SFREQ, include_nyquist=True)[1]) ** 2
    expected = np.fft.irfft(np.fft.rfft(X) * response)
    np.testing.assert_allclose(out[..., 800:-800], expected[..., 800:-800], atol=1e-6)


def test_notch_removes_the_line_and_nothing_else():
    freqs = np.array([30, 43, 50, 57, 93, 100, 107])
    X = sines(freqs, n_times=1000, sfreq=500)
    for given, found in ((50, [50, 100, 150, 200]), ([50, 100], [50, 100]), ([50], [50])):
        notch = NotchFilter(given, sfreq=500).fit(X)
        assert notch.freqs_ == found
        gain = decibels(notch.transform(X), X)
        assert np.all(gain[np.isin(freqs, found)] < -40)
        assert np.all(abs(gain[~np.isin(freqs, found)]) < 0.5)


def test_notch_takes_the_line_frequency_of_epochs():
    epochs = make_epochs(sfreq=500.0)
    notch = NotchFilter().fit(epochs)
    assert notch.freqs_ == [50.0, 100.0, 150.0, 200.0]
    epochs._data[:, :5] += 1e-4 * sines([50, 100, 150, 200, 75], sfreq=500)
    gain = decibels(notch.transform(epochs).get_data("eeg"), epochs.get_data("eeg"))
    assert np.all(gain[:4] < -10)
    assert abs(gain[4]) < 1
    slow = make_epochs(sfreq=90.0)  # nothing of 50 Hz can be in there
    np.testing.assert_array_equal(NotchFilter().fit_transform(slow).get_data(), slow.get_data())
    epochs.info["line_freq"] = None
    for unknown in (epochs, epochs.get_data()):
        with pytest.raises(ValueError, match=r'not known: say which.*info\["line_freq"\]'):
            NotchFilter(sfreq=500).fit(unknown)


@pytest.mark.parametrize("sfreq", [80, 100, 128, 250])
@pytest.mark.parametrize("n_times", [320, 481])
def test_sines_are_resampled_to_sines(sfreq, n_times):
    freqs = [5, 11, 23]
    X = sines(freqs, n_times)
    out = Resampler(sfreq, input_sfreq=SFREQ).fit_transform(X)
    assert out.shape[-1] == round(n_times * sfreq / SFREQ)
    expected = sines(freqs, out.shape[-1], sfreq)
    middle = slice(out.shape[-1] // 4, -(out.shape[-1] // 4))
    np.testing.assert_allclose(out[..., middle], expected[..., middle], atol=0.02)
    fast = sines([60, 70])
    if sfreq == 80:
        assert np.all(decibels(Resampler(80, input_sfreq=SFREQ).fit_transform(fast), fast) < -40)


@pytest.mark.parametrize("sfreq, n_times", [(56, 90), (56, 170), (56, 330), (57, 240)])
def test_halves_of_a_sample_are_rounded_alike(sfreq, n_times):
    """31.5 samples are 31 or 32, but of Epochs as many as of arrays."""
    data = np.random.default_rng(0).standard_normal((2, 3, n_times))
    info = mne.create_info(3, 160.0, "eeg")
    epochs = Resampler(sfreq).fit_transform(mne.EpochsArray(data, info, verbose="ERROR"))
    array = Resampler(sfreq, input_sfreq=160).fit_transform(data)
    np.testing.assert_allclose(epochs.get_data(), array)
    assert abs(len(epochs.times) - n_times * sfreq / 160) <= 0.5


def test_resampler_brings_other_rates_to_one():
    resampler = Resampler(100).fit(make_epochs())
    out = resampler.transform(make_epochs(sfreq=128.0, n_times=256))
    assert (out.info["sfreq"], out.info["lowpass"], len(out.times)) == (100.0, 50.0, 200)


@pytest.mark.parametrize(
    "step, kept",
    [
        (ChannelDropper(["C4", "EOG", "Fz"]), ["C3", "Cz", "Pz", "STI"]),
        (ChannelDropper("Cz"), [*NAMES[:2], *NAMES[3:], "EOG", "STI"]),
        (ChannelPicker(("Pz", "C3")), ["Pz", "C3"]),
    ],
)
def test_which_channels_are_kept_in_which_order(step, kept):
    epochs = make_epochs()
    out = step.fit_transform(epochs)
    assert out.ch_names == step.kept_ch_names_ == kept
    np.testing.assert_array_equal(out.get_data(), epochs.get_data(kept))


@pytest.fixture
def subjects():
    """Two subjects with mixings of their own, and the groups that tell them apart."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((24, 4, 200))
    groups = np.repeat(["Ada", "Emmy"], 12)
    for name in ("Ada", "Emmy"):
        X[groups == name] = rng.standard_normal((4, 4)) @ X[groups == name]
    return X, groups


def test_alignment_by_hand(subjects):
    X, groups = subjects
    aligned = EuclideanAlignment(shrinkage=0.0).fit_transform(X, groups=groups)
    for name in ("Ada", "Emmy"):
        own = X[groups == name]
        reference = sum(epoch @ epoch.T for epoch in own) / len(own) / 200
        values, vectors = np.linalg.eig(reference)
        root = vectors @ np.diag(values**-0.5) @ np.linalg.inv(vectors)
        expected = [root @ epoch for epoch in own]
        np.testing.assert_allclose(aligned[groups == name], expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(mean_covariance(aligned[groups == name]), np.eye(4), atol=1e-9)


def test_alignment_of_epochs_is_in_microvolts():
    epochs = make_epochs(subjects=list("aaaabbbb"))
    alignment = EuclideanAlignment(shrinkage=0.0).fit(epochs)
    out = alignment.transform(epochs).get_data("eeg", units="uV")
    np.testing.assert_allclose(mean_covariance(out[:4]), np.eye(5), atol=1e-9)
    expected = mean_covariance(epochs.get_data("eeg", units="uV")[:4])
    np.testing.assert_allclose(alignment.references_["a"], expected, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loud", [1.0, 1e3])
def test_alignment_of_rank_deficient_data(dtype, loud):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 8, 200)).astype(dtype)
    X[:, 5] *= dtype(loud)
    X[:, 3] = (X[:, 1] + X[:, 2]) / dtype(2)  # interpolated
    X -= X.mean(axis=1, keepdims=True)  # average reference
    X = np.concatenate([X, np.zeros((30, 1, 200), dtype)], axis=1)  # a dead channel
    for shrinkage in (0.0, "auto"):
        alignment = EuclideanAlignment(shrinkage=shrinkage).fit(X)
        out = alignment.transform(X).astype(float)
        values = np.linalg.eigvalsh(mean_covariance(out))
        np.testing.assert_allclose(values[:3], 0, atol=1e-6)
        if shrinkage == 0:
            np.testing.assert_allclose(values[3:], 1, atol=1e-3)
        else:
            assert np.all((values[3:] > 0.05) & (values[3:] < 1.3))
        assert np.abs(out).max() < 10
        # Noise where the training data had none is not blown up.
        noisy = alignment.transform(X + dtype(1e-3) * rng.standard_normal(X.shape).astype(dtype))
        assert np.abs(noisy - out).max() < 0.1


def test_shrinkage(subjects):
    X, _ = subjects
    samples = np.concatenate(list(X), axis=1).T
    scales = np.sqrt(np.mean(samples**2, axis=0))
    expected, amount = ledoit_wolf(samples / scales, assume_centered=True)
    expected *= np.outer(scales, scales)
    for shrinkage in ("auto", amount):
        alignment = EuclideanAlignment(shrinkage=shrinkage).fit(X)
        np.testing.assert_allclose(alignment.references_[None], expected)
        whitener = alignment.whiteners_[None]
        np.testing.assert_allclose(whitener @ expected @ whitener, np.eye(4), atol=1e-9)
    only_scaled = EuclideanAlignment(shrinkage=1).fit_transform(X)
    np.testing.assert_allclose(only_scaled, X / scales[:, np.newaxis])
    few = EuclideanAlignment().fit(X[:1, :, :10]).references_[None]
    assert np.linalg.cond(few) < np.linalg.cond(mean_covariance(X[:1, :, :10]))


def test_seen_and_unseen_subjects(subjects):
    X, groups = subjects
    scales = np.array([1, 2, 3, 4])[:, np.newaxis]
    new = np.random.default_rng(1).standard_normal((10, 4, 150)) * scales
    alignment = EuclideanAlignment(shrinkage=0.0).fit(X, groups=groups)
    seen = alignment.whiteners_["Emmy"] @ new
    own = EuclideanAlignment(shrinkage=0.0).fit_transform(new)
    np.testing.assert_allclose(mean_covariance(own), np.eye(4), atol=1e-9)

    # Seen: the reference of fit, also for one epoch alone.
    np.testing.assert_allclose(alignment.transform(new, groups=["Emmy"] * 10), seen)
    np.testing.assert_allclose(alignment.transform(new[:1], groups=["Emmy"]), seen[:1])
    # Unseen: its own epochs, whoever else is there, in whatever order.
    both = np.concatenate([new, new])
    mixed = alignment.transform(both, groups=["Emmy", "Hedy"] * 5 + ["x"] * 10)
    np.testing.assert_allclose(mixed[10:], own)
    np.testing.assert_allclose(mixed[:10:2], seen[::2])
    np.testing.assert_allclose(mean_covariance(mixed[1:10:2]), np.eye(4), atol=1e-9)
    # Not told: one unseen subject.
    np.testing.assert_allclose(alignment.transform(new), own)


def test_without_groups_the_training_reference_serves_all(subjects):
    X, _ = subjects
    alignment = EuclideanAlignment(shrinkage=0.0).fit(X[:20])
    assert list(alignment.references_) == [None]
    together = alignment.transform(X[20:])
    np.testing.assert_allclose(together, alignment.whiteners_[None] @ X[20:])
    np.testing.assert_array_equal(alignment.transform(X[21:22]), together[1:2])
    told = alignment.transform(X[20:], groups=["Hedy"] * 4)  # told, she is an unseen subject
    np.testing.assert_allclose(mean_covariance(told), np.eye(4), atol=1e-9)


def test_metadata_says_who_is_who():
    epochs, groups = make_epochs(subjects=[1, 2] * 4), np.array([1, 2] * 4)
    by_metadata = EuclideanAlignment().fit(epochs)
    assert list(by_metadata.references_) == [1, 2]
    bare = epochs.copy()
    bare.metadata = None
    by_groups = EuclideanAlignment().fit(bare, groups=groups).transform(bare, groups=groups)
    np.testing.assert_array_equal(by_metadata.transform(epochs).get_data(), by_groups.get_data())
    # What is passed goes before what the metadata say.
    assert list(EuclideanAlignment().fit(epochs, groups=["a"] * 8).references_) == ["a"]


def test_real_recording(recorded_subjects):
    file = recording_path(data_root(), recorded_subjects[0], 1)
    raw = mne.io.read_raw_edf(file, preload=True, verbose="ERROR")
    mne.datasets.eegbci.standardize(raw)
    raw.set_eeg_reference("average", verbose="ERROR")
    epochs = mne.make_fixed_length_epochs(raw, duration=2.0, verbose="ERROR")
    assert not epochs.preload
    pipe = make_pipeline(
        ChannelDropper(["T9", "T10", "Iz"]),
        NotchFilter(60),
        Resampler(128),
        BandPassFilter(1, 40),
        EuclideanAlignment(shrinkage=0.0),
    )
    with warnings.catch_warnings(), mne.use_log_level("WARNING"):
        warnings.simplefilter("error")
        out = pipe.fit_transform(epochs)
    assert out.get_data().shape == (30, 61, 256)
    assert (out.info["sfreq"], out.info["highpass"], out.info["lowpass"]) == (128.0, 1.0, 40.0)
    np.testing.assert_array_equal(out.events, epochs.events)
    np.testing.assert_allclose(mean_covariance(out.get_data(units="uV")), np.eye(61), atol=1e-6)
    # With all 64 channels the average reference leaves 63 dimensions.
    full = EuclideanAlignment(shrinkage=0.0).fit(epochs)
    np.testing.assert_allclose(np.linalg.eigvalsh(full.whiteners_[None])[0], 0, atol=1e-9)
    assert np.linalg.matrix_rank(full.references_[None], tol=1e-6) == 63
    power = out.compute_psd(fmin=2, fmax=62, verbose="ERROR")
    in_band = power.get_data(fmin=5, fmax=35).mean()
    assert power.get_data(fmin=55, fmax=62).mean() < 1e-3 * in_band


def test_epochs_that_were_cropped_and_then_chosen_are_filtered():
    """MNE itself raises an error: their samples do not lie side by side."""
    epochs = make_epochs()
    chosen = epochs.copy().crop(0, 1)[[0, 2, 4]]
    found = BandPassFilter(None, 30.0).fit_transform(chosen)
    same = BandPassFilter(None, 30.0).fit_transform(epochs[[0, 2, 4]].crop(0, 1))
    np.testing.assert_allclose(found.get_data(), same.get_data(), atol=1e-12)
    np.testing.assert_array_equal(found.events, chosen.events)


def test_alignment_undoes_mixing(subjects):
    X, _ = subjects
    alignment = EuclideanAlignment(shrinkage=0.0)
    aligned = alignment.fit_transform(X)
    np.testing.assert_allclose(alignment.fit_transform(1e-6 * X), aligned, atol=1e-8)
    # Any mixing leaves a rotation, and thus all inner products between samples.
    mixed = alignment.fit_transform(np.random.default_rng(1).standard_normal((4, 4)) @ X)
    np.testing.assert_allclose(
        mixed[3].T @ mixed[20], aligned[3].T @ aligned[20], rtol=1e-6, atol=1e-6
    )
