"""Simulated EEG: the truth that is announced is the truth that is in the data."""

import warnings

import mne
import numpy as np
import pytest
from mne.decoding import CSP
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skeegformer.datasets import make_simulated_eeg


def band_power(X, sfreq=160.0, low=8.0, high=12.0):
    """Power per epoch and channel in a band, straight from the periodogram."""
    power = abs(np.fft.rfft(X)) ** 2
    f = np.fft.rfftfreq(X.shape[-1], 1 / sfreq)
    return power[..., (f >= low) & (f <= high)].mean(-1)


@pytest.fixture(scope="module")
def default():
    return make_simulated_eeg(random_state=0)


def test_default_has_shape_units_and_metadata(default):
    X, y, metadata, truth = default
    assert isinstance(X, mne.BaseEpochs)
    assert X.get_data().shape == (320, 64, 320)
    assert X.info["sfreq"] == 160.0
    assert 10e-6 < X.get_data().std() < 25e-6
    assert list(metadata.columns) == ["subject", "session", "run"]
    assert metadata["subject"].value_counts(sort=False).to_dict() == dict.fromkeys(range(1, 9), 40)
    assert metadata["subject"].dtype.kind == "i"
    assert X.metadata.equals(metadata)
    names = {code: name for name, code in X.event_id.items()}
    assert [names[code] for code in X.events[:, 2]] == y.tolist()
    assert X.ch_names == list(truth.ch_names)


def test_classes_are_balanced_in_each_subject_and_in_random_order():
    _, y, metadata, _ = make_simulated_eeg(
        3, 10, sources={"a": "C3", "b": "C4", "c": "Cz"}, random_state=0
    )
    counts = metadata.assign(y=y).groupby(["subject", "y"]).size()
    assert counts.min() == 3
    assert counts.max() == 4
    orders = [tuple(y[metadata["subject"] == s]) for s in (1, 2, 3)]
    assert len(set(orders)) == 3
    assert orders[0] != tuple(sorted(orders[0]))


def test_electrodes_stand_where_the_standard_montage_puts_them(default):
    X, *_ = default
    kinds = mne.channels.get_builtin_montages()
    kind = "colin27_1005" if "colin27_1005" in kinds else "standard_1005"
    info = mne.create_info(X.ch_names, 160.0, "eeg")
    info.set_montage(kind)
    for ours, theirs in zip(X.info["chs"], info["chs"], strict=True):
        assert_allclose(ours["loc"][:3], theirs["loc"][:3])


def test_arrays_are_the_epochs_in_microvolts():
    X, y, metadata, _ = make_simulated_eeg(2, 6, random_state=3)
    Z, z, table, _ = make_simulated_eeg(2, 6, random_state=3, return_epochs=False)
    assert_allclose(Z, 1e6 * X.get_data())
    assert_array_equal(y, z)
    assert metadata.equals(table)


def test_equal_seeds_give_equal_data_and_leave_the_global_generator_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_simulated_eeg(2, 4, n_distractors=2, return_epochs=False, random_state=5)
    second = make_simulated_eeg(2, 4, n_distractors=2, return_epochs=False, random_state=5)
    other = make_simulated_eeg(2, 4, n_distractors=2, return_epochs=False, random_state=6)
    assert_array_equal(first[0], second[0])
    assert_array_equal(first[1], second[1])
    assert not np.allclose(first[0], other[0])
    assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    "sources",
    [{"left": "C3", "right": "C4"}, {"front": "F3", "back": "PO4"}, {"x": "Cz", "y": "T8"}],
)
def test_power_differs_most_at_the_named_electrodes(sources):
    X, y, _, truth = make_simulated_eeg(
        6, 60, sources=sources, snr=4, return_epochs=False, random_state=1
    )
    power = band_power(X)
    first, second = sources
    difference = power[y == first].mean(0) - power[y == second].mean(0)
    assert truth.ch_names[difference.argmax()] == sources[first]
    assert truth.ch_names[difference.argmin()] == sources[second]
    graded = truth.gain.loc[first] ** 2 - truth.gain.loc[second] ** 2
    assert np.corrcoef(difference, graded)[0, 1] > 0.8


def test_snr_is_the_ratio_of_rhythm_to_background_at_the_electrode():
    """The same class with and without its rhythm, in subjects that do not differ."""
    X, y, _, truth = make_simulated_eeg(
        10, 100, snr=2.0, variability=0, return_epochs=False, random_state=0
    )
    c3 = truth.ch_names.index("C3")
    power = band_power(X)[:, c3]
    on, off = power[y == "left"].mean(), power[y == "right"].mean()
    # A little of C4's rhythm reaches C3 as well.
    leak = truth.gain.loc["right", "C3"] ** 2
    background = off / (1 + 2 * leak)
    assert (on - background) / background == pytest.approx(2.0, rel=0.25)


def test_classes_are_equal_without_snr():
    X, y, _, _ = make_simulated_eeg(4, 100, snr=0, return_epochs=False, random_state=0)
    power = np.log(band_power(X))
    z = (power[y == "left"].mean(0) - power[y == "right"].mean(0)) / power.std(0)
    assert (abs(z) < 4 * np.sqrt(4 / len(y))).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_default_is_neither_trivial_nor_hopeless_across_subjects(seed):
    X, y, metadata, _ = make_simulated_eeg(return_epochs=False, random_state=seed)
    assert 0.75 < csp_lda(X, y, metadata) < 0.97


def csp_lda(X, y, metadata):
    filtered = mne.filter.filter_data(X, 160.0, 6.0, 14.0, verbose="ERROR")
    pipe = make_pipeline(CSP(6, reg="ledoit_wolf"), LinearDiscriminantAnalysis())
    return cross_val_score(
        pipe,
        filtered,
        y,
        groups=metadata["subject"],
        cv=GroupKFold(4),
        scoring="balanced_accuracy",
    ).mean()


def test_distractors_are_loud_uninformative_and_away_from_the_sources():
    options = {"return_epochs": False, "random_state": 2}
    X, y, _, truth = make_simulated_eeg(8, 60, n_distractors=5, distractor_gain=7.0, **options)
    loud = truth.is_distractor
    assert loud.sum() == 5
    assert not (loud & truth.is_source).any()
    assert (truth.gain.loc[:, loud] == 0).all(axis=None)
    rms = np.sqrt((X**2).mean(axis=(0, 2)))
    assert set(np.argsort(rms)[-5:]) == set(np.flatnonzero(loud))
    assert np.median(rms[loud]) / np.median(rms[~loud]) == pytest.approx(7.0, rel=0.3)

    power = np.log(band_power(X))[:, loud]
    spread = power.std(axis=0) * np.sqrt(4 / len(y))
    assert (abs(power[y == "left"].mean(0) - power[y == "right"].mean(0)) < 4 * spread).all()

    without, labels, _, _ = make_simulated_eeg(8, 60, **options)
    assert_array_equal(labels, y)
    assert_array_equal(without[:, ~loud], X[:, ~loud])


def test_subjects_differ_in_peak_amplitude_and_slope(default):
    X, _, metadata, truth = default
    assert (truth.subjects.std() > [0.2, 0.1, 0.03]).all()
    data = X.get_data()
    rms = [data[metadata["subject"] == s].std() for s in truth.subjects.index]
    assert np.corrcoef(rms, truth.subjects["amplitude"])[0, 1] > 0.95
    _, _, _, alike = make_simulated_eeg(4, 4, variability=0, random_state=0)
    assert (alike.subjects.std() == 0).all()


def test_rhythm_peaks_where_the_truth_says():
    X, y, metadata, truth = make_simulated_eeg(
        3, 100, frequency=20.0, snr=10, slope=1.2, return_epochs=False, random_state=0
    )
    f = np.fft.rfftfreq(X.shape[-1], 1 / 160.0)
    power = abs(np.fft.rfft(X[:, truth.ch_names.index("C3")])) ** 2
    for subject, row in truth.subjects.iterrows():
        of_subject = (metadata["subject"] == subject).to_numpy()
        on = power[of_subject & (y == "left")].mean(0) - power[of_subject & (y == "right")].mean(0)
        assert f[on.argmax()] == pytest.approx(row["frequency"], abs=1.0)


def test_background_falls_with_frequency_as_asked():
    X, *_ = make_simulated_eeg(
        2, 100, snr=0, slope=1.5, variability=0, return_epochs=False, random_state=0
    )
    f = np.fft.rfftfreq(X.shape[-1], 1 / 160.0)
    use = (f >= 3) & (f <= 40)
    spectrum = (abs(np.fft.rfft(X * np.hanning(X.shape[-1]))) ** 2).mean((0, 1))
    slope = np.polyfit(np.log(f[use]), np.log(spectrum[use]), 1)[0]
    assert slope == pytest.approx(-1.5, abs=0.15)


def test_background_is_correlated_between_neighbours_more_than_across_the_head():
    X, _, _, truth = make_simulated_eeg(2, 20, snr=0, return_epochs=False, random_state=0)
    r = np.corrcoef(X.transpose(1, 0, 2).reshape(64, -1))
    at = truth.ch_names.index
    assert r[at("C3"), at("C1")] > 0.5 > r[at("C3"), at("C6")]
    assert np.linalg.matrix_rank(r) == 64


def test_several_sources_none_at_all_and_other_lengths():
    X, y, _, truth = make_simulated_eeg(
        1,
        40,
        sources={"rest": [], "both": ["C3", "C4"]},
        sfreq=128.0,
        duration=1.5,
        snr=8,
        return_epochs=False,
        random_state=0,
    )
    assert X.shape == (40, 64, 192)
    assert truth.electrodes == {"rest": (), "both": ("C3", "C4")}
    assert (truth.gain.loc["rest"] == 0).all()
    assert np.flatnonzero(truth.is_source).tolist() == [8, 12]
    assert truth.positions["both"].shape == (2, 3)
    power = band_power(X, 128.0)
    gained = power[y == "both"].mean(0) / power[y == "rest"].mean(0)
    assert gained[[8, 12]].min() > 3


def test_source_positions_lie_inside_the_head_below_their_electrodes(default):
    X, _, _, truth = default
    for label, name in (("left", "C3"), ("right", "C4")):
        below = truth.positions[label][0]
        electrode = X.info["chs"][X.ch_names.index(name)]["loc"][:3]
        assert 0.005 < np.linalg.norm(electrode - below) < 0.04
        distances = [np.linalg.norm(ch["loc"][:3] - below) for ch in X.info["chs"]]
        assert X.ch_names[int(np.argmin(distances))] == name


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sources": {"a": "C3", "b": "C99"}}, "'C99'"),
        ({"sources": {"a": "C3"}}, "two or more"),
        ({"n_epochs": 1}, "n_epochs=1 "),
        ({"n_subjects": 0}, "n_subjects=0"),
        ({"n_distractors": 64}, "n_distractors=64"),
        ({"n_distractors": -1}, "n_distractors=-1"),
        ({"snr": -1}, "snr=-1"),
        ({"duration": 0}, "duration=0"),
        ({"frequency": 79.0}, "frequency=79.0"),
        ({"background": float("nan")}, "background=nan"),
    ],
)
def test_impossible_requests_are_refused_with_the_value(options, message):
    with pytest.raises(ValueError, match=message):
        make_simulated_eeg(**options)


def test_no_warning_is_given():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_simulated_eeg(2, 4, n_distractors=1, random_state=0)
