"""Exported networks: the same probabilities, without skeegformer."""

import json
import subprocess
import sys

import mne
import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skeegformer import (
    BandPassFilter,
    EEGTransformer,
    EEGTransformerClassifier,
    TemperatureScaledClassifier,
    export_network,
    make_baseline,
)
from skeegformer.online._exportable import ExportableNetwork, ShrunkLogarithm

TINY = {"mirror": None, "embed_dim": 8, "n_heads": 2, "max_epochs": 2, "random_state": 0}


def _data(n_chans, n_times=161, n_epochs=12, seed=0):
    """Make epochs of three classes whose channels are mixtures, in microvolts."""
    rng = np.random.default_rng(seed)
    y = np.array(["rest", "left", "right"])[np.arange(n_epochs) % 3]
    mixing = 5 * rng.normal(size=(n_epochs, n_chans, n_chans))
    return (mixing @ rng.normal(size=(n_epochs, n_chans, n_times))).astype(np.float32), y


def _hard_cases(X):
    """Add a flat channel, silence, loud epochs, and channels that are all the same."""
    X = X.copy()
    X[0, 1] = 0
    X[1] = 0
    X[2] *= 1e4
    X[3] = X[3, :1]
    X[4] *= 1e-3
    return X


def _fit(n_chans, n_times=161, **params):
    X, y = _data(n_chans, n_times)
    return EEGTransformerClassifier(**{**TINY, "sfreq": 80.0, **params}).fit(X, y), _hard_cases(X)


@pytest.fixture(scope="module")
def small():
    return _fit(4, tokenizer="linear", votes=False)


@pytest.mark.parametrize("n", [1, 2, 8, 15, 16, 64, 128])
def test_logarithm_against_eigenvalues(n):
    rng = np.random.default_rng(n)
    shrinkage = 0.25 * n / (n + 16)
    factors = [
        rng.normal(size=(n, n)),
        rng.normal(size=(n, n)) * np.exp(2 * rng.normal(size=(n, 1))),
        rng.normal(size=(n, 1)) @ np.ones((1, 2)),  # all power in one direction
        np.zeros((n, n)),
        1e6 * rng.normal(size=(n, 3)) @ rng.normal(size=(3, 9)),
        1e-3 * rng.normal(size=(n, n)) @ rng.normal(size=(n, n)) @ rng.normal(size=(n, n)),
    ]
    covariances = np.stack([factor @ factor.T for factor in factors])
    power = covariances.trace(axis1=1, axis2=2)[:, None, None] / n
    shrunk = (1 - shrinkage) * covariances + (shrinkage * power + 1e-8) * np.eye(n)
    values, vectors = np.linalg.eigh(shrunk)
    expected = (vectors * np.log(values)[:, None]) @ vectors.transpose(0, 2, 1)
    logarithm = ShrunkLogarithm(n, shrinkage)
    found = logarithm(torch.from_numpy(shrunk)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-7)
    # In float32 as exported: no worse than what rounding the matrices does to eigenvalues.
    found = logarithm(torch.from_numpy(shrunk).float()).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("votes", [True, False])
@pytest.mark.parametrize("n_time_tokens", [1, 3])
@pytest.mark.parametrize("tokenizer", ["covariance", "spectral", "linear"])
@pytest.mark.parametrize("n_chans, crop", [(4, None), (4, 300), (20, None)])
def test_exportable_network_agrees(n_chans, crop, tokenizer, n_time_tokens, votes):
    torch.manual_seed(0)
    options = {"tokenizer": tokenizer, "votes": votes, "n_time_tokens": n_time_tokens}
    options["crop"] = crop
    network = EEGTransformer(n_chans, 3, 325, 160.0, embed_dim=8, n_heads=2, **options).eval()
    X = _data(n_chans, 325, n_epochs=24)[0]
    network.learn_statistics(torch.from_numpy(X))
    if votes:
        torch.nn.init.normal_(network.votes.weight, std=0.02)
    with torch.no_grad():
        exportable = ExportableNetwork(network)
        for x in (torch.from_numpy(X), torch.from_numpy(_hard_cases(X)[:5])):
            expected = network(x).softmax(dim=1)
            assert (expected.std(dim=0) > 1e-4).all()
            torch.testing.assert_close(exportable(x), expected, atol=1e-5, rtol=0)
        # All that is left of a mere offset is how it was rounded; it is no number less.
        offset = exportable(torch.full((1, n_chans, 325), 1e3))
        torch.testing.assert_close(offset.sum(), torch.tensor(1.0))


@pytest.mark.parametrize(
    "n_chans, params",
    [
        (17, {"n_time_tokens": 2, "n_times": 81}),
        (4, {"votes": False, "n_layers": 2}),
        (4, {"tokenizer": "spectral", "n_time_tokens": 3}),
        (3, {"tokenizer": "linear", "votes": False, "crop": 60}),
    ],
    ids=["covariance", "covariance of few channels", "spectral", "linear"],
)
def test_onnx_gives_the_same(n_chans, params, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    classifier, X = _fit(n_chans, **params)
    path = classifier.export(tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type) == ("epochs", "tensor(float)")
    assert entry.shape == ["batch", n_chans, classifier.n_times_]
    assert result.shape == ["batch", 3]
    for x in (X, X[6:7]):
        (found,) = session.run(None, {"epochs": x})
        np.testing.assert_allclose(found, classifier.predict_proba(x), atol=1e-5)
    metadata = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    assert metadata["classes"] == ["left", "rest", "right"]
    assert metadata["sfreq"] == 80
    assert metadata["ch_names"] is None
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]


def test_torch_program_runs_without_skeegformer(tmp_path):
    X, y = _data(4)
    info = mne.create_info(["Fz", "Cz", "Pz", "Oz"], 80.0, "eeg")
    epochs = mne.EpochsArray(1e-6 * X, info)
    classifier = EEGTransformerClassifier(**TINY).fit(epochs, y)
    X = _hard_cases(X)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "expected.npy", classifier.predict_proba(X))
    classifier.export(tmp_path / "network.pt2", "torch")
    code = """
import sys, json
sys.modules["skeegformer"] = sys.modules["skorch"] = None  # importing them raises
import numpy as np, torch
X, expected = torch.from_numpy(np.load("X.npy")), np.load("expected.npy")
extra = {"skeegformer.json": ""}
network = torch.export.load("network.pt2", extra_files=extra).module()
for part in (slice(None), slice(5, 6), slice(0, 5)):
    difference = np.abs(network(X[part]).numpy() - expected[part]).max()
    assert difference < 1e-5, difference
print(extra["skeegformer.json"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    metadata = json.loads(done.stdout)
    assert metadata["classes"] == ["left", "rest", "right"]
    assert metadata["ch_names"] == ["Fz", "Cz", "Pz", "Oz"]
    assert (metadata["unit"], metadata["n_times"], metadata["sfreq"]) == ("uV", 161, 80.0)


def test_calibrated_probabilities(small, tmp_path):
    classifier, X = small
    calibrated = TemperatureScaledClassifier(classifier)
    calibrated.classifier_, calibrated.temperature_ = classifier, 2.5
    calibrated.classes_ = classifier.classes_
    path = export_network(calibrated, tmp_path / "calibrated.pt2", format="torch")
    found = torch.export.load(path).module()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, calibrated.predict_proba(X), atol=1e-6)
    assert np.abs(found - classifier.predict_proba(X)).max() > 1e-3


def test_subject_whose_mean_is_known(tmp_path):
    X, y = _data(4)
    subjects = np.repeat([7, 8], 6)
    classifier = EEGTransformerClassifier(**TINY, tokenizer="linear", adapt=True, sfreq=80.0)
    classifier.fit(X + 20 * (subjects == 8)[:, None, None], y, groups=subjects)
    with pytest.raises(ValueError, match=r"adapt=True centres .*subject=7, 8.*fine_tune"):
        classifier.export(tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="that of subject=9 is not known"):
        classifier.export(tmp_path / "a.onnx", subject=9)
    path = classifier.export(tmp_path / "a.pt2", "torch", subject=8)
    found = torch.export.load(path).module()(torch.from_numpy(X)).numpy()
    expected = classifier.predict_proba(X, groups=np.full(12, 8))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected - classifier.predict_proba(X, groups=np.full(12, 7))).max() > 1e-3


def test_a_file_is_kept_unless_asked(small, tmp_path):
    classifier, _ = small
    path = tmp_path / "network.pt2"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"exists already.*overwrite=True"):
        classifier.export(path, "torch")
    assert path.read_text() == "precious"
    classifier.export(path, "torch", overwrite=True)
    assert path.read_bytes()[:2] == b"PK"


def test_nothing_is_written_where_probabilities_differ(small, tmp_path, monkeypatch):
    monkeypatch.setattr("skeegformer.online.frozen._AGREEMENT", -1.0)
    with pytest.raises(RuntimeError, match=r"differ by .* not written"):
        small[0].export(tmp_path / "network.pt2", "torch")
    assert list(tmp_path.iterdir()) == []


def test_export_leaves_the_classifier_as_it_was(small, tmp_path):
    classifier, X = small
    before = classifier.predict_proba(X)
    classifier.net_.module_.train()
    classifier.export(tmp_path / "network.pt2", "torch")
    assert classifier.net_.module_.training
    assert all(p.requires_grad for p in classifier.net_.module_.parameters())
    np.testing.assert_array_equal(classifier.predict_proba(X), before)


def test_refusals(small, tmp_path, monkeypatch):
    classifier, _ = small
    with pytest.raises(NotFittedError, match="not fitted"):
        EEGTransformerClassifier().export(tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="'tflite' is not one of"):
        classifier.export(tmp_path / "a.tflite", "tflite")
    with pytest.raises(ValueError, match=r"does not end in \.onnx"):
        classifier.export(tmp_path / "a.pt2")
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        classifier.export(tmp_path / "nowhere" / "a.onnx")
    with pytest.raises(ValueError, match="adapt=False"):
        classifier.export(tmp_path / "a.onnx", subject=1)
    pipe = make_pipeline(BandPassFilter(), classifier)
    with pytest.raises(ValueError, match=r"\(bandpassfilter\).*pipeline\[-1\]"):
        export_network(pipe, tmp_path / "a.onnx")
    with pytest.raises(TypeError, match="there is a LinearDiscriminantAnalysis"):
        export_network(make_baseline("csp+lda"), tmp_path / "a.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'skeegformer\[onnx\]'"):
        classifier.export(tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
