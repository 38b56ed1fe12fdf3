"""Left and right exchanged: partners of electrodes, class names, and the classifier that votes."""

import mne
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skeegformer import (
    EEGTransformerClassifier,
    EuclideanAlignment,
    load_eegmmi,
    make_baseline,
    make_eeg_pipeline,
)
from skeegformer.preprocessing import MirroredClassifier, mirror_classes, mirror_pairs

NAMES = ["C3", "Cz", "C4"]
SWAP = {"left": "right", "right": "left"}


@pytest.fixture(scope="module")
def one_sided():
    """Three channels; those of class left are loud over C4, those of class right over C3."""
    rng = np.random.default_rng(0)
    y = np.tile(["left", "right"], 30)
    X = rng.normal(size=(60, 3, 50))
    X[y == "left", 2] *= 3
    X[y == "right", 0] *= 3
    return X, y


@pytest.mark.parametrize("montage", ["standard_1020", "standard_1005", "biosemi64"])
def test_partners_by_name_are_the_partners_in_space(montage):
    positions = mne.channels.make_standard_montage(montage).get_positions()["ch_pos"]
    for name, partner in mirror_pairs(list(positions)).items():
        distance = np.linalg.norm(positions[name] * [-1, 1, 1] - positions[partner])
        assert distance < 0.015, (name, partner)
        assert np.sign(positions[name][0]).item() * np.sign(positions[partner][0]).item() <= 0 or (
            name == partner
        )


def _numbered(prefix, n):
    return [f"{prefix}{i}" for i in range(1, n + 1)]


@pytest.mark.parametrize(
    "names, kind, montage",
    [
        (_numbered("A", 10), "seeg", None),
        (["A1", "A2"], "seeg", None),
        (_numbered("C", 12), "ecog", None),
        (_numbered("C", 4), "eeg", None),
        (_numbered("C", 12), "eeg", "biosemi128"),
        (_numbered("C", 6), "eeg", "biosemi128"),
        (_numbered("E", 32), "eeg", "GSN-HydroCel-128"),
        (["C3", "Cz", "C4", "T10"], "eeg", "standard_1020"),
    ],
)
def test_a_doubtful_guess_is_no_guess(names, kind, montage):
    """Contacts in the head, grids, numbered caps, a channel without partner."""
    info = mne.create_info(names, 80.0, kind)
    if montage:
        info.set_montage(montage, on_missing="ignore")
    data = 1e-5 * np.random.default_rng(0).normal(size=(8, len(names), 80))
    X, y = mne.EpochsArray(data, info, verbose="ERROR"), np.tile(["left", "right"], 4)
    classifier = EEGTransformerClassifier(max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="No epoch is mirrored"):
        classifier.fit(X, y)
    assert classifier.mirror_pairs_ is classifier.mirrored_classes_ is None
    for asked in (classifier.set_params(mirror=SWAP), MirroredClassifier(DummyClassifier())):
        with pytest.raises(ValueError, match="partner"):
            asked.fit(X, y)


@pytest.mark.parametrize("form", ["EEG {}-Ref", "{}..", "EEG {}", "{}-LE", "EEG {}.."])
def test_what_recordings_put_around_names(form):
    names = ["C3", "Cz", "C4", "Fp1", "FP2"]
    pairs = mirror_pairs([form.format(name) for name in names])
    expected = {"C3": "C4", "Cz": "Cz", "C4": "C3", "Fp1": "FP2", "FP2": "Fp1"}
    assert pairs == {form.format(a): form.format(b) for a, b in expected.items()}
    with pytest.raises(ValueError, match="no partner on the other side by name"):
        mirror_pairs(["C3-A2", "C4-A2"])


def test_old_and_oddly_written_names():
    both = [("T3", "T4"), ("T5", "T6"), ("FP1", "fp2"), ("OZ", "OZ"), ("FFC1h", "FFC2h")]
    expected = dict([*both, ("A1", "A2"), ("A2", "A1"), *(pair[::-1] for pair in both)])
    assert mirror_pairs(list(expected)) == expected


def test_channels_without_partner(simulated):
    with pytest.raises(ValueError, match="C3, EEG 001 have no partner .* by name"):
        mirror_pairs(["C3", "Cz", "EEG 001"])
    with pytest.raises(ValueError, match="C4 has no partner .* by name"):
        mirror_pairs(simulated[0].copy().drop_channels(["C3"]).info)
    swapped = simulated[0].copy().rename_channels({"C3": "C4", "C4": "C3"})
    with pytest.raises(ValueError, match="are partners by name, but not by position: rename"):
        mirror_pairs(swapped.info)
    with pytest.raises(ValueError, match="occur twice: Cz"):
        mirror_pairs(["Cz", "Cz"])


@pytest.mark.parametrize(
    "classes, expected",
    [
        (["feet", "left", "right"], SWAP),
        (["LEFT_hand", "RIGHT_hand"], {"LEFT_hand": "RIGHT_hand", "RIGHT_hand": "LEFT_hand"}),
        (["handLeft", "handRight"], {"handLeft": "handRight", "handRight": "handLeft"}),
        (["bright", "cleft", "eyes-open"], None),
        ([0, 1], None),
        (
            ["left-fist-imag", "left-fist-move", "right-fist-imag", "right-fist-move"],
            {
                f"{a}-fist-{what}": f"{b}-fist-{what}"
                for a, b in SWAP.items()
                for what in ("imag", "move")
            },
        ),
    ],
)
def test_classes_that_turn_into_each_other(classes, expected):
    assert mirror_classes(np.array(classes)) == expected


@pytest.mark.parametrize("alone", ["left-fist", "right_hand", "Left"])
def test_a_side_without_the_other(alone):
    with pytest.raises(ValueError, match=f"The mirror image of class {alone!r} is .* not among"):
        mirror_classes([alone, "feet"])


class _Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was trained on; its probabilities are the share of power in C3."""

    def fit(self, X, y, groups=None):
        self.X_, self.y_, self.groups_ = X, np.asarray(y), groups
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        power = (np.asarray(X) ** 2).mean(axis=2)
        share = power[:, 0] / power.sum(axis=1)
        others = (1 - share) / (len(self.classes_) - 1)
        return np.column_stack([share] + [others] * (len(self.classes_) - 1))


def test_trains_on_both_sides_and_averages_their_probabilities(one_sided):
    X, y = one_sided
    y = np.where(np.arange(60) < 20, "feet", y)
    groups = np.arange(60) // 10
    classifier = MirroredClassifier(_Recorder(), input_ch_names=NAMES).fit(X, y, groups=groups)
    inner = classifier.classifier_
    np.testing.assert_array_equal(inner.X_, np.concatenate([X, X[:, ::-1]]))
    exchanged = [SWAP.get(label, label) for label in y]
    np.testing.assert_array_equal(inner.y_, np.concatenate([y, exchanged]))
    np.testing.assert_array_equal(inner.groups_, np.tile(groups, 2))
    feet, left, right = inner.predict_proba(X[:, ::-1]).T
    expected = (inner.predict_proba(X) + np.column_stack([feet, right, left])) / 2
    np.testing.assert_allclose(classifier.predict_proba(X), expected)
    assert classifier.classes_.tolist() == ["feet", "left", "right"]
    np.testing.assert_array_equal(
        classifier.predict(X), classifier.classes_[expected.argmax(axis=1)]
    )


def test_an_image_is_the_epochs_with_partners_exchanged(simulated):
    """Eye channels stay, and alignment after mirroring is mirroring after alignment."""
    X, y, metadata, _ = simulated
    X = X.copy().set_channel_types({"Fp1": "eog", "Fp2": "eog"}, on_unit_change="ignore")
    both = MirroredClassifier(_Recorder()).fit(X, y).classifier_.X_
    images = both[len(X) :]
    for name, other in (("C3", "C4"), ("FC6", "FC5"), ("Oz", "Oz"), ("Fp1", "Fp1")):
        np.testing.assert_array_equal(images.get_data(picks=[name]), X.get_data(picks=[other]))
    assert images.ch_names == X.ch_names
    align = EuclideanAlignment()
    aligned = MirroredClassifier(_Recorder()).fit(align.fit_transform(X), y).classifier_.X_
    np.testing.assert_allclose(
        align.fit_transform(images, groups=metadata["subject"]).get_data("eeg"),
        aligned[len(X) :].get_data("eeg"),
        atol=1e-6 * aligned.get_data("eeg").std(),
    )


@pytest.mark.parametrize(
    "swap, expected",
    [
        ("auto", SWAP),
        ({}, {"left": "left", "right": "right"}),
        ({"left": "right"}, SWAP),
        ({"left": "left"}, {"left": "left", "right": "right"}),
    ],
)
def test_which_labels_are_exchanged(one_sided, swap, expected):
    X, y = one_sided
    mirrored = MirroredClassifier(DummyClassifier(), swap=swap, input_ch_names=NAMES).fit(X, y)
    assert mirrored.mirrored_classes_ == expected
    assert mirrored.mirror_pairs_.tolist() == [2, 1, 0]


@pytest.mark.parametrize("codes", [(1, 2), ("769", "770"), ("T1", "T2")])
def test_classes_that_name_no_side_are_not_mirrored_unasked(one_sided, codes):
    """Images under their old label would bring any classifier down to chance."""
    X, y = one_sided
    y = np.where(y == "left", *codes)
    mirrored = MirroredClassifier(make_baseline("ts+lr"), input_ch_names=NAMES)
    with pytest.warns(UserWarning, match="No epoch is mirrored, since none of the classes"):
        mirrored.fit(X, y)
    assert mirrored.mirror_pairs_ is mirrored.mirrored_classes_ is None
    assert balanced_accuracy_score(y, mirrored.predict(X)) > 0.9
    told = clone(mirrored).set_params(swap={codes[0]: codes[1]}).fit(X, y)
    assert told.mirrored_classes_ == dict([codes, codes[::-1]])
    assert balanced_accuracy_score(y, told.predict(X)) > 0.9


@pytest.mark.parametrize(
    "params, message",
    [
        ({"swap": "both"}, "swap='both' is not 'auto' or a dict"),
        ({"swap": None}, "swap=None is not .* pass {} where all labels stay"),
        ({"classifier": LinearSVC()}, "has no predict_proba"),
        ({"classifier": DummyClassifier}, "has no predict_proba"),
        ({"input_ch_names": None}, "does not tell its channels' names: give .* input_ch_names"),
        ({"input_ch_names": ["C3", "C4"]}, "X has 3 channels, but .* was told the names of 2"),
        ({"input_ch_names": ["Fz", "Cz", "Pz"]}, r"midline \(Fz, Cz, Pz\), .*both labels"),
    ],
)
def test_what_is_refused(one_sided, params, message):
    mirrored = MirroredClassifier(DummyClassifier(), input_ch_names=NAMES)
    with pytest.raises(ValueError, match=message):
        mirrored.set_params(**params).fit(*one_sided)


def test_a_single_channel_has_no_other_side(one_sided):
    X, y = one_sided
    with pytest.raises(ValueError, match="a single one"):
        MirroredClassifier(DummyClassifier()).fit(X[:, 0], y)


def test_epochs_lists_and_arrays_alike(simulated):
    X, y, _, _ = simulated
    X = X.copy().pick(["C3", "Cz", "C4", "FC1", "FC2", "O1", "O2"])
    classifier = MirroredClassifier(make_baseline("ts+lr")).fit(X, y)
    expected = classifier.predict_proba(X)
    np.testing.assert_allclose(classifier.predict_proba([X[i] for i in range(len(X))]), expected)
    shuffled = X.copy().reorder_channels(X.ch_names[::-1])
    np.testing.assert_allclose(classifier.predict_proba(shuffled), expected)
    arrays = MirroredClassifier(make_baseline("ts+lr"), input_ch_names=X.ch_names)
    array = X.get_data(units="uV")
    np.testing.assert_allclose(arrays.fit(array, y).predict_proba(array), expected, atol=1e-4)


def test_groups_reach_the_network_of_a_pipeline(simulated):
    """Both copies of an epoch are on the same side of the split for early stopping."""
    X, y, metadata, _ = simulated
    groups = metadata["subject"].to_numpy()
    X = X.copy()
    X.metadata = None
    network = EEGTransformerClassifier(
        n_groups=1, n_heads=2, max_epochs=1, early_stopping=True, validation_fraction=0.25
    )
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_eeg_pipeline(MirroredClassifier(network), align=True)
        pipeline.fit(X, y, groups=groups)
    assert len(pipeline["mirroredclassifier"].classifier_.history_) == 1
    with pytest.raises(ValueError, match="groups holds only 7"):
        MirroredClassifier(network).fit(X, y, groups=np.full(len(y), 7))
    inner = make_pipeline(clone(network))
    assert MirroredClassifier(inner).fit(X, y, groups=groups).predict(X).shape == y.shape


def test_mirrored_epochs_help_across_subjects(recorded_subjects, report):
    """Real imagery of the left or right fist, each subject aligned."""
    X, y, metadata = load_eegmmi(
        "fist-imagination", recorded_subjects[:8], l_freq=8.0, h_freq=30.0, resample=80.0
    )
    aligned = EuclideanAlignment().fit_transform(X).get_data(units="uV")
    scores = {}
    for name, options in (("csp+lda", {}), ("csp+lda+mirror", {"input_ch_names": X.ch_names})):
        predicted = cross_val_predict(
            make_baseline(name, **options), aligned, y, groups=metadata["subject"], cv=GroupKFold(2)
        )
        scores[name] = balanced_accuracy_score(y, predicted)
    report("fists, aligned: " + ", ".join(f"{name} {score:.3f}" for name, score in scores.items()))
    assert scores["csp+lda+mirror"] > scores["csp+lda"] + 0.02 > 0.55


def test_one_side_teaches_the_other():
    """Only left epochs are loud on one side in training; right ones are learnt in the mirror."""
    rng = np.random.default_rng(0)
    y = np.tile(["left", "right", "feet"], 20)
    X = rng.normal(size=(60, 3, 50))
    X[y == "left", 2] *= 3
    train = X.copy()
    X[y == "right", 0] *= 3
    train_y = np.where(y == "right", "feet", y)
    train_y[1] = "right"  # a single one, without the sign of it
    plain = make_baseline("ts+lr").fit(train, train_y)
    mirrored = clone(
        MirroredClassifier(make_baseline("ts+lr"), input_ch_names=NAMES, swap={"left": "right"})
    ).fit(train, train_y)
    assert (plain.predict(X)[y == "right"] == "right").mean() < 0.2
    assert (mirrored.predict(X)[y == "right"] == "right").mean() > 0.8
