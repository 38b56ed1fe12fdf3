"""Explanations in pandas, MNE and shap, and on disk and back."""

import io
import json
import os
import resource
import zipfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import mne
import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.utils import Bunch

from skeegformer.explain import Explanation
from skeegformer.explain.explanation import FIELDS, Source
from skeegformer.explain.export import (
    load_explanation,
    save_explanation,
    to_dataframe,
    to_evoked,
    to_shap,
)

N_EPOCHS, N_CHANS, N_PARTS = 12, 64, 3
TIMES = ("0.00-0.67 s", "0.67-1.33 s", "1.33-2.00 s")


@pytest.fixture
def explanation(simulated):
    """Make one with every field but the model, of three classes."""
    rng = np.random.default_rng(0)
    info = simulated[0].info.copy()
    info["bads"] = ["Fp1"]
    classes = np.array(["feet", "left", "right"])
    return Explanation(
        token_values=rng.normal(size=(N_EPOCHS, N_CHANS, N_PARTS)),
        probabilities=rng.dirichlet(np.ones(3), size=N_EPOCHS).astype(np.float32),
        classes=classes,
        y=np.repeat(classes, 4),
        ch_names=list(info["ch_names"]),
        info=info,
        method="integrated-gradients",
        parts=TIMES,
        targets=rng.choice(classes, N_EPOCHS),
        subjects=np.tile([1, 2, 3, 4], 3),
        layer_values=rng.normal(size=(N_EPOCHS, 2, N_CHANS)),
        connections=rng.normal(size=(N_EPOCHS, N_CHANS, N_CHANS)).astype(np.float32),
        permutation=Bunch(
            importances=rng.normal(size=(N_CHANS, 5)),
            importances_mean=rng.normal(size=N_CHANS),
            names=list(info["ch_names"]),
        ),
        settings={"method": "integrated-gradients", "n_repeats": np.int64(5), "bands": None},
    )


@pytest.fixture
def saved(explanation, tmp_path):
    save_explanation(explanation, tmp_path / "explanation.npz")
    return tmp_path / "explanation.npz"


def assert_equal(found, expected):
    """Compare all fields, types included."""
    for name in FIELDS:
        value, truth = getattr(found, name), getattr(expected, name)
        if name == "info":
            if truth is not None:
                assert value["ch_names"] == truth["ch_names"]
                assert (value["sfreq"], value["bads"]) == (truth["sfreq"], truth["bads"])
        elif name == "source":
            assert value is None
        elif isinstance(truth, np.ndarray):
            assert value.dtype == truth.dtype, name
            np.testing.assert_array_equal(value, truth)
        elif isinstance(truth, Bunch):
            assert isinstance(value, Bunch)
            assert set(value) == set(truth)
            for key in truth:
                np.testing.assert_array_equal(value[key], truth[key])
        else:
            assert value == truth, name
            assert type(value) is type(truth), name


def test_every_value_is_in_the_table(explanation):
    frame = to_dataframe(explanation)
    assert frame.columns.tolist() == [
        *("epoch", "subject", "label", "prediction", "confidence", "target"),
        *("channel", "part", "value"),
    ]
    assert len(frame) == N_EPOCHS * N_CHANS * N_PARTS
    cube = frame.set_index(["epoch", "channel", "part"])["value"]
    for epoch, channel, part in ((0, 0, 0), (7, 20, 1), (11, 63, 2)):
        value = cube.loc[epoch, explanation.ch_names[channel], TIMES[part]]
        assert value == explanation.token_values[epoch, channel, part]
    means = frame.groupby(["label", "epoch", "channel"])["value"].sum().groupby(level=[0, 2]).mean()
    for label, mean in explanation.class_means().items():
        np.testing.assert_allclose(means.loc[label][explanation.ch_names], mean)
    epochs = frame.drop_duplicates("epoch")
    for column in ("subjects", "y", "predictions", "confidences", "targets"):
        name = {"y": "label"}.get(column, column.removesuffix("s"))
        np.testing.assert_array_equal(epochs[name], getattr(explanation, column))


def test_what_is_not_known_is_none_in_the_table(explanation):
    bare = replace(explanation, y=None, subjects=None, targets=None, ch_names=None, info=None)
    frame = to_dataframe(bare)
    assert frame[["subject", "label", "target"]].isna().all(axis=None)
    assert frame["channel"].iloc[3] == "channel 1"


def test_evoked_has_the_means_and_can_be_drawn(explanation):
    evoked = to_evoked(explanation)
    assert list(evoked) == ["feet", "left", "right"]
    left = evoked["left"]
    np.testing.assert_array_equal(left.data, explanation.token_values[4:8].mean(axis=0))
    np.testing.assert_allclose(left.times, [1 / 3, 1, 5 / 3], atol=0.01)
    assert (left.comment, left.nave, left.info["bads"]) == ("left", 4, ["Fp1"])
    assert left.ch_names == explanation.ch_names
    positions = [channel["loc"][:3] for channel in left.info["chs"]]
    np.testing.assert_array_equal(positions, explanation.positions)
    options = {"scalings": 1, "units": "log odds", "cbar_fmt": "%.2g", "show": False}
    figure = left.plot_topomap(times=left.times, **options)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["0.335 s", "1.000 s", "1.665 s"]
    # The map is the one that MNE makes of the plain numbers, bad channels left out.
    good = mne.pick_types(explanation.info, eeg=True)
    kept = mne.pick_info(explanation.info, good)
    image, _ = mne.viz.plot_topomap(left.data[good, 0], kept, show=False)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), image.get_array(), atol=1e-9)
    left.plot(scalings={"eeg": 1}, units={"eeg": "log odds"}, show=False)
    left.plot_joint(show=False)
    plt.close("all")
    mne.viz.plot_compare_evokeds(evoked, picks="C3", show=False)
    plt.close("all")


def test_evoked_of_bands_and_of_single_parts(explanation):
    bands = replace(explanation, parts=("theta", "alpha", "beta"), part_kind="band")
    evoked = to_evoked(bands, by=None)
    assert evoked.times.tolist() == [0, 1, 2]
    assert (evoked.comment, evoked.nave) == ("all epochs", N_EPOCHS)
    np.testing.assert_array_equal(evoked.data.T, list(bands.part_means().values()))
    whole = replace(explanation, token_values=explanation.token_values[..., :1], parts=("epoch",))
    evoked = to_evoked(whole)["right"]
    np.testing.assert_array_equal(evoked.data[:, 0], whole.class_means()["right"])
    evoked.plot_topomap(times=[0], show=False)
    plt.close("all")
    with pytest.raises(ValueError, match="pass Epochs, or give explain an info="):
        to_evoked(replace(explanation, info=None))
    with pytest.raises(ValueError, match="by='part' is not one of 'class', None"):
        to_evoked(explanation, by="part")


def test_evoked_survives_a_file_of_mne(explanation, tmp_path):
    evoked = to_evoked(explanation)["left"]
    evoked.save(tmp_path / "left-ave.fif")
    found = mne.read_evokeds(tmp_path / "left-ave.fif")[0]
    np.testing.assert_allclose(found.data, evoked.data, rtol=1e-6)
    np.testing.assert_allclose(found.times, evoked.times, atol=1e-5)


def test_shap_adds_up_to_the_log_odds_and_can_be_drawn(explanation):
    shap = pytest.importorskip("shap")
    data = np.random.default_rng(0).normal(size=(N_EPOCHS, N_CHANS, 50)).astype(np.float32)
    explanation = replace(explanation, source=Source(None, data))
    found = to_shap(explanation)
    codes = np.searchsorted(explanation.classes, explanation.targets)
    expected = logit(explanation.probabilities[np.arange(N_EPOCHS), codes].astype(float))
    np.testing.assert_allclose(found.base_values + found.values.sum(axis=1), expected, rtol=1e-5)
    np.testing.assert_array_equal(found.values, explanation.values)
    np.testing.assert_allclose(found.data, np.linalg.norm(data, axis=-1) / np.sqrt(50), rtol=1e-6)
    assert found.feature_names == explanation.ch_names

    divided = to_shap(explanation, parts=True)
    assert divided.shape == divided.data.shape == (N_EPOCHS, N_CHANS * N_PARTS)
    assert divided.feature_names[4] == f"{explanation.ch_names[1]}, {TIMES[1]}"
    np.testing.assert_array_equal(divided.values[:, 4], explanation.token_values[:, 1, 1])
    np.testing.assert_allclose(divided.base_values, found.base_values)
    np.testing.assert_array_equal(divided.data[:, 4], found.data[:, 1])

    for values in (found, to_shap(replace(explanation, source=None))):
        shap.plots.beeswarm(values, show=False, max_display=5)
        names = [label.get_text() for label in plt.gca().get_yticklabels()]
        top = explanation.ch_names[np.abs(explanation.values).mean(axis=0).argmax()]
        assert top in names
        shap.plots.bar(values, show=False)
        shap.plots.waterfall(values[0], show=False)
        plt.close("all")


def test_shap_of_a_probability_that_rounds_to_one(explanation):
    pytest.importorskip("shap")
    sure = np.tile(np.array([1, 1e-20, 0], dtype=np.float32), (N_EPOCHS, 1))
    sure = replace(explanation, probabilities=sure, targets=np.full(N_EPOCHS, "feet"))
    found = to_shap(sure)
    np.testing.assert_allclose(
        found.base_values + found.values.sum(axis=1), 20 * np.log(10), rtol=1e-6
    )
    for label in ("left", "right"):
        unlikely = to_shap(replace(sure, targets=np.full(N_EPOCHS, label)))
        assert np.isfinite(unlikely.base_values).all()


@pytest.mark.parametrize(
    "method, reason",
    [
        ("rollout", "those of attention rollout do not add up.*where the model looks"),
        ("gradient-rollout", "shares of relevance"),
        ("occlusion", "counted in all of them or in none.*method='integrated-gradients'"),
    ],
)
def test_shap_is_refused_where_values_do_not_add_up(explanation, method, reason):
    with pytest.raises(ValueError, match=reason):
        to_shap(replace(explanation, method=method))


def test_shap_needs_the_explained_classes(explanation):
    with pytest.raises(ValueError, match="targets are None"):
        to_shap(replace(explanation, targets=None))


def test_what_is_loaded_is_what_was_saved(explanation, saved):
    found = load_explanation(saved)
    expected = replace(explanation, settings={**explanation.settings, "n_repeats": 5})
    assert_equal(found, expected)
    np.testing.assert_array_equal(found.positions, explanation.positions)
    for channel in found.info["chs"]:
        assert channel["coord_frame"] == mne.io.constants.FIFF.FIFFV_COORD_HEAD
    before = explanation.info.get_montage().get_positions()
    after = found.info.get_montage().get_positions()
    for name in ("nasion", "lpa", "rpa"):
        np.testing.assert_array_equal(after[name], before[name])
    assert after["coord_frame"] == before["coord_frame"] == "head"
    np.testing.assert_array_equal(
        mne.channels.find_ch_adjacency(found.info, "eeg")[0].toarray(),
        mne.channels.find_ch_adjacency(explanation.info, "eeg")[0].toarray(),
    )
    assert repr(found) == repr(explanation)
    again = saved.with_name("again.npz")
    save_explanation(found, again)
    assert_equal(load_explanation(again), expected)


def test_little_is_saved_as_little(explanation, tmp_path):
    bare = Explanation(
        *(explanation.token_values, explanation.probabilities, explanation.classes),
        **{"y": None, "ch_names": None, "info": None, "method": "rollout"},
        parts=TIMES,
        source=Source("a model", np.ones(3)),
    )
    save_explanation(bare, tmp_path / "bare.npz")
    assert_equal(load_explanation(tmp_path / "bare.npz"), bare)


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["links", "räksmörgås"]),
        np.array(["left", "right"], dtype=object),
        np.array([1, 2]),
        np.array([1, 2], dtype=np.int8),
        np.array([1, 2], dtype=object),
        np.array([0.5, 1.5]),
        np.array([False, True]),
        np.array([b"left", b"right"]),
    ],
    ids=lambda classes: f"{classes.dtype}-{classes[0]}",
)
def test_labels_keep_their_type(explanation, tmp_path, classes):
    labels = np.tile(classes, N_EPOCHS // 2)
    explanation = replace(
        explanation,
        classes=classes,
        probabilities=explanation.probabilities[:, :2],
        **{"y": labels, "targets": labels, "subjects": labels, "settings": {}},
    )
    save_explanation(explanation, tmp_path / "labels.npz")
    found = load_explanation(tmp_path / "labels.npz")
    assert_equal(found, explanation)
    assert [type(label) for label in found.y] == [type(label) for label in labels]
    assert list(found.class_means()) == list(classes)


def test_columns_of_pandas_are_saved(explanation, tmp_path):
    frame = pd.DataFrame({"y": explanation.y, "subject": [f"S{k:03d}" for k in range(N_EPOCHS)]})
    explanation = replace(
        explanation, y=frame["y"].to_numpy(), subjects=frame["subject"].to_numpy()
    )
    save_explanation(explanation, tmp_path / "frame.npz")
    found = load_explanation(tmp_path / "frame.npz")
    assert found.y.dtype == explanation.y.dtype
    np.testing.assert_array_equal(found.subjects, explanation.subjects)


def test_labels_that_would_have_to_be_pickled_are_refused(explanation, tmp_path):
    labels = np.full(N_EPOCHS, None, dtype=object)
    labels[:] = [("left", 1)] * N_EPOCHS
    with pytest.raises(ValueError, match=r"subjects holds \('left', 1\), a tuple"):
        save_explanation(replace(explanation, subjects=labels), tmp_path / "labels.npz")
    assert list(tmp_path.iterdir()) == []


def test_settings_become_what_json_knows(explanation, tmp_path):
    settings = {
        "bands": {"alpha": (8.0, np.float64(13.0))},
        "error": np.float32(0.5),
        "mask": np.array([True, False]),
        "kind": str,
        "limit": np.inf,
    }
    save_explanation(replace(explanation, settings=settings), tmp_path / "settings.npz")
    assert load_explanation(tmp_path / "settings.npz").settings == {
        "bands": {"alpha": [8.0, 13.0]},
        "error": 0.5,
        "mask": [True, False],
        "kind": "<class 'str'>",
        "limit": np.inf,
    }


def test_channels_without_a_position(explanation, tmp_path):
    info = explanation.info.copy()
    info["chs"][3]["loc"][:] = np.nan
    save_explanation(replace(explanation, info=info), tmp_path / "gap.npz")
    found = load_explanation(tmp_path / "gap.npz")
    for channel, expected in zip(found.info["chs"], info["chs"], strict=True):
        np.testing.assert_array_equal(channel["loc"][:3], expected["loc"][:3])
    bare = mne.create_info(explanation.ch_names, 160.0, "eeg")
    save_explanation(replace(explanation, info=bare), tmp_path / "none.npz")
    assert load_explanation(tmp_path / "none.npz").positions is None


def test_a_file_is_replaced_only_when_asked_to(explanation, saved):
    other = replace(explanation, settings={"seed": 1})
    with pytest.raises(FileExistsError, match="pass overwrite=True to replace it"):
        save_explanation(other, saved)
    assert "n_repeats" in load_explanation(saved).settings
    save_explanation(other, str(saved), overwrite=True)
    assert load_explanation(str(saved)).settings == {"seed": 1}
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_where_nothing_can_be_written(explanation, saved):
    with pytest.raises(ValueError, match=r"saved as \.npz: call it result\.npz, for"):
        save_explanation(explanation, saved.parent / "result")
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere to save a.npz in"):
        save_explanation(explanation, saved.parent / "nowhere" / "a.npz")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        save_explanation(explanation, saved / "a.npz")
    folder = saved.parent / "folder.npz"
    folder.mkdir()
    with pytest.raises(OSError, match=r"folder\.npz could not be written"):
        save_explanation(explanation, folder, overwrite=True)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load_explanation(folder)


def test_a_folder_that_is_read_only(explanation, tmp_path):
    folder = tmp_path
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):  # root may write there, but not where the kernel reports
        folder = Path("/proc")
    with pytest.raises(OSError, match=r"a\.npz could not be written: "):
        save_explanation(explanation, folder / "a.npz")


def test_a_full_disk_leaves_the_old_file(explanation, saved):
    before = saved.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="could not be written: File too large"):
            save_explanation(explanation, saved, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def repack(path, changes):
    """Write the archive again with changed members, its own checksums right."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays["header"].tobytes())
    changes(arrays, header)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez(path, **arrays)


def test_changed_files_are_refused(saved):
    def change_value(arrays, header):
        arrays["token_values"][3, 4, 0] += 1e-9

    def drop_array(arrays, header):
        del arrays["connections"]

    def change_type(arrays, header):
        arrays["subjects"] = arrays["subjects"].view(np.uint64)

    def change_method(arrays, header):
        header["fields"]["method"] = "rollout"

    whole = saved.read_bytes()
    for change in (change_value, drop_array, change_type, change_method):
        saved.write_bytes(whole)
        repack(saved, change)
        with pytest.raises(ValueError, match="was changed since it was saved, its checksum"):
            load_explanation(saved)
    saved.write_bytes(whole)
    repack(saved, lambda arrays, header: None)
    load_explanation(saved)


def test_newer_files_are_refused(saved):
    repack(saved, lambda arrays, header: header.update(version=2))
    with pytest.raises(ValueError, match="has format 2, and this version .* reads up to 1: update"):
        load_explanation(saved)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, values=np.ones(3))
    with pytest.raises(ValueError, match="is no explanation: it was not made by save_explanation"):
        load_explanation(path)
    np.savez(path, header=np.ones(3))
    with pytest.raises(ValueError, match="is no explanation"):
        load_explanation(path)
    single, pickled = io.BytesIO(), io.BytesIO()
    np.save(single, np.ones(3))
    np.savez(pickled, header=np.array([{}], dtype=object))
    for content in (b"", b"text", single.getvalue(), pickled.getvalue()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read: it is incomplete, damaged, or no"):
            load_explanation(path)


def explanation_or_error(path):
    try:
        return load_explanation(path)
    except ValueError as error:
        return str(error)


def test_damaged_files_are_refused_or_whole(explanation, saved):
    """Cut it off anywhere, or change any byte: an error, or what was saved."""
    expected = load_explanation(saved)
    whole = saved.read_bytes()
    rng = np.random.default_rng(0)
    for end in rng.integers(len(whole), size=20):
        saved.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="incomplete, damaged"):
            load_explanation(saved)
    refused = 0
    edges = zipfile.ZipFile(io.BytesIO(whole)).start_dir  # the table of contents, and what is there
    for place in [*rng.integers(len(whole), size=60), *rng.integers(edges, len(whole), size=60)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        saved.write_bytes(changed)
        found = explanation_or_error(saved)
        if isinstance(found, str):
            assert "damaged" in found or "checksum" in found or "is no explanation" in found
            refused += 1
        else:  # a time stamp, for example
            assert_equal(found, expected)
    assert refused > 60
