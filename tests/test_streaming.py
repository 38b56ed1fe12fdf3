"""Predictions on streams, against the same computed in one go."""

import mne
import numpy as np
import pytest
from scipy import signal
from sklearn.pipeline import make_pipeline

from skeegformer import (
    BandPassFilter,
    ChannelDropper,
    ChannelPicker,
    EEGTransformerClassifier,
    EuclideanAlignment,
    NotchFilter,
    Resampler,
    StreamPredictor,
    load_eegmmi,
    make_baseline,
)
from skeegformer.baselines import ToMicrovolts
from skeegformer.datasets._files import data_root, recording_path

TINY = {"mirror": None, "n_heads": 4, "max_epochs": 2, "random_state": 0}
NAMES = ["Fz", "C3", "Cz", "C4", "Pz"]
SFREQ = 100.0


def _epochs(names=NAMES, sfreq=SFREQ, seconds=1.0, n_epochs=12, seed=0):
    """Make Epochs of two classes; the second is louder at 10 Hz."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_epochs) % 2
    times = np.arange(round(seconds * sfreq)) / sfreq
    X = 10 * rng.normal(size=(n_epochs, len(names), len(times)))
    X += 20 * y[:, None, None] * np.sin(2 * np.pi * 10 * times)
    info = mne.create_info(list(names), sfreq, "eeg")
    return mne.EpochsArray(1e-6 * X, info), np.array(["rest", "alpha"])[y]


def _stream(n_chans=5, sfreq=SFREQ, seconds=4.0, seed=1):
    """Make a recording in volts, with an offset that would ring."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * sfreq)) / sfreq
    alpha = np.sin(2 * np.pi * 10 * times) * (times > 2)
    return 1e-6 * (1000 + 10 * rng.normal(size=(n_chans, len(times))) + 20 * alpha)


def _fit(*steps, **params):
    X, y = _epochs()
    return make_pipeline(*steps, EEGTransformerClassifier(**{**TINY, **params})).fit(X, y)


def _cut(recording, length):
    return [recording[:, i : i + length] for i in range(0, recording.shape[1], length)]


def _push(predictor, chunks):
    return [prediction for chunk in chunks for prediction in predictor.push(chunk)]


def _sosfilt(sos, recording):
    zi = signal.sosfilt_zi(sos)[:, None] * recording[:, :1]
    return signal.sosfilt(sos, recording, zi=zi)[0]


def _windows(recording, ends, n_times):
    return np.stack([recording[:, end - n_times : end] for end in ends])


def _probabilities(predictions):
    return np.array([prediction.probabilities for prediction in predictions])


def _assert_close(found, expected, atol=1e-6):
    """Compare probabilities of two lists of predictions, or of one and an array."""
    found, expected = (_probabilities(x) if isinstance(x, list) else x for x in (found, expected))
    np.testing.assert_allclose(found, expected, atol=atol)


@pytest.fixture(scope="module")
def pipe():
    return _fit(BandPassFilter(1.0, 30.0))


def _read(subject, run):
    raw = mne.io.read_raw_edf(recording_path(data_root(), subject, run), preload=True)
    mne.datasets.eegbci.standardize(raw)
    return raw


def test_a_recording_in_chunks_of_any_length(recorded_subjects):
    X, y, _ = load_eegmmi("baseline-eyes", [1])
    steps = ChannelDropper(["T9", "T10", "Iz"]), NotchFilter(60), BandPassFilter(None, 30.0)
    pipe = make_pipeline(*steps, EEGTransformerClassifier(**TINY)).fit(X, y)
    raw = _read(1, 2).crop(0, 8)
    rows = [raw.ch_names.index(name) for name in X.ch_names if name not in ("T9", "T10", "Iz")]
    filtered = raw.get_data()[rows]
    filtered = _sosfilt(signal.butter(2, [58, 62], "bandstop", fs=160, output="sos"), filtered)
    filtered = _sosfilt(signal.butter(4, 30, "lowpass", fs=160, output="sos"), filtered)
    ends = np.arange(320, len(raw.times) + 1, 40)
    offline = mne.EpochsArray(_windows(filtered, ends, 320), mne.pick_info(raw.info, rows))
    expected = pipe[-1].predict_proba(offline)
    assert expected[:, 0].std() > 0.01

    predictor = StreamPredictor(pipe, step=0.25, ch_names=raw.ch_names)
    for length in (1, 7, 160, len(raw.times)):
        predictions = _push(predictor.reset(), _cut(raw.get_data(), length))
        np.testing.assert_allclose([p.time for p in predictions], ends / 160)
        _assert_close(predictions, expected)
        assert [p.label for p in predictions] == pipe[-1].predict(offline).tolist()


def test_a_person_who_was_not_trained_on(recorded_subjects, report):
    X, y, _ = load_eegmmi("baseline-eyes", [1, 3, 4])
    steps = ChannelDropper(["T9", "T10", "Iz"]), BandPassFilter(None, 30.0)
    classifier = EEGTransformerClassifier(max_epochs=20, random_state=0)
    pipe = make_pipeline(*steps, classifier).fit(X, y)
    right, agree = {"stream": [], "windows filtered without delay": []}, []
    for run, label in ((1, "eyes-open"), (2, "eyes-closed")):
        raw = _read(2, run)
        predictor = StreamPredictor(pipe, step=0.5, ch_names=raw.ch_names)
        predictions = predictor.push(raw.get_data())
        ends = [round(160 * prediction.time) for prediction in predictions]
        epochs = mne.EpochsArray(_windows(raw.get_data(), ends, 320), raw.info)
        offline = pipe.predict(epochs.pick(X.ch_names))
        streamed = np.array([prediction.label for prediction in predictions])
        right["stream"].append(np.mean(streamed == label))
        right["windows filtered without delay"].append(np.mean(offline == label))
        agree.append(np.mean(streamed == offline))
    assert min(agree) > 0.95
    assert np.mean(right["stream"]) > 0.7
    text = ", ".join(f"{what} {np.mean(values):.3f}" for what, values in right.items())
    text += f"; the same in {np.mean(agree):.3f}"
    report(f"eyes open or closed, subject 2 by subjects 1, 3 and 4: {text}")


def test_steps(pipe):
    recording = _stream()
    every = StreamPredictor(pipe, step=0.5).push(recording)
    # Longer than a window.
    few = _push(StreamPredictor(pipe, step=1.5), _cut(recording, 3))
    assert [p.time for p in few] == [1.0, 2.5, 4.0]
    _assert_close(few, every[::3])
    # No whole number of samples.
    times = [p.time for p in StreamPredictor(pipe, step=0.333).push(_stream(seconds=21.0))]
    np.testing.assert_allclose(times, 1 + 0.333 * np.arange(61), atol=0.0051)


def test_reset_begins_anew_and_no_samples_change_nothing(pipe):
    recording = _stream()
    predictor = StreamPredictor(pipe)
    first = predictor.push(recording)
    predictor.push(_stream(seed=5)[:, :55])
    again = _push(predictor.reset(), [recording[:, :0], recording[:, :150], recording[:, 150:]])
    _assert_close(again, first)
    assert [p.time for p in again] == [p.time for p in first]


def test_channels_by_name(pipe):
    recording = _stream()
    expected = StreamPredictor(pipe).push(recording)
    others = ["EOG", "Pz", "Cz", "Fz", "C4", "C3"]
    order = [NAMES.index(name) if name in NAMES else 0 for name in others]
    _assert_close(StreamPredictor(pipe, ch_names=others).push(recording[order]), expected)
    raw = mne.io.RawArray(recording, mne.create_info(NAMES, SFREQ, "eeg"))
    with pytest.raises(TypeError, match=r"chunk is a RawArray, .* pass raw.get_data\(picks="):
        StreamPredictor(pipe).push(raw)


def test_steps_that_choose_channels():
    """Of Epochs, and of arrays whose channels the step was told."""
    pipe = _fit(ChannelDropper(["Cz"]), BandPassFilter(None, 30), ChannelPicker(["Pz", "C3"]))
    recording = _stream()
    sos = signal.butter(4, 30, "lowpass", fs=SFREQ, output="sos")
    filtered = 1e6 * _sosfilt(sos, recording)[[4, 1]]
    expected = pipe[-1].predict_proba(_windows(filtered, range(100, 401, 10), 100))
    _assert_close(StreamPredictor(pipe).push(recording), expected)
    # Those that are dropped need not be there.
    _assert_close(StreamPredictor(pipe, ch_names=["C3", "Pz"]).push(recording[[1, 4]]), expected)
    X, y = _epochs()
    dropper = ChannelDropper([NAMES[0], NAMES[3]], input_ch_names=NAMES)
    model = make_pipeline(dropper, EEGTransformerClassifier(**TINY, sfreq=SFREQ))
    model.fit(X.get_data(units="uV"), y)
    windows = _windows(recording[[1, 2, 4]], [100, 200, 300, 400], 100)
    predictions = StreamPredictor(model, step=1.0, unit="V").push(recording)
    _assert_close(predictions, model[-1].predict_proba(1e6 * windows), 1e-5)


def test_units(pipe):
    recording = _stream()
    expected = StreamPredictor(pipe).push(recording)
    _assert_close(StreamPredictor(pipe, unit="uV").push(1e6 * recording), expected, 1e-5)
    predictor = StreamPredictor(pipe)
    for _ in range(2):  # whoever goes on is told again
        with pytest.raises(ValueError, match="one is in volts, the other in micro.*unit='V'"):
            predictor.push(1e6 * recording)

    X, y = _epochs()
    arrays = EEGTransformerClassifier(**TINY, sfreq=SFREQ).fit(X.get_data(units="uV"), y)
    recording = _stream() - 1e-3
    windows = _windows(1e6 * recording, range(100, 401, 10), 100)
    for unit, factor in ((None, 1e6), ("uV", 1e6), ("V", 1)):
        found = StreamPredictor(arrays, unit=unit).push(factor * recording)
        _assert_close(found, arrays.predict_proba(windows), 1e-5)
    in_microvolts = _fit(ToMicrovolts())
    found = StreamPredictor(in_microvolts).push(recording)
    _assert_close(found, in_microvolts[-1].predict_proba(windows), 1e-5)


def test_bad_chunks_leave_the_state_as_it_was(pipe):
    recording = _stream()
    predictor = StreamPredictor(pipe)
    predictions = predictor.push(recording[:, :150])
    broken = recording[:, 150:].copy()
    broken[3, 10] = np.nan
    for chunk, message in (
        (broken, r"NaN or infinity in 1 of 5 .* channel C4 at 1\.600 s"),
        (recording[:4], r"chunk has shape .* with 5 channels, from Fz to Pz"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.push(chunk)
    predictions += predictor.push(recording[:, 150:])
    _assert_close(predictions, StreamPredictor(pipe).push(recording))


def test_lower_rate():
    X, y = _epochs(sfreq=300.0)
    pipe = make_pipeline(Resampler(100), EEGTransformerClassifier(**TINY)).fit(X, y)
    times = np.arange(1200) / 300
    slow, fast = np.sin(2 * np.pi * 10 * times), np.sin(2 * np.pi * 90 * times)
    predictor = StreamPredictor(pipe, step=0.5)
    (stage,) = predictor._stages
    kept = stage(np.stack([slow, fast]))
    assert kept.shape == (2, 400)
    assert abs(np.abs(kept[0, 100:]).max() - 1) < 0.02
    assert np.abs(kept[1, 100:]).max() < 1e-3  # would be a wave of 10 Hz
    recording = _stream(sfreq=300.0)
    expected = predictor.reset().push(recording)
    assert [p.time for p in expected] == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    for length in (1, 50):
        found = _push(predictor.reset(), _cut(recording, length))
        _assert_close(found, expected)
    with pytest.raises(ValueError, match=r"250 Hz into 100 Hz.*whole multiple of 100 Hz"):
        StreamPredictor(pipe, sfreq=250)


def test_later_training_changes_nothing():
    X, y = _epochs()
    classifier = EEGTransformerClassifier(**TINY).fit(X, y)
    predictor = StreamPredictor(classifier)
    before = _probabilities(predictor.push(_stream()))
    classifier.fine_tune(X, y)
    np.testing.assert_array_equal(_probabilities(predictor.reset().push(_stream())), before)


def test_refusals(pipe):
    with pytest.raises(TypeError, match="there is a LinearDiscriminantAnalysis"):
        StreamPredictor(make_baseline("csp+lda"))
    with pytest.raises(ValueError, match=r"'euclideanalignment'.*all epochs of a subject at once"):
        StreamPredictor(_fit(EuclideanAlignment()))
    with pytest.raises(ValueError, match=r"'bandpassfilter'.* looks ahead; take method='iir'"):
        StreamPredictor(_fit(BandPassFilter(4.0, 30.0, method="fir")))
    X, y = _epochs()
    arrays = EEGTransformerClassifier(**TINY).fit(X.get_data(units="uV"), y)
    for model, params, message in (
        (pipe, {"step": 0.001}, r"less than a sample, 0\.01 s"),
        (pipe, {"sfreq": 250}, "at 250 Hz, but the step 'bandpassfilter' was fitted at 100 Hz"),
        (pipe, {"ch_names": [*NAMES, "Fz"]}, "occur twice: Fz"),
        (pipe, {"ch_names": ["Fz", "Cz", "C4"]}, "ch_names has no C3, Pz, which"),
        (arrays, {"sfreq": SFREQ, "ch_names": NAMES}, "knows no names"),
        (arrays, {}, "tell no sampling rate; say with sfreq"),
    ):
        with pytest.raises(ValueError, match=message):
            StreamPredictor(model, **params)
