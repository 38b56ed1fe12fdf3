"""Exported networks: the same probabilities, without skeegformer."""

import json

import mne
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from test_surroundings import Double

from skeegformer import (
    BandPassFilter,
    EEGTransformerClassifier,
    OriginalTransformerClassifier,
    export_network,
)

onnxruntime = pytest.importorskip("onnxruntime")
TINY = {"mirror": None, "n_heads": 4, "max_epochs": 2, "random_state": 0}
ORIGINAL = {"embed_dim": 8, "n_heads": 2, "n_layers": 2, "n_time_tokens": 3, "max_epochs": 2}
ORIGINAL |= {"early_stopping": False, "random_state": 0}
NAMES = ["C3", "Cz", "C4", "Oz"]


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


def _fit(n_chans, n_times=161, sfreq=80.0, **params):
    X, y = _data(n_chans, n_times)
    params = {**TINY, "sfreq": sfreq, **params}
    return EEGTransformerClassifier(**params).fit(X, y), _hard_cases(X)


@pytest.fixture(scope="module")
def small():
    return _fit(4)


def _mirrored(**params):
    """Fit on Epochs whose names tell left from right, so that mirror images are predicted too."""
    X, y = _data(4)
    epochs = mne.EpochsArray(1e-6 * X, mne.create_info(NAMES, 80.0, "eeg"), verbose="ERROR")
    classifier = EEGTransformerClassifier(**{**TINY, "mirror": "auto", **params})
    classifier.fit(epochs, y, groups=np.repeat([7, 8], 6))
    assert classifier.net_.module_.pairs.tolist() == [2, 1, 0, 3]
    return classifier, _hard_cases(X)


def _original(**params):
    X, y = _data(4)
    classifier = OriginalTransformerClassifier(**ORIGINAL, **params, sfreq=80.0)
    return classifier.fit(X, y), X


MODELS = {
    "many channels": lambda: (*_fit(17, 81), {}),
    "groups, decimated": lambda: (*_fit(4, 160, sfreq=250.0, n_groups=2), {}),
    "short": lambda: (*_fit(4, 20), {}),
    "mirror images": lambda: (*_mirrored(), {}),
    "adapted": lambda: (*_mirrored(adapt=True), {"subject": 8}),
    "original": lambda: (*_original(), {}),
    "original of a crop": lambda: (*_original(crop=60), {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_files_give_the_same(name, tmp_path):
    """By standard operators alone."""
    classifier, X, options = MODELS[name]()
    with Double():
        path = export_network(classifier, tmp_path / "network.onnx", **options)
    _refuse_other_operators(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type) == ("epochs", "tensor(float)")
    assert entry.shape == ["batch", X.shape[1], classifier.n_times_]
    assert result.shape == ["batch", 3]
    metadata = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    unit = "as the arrays in fit" if classifier.info_ is None else "uV"
    expected = {"classes": ["left", "rest", "right"], "ch_names": classifier.ch_names_}
    expected |= {"sfreq": classifier.sfreq_, "n_times": classifier.n_times_, "unit": unit}
    expected |= {"subject": options.get("subject"), "producer": metadata["producer"]}
    assert metadata == expected
    whose = {"groups": np.full(len(X), 8)} if options else {}
    expected = classifier.predict_proba(X, **whose)
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(_run(path, X), expected, atol=1e-5)
    np.testing.assert_allclose(_run(path, X[6:7]), expected[6:7], atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def _run(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"epochs": X})[0]


def _refuse_other_operators(path):
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx"}
    assert not model.functions
    assert len(model.graph.node) > 5
    for node in model.graph.node:
        assert node.domain in ("", "ai.onnx"), (node.domain, node.op_type)
        assert onnx.defs.has(node.op_type)
        # Nor anything inside which other operators could hide.
        assert not any(attribute.HasField("g") for attribute in node.attribute)


def test_calibrated_probabilities(small, tmp_path):
    classifier, X = small
    calibrated = CalibratedClassifierCV(FrozenEstimator(classifier), method="temperature")
    calibrated.fit(*_data(4, n_epochs=15, seed=1))
    calibrated.calibrated_classifiers_[0].calibrators[0].beta_ = np.float32(0.4)
    found = _run(export_network(calibrated, tmp_path / "network.onnx"), X)
    np.testing.assert_allclose(found, calibrated.predict_proba(X), atol=1e-6)
    assert np.abs(found - classifier.predict_proba(X)).max() > 1e-3
    calibrated.set_params(method="sigmoid").fit(*_data(4, n_epochs=15, seed=1))
    with pytest.raises(ValueError, match="method='temperature' and ensemble=False"):
        export_network(calibrated, tmp_path / "other.onnx")


def test_export_leaves_the_classifier_as_it_was(small, tmp_path):
    classifier, X = small
    before, module = classifier.predict_proba(X), classifier.net_.module_.train()
    export_network(classifier, tmp_path / "network.onnx")
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    np.testing.assert_array_equal(classifier.predict_proba(X), before)


def test_refusals(small, tmp_path, monkeypatch):
    classifier, _ = small
    adapted, _ = _mirrored(adapt=True)
    path = tmp_path / "a.onnx"
    for model, options, kind, message in (
        (EEGTransformerClassifier(), {}, NotFittedError, "not fitted"),
        (classifier, {"subject": 1}, ValueError, "adapt=False"),
        (adapted, {}, ValueError, r"adapt=True centres .*subject=7, 8.*fine_tune"),
        (adapted, {"subject": 9}, ValueError, "that of subject=9 is not known"),
        (make_pipeline(BandPassFilter(), classifier), {}, ValueError, r"\(band.*pipeline\[-1\]"),
    ):
        with pytest.raises(kind, match=message):
            export_network(model, path, **options)
    monkeypatch.setattr("skeegformer.io.export._AGREEMENT", -1.0)
    with pytest.raises(RuntimeError, match=r"differ by .* not written"):
        export_network(classifier, path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'skeegformer\[onnx\]'"):
        export_network(classifier, path)
    assert list(tmp_path.iterdir()) == []
    path.touch()
    with pytest.raises(FileExistsError, match=r"exists already: pass overwrite=True"):
        export_network(classifier, path)
