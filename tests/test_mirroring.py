"""Left and right exchanged: partners of electrodes, class names, and the classifier that votes."""

import mne
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
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


@pytest.mark.parametrize(
    "montage", ["GSN-HydroCel-128", "GSN-HydroCel-64_1.0", "EGI_256", "biosemi128", "biosemi256"]
)
def test_names_that_only_look_like_sides_do_not_tell(montage):
    """E1 and E2, A1 and A2 are not on two sides of the head: positions decide."""
    montage = mne.channels.make_standard_montage(montage)
    positions = montage.get_positions()["ch_pos"]
    info = mne.create_info(montage.ch_names, 100.0, "eeg").set_montage(montage)
    with pytest.raises(ValueError, match=r"no partner on the other side by name"):
        mirror_pairs(montage.ch_names)
    pairs = mirror_pairs(info)
    assert set(pairs) == set(pairs.values()) == set(montage.ch_names)
    for name, partner in pairs.items():
        assert np.linalg.norm(positions[name] * [-1, 1, 1] - positions[partner]) < 0.02
    rng = np.random.default_rng(0)
    X = mne.EpochsArray(1e-5 * rng.normal(size=(4, len(info.ch_names), 80)), info, verbose="ERROR")
    mirrored = MirroredClassifier(DummyClassifier()).fit(X, ["left", "right"] * 2)
    assert [info.ch_names[other] for other in mirrored.mirror_pairs_] == list(pairs.values())


@pytest.mark.parametrize(
    "names, kind, montage",
    [
        ([f"A{i}" for i in range(1, 11)], "seeg", None),
        (["A1", "A2"], "seeg", None),
        ([f"C{i}" for i in range(1, 13)], "ecog", None),
        ([f"C{i}" for i in range(1, 5)], "eeg", None),
        ([f"C{i}" for i in range(1, 13)], "eeg", "biosemi128"),
        ([f"C{i}" for i in range(1, 7)], "eeg", "biosemi128"),
        ([f"{shaft}{i}" for shaft in "CF" for i in range(1, 7)], "eeg", None),
        ([f"E{i}" for i in range(1, 33)], "eeg", None),
        (["C3", "Cz", "C4", "T10"], "eeg", "standard_1020"),
    ],
)
def test_a_doubtful_guess_is_no_guess(names, kind, montage):
    """Contacts in the head, grids, regions of a BioSemi cap, a channel without partner."""
    info = mne.create_info(names, 80.0, kind)
    if montage:
        info.set_montage(montage, on_missing="ignore")
    with pytest.raises(ValueError, match="partner|may as well be contacts of a grid"):
        mirror_pairs(info)
    data = 1e-5 * np.random.default_rng(0).normal(size=(8, len(names), 80))
    X, y = mne.EpochsArray(data, info, verbose="ERROR"), np.tile(["left", "right"], 4)
    classifier = EEGTransformerClassifier(max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="No epoch is mirrored"):
        classifier.fit(X, y)
    assert classifier.mirror_pairs_ is classifier.mirrored_classes_ is None
    with pytest.raises(ValueError, match="partner|may as well be contacts of a grid"):
        classifier.set_params(mirror=SWAP).fit(X, y)
    with pytest.raises(ValueError, match="partner|may as well be contacts of a grid"):
        MirroredClassifier(DummyClassifier()).fit(X, y)


@pytest.mark.parametrize("form", ["{}", "EEG {}-Ref", "{}..", "EEG {}", "{}-LE", "EEG {}.."])
def test_what_recordings_put_around_names(form):
    both = [("C3", "C4"), ("T3", "T4"), ("T5", "T6"), ("Fp1", "FP2"), ("FFC1h", "FFC2h")]
    both = [*both, ("A1", "A2"), *(pair[::-1] for pair in both), ("A2", "A1"), ("OZ", "OZ")]
    expected = {form.format(a): form.format(b) for a, b in both}
    assert mirror_pairs(list(expected)) == expected
    with pytest.raises(ValueError, match="no partner on the other side by name"):
        mirror_pairs(["C3-A2", "C4-A2"])


def test_channels_without_partner(simulated):
    with pytest.raises(ValueError, match="C3, EEG 001 have no partner .* by name"):
        mirror_pairs(["C3", "Cz", "EEG 001"])
    nowhere = mne.create_info(["C3", "Cz"], 100.0, "eeg")
    with pytest.raises(ValueError, match="C3 has no partner .* positions are not known"):
        mirror_pairs(nowhere)
    one_short = mne.pick_info(
        simulated[0].info, [i for i, name in enumerate(simulated[0].ch_names) if name != "C4"]
    )
    with pytest.raises(ValueError, match="C3 has no partner on the other side: neither by name"):
        mirror_pairs(one_short)
    with pytest.raises(ValueError, match="occur twice: Cz"):
        mirror_pairs(["Cz", "Cz"])


@pytest.mark.parametrize(
    "first, second",
    [
        (["left"], ["right"]),
        (["LEFT_hand"], ["RIGHT_hand"]),
        (["handLeft"], ["handRight"]),
        (["left-fist-imag", "left-fist-move"], ["right-fist-imag", "right-fist-move"]),
        (["Left "], ["right"]),
        (["left", "Left"], ["right", "Right"]),
    ],
)
def test_classes_that_turn_into_each_other(first, second):
    pairs = dict(zip(first + second, second + first, strict=True))
    assert mirror_classes(np.array(["feet", *first, *second])) == pairs


def test_classes_that_name_no_side_or_one():
    assert mirror_classes(np.array(["bright", "cleft", "eyes-open"])) is None
    assert mirror_classes([0, 1]) is None
    for alone in ("left-fist", "right_hand", "Left"):
        with pytest.raises(ValueError, match=f"mirror image of class {alone!r} is .* not among"):
            mirror_classes([alone, "feet"])


class _Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was trained on; its probabilities are those of the power in C3."""

    def fit(self, X, y, groups=None):
        self.X_, self.y_, self.groups_ = X, np.asarray(y), groups
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        power = (np.asarray(X)[:, :1] ** 2).mean(axis=2)
        return np.hstack([1 / (1 + power), power / (1 + power) / 3, 2 * power / (1 + power) / 3])


def test_trains_on_both_sides_and_averages_their_probabilities(one_sided):
    X, y = one_sided
    y = np.where(np.arange(60) < 20, "feet", y)
    groups = np.arange(60) // 10
    classifier = MirroredClassifier(_Recorder(), input_ch_names=NAMES).fit(X, y, groups=groups)
    inner = classifier.classifier_
    np.testing.assert_array_equal(inner.X_, np.concatenate([X, X[:, ::-1]]))
    np.testing.assert_array_equal(inner.y_, [*y, *(SWAP.get(label, label) for label in y)])
    np.testing.assert_array_equal(inner.groups_, np.tile(groups, 2))
    assert classifier.classes_.tolist() == ["feet", "left", "right"]
    expected = (inner.predict_proba(X) + inner.predict_proba(X[:, ::-1])[:, [0, 2, 1]]) / 2
    np.testing.assert_allclose(classifier.predict_proba(X), expected)
    predicted = classifier.classes_[expected.argmax(axis=1)]
    np.testing.assert_array_equal(classifier.predict(X), predicted)


def test_an_image_is_the_epochs_with_partners_exchanged(simulated):
    """Eye channels stay, and alignment after mirroring is mirroring after alignment."""
    X, y, metadata, _ = simulated
    X = X.copy().set_channel_types({"Fp1": "eog", "Fp2": "eog"}, on_unit_change="ignore")
    align = EuclideanAlignment()
    images, of_aligned = (
        MirroredClassifier(_Recorder()).fit(Z, y).classifier_.X_[len(X) :]
        for Z in (X, align.fit_transform(X))
    )
    for name, other in (("C3", "C4"), ("FC6", "FC5"), ("Oz", "Oz"), ("Fp1", "Fp1")):
        np.testing.assert_array_equal(images.get_data(picks=[name]), X.get_data(picks=[other]))
    assert images.ch_names == X.ch_names
    aligned = align.fit_transform(images, groups=metadata["subject"]).get_data("eeg")
    np.testing.assert_allclose(aligned, of_aligned.get_data("eeg"), atol=1e-6 * aligned.std())


@pytest.mark.parametrize("swap", ["auto", {"left": "right"}, {}, {"left": "left"}], ids=str)
def test_which_labels_are_exchanged(one_sided, swap):
    mirrored = MirroredClassifier(DummyClassifier(), swap=swap, input_ch_names=NAMES)
    mirrored.fit(*one_sided)
    stay = {"left": "left", "right": "right"}
    assert mirrored.mirrored_classes_ == (SWAP if swap in ("auto", {"left": "right"}) else stay)
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
        ({"input_ch_names": None}, "does not tell its channels' names: give .* input_ch_names"),
        ({"input_ch_names": ["C3", "C4"]}, "X has 3 channels, but .* was told the names of 2"),
        ({"input_ch_names": ["Fz", "Cz", "Pz"]}, r"midline \(Fz, Cz, Pz\), .*both labels"),
    ],
)
def test_what_is_refused(one_sided, params, message):
    mirrored = MirroredClassifier(DummyClassifier(), input_ch_names=NAMES)
    with pytest.raises(ValueError, match=message):
        mirrored.set_params(**params).fit(*one_sided)


def test_groups_reach_the_network_of_a_pipeline(simulated):
    """Both copies of an epoch are on the same side of the split for early stopping."""
    X, y, metadata, _ = simulated
    X = X.copy().pick(NAMES)
    X.metadata = None
    network = EEGTransformerClassifier(n_groups=1, n_heads=2, max_epochs=1, early_stopping=True)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_eeg_pipeline(MirroredClassifier(network), align=True)
        pipeline.fit(X, y, groups=metadata["subject"])
    assert len(pipeline["mirroredclassifier"].classifier_.history_) == 1
    with pytest.raises(ValueError, match="groups holds only 7"):
        MirroredClassifier(network).fit(X, y, groups=np.full(len(y), 7))


def test_mirrored_epochs_help_across_subjects(recorded_subjects, report):
    """Real imagery of the left or right fist, each subject aligned."""
    options = {"l_freq": 8.0, "h_freq": 30.0, "resample": 80.0}
    X, y, metadata = load_eegmmi("fist-imagination", recorded_subjects[:8], **options)
    aligned, folds = EuclideanAlignment().fit_transform(X).get_data(units="uV"), GroupKFold(2)
    plain, mirrored = (
        balanced_accuracy_score(
            y, cross_val_predict(classifier, aligned, y, groups=metadata["subject"], cv=folds)
        )
        for classifier in (
            make_baseline("csp+lda"),
            make_baseline("csp+lda+mirror", input_ch_names=X.ch_names),
        )
    )
    report(f"fists, aligned: CSP+LDA {plain:.3f}, mirrored {mirrored:.3f}")
    assert mirrored > plain + 0.02 > 0.55


def test_partners_by_position_where_names_do_not_tell(simulated):
    info = simulated[0].info
    renamed = info.copy()
    numbers = {name: f"E{200 + i}q" for i, name in enumerate(info["ch_names"])}
    renamed.rename_channels(numbers)
    expected = {numbers[a]: numbers[b] for a, b in mirror_pairs(info["ch_names"]).items()}
    assert mirror_pairs(renamed) == expected
