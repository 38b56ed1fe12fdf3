"""Simulated EEG: the truth that is announced is the truth that is in the data."""

from functools import lru_cache

import mne
import numpy as np
import pytest
from mne.decoding import CSP
from numpy.testing import assert_array_equal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skeegformer.datasets import SIMULATED_CASES, make_simulated_eeg

BANDS = {"delta": (1, 4), "theta": (4, 8), "alpha": (8, 13), "beta": (13, 30)}


def band_power(X, sfreq=160.0, low=8.0, high=12.0):
    """Power per epoch and channel in a band, straight from the periodogram."""
    power = abs(np.fft.rfft(X)) ** 2
    f = np.fft.rfftfreq(X.shape[-1], 1 / sfreq)
    return power[..., (f >= low) & (f <= high)].mean(-1)


def z_score(values, y, first="left", second="right"):
    """Difference between the means of two classes, in units of its standard error."""
    a, b = values[y == first], values[y == second]
    return (a.mean(0) - b.mean(0)) / np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))


def band_z_scores(X, y):
    """Compare the power of two classes in each band, of shape (n_bands, n_chans)."""
    bands = BANDS.values()
    return np.array([z_score(np.log(band_power(X, low=a, high=b)), y) for a, b in bands])


def arrays(*args, random_state=0, **options):
    X, y, metadata, truth = make_simulated_eeg(*args, random_state=random_state, **options)
    return X.get_data(units="uV"), y, metadata, truth


@pytest.fixture(scope="module")
def case():
    """Return a function that makes the arrays of a case, each once: X, y, metadata, truth."""
    return lru_cache(4)(arrays)


@pytest.fixture(scope="module")
def default():
    return make_simulated_eeg(random_state=0)


def test_default_has_shape_units_and_metadata(default):
    X, y, metadata, truth = default
    assert X.get_data().shape == (320, 64, 320)
    assert X.info["sfreq"] == 160.0
    assert 10e-6 < X.get_data().std() < 25e-6
    assert list(metadata.columns) == ["subject", "session", "run"]
    assert metadata["subject"].value_counts(sort=False).to_dict() == dict.fromkeys(range(1, 9), 40)
    assert X.metadata.equals(metadata)
    names = {code: name for name, code in X.event_id.items()}
    assert [names[code] for code in X.events[:, 2]] == y.tolist()
    assert X.ch_names == list(truth.ch_names)


def test_classes_are_balanced_in_each_subject_and_in_random_order():
    sources = {"a": "C3", "b": "C4", "c": "Cz"}
    _, y, metadata, _ = make_simulated_eeg(3, 10, sources=sources, random_state=0)
    orders = [y[metadata["subject"] == s].tolist() for s in (1, 2, 3)]
    for order in orders:
        assert sorted(map(order.count, sources)) == [3, 3, 4]
        assert order != sorted(order)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_equal_seeds_give_equal_data_and_leave_the_global_generator_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    (X, y, *_), (Z, z, *_), (other, *_) = (arrays(2, 4, random_state=seed) for seed in (5, 5, 6))
    assert_array_equal(X, Z)
    assert_array_equal(y, z)
    assert not np.allclose(X, other)
    assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    "sources",
    [{"left": "C3", "right": "C4"}, {"front": "F3", "back": "PO4"}, {"x": "Cz", "y": "T8"}],
)
def test_power_differs_most_at_the_named_electrodes(sources):
    X, y, _, truth = arrays(6, 60, sources=sources, snr=4, random_state=1)
    power = band_power(X)
    first, second = sources
    difference = power[y == first].mean(0) - power[y == second].mean(0)
    assert truth.ch_names[difference.argmax()] == sources[first]
    assert truth.ch_names[difference.argmin()] == sources[second]
    graded = truth.gain.loc[first] ** 2 - truth.gain.loc[second] ** 2
    assert np.corrcoef(difference, graded)[0, 1] > 0.8


def test_snr_is_the_ratio_of_rhythm_to_background_at_the_electrode():
    X, y, _, truth = arrays(10, 100, snr=2.0)
    power = band_power(X)[:, truth.ch_names.index("C3")]
    on, off = power[y == "left"].mean(), power[y == "right"].mean()
    # A little of C4's rhythm reaches C3 as well.
    background = off / (1 + 2 * truth.gain.loc["right", "C3"] ** 2)
    assert (on - background) / background == pytest.approx(2.0, rel=0.25)


@pytest.mark.parametrize("seed", [0, 1])
def test_default_is_neither_trivial_nor_hopeless_across_subjects(seed):
    X, y, metadata, _ = arrays(random_state=seed)
    assert 0.75 < csp_lda(X, y, metadata) < 0.97


def across_subjects(estimator, X, y, metadata):
    """Score on other subjects than those of the training."""
    options = {"groups": metadata["subject"], "cv": GroupKFold(4), "scoring": "balanced_accuracy"}
    return cross_val_score(estimator, X, y, **options).mean()


def csp_lda(X, y, metadata):
    filtered = mne.filter.filter_data(X, 160.0, 6.0, 14.0, verbose="ERROR")
    pipe = make_pipeline(CSP(6, reg="ledoit_wolf"), LinearDiscriminantAnalysis())
    return across_subjects(pipe, filtered, y, metadata)


def test_distractors_are_loud_uninformative_and_away_from_the_sources():
    X, y, _, truth = arrays(8, 60, case="distractors", random_state=2)
    loud = truth.is_distractor
    assert loud.sum() == 5
    assert not (loud & truth.is_source).any()
    assert (truth.gain.loc[:, loud] == 0).all(axis=None)
    rms = np.sqrt((X**2).mean(axis=(0, 2)))
    assert set(np.argsort(rms)[-5:]) == set(np.flatnonzero(loud))
    assert np.median(rms[loud]) / np.median(rms[~loud]) == pytest.approx(8.0, rel=0.3)

    power = np.log(band_power(X))[:, loud]
    spread = power.std(axis=0) * np.sqrt(4 / len(y))
    assert (abs(power[y == "left"].mean(0) - power[y == "right"].mean(0)) < 4 * spread).all()


def test_subjects_differ_in_peak_amplitude_and_slope(default):
    X, _, metadata, truth = default
    assert (truth.subjects.std() > [0.2, 0.1, 0.03]).all()
    data = X.get_data()
    rms = [data[metadata["subject"] == s].std() for s in truth.subjects.index]
    assert np.corrcoef(rms, truth.subjects["amplitude"])[0, 1] > 0.95


def test_rhythm_peaks_where_the_truth_says():
    X, y, metadata, truth = arrays(3, 100, snr=10)
    f = np.fft.rfftfreq(X.shape[-1], 1 / 160.0)
    power = abs(np.fft.rfft(X[:, truth.ch_names.index("C3")])) ** 2
    for subject, row in truth.subjects.iterrows():
        of_subject = (metadata["subject"] == subject).to_numpy()
        on = power[of_subject & (y == "left")].mean(0) - power[of_subject & (y == "right")].mean(0)
        assert f[on.argmax()] == pytest.approx(row["frequency"], abs=1.0)


def test_background_falls_with_frequency_as_told_and_is_correlated_between_neighbours():
    X, y, _, truth = arrays(2, 100, snr=0)
    f = np.fft.rfftfreq(X.shape[-1], 1 / 160.0)
    use = (f >= 3) & (f <= 40)
    spectrum = (abs(np.fft.rfft(X * np.hanning(X.shape[-1]))) ** 2).mean((0, 1))
    slope = np.polyfit(np.log(f[use]), np.log(spectrum[use]), 1)[0]
    assert slope == pytest.approx(-truth.subjects["slope"].mean(), abs=0.15)
    r = np.corrcoef(X.transpose(1, 0, 2).reshape(64, -1))
    at = truth.ch_names.index
    assert r[at("C3"), at("C1")] > 0.5 > r[at("C3"), at("C6")]
    assert np.linalg.matrix_rank(r) == 64
    assert (abs(z_score(np.log(band_power(X)), y)) < 4).all()  # no rhythm, no class


def test_several_sources_none_at_all_and_other_lengths():
    sources = {"rest": [], "both": ["C3", "C4"]}
    X, y, _, truth = arrays(1, 40, sources=sources, sfreq=128.0, duration=1.5, snr=8)
    assert X.shape == (40, 64, 192)
    assert truth.electrodes == {"rest": (), "both": ("C3", "C4")}
    assert (truth.gain.loc["rest"] == 0).all()
    assert np.flatnonzero(truth.is_source).tolist() == [8, 12]
    power = band_power(X, 128.0)
    gained = power[y == "both"].mean(0) / power[y == "rest"].mean(0)
    assert gained[[8, 12]].min() > 3


def test_additions_leave_everything_else_as_it_is(case):
    X, y, _, _ = case(2, 10)
    for name, n_replaced in {"line-noise": 8, "redundant": 4, "distractors": 5}.items():
        Z, z, _, truth = case(2, 10, case=name)
        kept = ~(truth.is_line_noise | truth.is_redundant | truth.is_distractor)
        assert kept.sum() == 64 - n_replaced
        assert_array_equal(y, z)
        assert_array_equal(X[:, kept], Z[:, kept])


def test_phase_locked_classes_differ_in_waveform_and_not_in_power(case):
    X, y, _, truth = case(case="phase-locked")
    assert truth.electrodes == {"left": ("C3", "C4"), "right": ("C3", "C4")}
    difference = X[y == "left"].mean(0) - X[y == "right"].mean(0)
    c3, c4 = difference[[truth.ch_names.index(name) for name in ("C3", "C4")]]
    assert c3.argmax() / 160 == pytest.approx(0.4, abs=0.05)
    assert c4.argmin() / 160 == pytest.approx(0.4, abs=0.05)
    # Twice 25 microvolts, from opposite polarities, in subjects whose amplitudes differ.
    assert c3.max() == pytest.approx(50 * truth.subjects["amplitude"].mean(), rel=0.25)
    at_peak = abs(difference[:, 64])
    assert set(at_peak.argsort()[-2:]) == set(np.flatnonzero(truth.is_source))
    assert np.corrcoef(at_peak, truth.relevance)[0, 1] > 0.9
    assert (abs(band_z_scores(X, y)) < 4.5).all()


def test_mains_are_in_the_line_noise_channels_only(case):
    X, y, _, truth = case(case="line-noise")
    noisy = truth.is_line_noise
    assert noisy.sum() == 8
    assert not (noisy & truth.is_source).any()
    power = (abs(np.fft.rfft(X)) ** 2).mean(0)
    f = np.fft.rfftfreq(X.shape[-1], 1 / 160.0)
    ratio = power[:, f == 50.0][:, 0] / power[:, abs(f - 53) < 1].mean(-1)
    assert ratio[noisy].min() > 1000
    assert ratio[~noisy].max() < 3
    assert X[:, noisy].std() > 5 * X[:, ~noisy].std()
    for low, high in [*BANDS.values(), (49.0, 51.0)]:
        assert (abs(z_score(np.log(band_power(X, low=low, high=high)), y))[noisy] < 4).all()


def test_blinks_are_frontal_slow_and_without_a_class(case):
    X, y, _, truth = case(case="blinks")
    without, labels, _, _ = case()
    assert_array_equal(y, labels)
    blinks = X - without
    topography = blinks.reshape(-1, 64, 320).max(axis=(0, 2))
    frontal = {"Fp1", "Fpz", "Fp2", "AF7", "AF3", "AFz", "AF4", "AF8"}
    assert {truth.ch_names[k] for k in topography.argsort()[-8:]} == frontal
    assert {truth.ch_names[k] for k in np.flatnonzero(truth.is_blink)} == frontal
    assert_array_equal(truth.is_useless, truth.is_blink)
    at_fpz = blinks[:, truth.ch_names.index("Fpz")]
    assert np.median(at_fpz.max(-1)[at_fpz.max(-1) > 1]) == pytest.approx(150, rel=0.25)
    # Twenty a minute are two thirds of one in two seconds; none are in exp(-2/3) of the epochs.
    assert (at_fpz.max(-1) < 1).mean() == pytest.approx(np.exp(-2 / 3), abs=0.08)
    power = (abs(np.fft.rfft(at_fpz)) ** 2).mean(0)
    assert power[:8].sum() > 0.9 * power.sum()
    assert abs(z_score(at_fpz.max(-1), y)) < 3
    assert abs(z_score(at_fpz.argmax(-1), y)) < 3
    assert (abs(band_z_scores(X, y)[:, truth.is_blink]) < 4).all()


def test_redundant_channels_carry_what_their_source_carries(case):
    X, y, _, truth = case(case="redundant")
    r = np.corrcoef(X.transpose(1, 0, 2).reshape(64, -1))
    z = z_score(np.log(band_power(X)), y)
    at = truth.ch_names.index
    assert {truth.ch_names[k] for k in np.flatnonzero(truth.is_redundant)} == set(truth.copies)
    assert sorted(truth.copies.values()) == ["C3", "C3", "C4", "C4"]
    for copy, original in truth.copies.items():
        assert r[at(copy), at(original)] > 0.93
        assert r[at(copy), at("C4" if original == "C3" else "C3")] < 0.6
        assert z[at(copy)] / z[at(original)] == pytest.approx(1, abs=0.1)
        for table in (truth.gain, truth.relevance.to_frame().T, truth.band_relevance):
            assert_array_equal(table[copy], table[original])
    assert not truth.is_useless.any()


def test_suppressors_say_nothing_alone_and_much_beside_their_source(case):
    X, y, metadata, truth = case(case="suppressor")
    assert truth.is_suppressor.sum() == SIMULATED_CASES["suppressor"]["n_suppressors"]
    power = np.log(band_power(X))
    assert (abs(z_score(power, y))[truth.is_suppressor] < 3.5).all()
    assert (abs(band_z_scores(X, y)[:, truth.is_suppressor]) < 4).all()
    at = truth.ch_names.index
    for suppressor, source in truth.suppressed.items():
        alone = abs(z_score(power[:, at(source)], y))
        ratio = abs(z_score(power[:, at(source)] - power[:, at(suppressor)], y))
        assert ratio > 1.5 * alone
    assert set(truth.suppressed.values()) == {"C3", "C4"}
    assert not truth.is_useless.any()
    assert (truth.relevance[truth.is_suppressor] == 0).all()
    # Neither does the sum over all other electrodes make up for them.
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    everything = across_subjects(lda, power, y, metadata)
    others = across_subjects(lda, power[:, ~truth.is_suppressor], y, metadata)
    assert everything > others + 0.08


def test_weak_sources_lie_under_a_stronger_rhythm_without_a_class(case):
    X, y, _, truth = case(case="weak")
    power = band_power(X)
    o1, oz, c3 = (truth.ch_names.index(name) for name in ("O1", "Oz", "C3"))
    assert power[:, o1].mean() > 3 * power[y == "left"][:, c3].mean()
    z = z_score(np.log(power), y)
    assert abs(z[[o1, oz]]).max() < 3
    assert {truth.ch_names[k] for k in abs(z).argsort()[-2:]} == {"C3", "C4"}
    assert truth.relevance[["O1", "Oz", "O2"]].max() < 0.1
    # With the same seed, what the rhythm adds is the field of two occipital dipoles.
    added = X - case(snr=SIMULATED_CASES["weak"]["snr"])[0]
    assert np.linalg.matrix_rank(added[:40].transpose(1, 0, 2).reshape(64, -1), tol=1e-6) == 2


def test_each_class_has_the_band_that_the_truth_names(case):
    X, y, _, truth = case(case="bands")
    assert list(truth.band_relevance.index) == list(BANDS)
    z = [z_score(np.log(band_power(X, low=a, high=b - 0.1)), y) for a, b in BANDS.values()]
    z = np.array(z) * np.sqrt(4 / len(y))  # in standard deviations, nearly
    at = truth.ch_names.index
    assert z[1, at("C3")] > 1
    assert z[3, at("C4")] < -0.5
    cells = truth.band_relevance.to_numpy()
    assert cells[1, at("C3")] > 0.9
    assert cells[3, at("C4")] > 0.9
    assert (abs(z[cells < 0.05]) < 4 * np.sqrt(4 / len(y))).all()
    assert cells[1, at("C4")] < 0.1
    assert cells[3, at("C3")] < 0.1


def test_one_frequency_has_one_band_and_relevance_follows_the_difference_in_power(default):
    X, y, _, truth = default
    power = band_power(X.get_data())
    difference = abs(power[y == "left"].mean(0) - power[y == "right"].mean(0))
    assert np.corrcoef(difference, truth.relevance**2)[0, 1] > 0.9
    assert truth.band_relevance.loc["alpha"].max() == 1
    assert truth.band_relevance.loc["beta"].max() < 0.2


def test_what_classes_share_is_seen_but_not_relevant():
    _, _, _, truth = arrays(1, 4, sources={"a": ["C3", "Pz"], "b": ["C4", "Pz"]})
    assert truth.gain["Pz"].min() > 0.9
    assert truth.relevance["Pz"] < 0.3
    assert truth.relevance[["C3", "C4"]].min() > 0.9
    _, _, _, silent = make_simulated_eeg(1, 4, snr=0, random_state=0)
    assert (silent.relevance == 0).all()


@pytest.mark.parametrize("name", list(SIMULATED_CASES))
def test_every_case_can_be_learnt_from_the_electrodes_that_the_truth_names(case, name):
    X, y, metadata, truth = case(case=name)
    assert truth.case == name
    replaced = [truth.is_distractor, truth.is_line_noise, truth.is_suppressor]
    kinds = [*replaced, truth.is_redundant, truth.is_source, truth.is_blink]
    assert np.sum(kinds, axis=0).max() == 1
    assert_array_equal(truth.is_useless, truth.is_distractor | truth.is_line_noise | truth.is_blink)
    for table in (truth.gain, truth.relevance.to_frame().T, truth.band_relevance):
        assert (table.loc[:, np.any(replaced, axis=0)] == 0).all(axis=None)
        assert table.to_numpy().max() == pytest.approx(1)
    use = (truth.relevance > 0.5).to_numpy() | truth.is_suppressor
    power = [np.log(band_power(X, low=low, high=high)) for low, high in BANDS.values()]
    waveform = X[:, :, 56:72].mean(-1) - X.mean(-1)
    features = np.stack([*power, waveform], axis=-1)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    assert across_subjects(lda, features[:, use].reshape(len(y), -1), y, metadata) > 0.78
    if truth.is_useless.any():
        useless = features[:, truth.is_useless].reshape(len(y), -1)
        assert abs(across_subjects(lda, useless, y, metadata) - 0.5) < 0.12
