"""Exports to memory-mapped files: what is written, and what is refused."""

import json
import os
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from skeegformer import export_memmap, load_eegmmi, load_memmap, make_simulated_eeg, write_memmap

NAMES = ["C3", "C4", "O1"]


@pytest.fixture(scope="module")
def small():
    """Epochs of three channels, labels and metadata."""
    X, y, metadata, _ = make_simulated_eeg(n_subjects=3, n_epochs=8, duration=0.5, random_state=0)
    return X.pick(NAMES), y, metadata


@pytest.fixture
def path(small, tmp_path):
    return write_memmap(*small, tmp_path, "small")


def siblings(path):
    stem = path.name.removeprefix("raw-").removesuffix(".dat")
    return path.with_name(f"label-{stem}.csv"), path.with_name(f"head-{stem}.json")


def read_as_the_original(path, epoch_length, nchannels):
    """Read a file as eeg-transformer's dataset does, restated: memory map, table, subjects."""
    key, n_samples = path.name.split("-")[1].split("_")
    assert key == "nsamp"
    data = np.memmap(path, np.float32, "r", shape=(int(n_samples), epoch_length, nchannels))
    table = path.with_name("label-" + path.name[4:-4] + ".csv")
    columns = dict.fromkeys(["subject", "stage", "condition"], str)
    label = pd.read_csv(table, index_col=0, dtype=columns)
    assert len(data) == len(label)
    assert label.index.tolist() == list(range(len(label)))
    return data, label


def test_a_task_at_rest_comes_back_as_it_is_loaded(recorded_subjects, tmp_path):
    path = export_memmap("baseline-eyes", tmp_path / "new" / "folder", [1, 2])
    assert path.name == "raw-nsamp_120-eplen_320-baseline-eyes.dat"
    X, y, metadata = load_memmap(path)
    epochs, labels, table = load_eegmmi("baseline-eyes", [1, 2])
    loaded = X.to_epochs(metadata)
    np.testing.assert_allclose(loaded.get_data(), epochs.get_data(), rtol=2e-7, atol=0)
    np.testing.assert_array_equal(y, labels)
    pd.testing.assert_frame_equal(metadata[table.columns], table)
    assert set(metadata["stage"]) == {"-1"}
    assert metadata["condition"].tolist() == labels.tolist()
    assert loaded.ch_names == epochs.ch_names
    assert (X.sfreq, X.info["line_freq"]) == (160.0, 60.0)
    for ours, theirs in zip(loaded.info["chs"], epochs.info["chs"], strict=True):
        np.testing.assert_allclose(ours["loc"][:3], theirs["loc"][:3], atol=1e-7)
    assert X.subjects.tolist() == table["subject"].tolist()


def test_all_tasks_subject_by_subject(recorded_subjects, tmp_path):
    tasks = ["baseline-eyes", "fist-imagination"]
    path = export_memmap(tasks, tmp_path, [2, 1], l_freq=4, h_freq=30, resample=80, name="both")
    X, y, metadata = load_memmap(tmp_path)
    epochs, labels, table = load_eegmmi(tasks, [2, 1], l_freq=4, h_freq=30, resample=80)
    assert metadata["subject"].drop_duplicates().tolist() == [2, 1]
    for subject in (1, 2):
        ours, theirs = metadata["subject"] == subject, (table["subject"] == subject).to_numpy()
        np.testing.assert_array_equal(y[ours], labels[theirs])
        np.testing.assert_allclose(
            X[ours].load(), epochs[theirs].get_data(units="uV"), rtol=1e-6, atol=1e-6
        )
    header = json.loads(siblings(path)[1].read_text())
    assert header["processing"] == {
        **{"window": 2.0, "tmin": 0.0, "tmax": None},
        **{"l_freq": 4, "h_freq": 30, "resample": 80},
    }
    assert header["tasks"] == tasks


def test_motor_tasks_have_exact_windows(recorded_subjects, tmp_path):
    X, y, _ = load_memmap(export_memmap("fist-imagination", tmp_path, 1, window=1.5, tmin=0.5))
    epochs, labels, _ = load_eegmmi("fist-imagination", 1, tmin=0.5, tmax=2.0)
    assert X.shape == (45, 64, 240)
    np.testing.assert_array_equal(y, labels)
    np.testing.assert_allclose(X.load(), epochs.get_data(units="uV")[..., :-1], rtol=2e-7)
    with pytest.raises(ValueError, match=r"make epochs of 2.5 s, but .* last window=1.5 s"):
        export_memmap("fist-imagination", tmp_path, 1, window=1.5, tmin=0.5, tmax=3)


def test_z_scores_are_those_of_the_original(recorded_subjects, tmp_path):
    path = export_memmap("baseline-eyes", tmp_path, 1, zscore=True)
    assert path.name == "raw-nsamp_60-eplen_320-norm-baseline-eyes.dat"
    X, _, _ = load_memmap(path)
    assert X.unit == "z-score"
    for ours, epoch in zip(X, load_eegmmi("baseline-eyes", 1)[0].get_data(), strict=True):
        expected = (epoch - epoch.mean(axis=1, keepdims=True)) / epoch.std(axis=1, keepdims=True)
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_the_original_reads_it(small, path):
    epochs, y, metadata = small
    data, label = read_as_the_original(path, 80, 3)
    np.testing.assert_allclose(data.transpose(0, 2, 1), epochs.get_data(), rtol=1e-7)
    assert label["condition"].tolist() == y.tolist()
    assert label["subject"].tolist() == metadata["subject"].astype(str).tolist()
    assert label.columns.tolist()[:3] == ["subject", "stage", "condition"]
    assert set(label["stage"]) == {"-1"}
    header = json.loads(siblings(path)[1].read_text())
    expected = {"shape": [24, 80, 3], "axes": ["epoch", "sample", "channel"], "unit": "V"}
    expected |= {"dtype": "float32", "byte_order": "little", "subjects": {"1": 8, "2": 8, "3": 8}}
    expected |= {"conditions": pd.Series(y).value_counts().to_dict()}
    assert header == header | expected
    assert (header["channels"]["ch_names"], header["channels"]["sfreq"]) == (NAMES, 160.0)


def test_what_the_original_wrote_is_read(small, tmp_path):
    """A file as the original's script writes it, of volts and without a header."""
    epochs, y, metadata = small
    path = tmp_path / "raw-nsamp_24-eplen_80-example_fist-motion.dat"
    epochs.get_data().transpose(0, 2, 1).astype("<f4").tofile(path)
    rows = [[subject, -1, label] for subject, label in zip(metadata["subject"], y, strict=True)]
    table = pd.DataFrame(rows, columns=["subject", "stage", "condition"], dtype=str)
    table.to_csv(siblings(path)[0])

    X, labels, ours = load_memmap(path)
    np.testing.assert_allclose(X.load(), epochs.get_data(units="uV"), rtol=2e-7)
    assert (X.ch_names, X.sfreq, X.info) == (None, None, None)
    np.testing.assert_array_equal(labels, y)
    assert ours["subject"].tolist() == metadata["subject"].tolist()
    named, _, _ = load_memmap(path, ch_names=NAMES, sfreq=160)
    assert np.isfinite(named.info["chs"][0]["loc"][:3]).all()
    assert named.to_epochs().ch_names == NAMES
    with pytest.raises(ValueError, match="has 3 channels, but ch_names has 2"):
        load_memmap(path, ch_names=NAMES[:2])
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="24 x 80 x 2 values .* is incomplete"):
        load_memmap(path)
    siblings(path)[0].rename(tmp_path / "label-mine.csv")
    with pytest.raises(ValueError, match="its name does not tell how many epochs there are"):
        load_memmap(path.rename(tmp_path / "raw-mine.dat"))


@pytest.mark.parametrize(
    "codes", [[769, 770], [0.5, 1.5], [True, False], ["1", "\r\n"], ["007", "7\r"]], ids=repr
)
def test_labels_come_back_as_they_were_written(codes, small, tmp_path):
    """Numbers as numbers, text as text, whatever it looks like."""
    epochs, y, _ = small
    y, trial = np.where(y == "left", *codes), np.arange(24)
    table = pd.DataFrame({"subject": np.repeat(["007", "7", "x"], 8), "trial": trial})
    table = table.assign(rt=np.where(trial == 3, np.nan, 0.1), kept=trial > 3)
    path = write_memmap(epochs, y, table.astype({"trial": "category", "rt": "Float64"}), tmp_path)
    X, labels, metadata = load_memmap(path)
    assert labels.dtype == y.dtype
    np.testing.assert_array_equal(labels, y)
    np.testing.assert_array_equal(metadata["condition"], y)
    pd.testing.assert_frame_equal(metadata[table.columns], table, check_dtype=True)
    assert X.subjects.tolist() == table["subject"].tolist()
    chosen = load_memmap(path, conditions=codes[0], subjects="007")
    assert set(chosen[1].tolist()) == {codes[0]}
    assert set(chosen[2]["subject"]) == {"007"}
    unknown = table.assign(subject=table["subject"].where(table["trial"] > 0))
    X = load_memmap(write_memmap(epochs, y, unknown, tmp_path, "unknown"))[0]
    assert pd.isna(X.subjects).tolist() == [True] + 23 * [False]


@pytest.mark.parametrize("subjects, expected", [(["1", "12"], "i"), (["007", "12"], "O")])
def test_subjects_of_the_original_are_numbers_if_they_are_written_as_such(
    subjects, expected, small, path
):
    labels, header = siblings(path)
    header.unlink()
    table = pd.read_csv(labels, index_col=0, dtype=str)
    table.assign(subject=np.repeat(subjects, 12)).to_csv(labels)
    found = load_memmap(path)[2]["subject"]
    assert found.astype(str).tolist() == np.repeat(subjects, 12).tolist()
    assert (found.dtype.kind == "i") == (expected == "i")


@pytest.mark.parametrize(
    "choice, expected",
    [
        ({"conditions": "left"}, lambda y, s: y == "left"),
        ({"conditions": ["left", "right"], "subjects": [1, 3]}, lambda y, s: s != 2),
        ({"subjects": 2, "conditions": "right"}, lambda y, s: (s == 2) & (y == "right")),
        # What agrees with the header may be said.
        ({"stages": "-1", "sfreq": 160, "ch_names": tuple(NAMES)}, lambda y, s: s > 0),
    ],
)
def test_choice_of_epochs(choice, expected, small, path):
    epochs, y, metadata = small
    mask = expected(y, metadata["subject"].to_numpy())
    X, labels, table = load_memmap(path, **choice)
    np.testing.assert_array_equal(labels, y[mask])
    np.testing.assert_allclose(X.load(), epochs.get_data(units="uV")[mask], rtol=2e-7)
    assert table["subject"].tolist() == X.subjects.tolist() == metadata["subject"][mask].tolist()
    assert table.index.tolist() == list(range(mask.sum()))


def test_what_contradicts_the_file(path):
    for choice, message in (
        ({"conditions": "rest"}, "no condition 'rest'; there are .*left"),
        ({"subjects": [1, 9]}, "no subject '9'; there are 1, 2, 3"),
        ({"sfreq": 250.0}, "sfreq=250.0, but the header .* says 160.0"),
        ({"ch_names": ["C3", "C4", "O2"]}, "but the header .* says .*O1"),
    ):
        with pytest.raises(ValueError, match=message):
            load_memmap(path, **choice)


def test_files_that_are_missing_or_damaged(path, tmp_path):
    labels, _ = siblings(path)
    table = labels.read_text()
    for text, message in (
        ("\n".join(table.splitlines()[:-1]), "24 epochs, but label-.* of 23"),
        (table.replace("condition", "class"), "no column 'condition', only subject, stage, class"),
    ):
        labels.write_text(text)
        with pytest.raises(ValueError, match=message):
            load_memmap(path)
    labels.unlink()
    with pytest.raises(FileNotFoundError, match="There are no labels for raw-"):
        load_memmap(path)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load_memmap(tmp_path / "raw-other.dat")


def test_folders_with_one_export_or_several(small, path, tmp_path):
    assert load_memmap(tmp_path)[0].path == path
    write_memmap(*small, tmp_path, "other")
    with pytest.raises(ValueError, match="several exports; name one of raw-"):
        load_memmap(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no export"):
        load_memmap(tmp_path / "empty")


def test_nothing_is_overwritten_unasked(small, path, tmp_path):
    X, y, metadata = small
    with pytest.raises(FileExistsError, match="is there already.*overwrite=True"):
        write_memmap(X[:10], y[:10], metadata[:10], tmp_path, "small")
    assert load_memmap(path)[0].shape == (24, 3, 80)
    new = write_memmap(X[:10], y[:10], metadata[:10], tmp_path, "small", overwrite=True)
    assert sorted(tmp_path.iterdir()) == sorted([new, *siblings(new)])
    # Other names, lengths and kinds are other exports.
    write_memmap(X, y, metadata, tmp_path, "small-2")
    write_memmap(X, y, metadata, tmp_path, "small", zscore=True)
    write_memmap(X.get_data()[..., :40], y, metadata, tmp_path, "small")
    assert len(list(tmp_path.iterdir())) == 12


def stopped(block):
    """Read a block of epochs, but not the second."""
    if len(block) == 2:
        raise KeyboardInterrupt
    return block


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_export_that_breaks_off_leaves_all_as_it_was(overwrite, small, tmp_path):
    X, y, metadata = small
    many = load_memmap(write_memmap([X, X[:10]], [*y, *y[:10]], None, tmp_path))[0]  # 32 and two
    folder = tmp_path / "new" / "one"
    if overwrite:
        write_memmap(X[:10], y[:10], metadata[:10], folder, "x")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(KeyboardInterrupt):
        many = many._with_channels(stopped, NAMES)
        write_memmap(many, [*y, *y[:10]], None, folder, "x", overwrite=overwrite)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a process that was forked")
@pytest.mark.parametrize("n_before", [10, 14])
def test_a_killed_process_leaves_the_earlier_export_or_the_new_one(n_before, tmp_path):
    """Killed after each change of a name or folder, with as many epochs as before or others."""
    new, labels = np.ones((10, 3, 50)), ["a", "b"] * 5
    old, old_labels = np.zeros((n_before, 3, 50)), ["c", "d"] * (n_before // 2)
    found, ended = [], False
    while not ended:
        folder = tmp_path / str(len(found))
        write_memmap(old, old_labels, None, folder)
        pid = os.fork()
        if not pid:
            left = iter(range(len(found)))

            def killing(function, left=left):
                def call(*args, **more):
                    result = function(*args, **more)
                    if next(left, None) is None:
                        os._exit(1)
                    return result

                return call

            for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
                setattr(Path, name, killing(getattr(Path, name)))
            write_memmap(new, labels, None, folder, overwrite=True)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        X, y, _ = load_memmap(folder)
        found.append(len(X) == 10 and set(y) == {"a", "b"})
        assert found[-1] or (len(X), set(y)) == (n_before, {"c", "d"})
        assert (X.load() == found[-1]).all()
        write_memmap(new, labels, None, folder, overwrite=True)
        assert len([file for file in folder.iterdir() if file.is_file()]) == 3
    assert found == sorted(found)
    assert found[-1]
    assert not found[0]


def test_every_kind_of_epochs_can_be_written(small, path, tmp_path):
    X, y, metadata = small
    array = X.get_data(units="uV")
    found = {
        name: load_memmap(write_memmap(data, labels, table, tmp_path, name, **options))
        for name, data, labels, table, options in (
            ("epochs", X, y, None, {}),  # with their own metadata
            ("list", [X[:10], X[10:]], y, metadata, {}),
            ("mapped", load_memmap(path)[0][5:], y[5:], None, {}),
            ("array", array, y, metadata, {"sfreq": 160}),
            ("anonymous", array, y, None, {}),
        )
    }
    for name in ("epochs", "list"):
        assert found[name][0].path.read_bytes() == path.read_bytes()
        assert found[name][2]["subject"].tolist() == metadata["subject"].tolist()
    np.testing.assert_allclose(found["mapped"][0].load(), array[5:], rtol=3e-7)
    assert found["mapped"][0].subjects.tolist() == metadata["subject"][5:].tolist()
    as_given = found["array"][0]
    assert (as_given.unit, as_given.ch_names, as_given.sfreq) == ("as given", None, 160.0)
    np.testing.assert_array_equal(as_given.load(), array.astype(np.float32))
    assert found["anonymous"][0].subjects is None
    shifted = X.copy().shift_time(-0.2)
    mapped, _, _ = load_memmap(write_memmap(shifted, y, metadata, tmp_path, "shifted"))
    again, _, _ = load_memmap(write_memmap(mapped[:3], y[:3], None, tmp_path, "again"))
    np.testing.assert_allclose(again[1:].to_epochs().times, shifted.times, atol=1e-9)
    assert set(found["anonymous"][2]["subject"]) == {-1}


def test_only_eeg_channels_are_written_and_unknown_places_stay_unknown(tmp_path):
    info = mne.create_info(["C3", "stim", "X1"], 100.0, ["eeg", "stim", "eeg"])
    info.set_montage(mne.channels.make_standard_montage("standard_1020"), on_missing="ignore")
    info["bads"] = ["X1"]
    epochs = mne.EpochsArray(np.ones((4, 3, 50)), info, verbose="ERROR")
    path = write_memmap(epochs, list("aabb"), None, tmp_path)
    assert json.loads(siblings(path)[1].read_text())["channels"]["positions"][1] is None
    X, _, _ = load_memmap(path)
    assert (X.ch_names, X.info["bads"], X.shape) == (["C3", "X1"], ["X1"], (4, 2, 50))
    places = np.array([channel["loc"][:3] for channel in X.info["chs"]])
    assert np.isfinite(places[0]).all()
    assert not np.isfinite(places[1]).any()


def test_channels_that_do_not_vary_have_z_scores_of_zero(tmp_path):
    data = np.ones((2, 3, 10))
    data[:, 0] = np.arange(10)
    scores = load_memmap(write_memmap(data, [0, 1], None, tmp_path, zscore=True))[0].load()
    assert (scores[:, 1:] == 0).all()
    np.testing.assert_allclose(scores[:, 0].std(axis=-1), 1, rtol=1e-6)
