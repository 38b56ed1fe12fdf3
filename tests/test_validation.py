"""The door: what comes in, what is refused, and in which words."""

import pickle
import time
import warnings
from functools import partial

import mne
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils import _safe_indexing

from skeegformer import _validation
from skeegformer._validation import EEGData, as_epochs, remember_input

NAMES = ["C3", "Cz", "C4", "Pz"]


class Door(BaseEstimator):
    """An estimator that does nothing but open the door."""

    def __init__(self, sfreq=None):
        self.sfreq = sfreq


def validate_eeg(door, X, *, reset, name="validate_eeg", **params):
    before = dict(vars(door))
    eeg = getattr(_validation, name)(door, X, reset=reset, **params)
    assert vars(door).keys() == before.keys()
    assert all(vars(door)[name] is value for name, value in before.items())
    if reset:
        remember_input(door, eeg, scale=name == "validate_eeg")
    return eeg


validate_signal = partial(validate_eeg, name="validate_signal")


def make_epochs(n_epochs=6, names=NAMES, n_times=80, sfreq=160.0, seed=0, types="eeg", **kwargs):
    rng = np.random.default_rng(seed)
    data = 10e-6 * rng.standard_normal((n_epochs, len(names), n_times))
    info = mne.create_info(list(names), sfreq, types)
    return mne.EpochsArray(data, info, verbose="ERROR", **kwargs)


def fitted(X, validate=validate_eeg, **params):
    door = Door(**params)
    validate(door, X, reset=True)
    return door


@pytest.fixture
def unloaded():
    """Epochs that are still to be cut from a recording in memory, and one of them rejected."""
    rng = np.random.default_rng(0)
    data = 10e-6 * rng.standard_normal((4, 1600))
    data[0, 510:530] = 1.0
    raw = mne.io.RawArray(data, mne.create_info(NAMES, 160.0, "eeg"), verbose="ERROR")
    events = np.c_[np.arange(100, 1500, 200), np.zeros(7, int), np.ones(7, int)]
    options = {"baseline": None, "reject": {"eeg": 0.1}, "preload": False, "verbose": "ERROR"}
    return mne.Epochs(raw, events, tmin=0.0, tmax=0.5, **options)


def test_epochs_leave_as_float32_microvolts():
    epochs = make_epochs()
    door = Door()
    eeg = validate_eeg(door, epochs, reset=True)
    assert isinstance(eeg, EEGData)
    assert eeg.data.dtype == np.float32
    np.testing.assert_allclose(eeg.data, epochs.get_data(units="uV"), rtol=1e-6)
    assert 5 < eeg.data.std() < 20  # scaled once: neither 1e-5 nor 1e7
    assert eeg.ch_names == NAMES == list(door.feature_names_in_) == door.ch_names_
    assert eeg.sfreq == door.sfreq_ == 160.0
    assert (door.n_features_in_, door.n_chans_, door.n_times_) == (4, 4, 80)
    assert eeg.info.ch_names == door.info_.ch_names == NAMES
    assert as_epochs(epochs) is epochs  # loaded ones are not copied


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_arrays_are_taken_as_they_are(dtype):
    X = (100 * np.random.default_rng(0).standard_normal((5, 3, 40))).astype(dtype)
    door = Door(sfreq=128.0)
    eeg = validate_eeg(door, X, reset=True)
    np.testing.assert_array_equal(eeg.data, X.astype(np.float32))
    assert eeg.ch_names is None
    assert eeg.info is None
    assert not eeg.is_flat
    assert (eeg.sfreq, door.n_features_in_, door.n_times_) == (128.0, 3, 40)
    assert not hasattr(door, "feature_names_in_")
    for same in (X.tolist(), list(X), tuple(X)):
        np.testing.assert_array_equal(validate_eeg(Door(), same, reset=True).data, eeg.data)


@pytest.mark.parametrize("validate", [validate_eeg, validate_signal])
def test_other_channels_are_no_part_of_x(validate):
    names, types = ["STI", "C3", "EOG", "Cz", "gaze"], ["stim", "eeg", "eog", "eeg", "misc"]
    epochs = make_epochs(names=names, types=types)
    epochs._data[:, 4] = np.nan  # eye trackers lose the eye
    door = Door()
    eeg = validate(door, epochs, reset=True)
    assert eeg.ch_names == ["C3", "Cz"] == list(door.feature_names_in_)
    assert eeg.data.shape == (6, 2, 80)
    assert eeg.info.ch_names == ["C3", "Cz"]
    without = validate(door, epochs.copy().pick("eeg"), reset=False)
    np.testing.assert_array_equal(without.data, eeg.data)


def test_unloaded_epochs_are_loaded_in_a_copy(unloaded):
    eeg = validate_eeg(Door(), unloaded, reset=True)
    assert len(eeg.data) == 6  # one of seven was rejected
    assert not unloaded.preload
    np.testing.assert_allclose(eeg.data, unloaded.copy().load_data().get_data(units="uV"), 1e-6)
    joined = as_epochs([unloaded, unloaded.copy().load_data()])
    assert len(joined) == 12
    assert not unloaded.preload


def test_list_of_epochs_is_what_was_indexed():
    rng = np.random.default_rng(0)
    events = np.c_[np.arange(6) * 500 + 77, np.zeros(6, int), [1, 2, 1, 2, 1, 2]]
    metadata = pd.DataFrame({"subject": [1, 1, 1, 2, 2, 2], "word": list("abcdef")})
    epochs = make_epochs(
        events=events, event_id={"left": 1, "right": 2}, metadata=metadata, tmin=-0.2
    )
    epochs.apply_baseline((None, 0))
    epochs.info["bads"] = ["C4"]
    epochs.info["line_freq"] = 50.0
    order = rng.permutation(6)[:5]
    as_list = _safe_indexing(epochs, order)
    assert isinstance(as_list, list)  # this is why the door takes lists

    joined = as_epochs(as_list)
    np.testing.assert_array_equal(joined.get_data(), epochs.get_data()[order])
    np.testing.assert_array_equal(joined.events, events[order])
    np.testing.assert_allclose(joined.times, epochs.times)
    assert joined.event_id == epochs.event_id
    assert joined.baseline == epochs.baseline
    assert joined.metadata["word"].tolist() == metadata["word"].iloc[order].tolist()
    assert joined.info["bads"] == ["C4"]
    assert joined.info["line_freq"] == 50.0
    np.testing.assert_array_equal(
        validate_eeg(Door(), as_list, reset=True).data,
        validate_eeg(Door(), epochs, reset=True).data[order],
    )


@pytest.mark.parametrize(
    "options, words",
    [
        ({"n_times": 70}, r"80 samples from 0 s at 160 Hz, then 70 samples"),
        ({"sfreq": 128.0}, r"then 80 samples from 0 s at 128 Hz"),
        ({"tmin": -0.5}, r"then 80 samples from -0.5 s"),
        ({"names": NAMES[:3]}, r"its first element has 4; missing: Pz"),
        ({"metadata": pd.DataFrame({"a": range(6)})}, "only some have metadata"),
        (
            {"events": np.c_[np.arange(6), np.zeros(6, int), np.full(6, 3)], "event_id": {"1": 3}},
            "event '1' is 1 in one element and 3 in another",
        ),
    ],
)
def test_lists_of_unlike_epochs_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        as_epochs([make_epochs(), make_epochs(**options)])


def test_two_thousand_epochs_are_joined_quickly():
    n = 2000
    metadata = pd.DataFrame({"subject": np.arange(n) // 100})
    events = np.c_[np.arange(n) * 400, np.zeros(n, int), 1 + np.arange(n) % 2]
    epochs = make_epochs(n, n_times=160, events=events, metadata=metadata)
    as_list = _safe_indexing(epochs, np.arange(n))
    start = time.perf_counter()
    joined = as_epochs(as_list)
    assert time.perf_counter() - start < 5  # MNE's own concatenation takes most of a minute
    np.testing.assert_array_equal(joined.get_data(), epochs.get_data())
    np.testing.assert_array_equal(joined.metadata["subject"], metadata["subject"])


@pytest.mark.parametrize("validate", [validate_eeg, validate_signal])
@pytest.mark.parametrize("value, name", [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "inf")])
def test_bad_values_are_found(validate, value, name):
    epochs = make_epochs()
    epochs._data[3, 2, 5] = epochs._data[4, 0, 0] = value
    with pytest.raises(ValueError, match=f"{name}.* in 2 of 6 epochs.*epoch 3, channel C4"):
        validate(Door(), epochs, reset=True)
    with pytest.raises(ValueError, match=f"{name}.* in 2 of 6 epochs.*epoch 3, channel 2"):
        validate(Door(), epochs.get_data(), reset=True)
    with pytest.raises(ValueError, match=name):
        validate(Door(), epochs.get_data()[:, 2], reset=True)


def test_values_that_cancel_or_overflow():
    X = np.ones((2, 2, 4))
    X[0, 0, 0], X[1, 1, 1] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinity"):
        validate_eeg(Door(), X, reset=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        large = np.full((2, 2, 4), 1e308)  # the sum overflows, the values are fine
        np.testing.assert_array_equal(validate_signal(Door(), large, reset=True).data, large)
        epochs = make_epochs()
        epochs._data[0, 0, 0] = 1e35
        with pytest.raises(ValueError, match="too large for float32"):
            validate_eeg(Door(), epochs, reset=True)


def test_arrays_are_taken_to_be_as_in_fit():
    epochs = make_epochs()
    door = fitted(epochs, validate_signal)
    eeg = validate_signal(door, epochs.get_data(), reset=False)
    assert eeg.ch_names == NAMES
    assert eeg.sfreq == 160.0
    assert eeg.epochs is None
    # Told another order, they are brought into that of `fit`.
    eeg = validate_signal(door, epochs.get_data()[:, ::-1], reset=False, ch_names=NAMES[::-1])
    np.testing.assert_array_equal(eeg.data, epochs.get_data())


def test_volts_and_microvolts_are_not_mixed_up():
    epochs = make_epochs()
    volts, microvolts = epochs.get_data(), epochs.get_data(units="uV")
    door = fitted(epochs)
    expected = validate_eeg(door, epochs, reset=False).data
    found = validate_eeg(door, microvolts, reset=False).data
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"one is in volts.*get_data\(units='uV'\)"):
        validate_eeg(door, volts, reset=False)
    with pytest.raises(ValueError, match="one is in volts"):
        validate_eeg(fitted(volts), epochs, reset=False)
    validate_eeg(fitted(microvolts), epochs, reset=False)
    for first, second in ((volts, microvolts), (microvolts, volts)):
        with pytest.raises(ValueError, match="Pass what is in the same unit"):
            validate_eeg(fitted(first), second, reset=False)
    validate_eeg(fitted(microvolts), 100 * microvolts, reset=False)  # loud, but no other unit
    validate_eeg(fitted(np.zeros_like(volts)), epochs, reset=False)  # nothing to compare with


@pytest.mark.parametrize("validate", [validate_eeg, validate_signal])
def test_input_is_never_changed(validate, unloaded):
    inputs = [make_epochs(), [make_epochs(seed=1), make_epochs(seed=2)], unloaded]
    inputs += [make_epochs().get_data(), np.ones((3, 5), np.float32)]
    for X in inputs:
        before = pickle.dumps(X)
        door = fitted(X, validate)
        validate(door, X, reset=False)
        assert pickle.dumps(X) == before
    assert vars(clone(door)) == {"sfreq": None}
