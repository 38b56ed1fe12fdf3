"""Predictions with other electrodes than those of `fit`."""

import mne
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from skeegformer import EEGTransformerClassifier, make_simulated_eeg
from skeegformer._validation import validate_eeg
from skeegformer.datasets import MappedEpochs

HALF = slice(None, None, 2)
EIGHT = ["F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
PARAMS = {"n_heads": 8, "max_epochs": 20, "random_state": 0}


def by_electrode(**params):
    return EEGTransformerClassifier(positions="electrode", **{**PARAMS, **params})


@pytest.fixture(scope="module")
def recording():
    """Six subjects with a strong rhythm: X, y, the subject of each epoch."""
    X, y, metadata, _ = make_simulated_eeg(
        n_subjects=6, n_epochs=20, snr=30.0, sfreq=80.0, duration=1.0, random_state=0
    )
    return X, y, metadata["subject"].to_numpy()


@pytest.fixture(scope="module")
def unseen(recording):
    """Epochs of subjects that the classifiers below do not know."""
    X, y, subject = recording
    return X[subject > 4], y[subject > 4]


@pytest.fixture(scope="module")
def fitted(recording):
    """Classifier of all 64 channels of the first four subjects."""
    X, y, subject = recording
    return by_electrode().fit(X[subject <= 4], y[subject <= 4])


@pytest.fixture(scope="module")
def by_name(recording):
    """Train the same classifier, but for what it asks of channels."""
    X, y, subject = recording
    return EEGTransformerClassifier(**PARAMS).fit(X[subject <= 4], y[subject <= 4])


def some(X, names):
    return X.copy().pick(names)


def completed(classifier, X):
    return validate_eeg(classifier, X, reset=False).data


def test_missing_channels_are_those_that_mne_interpolates(fitted, unseen):
    X, _ = unseen
    names = X.ch_names[HALF]
    expected = X.copy()
    expected.info["bads"] = [name for name in X.ch_names if name not in names]
    expected.interpolate_bads(reset_bads=False)
    data = completed(fitted, some(X, names))
    assert data.dtype == np.float32
    np.testing.assert_allclose(data, expected.get_data(units="uV"), rtol=1e-5, atol=1e-4)


def test_bad_channels_estimate_no_others(fitted, unseen):
    X, _ = unseen
    marked = some(X, X.ch_names[HALF])
    bad = X.ch_names[HALF][3]
    marked.info["bads"] = [bad]
    data = completed(fitted, marked)
    without = completed(fitted, marked.copy().drop_channels([bad]))
    others = [index for index, name in enumerate(X.ch_names) if name != bad]
    np.testing.assert_allclose(data[:, others], without[:, others], rtol=1e-6)
    index = X.ch_names.index(bad)
    np.testing.assert_array_equal(data[:, index], completed(fitted, X)[:, index])


def test_with_all_channels_nothing_changes(fitted, by_name, unseen):
    new, _ = unseen
    expected = by_name.decision_function(new)
    np.testing.assert_array_equal(fitted.decision_function(new), expected)
    shuffled = new.copy().reorder_channels(new.ch_names[::-1])
    np.testing.assert_array_equal(fitted.decision_function(shuffled), expected)
    array = new.get_data(units="uV")
    np.testing.assert_allclose(fitted.decision_function(array), expected, atol=1e-5)
    # Nothing is estimated, so that positions are not asked for and further channels not read.
    info = mne.create_info(["A1"], new.info["sfreq"], "eeg")
    more = mne.EpochsArray(np.ones((len(new), 1, len(new.times))), info, events=new.events)
    more = new.copy().set_montage(None).add_channels([more], force_update_info=True)
    np.testing.assert_array_equal(fitted.decision_function(more), expected)


def test_order_does_not_matter(fitted, unseen):
    few = some(unseen[0], unseen[0].ch_names[HALF])
    expected = fitted.decision_function(few)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(few.ch_names).tolist()
        found = fitted.decision_function(few.copy().reorder_channels(order))
        np.testing.assert_array_equal(found, expected)


def test_half_of_the_electrodes_are_nearly_as_good(fitted, unseen, report):
    X, y = unseen
    scores = {
        len(names): balanced_accuracy_score(y, fitted.predict(some(X, names)))
        for names in (X.ch_names, X.ch_names[HALF], EIGHT)
    }
    report(f"trained with 64 electrodes, balanced accuracy by number of electrodes: {scores}")
    assert scores[32] > 0.8
    assert scores[32] > scores[64] - 0.1
    assert scores[8] > 0.7


def test_another_montage(fitted, unseen):
    X, y = unseen
    sphere = mne.channels.make_standard_montage("biosemi64")
    # The other cap has its electrodes a little elsewhere, and other names for them.
    other = some(X, [name for name in X.ch_names if name in sphere.ch_names]).set_montage(sphere)
    assert other.ch_names != X.ch_names
    other.rename_channels({name: f"E{i}" for i, name in enumerate(other.ch_names)})
    assert balanced_accuracy_score(y, fitted.predict(other)) > 0.8
    # Electrodes of the same place are found under any name.
    renamed = X.copy().rename_channels({name: f"E{i}" for i, name in enumerate(X.ch_names)})
    np.testing.assert_array_equal(completed(fitted, renamed), completed(fitted, X))


def test_positions_without_the_points_of_a_head(fitted, unseen):
    few = some(unseen[0], EIGHT)
    expected = completed(fitted, few)
    with few.info._unlock():
        few.info["dig"] = None
    np.testing.assert_allclose(completed(fitted, few), expected, atol=1e-3)


def test_adapted_to_subjects(recording):
    X, y, subject = recording
    known, half = subject <= 4, X.ch_names[HALF]
    classifier = by_electrode(adapt=True, max_epochs=2).fit(X[known], y[known])
    filled = X[~known].copy()
    filled.info["bads"] = [name for name in X.ch_names if name not in half]
    filled.interpolate_bads()
    found = classifier.decision_function(some(X[~known], half))
    np.testing.assert_allclose(found, classifier.decision_function(filled), atol=1e-3)
    # A subject of fit keeps its mean, whoever else is there.
    own = some(X[subject == 1], half)
    both = classifier.decision_function(some(X[(subject == 1) | (subject == 5)], half))
    np.testing.assert_allclose(both[: len(own)], classifier.decision_function(own), atol=1e-5)


def without_position(X, names, place=np.nan):
    X = X.copy()
    for channel in X.info["chs"]:
        if channel["ch_name"] in names:
            channel["loc"][:3] = place
    return X


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X: X.pick(["C3"]), "lacks 63 of the 64 .* has only 1 electrode; at least 4"),
        (lambda X: X.pick(["C3", "Cz", "C4"]), "has only 3 electrodes; at least 4"),
        (
            lambda X: X.pick(["Fp1", "Fp2", "AF3", "AF4"]),
            r"too far from its electrodes \(Fp1, Fp2, AF3, AF4\) .* away .* all over the head",
        ),
        (lambda X: X.pick(EIGHT).set_montage(None), "none for F3, F4, C3, .*; set a montage"),
        (lambda X: without_position(X.pick(EIGHT), ["P4"]), "there are none for P4; set a montage"),
        (lambda X: X.pick(EIGHT).get_data(), "8 channels, .* with 64, and X is an array, which"),
        (lambda X: X.pick(EIGHT).crop(0, 0.5), "samples an epoch"),
    ],
)
def test_what_cannot_be_estimated(fitted, unseen, change, match):
    with pytest.raises(ValueError, match=match):
        fitted.predict(change(unseen[0].copy()))


def test_a_file_that_names_its_channels_but_not_their_places(fitted, unseen, tmp_path):
    data = unseen[0].get_data(picks=EIGHT, units="uV").astype("f4")
    data.transpose(0, 2, 1).tofile(tmp_path / "some.dat")
    few = MappedEpochs(tmp_path / "some.dat", data.shape, ch_names=EIGHT, sfreq=80.0)
    with pytest.raises(ValueError, match="none for any; .* export the file"):
        fitted.predict(few)


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X: X.get_data(units="uV"), "X is an array, which does not tell; pass"),
        (lambda X: X.set_montage(None), "X has none for FC5, FC3, .* 56 more; set a montage"),
        (lambda X: without_position(X, ["Cz", "Oz"]), "X has none for Cz, Oz; set a montage"),
        (lambda X: without_position(X, ["Cz"], 70.0), "X has none for Cz; set a montage"),  # mm
        (lambda X: X.set_channel_types({"Iz": "seeg"}), "X has none for Iz; .* or not on the head"),
    ],
)
def test_what_positions_cannot_be_learnt_from(recording, change, match):
    X, y, _ = recording
    with pytest.raises(ValueError, match=match):
        by_electrode().fit(change(X[:20].copy()), y[:20])


@pytest.mark.parametrize(
    "before, message",
    [
        (lambda X: X.set_montage(None), "not all Epochs in fit had positions .* fit again"),
        (lambda X: X.get_data(units="uV"), "fitted with 64, and fit had an array"),
    ],
)
def test_fitted_without_positions_and_asked_for_them_later(recording, before, message):
    X, y = recording[0][:20], recording[1][:20]
    classifier = EEGTransformerClassifier(max_epochs=1).fit(before(X.copy()), y)
    classifier.set_params(positions="electrode")
    assert len(classifier.predict(X)) == 20
    with pytest.raises(ValueError, match=message):
        classifier.predict(some(X, EIGHT))


def test_by_name_others_are_refused_with_a_hint(by_name, unseen):
    new, _ = unseen
    hint = r" A classifier with positions='electrode' estimates those that are missing\."
    few = some(new, EIGHT)
    nowhere = few.copy().set_montage(None)
    for X, ending in ((few, hint), (some(new, EIGHT[:3]), ""), (nowhere, "")):
        with pytest.raises(ValueError, match=rf"was fitted with 64; missing: .*Iz\.{ending}$"):
            by_name.predict(X)
