"""Epochs that stay in a file: indexing, the door, training, scikit-learn."""

import pickle
from pathlib import Path
from runpy import run_path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skeegformer import (
    BandPassFilter,
    ChannelDropper,
    EEGTransformerClassifier,
    EuclideanAlignment,
    OriginalTransformerClassifier,
    Resampler,
    load_memmap,
    make_baseline,
    write_memmap,
)
from skeegformer.datasets import MappedEpochs
from skeegformer.datasets.memmap import write_transformed

NAMES = ["C3", "C4", "F3", "F4", "O1", "O2"]
QUICK = {"n_groups": 1, "n_heads": 4, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def recording(simulated):
    """Epochs of six channels, labels and metadata."""
    X, y, metadata, _ = simulated
    return X.copy().pick(NAMES), y, metadata


@pytest.fixture(scope="module")
def path(recording, tmp_path_factory):
    return write_memmap(*recording, tmp_path_factory.mktemp("epochs"), "simulated")


@pytest.fixture
def mapped(path):
    return load_memmap(path)[0]


def test_values_are_microvolts_of_what_was_written(recording, mapped):
    microvolts = recording[0].get_data(units="uV")
    assert mapped.shape == microvolts.shape == (120, 6, 320)
    assert (len(mapped), mapped.ndim, mapped.dtype) == (120, 3, np.float32)
    np.testing.assert_allclose(mapped.load(), microvolts, rtol=2e-7)
    np.testing.assert_array_equal(np.asarray(mapped, dtype=float), mapped.load())
    with pytest.raises(ValueError, match="without a copy"):
        np.array(mapped, copy=False)


@pytest.mark.parametrize(
    "key",
    [
        slice(10, 2, -3),
        [5, 5, 0, -1],
        np.arange(120) % 7 == 0,
        np.array([], dtype=int),
        (np.array([3, 1]), Ellipsis),
        (slice(4), [2, 0]),
        (slice(4), slice(1, 3), Ellipsis),
    ],
    ids=repr,
)
def test_choosing_is_lazy_and_right(key, mapped):
    chosen, expected = mapped[key], mapped.load()[key]
    assert isinstance(chosen, MappedEpochs)
    assert chosen.shape == expected.shape
    np.testing.assert_array_equal(chosen.load(), expected)
    if isinstance(key, np.ndarray) and key.dtype == bool:
        np.testing.assert_array_equal(mapped[pd.Series(key)].load(), expected)
        assert mapped[[]].shape == (0, 6, 320)


def test_an_integer_gives_an_epoch(mapped):
    loaded = mapped.load()
    for index in (0, 7, -1, np.int64(3), (2, [1, 0])):
        assert isinstance(mapped[index], np.ndarray)
        np.testing.assert_array_equal(mapped[index], loaded[index])
    np.testing.assert_array_equal(mapped[::-2][3], loaded[::-2][3])
    assert sum(1 for _ in mapped[:5]) == 5


def test_names_and_subjects_follow_the_choice(mapped, recording):
    assert mapped.ch_names == NAMES
    assert mapped.sfreq == 160.0
    chosen = mapped[[40, 0], [3, 1]]
    assert chosen.ch_names == chosen.info["ch_names"] == ["F4", "C4"]
    assert chosen.subjects.tolist() == [2, 1]
    assert mapped.ch_names == NAMES
    for name, channel in zip(chosen.ch_names, chosen.info["chs"], strict=True):
        before = recording[0].info["chs"][NAMES.index(name)]["loc"][:3]
        np.testing.assert_allclose(channel["loc"][:3], before, atol=1e-7)


@pytest.mark.parametrize("key", [[0.5], [[1]], (slice(3), 0, 0), (Ellipsis, 3), Ellipsis, "C3"])
def test_other_indices_are_refused(key, mapped):
    with pytest.raises(IndexError, match=r"Epochs (in a file )?are"):
        mapped[key]
    for missing in (200, [200], np.ones(5, dtype=bool)):
        with pytest.raises(IndexError):
            mapped[missing]


def test_pickles_hold_no_data(mapped):
    text = pickle.dumps(mapped[:20])
    assert len(text) < mapped[:20].nbytes / 10
    np.testing.assert_array_equal(pickle.loads(text).load(), mapped[:20].load())


def test_files_that_do_not_fit(tmp_path):
    path = tmp_path / "epochs.dat"
    np.zeros((4, 10, 3), dtype="<f4").tofile(path)
    for name, n_epochs, known, message in (
        ("epochs.dat", 5, {}, "has 480 bytes, but 5 x 10 x 3 values .* have 600"),
        ("epochs.dat", 4, {"ch_names": ["C3", "C4"]}, "has 3 channels, but ch_names has 2"),
        ("epochs.dat", 4, {"subjects": [1, 2, 3]}, "has 4 epochs, but subjects has 3"),
        ("other.dat", 4, {}, "There is no file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            MappedEpochs(tmp_path / name, (n_epochs, 3, 10), **known)


def test_only_volts_are_scaled(tmp_path):
    values = np.arange(24, dtype="<f4").reshape(2, 4, 3)
    values.tofile(tmp_path / "a.dat")
    for unit, factor in {"V": 1e6, "uV": 1, "z-score": 1}.items():
        X = MappedEpochs(tmp_path / "a.dat", (2, 3, 4), unit=unit)
        np.testing.assert_array_equal(X.load(), factor * values.transpose(0, 2, 1))


def test_as_epochs(mapped, recording):
    epochs, y, metadata = recording
    table = metadata.assign(condition=y)
    loaded = mapped.to_epochs(table)
    np.testing.assert_allclose(loaded.get_data(), epochs.get_data(), rtol=2e-7)
    assert loaded.metadata["subject"].tolist() == metadata["subject"].tolist()
    assert loaded.events[:, 2].tolist() == [loaded.event_id[label] for label in y]
    assert mapped[:3].to_epochs().metadata.columns.tolist() == ["subject"]
    with pytest.raises(ValueError, match="3 epochs, but 120 rows"):
        mapped[:3].to_epochs(table)
    with pytest.raises(ValueError, match="give load_memmap ch_names and sfreq"):
        MappedEpochs(mapped.path, mapped.shape).to_epochs()
    named = MappedEpochs(mapped.path, mapped.shape, ch_names=NAMES, sfreq=160)
    assert named[:2].to_epochs().ch_names == NAMES


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True},
        {"adapt": True},
        {"adapt": True, "early_stopping": True, "n_filters": 2},
    ],
    ids=repr,
)
def test_training_from_a_file_gives_equal_weights(params, mapped, recording):
    y, chosen = recording[1], np.r_[3:120, 0]
    in_file = EEGTransformerClassifier(**QUICK, **params).fit(mapped[chosen], y[chosen])
    epochs = mapped.to_epochs()
    in_memory = EEGTransformerClassifier(**QUICK, **params).fit(epochs[chosen], y[chosen])
    expected = in_memory.net_.module_.state_dict()
    for name, value in in_file.net_.module_.state_dict().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    np.testing.assert_array_equal(in_file.feature_importances_, in_memory.feature_importances_)
    proba = in_file.predict_proba(mapped)
    np.testing.assert_array_equal(proba, in_memory.predict_proba(epochs))
    np.testing.assert_array_equal(in_file.predict(mapped[:9]), in_memory.predict(epochs[:9]))
    np.testing.assert_array_equal(in_file.ch_names_, in_memory.ch_names_)
    if "adapt" in params:
        assert list(in_file.subject_means_) == [1, 2, 3, 4]
        for subject, mean in in_file.subject_means_.items():
            np.testing.assert_array_equal(mean, in_memory.subject_means_[subject])
    assert len(pickle.dumps(in_file)) < 2e6


def test_bad_values_are_found_block_by_block(recording, tmp_path):
    epochs, y, metadata = recording
    data = epochs.get_data(units="uV")
    data[[70, 90], 3, 5] = np.nan
    path = write_memmap(data, y, metadata, tmp_path, ch_names=NAMES, sfreq=160)
    X, y, _ = load_memmap(path)
    with pytest.raises(ValueError, match=r"NaN in 2 of 120 epochs; the first is epoch 70.*F4"):
        EEGTransformerClassifier(**QUICK).fit(X, y)


def test_the_door_checks_what_the_file_tells(mapped, recording):
    classifier = EEGTransformerClassifier(**QUICK).fit(mapped, recording[1])
    expected = classifier.predict_proba(mapped)
    np.testing.assert_array_equal(classifier.predict_proba(mapped[:, ::-1]), expected)
    with pytest.raises(ValueError, match="missing: C4, F3, F4, O1, O2"):
        classifier.predict(mapped[:, [0]])
    with pytest.raises(ValueError, match="X is sampled at 160 Hz, but"):
        classifier.set_params(sfreq=100.0).fit(mapped, recording[1])


def test_missing_electrodes_are_estimated_as_they_are_read(simulated, tmp_path):
    X, y, metadata, _ = simulated
    X, y, metadata = load_memmap(write_memmap(X[:40], y[:40], metadata[:40], tmp_path))
    classifier = EEGTransformerClassifier(**QUICK, positions="electrode").fit(X, y)
    few = X[:, ::4]
    expected = classifier.predict_proba(few.to_epochs())
    np.testing.assert_allclose(classifier.predict_proba(few), expected, atol=1e-6)


def test_other_steps_load_it(mapped, recording):
    y, epochs = recording[1], mapped.to_epochs()
    for step in (BandPassFilter(None, 30.0), EuclideanAlignment()):
        found, expected = (step.fit_transform(X).get_data() for X in (mapped, epochs))
        np.testing.assert_array_equal(found, expected)
    pipe = make_pipeline(ChannelDropper(["O1", "O2"]), make_baseline("csp+lda")).fit(mapped, y)
    np.testing.assert_array_equal(pipe.predict(mapped), pipe.predict(epochs))
    nameless = MappedEpochs(mapped.path, mapped.shape)
    found, expected = (
        BandPassFilter(None, 30.0, sfreq=160.0).fit_transform(X) for X in (nameless, mapped.load())
    )
    np.testing.assert_allclose(found, expected)


def test_explanations_and_scores_take_a_file(mapped, recording):
    from skeegformer import AttentionExplainer, cross_subject_scores
    from skeegformer.evaluation._fold import without_metadata
    from skeegformer.evaluation._store import digest

    y, groups = recording[1], recording[2]["subject"].to_numpy()
    epochs = mapped.to_epochs()
    classifier = EEGTransformerClassifier(**QUICK).fit(mapped, y)
    in_file, in_memory = (AttentionExplainer().explain(classifier, X) for X in (mapped, epochs))
    np.testing.assert_array_equal(in_file.values, in_memory.values)
    assert in_file.subjects.tolist() == groups.tolist()
    scores = [
        cross_subject_scores({"linear": classifier}, X, y, groups, cv=2, seeds=(0,), n_jobs=1)
        for X in (mapped, epochs)
    ]
    pd.testing.assert_series_equal(*(table["balanced_accuracy"] for table in scores))
    # Who it is must not reach the prediction of somebody new.
    assert without_metadata(mapped).subjects is None
    assert mapped.subjects is not None
    assert digest(mapped, y, groups) != digest(mapped[:, ::-1], y, groups)


def test_other_training_takes_a_file(mapped, recording):
    y = recording[1]
    params = {"embed_dim": 8, "n_heads": 2, "n_layers": 1, "max_epochs": 1, "random_state": 0}
    original = OriginalTransformerClassifier(noise=0.1, shuffle_tokens="channels", **params)
    for fit in (
        lambda X: clone(original).fit(X, y),
        lambda X: EEGTransformerClassifier(**QUICK).fit(X, y).fine_tune(X[:20], y[:20], n_steps=2),
    ):
        found, expected = (fit(X).predict_proba(X) for X in (mapped, mapped.to_epochs()))
        np.testing.assert_array_equal(found, expected)


def test_transformed_while_written(mapped, tmp_path):
    pipe = make_pipeline(ChannelDropper(NAMES[4:]), BandPassFilter(4.0, 30.0), Resampler(100.0))
    pipe.fit(mapped[:1])
    X, _, _ = load_memmap(write_transformed(mapped, pipe, tmp_path))
    assert (X.shape, X.sfreq, X.ch_names, X.unit) == ((120, 4, 200), 100.0, NAMES[:4], "uV")
    np.testing.assert_array_equal(X.subjects, mapped.subjects)
    expected = pipe.transform(mapped.to_epochs()).get_data()
    np.testing.assert_array_equal(X.load(), (1e6 * expected).astype(np.float32))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc of Linux")
def test_training_takes_a_fraction_of_the_data(tmp_path, report):
    memory = run_path(Path(__file__).parent.parent / "benchmarks" / "memory.py")
    path = memory["simulate"](tmp_path, 100)
    found = memory["measure"](path, "file", {**QUICK, "max_epochs": 1})
    share = found["peak"] / path.stat().st_size
    report(f"training on a file of 100 MB: peak of memory {share:.2f} of its size")
    assert share < 1.0  # as an array they would be there as a whole, and batches beside them
