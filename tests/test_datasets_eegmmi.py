"""Loading of EEGMMIDB: against the EDF files themselves, and with files that are not right."""

import os
import socket
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skeegformer.datasets import EyesParadigm, PhysionetEyes, load_eegmmi
from skeegformer.datasets._channels import CH_NAMES

LAYOUT = Path("MNE-eegbci-data", "files", "eegmmidb", "1.0.0")
ROOT = Path(os.environ.get("MNE_DATA", "~/mne_data")).expanduser()


def edf(subject, run, root=ROOT):
    return root / LAYOUT / f"S{subject:03d}" / f"S{subject:03d}R{run:02d}.edf"


def read(subject, run):
    """Read a recording without any code of ours; volts, and the annotations."""
    raw = mne.io.read_raw_edf(edf(subject, run), preload=True, verbose="ERROR")
    return raw.get_data(), raw.annotations


@pytest.fixture
def no_network(monkeypatch):
    """Refuse every connection, with MOABB's provider left to itself; return the attempts."""
    attempts = []

    def refuse(*args, **kwargs):
        attempts.append(args)
        raise OSError("the network was touched")

    monkeypatch.delenv("MOABB_DOWNLOAD_PROVIDER", raising=False)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return attempts


@pytest.fixture(scope="module")
def rest(recorded_subjects):
    return load_eegmmi("baseline-eyes", recorded_subjects)


def test_rest_windows_are_the_recording_cut_without_overlap(rest):
    X, y, metadata = rest
    assert len(y) == len(metadata) == 12 * 60
    assert X.get_data().shape == (12 * 60, 64, 320)
    for subject, run, label in ((1, 1, "eyes-open"), (62, 2, "eyes-closed")):
        mine = ((metadata["subject"] == subject) & (metadata["run"] == str(run))).to_numpy()
        assert set(y[mine]) == {label}
        windows = read(subject, run)[0][:, : 30 * 320].reshape(64, 30, 320).swapaxes(0, 1)
        assert_allclose(X.get_data()[mine], windows, rtol=1e-12, atol=0)


def test_alpha_is_stronger_with_closed_eyes_in_every_subject(rest):
    X, y, metadata = rest
    f = np.fft.rfftfreq(320, 1 / 160.0)
    # Tapered: without, slow drifts leak into the alpha band.
    tapered = X.get_data(picks=["O1", "Oz", "O2"]) * np.hanning(320)
    alpha = (abs(np.fft.rfft(tapered)[..., (f >= 8) & (f <= 13)]) ** 2).mean(axis=(1, 2))
    means = pd.Series(alpha).groupby([metadata["subject"], y]).mean().unstack()
    assert (means["eyes-closed"] > means["eyes-open"]).all()
    assert len(means) == 12


def test_events_metadata_and_channels_belong_to_the_epochs(recorded_subjects, rest):
    X, y, metadata = rest
    names = {code: name for name, code in X.event_id.items()}
    assert [names[code] for code in X.events[:, 2]] == y.tolist()
    assert X.metadata.equals(metadata)
    assert list(metadata.columns) == ["subject", "session", "run", "task"]
    assert metadata["subject"].unique().tolist() == recorded_subjects
    assert set(metadata["task"]) == {"baseline-eyes"}
    assert X.ch_names == list(CH_NAMES)
    assert set(X.get_channel_types()) == {"eeg"}
    positions = X.get_montage().get_positions()["ch_pos"]
    assert len({tuple(np.round(positions[name], 6)) for name in CH_NAMES}) == 64


@pytest.mark.parametrize(
    "task, runs, labels",
    [
        ("fist-imagination", (4, 8, 12), ("left-fist-imag", "right-fist-imag")),
        ("fist_feet-imagination", (6, 10, 14), ("fists-imag", "feet-imag")),
        ("fist-motion", (3, 7, 11), ("left-fist-move", "right-fist-move")),
        ("fist_feet-motion", (5, 9, 13), ("fists-move", "feet-move")),
    ],
)
def test_trials_are_those_of_the_annotations(recorded_subjects, task, runs, labels):
    subjects = recorded_subjects if "imagination" in task else [1]
    X, y, metadata = load_eegmmi(task, subjects)
    data = X.get_data()
    assert data.shape[1:] == (64, 481)
    names, k = dict(zip(("T1", "T2"), labels, strict=True)), 0
    for subject in subjects:
        for run in runs:
            recording, annotations = read(subject, run)
            for annotation in annotations:
                if annotation["description"] == "T0":
                    continue
                assert y[k] == names[annotation["description"]]
                assert metadata.loc[k, ["subject", "run"]].tolist() == [subject, str(run)]
                onset = round(annotation["onset"] * 160)
                assert_allclose(data[k], recording[:, onset : onset + 481], rtol=1e-12, atol=0)
                k += 1
    assert k == len(y)


def test_samples_and_labels_are_those_of_moabb(recorded_subjects, tmp_path, monkeypatch):
    """MOABB's own dataset and paradigm give the same trials."""
    from moabb.datasets import PhysionetMI
    from moabb.paradigms import MotorImagery

    # MOABB writes settings; let it write them elsewhere.
    monkeypatch.setenv("_MNE_FAKE_HOME_DIR", str(tmp_path))
    monkeypatch.setenv("MOABB_DOWNLOAD_PROVIDER", "upstream")
    dataset = PhysionetMI(subjects=[1])
    dataset.feet_runs = []
    paradigm = MotorImagery(events=["left_hand", "right_hand"], n_classes=2)
    monkeypatch.setattr(paradigm, "_get_raw_pipelines", lambda: [None])  # no filter
    theirs, labels, _ = paradigm.get_data(dataset)
    X, y, _ = load_eegmmi("fist-imagination", 1)
    assert_allclose(X.get_data(units="uV"), theirs, rtol=1e-9)
    assert [label.replace("_hand", "-fist-imag") for label in labels] == y.tolist()


@pytest.mark.parametrize("tmin", [0.5, 0.503125, -0.334])
def test_all_tasks_together_have_windows_of_one_length(recorded_subjects, tmin):
    """Also where they start between samples."""
    X, y, metadata = load_eegmmi("all", np.array([1, 1]), tmin=tmin)
    assert X.get_data().shape == (60 + 4 * 45, 64, 320)
    assert X.times[0] == pytest.approx(tmin, abs=1 / 160)
    assert len(set(y)) == len(X.event_id) == 10
    assert metadata["task"].nunique() == 5
    if tmin == 0.5:
        alone, _, _ = load_eegmmi("fist-motion", 1, tmin=tmin, tmax=3.0)
        mine = (metadata["task"] == "fist-motion").to_numpy()
        assert_array_equal(X.get_data()[mine], alone.get_data()[:, :, :320])


def test_window_and_range_of_rest_are_to_the_sample(recorded_subjects):
    data, _ = read(1, 2)
    X, y, _ = load_eegmmi("baseline-eyes", 1, window=0.75, tmin=10.0, tmax=20.0)
    closed = X.get_data()[y == "eyes-closed"]
    assert closed.shape == (13, 64, 120)
    assert_allclose(closed[0], data[:, 1600:1720], rtol=1e-12, atol=0)
    assert_allclose(closed[12], data[:, 1600 + 12 * 120 : 1600 + 13 * 120], rtol=1e-12, atol=0)


def test_padding_at_the_end_of_a_recording_is_no_data(recorded_subjects):
    data, _ = read(1, 1)
    assert (data[:, 9640:] == data[:, -1:]).all()
    X, y, _ = load_eegmmi("baseline-eyes", 1, window=1.0)
    assert (y == "eyes-open").sum() == 60
    assert X.get_data().std(axis=-1).min() > 1e-7


def test_filter_acts_on_the_recording_before_it_is_cut(recorded_subjects):
    X, y, _ = load_eegmmi("baseline-eyes", 1, l_freq=8.0, h_freq=13.0)
    raw = mne.io.read_raw_edf(edf(1, 2), preload=True, verbose="ERROR").crop(tmax=9631 / 160)
    raw.filter(8.0, 13.0, verbose="ERROR")
    windows = raw.get_data()[:, : 30 * 320].reshape(64, 30, 320).swapaxes(0, 1)
    assert_allclose(X.get_data()[y == "eyes-closed"], windows, atol=2e-7)


def test_dataset_and_paradigm_alone(recorded_subjects):
    from moabb.datasets import PhysionetMI

    dataset = PhysionetEyes(subjects=[1])
    X, y, _ = EyesParadigm(window=4.0).get_data(dataset, return_epochs=True)
    assert X.get_data().shape == (30, 64, 640)
    assert set(y) == {"eyes-open", "eyes-closed"}
    assert not EyesParadigm().is_valid(PhysionetMI())
    assert dataset.data_path(1) == [str(edf(1, 1)), str(edf(1, 2))]
    with pytest.raises(ValueError, match="Subject 2"):
        dataset.data_path(2)


def test_path_wins_over_settings_and_none_is_written(
    recorded_subjects, tmp_path, monkeypatch, no_network
):
    """A configuration folder of its own, so that a written setting would be seen."""
    for name, setting in (("home", "_MNE_FAKE_HOME_DIR"), ("elsewhere", "MNE_DATA")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(setting, str(tmp_path / name))
    before = dict(os.environ)
    load_eegmmi("baseline-eyes", 1, path=str(ROOT))
    assert dict(os.environ) == before
    monkeypatch.setenv("MNE_DATASETS_EEGBCI_PATH", str(ROOT))  # before the general one
    assert len(load_eegmmi("baseline-eyes", 1)[1]) == 60
    assert not list(tmp_path.glob("*/*"))
    assert no_network == []


def test_missing_files_are_named_when_they_cannot_be_had(tmp_path, no_network, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(FileNotFoundError) as caught:
        load_eegmmi("baseline-eyes", range(1, 11), path=tmp_path)
    told = "S001R01.edf, S001R02.edf", str(tmp_path / LAYOUT), "`path`", "and 12 more"
    assert all(part in str(caught.value) for part in (*told, "ConnectionError"))
    assert no_network
    assert not edf(1, 1, tmp_path).exists()


def test_downloads_are_kept_only_if_they_are_what_was_published(tmp_path, monkeypatch):
    """A login page in place of a recording, as a captive portal serves it."""
    import pooch

    def serve_page(self, url, output_file, *args, **kwargs):
        Path(output_file).write_bytes(b"<html>please log in</html>")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", serve_page)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(FileNotFoundError, match=r"S001R01\.edf") as caught:
        load_eegmmi("baseline-eyes", 1, path=tmp_path)
    assert "SHA256" in str(caught.value.__cause__)
    assert not edf(1, 1, tmp_path).exists()


def test_folders_that_do_not_exist_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("_MNE_FAKE_HOME_DIR", str(tmp_path))
    monkeypatch.delenv("MNE_DATASETS_EEGBCI_PATH", raising=False)
    monkeypatch.setenv("MNE_DATA", str(tmp_path / "nowhere"))
    for options, origin in (({"path": tmp_path / "nowhere"}, "path"), ({}, "MNE_DATA")):
        with pytest.raises(FileNotFoundError, match=rf"{origin} names .*nowhere"):
            load_eegmmi("baseline-eyes", 1, **options)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"<!DOCTYPE html><html>404</html>",
        lambda content: content[:200],
        lambda content: content[:-200_000],
        lambda content: content + content[-200_000:],
    ],
    ids=["page", "header only", "short", "long"],
)
def test_damaged_files_are_refused_by_name(recorded_subjects, tmp_path, damage):
    first, second = (edf(1, run, tmp_path) for run in (1, 2))
    first.parent.mkdir(parents=True)
    first.write_bytes(edf(1, 1).read_bytes())
    second.write_bytes(damage(edf(1, 2).read_bytes()))
    with pytest.raises(ValueError, match="cannot be read as the recording .* Delete the file") as c:
        load_eegmmi("baseline-eyes", 1, path=tmp_path)
    assert str(second) in str(c.value)


@pytest.fixture
def made_up(tmp_path):
    """Return a function that writes a recording in PhysioNet's layout."""

    def write(subject, run, sfreq, marks, duration=30.0):
        names = [name.capitalize().ljust(4, ".") for name in CH_NAMES]
        t = np.arange(round(duration * sfreq)) / sfreq
        phase = np.arange(64)[:, np.newaxis] / 10
        data = 50e-6 * np.sin(2 * np.pi * 10 * t + phase)
        raw = mne.io.RawArray(data, mne.create_info(names, sfreq, "eeg"), verbose="ERROR")
        raw.set_annotations(mne.Annotations(*zip(*marks, strict=True)))
        target = edf(subject, run, tmp_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        mne.export.export_raw(target, raw, physical_range=(-100, 100), verbose="ERROR")

    return write


def sine(epoch, sfreq, onset):
    """Compare with the 10 Hz of the made-up recordings, away from the ends."""
    t = onset + np.arange(epoch.shape[-1]) / sfreq
    expected = 50e-6 * np.sin(2 * np.pi * 10 * t + np.arange(64)[:, np.newaxis] / 10)
    assert_allclose(epoch, expected, atol=1e-6)


@pytest.mark.parametrize("subjects", [[88, 1], [1, 88, 92], [88]])
@pytest.mark.parametrize("resample", [None, 100.0])
def test_subjects_at_128_hz_are_brought_to_the_frequency_of_the_others(
    tmp_path, made_up, subjects, resample
):
    for subject in subjects:
        for run in (1, 2):
            made_up(subject, run, 160.0 if subject == 1 else 128.0, [(0.0, 30.0, "T0")])
    X, _, metadata = load_eegmmi("baseline-eyes", subjects, resample=resample, path=tmp_path)
    sfreq = resample or 160.0
    assert X.info["sfreq"] == sfreq
    assert metadata["subject"].value_counts(sort=False).to_dict() == dict.fromkeys(subjects, 30)
    assert X.get_data().shape[-1] == 2 * sfreq
    for k in range(5, len(X), 30):
        sine(X.get_data()[k], sfreq, 10.0)


def test_cues_of_a_subject_at_128_hz_stay_where_they_are(tmp_path, made_up):
    marks = [(0.0, 4.0, "T0"), (5.25, 4.0, "T1"), (9.5, 4.0, "T0"), (13.125, 4.0, "T2")]
    for run in (4, 8, 12):
        made_up(88, run, 128.0, marks)
    X, y, metadata = load_eegmmi("fist-imagination", 88, path=tmp_path)
    assert y.tolist() == ["left-fist-imag", "right-fist-imag"] * 3
    assert metadata["run"].tolist() == ["4", "4", "8", "8", "12", "12"]
    sine(X.get_data()[0], 160.0, 5.25)
    sine(X.get_data()[1], 160.0, 13.125)


def test_stray_annotations_odd_counts_and_late_cues_do_no_harm(tmp_path, made_up):
    made_up(104, 4, 160.0, [(1.0, 0.0, "T1"), (6.0, 4.0, "T9"), (6.0, 4.0, "artefact")])
    made_up(104, 8, 160.0, [(0.5, 4.0, "T2"), (9.0, 4.0, "T2"), (28.5, 1.0, "T1")])
    made_up(104, 12, 160.0, [(0.0, 4.0, "T0")])
    with pytest.warns(UserWarning, match=r"S104R12\.edf holds no trial"):
        _, y, metadata = load_eegmmi("fist-imagination", 104, path=tmp_path)
    assert y.tolist() == ["left-fist-imag", "right-fist-imag", "right-fist-imag"]
    assert metadata["run"].tolist() == ["4", "8", "8"]
    with pytest.raises(ValueError, match="within its recording of 30 s"):
        load_eegmmi("fist-imagination", 104, tmax=40.0, path=tmp_path)
    for run in (1, 2, 4, 8, 12):
        made_up(3, run, 160.0, [(0.0, 4.0, "T0")])
    with (
        pytest.warns(UserWarning, match="holds no trial"),
        pytest.raises(ValueError, match="subject 3 holds a trial"),
    ):
        load_eegmmi("fist-imagination", 3, path=tmp_path)
    with pytest.raises(ValueError, match=r"No window of 40\.0 s fits"):
        load_eegmmi("baseline-eyes", 3, window=40.0, path=tmp_path)
