"""Saving and loading: what comes back, what is refused, and that nothing is run."""

import json
import os
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest
import reference_model
import safetensors
import sklearn
import torch
from mne.decoding import CSP
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from skorch.callbacks import EpochScoring
from test_training import LogPower

from skeegformer import (
    AttentionExplainer,
    BandPassFilter,
    ChannelDropper,
    ChannelPicker,
    ChannelSelector,
    EEGTransformerClassifier,
    EuclideanAlignment,
    MirroredClassifier,
    NetworkClassifier,
    NotchFilter,
    OriginalTransformerClassifier,
    Resampler,
    load_eegmmi,
    load_model,
    save_model,
)
from skeegformer.baselines import ToMicrovolts
from skeegformer.io._encoding import CannotEncode, Decoder, Encoder
from skeegformer.io._format import checksum

NOTHING = {"params": {}, "attributes": {}}
TINY = {"mirror": None, "n_groups": 1, "n_heads": 4, "max_epochs": 2, "random_state": 0}


def _tiny(**params):
    return EEGTransformerClassifier(**(TINY | params))


@pytest.fixture(scope="module")
def epochs(simulated):
    """Two subjects, ten channels on both sides."""
    X, y, metadata, _ = simulated
    chosen = np.flatnonzero(metadata["subject"].to_numpy() <= 2)[::2]
    names = ["F3", "F4", "C3", "C4", "Cz", "P3", "P4", "O1", "O2", "Fz"]
    return X[chosen].copy().load_data().pick(names), y[chosen]


@pytest.fixture(scope="module")
def fitted(epochs):
    return _tiny().fit(*epochs)


@pytest.fixture
def path(fitted, tmp_path):
    return save_model(fitted, tmp_path / "model.safetensors")


def _again(model, tmp_path):
    """Save and load, with no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return load_model(save_model(model, tmp_path / "again.safetensors", overwrite=True))


@pytest.mark.parametrize(
    "params",
    [
        {"mirror": "auto", "n_groups": 2},
        {"mirror": "auto", "adapt": True},
        {"n_filters": 2, "class_weight": "balanced"},
        {"adapt": True, "early_stopping": True, "validation_fraction": 0.5},
        {"positions": "electrode"},
    ],
)
def test_classifiers_come_back_whole(params, epochs, tmp_path):
    X, y = epochs
    classifier = _tiny(**params).fit(X, y)
    loaded = _again(classifier, tmp_path)
    assert loaded.get_params() == classifier.get_params()
    assert vars(loaded).keys() == vars(classifier).keys()
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    assert loaded.classes_.dtype == classifier.classes_.dtype
    np.testing.assert_array_equal(loaded.feature_importances_, classifier.feature_importances_)
    few = X.copy().pick(["F3", "C4", "P3", "O2", "Fz"])
    if params.get("positions"):
        np.testing.assert_array_equal(loaded.predict_proba(few), classifier.predict_proba(few))
    else:
        with pytest.raises(ValueError, match="missing: F4, C3, Cz"):
            loaded.predict(few)
    # The losses, and the net on which skorch goes on.
    assert loaded.history_ == classifier.history_
    assert loaded.history_ is loaded.net_.history
    found, expected = (
        [net.lr, net.batch_size, net.max_epochs, [name for name, _ in net.callbacks_]]
        for net in (loaded.net_, classifier.net_)
    )
    assert found == expected


def test_a_loaded_classifier_is_explained_fine_tuned_cloned_and_fitted(epochs, tmp_path):
    X, y = epochs
    classifier = _tiny(mirror="auto").fit(X, y)
    loaded = _again(classifier, tmp_path)
    for use in (
        lambda model: AttentionExplainer().explain(model, X, y).values,
        lambda model: model.fine_tune(X[:10], y[:10], n_steps=5).predict_proba(X),
        lambda model: len(model.history_),
        lambda model: clone(model).fit(X, y).predict_proba(X),
        lambda model: model.fit(X, y).predict_proba(X),
    ):
        np.testing.assert_array_equal(use(loaded), use(classifier))


PIPELINES = {
    "steps": lambda: make_pipeline(
        ChannelDropper(["Fz"]),
        BandPassFilter(1.0, 30.0),
        NotchFilter((50,)),
        Resampler(80.0),
        EuclideanAlignment(),
        _tiny(),
    ),
    "picked": lambda: make_pipeline(ChannelPicker(["C3", "C4", "Cz"]), ToMicrovolts(), _tiny()),
    "nested": lambda: make_pipeline(make_pipeline(BandPassFilter(1.0), "passthrough"), _tiny()),
    "mirrored": lambda: MirroredClassifier(_tiny(), swap={}),
    "temperature": lambda: CalibratedClassifierCV(_tiny(), method="temperature", cv=2),
    "sigmoid": lambda: CalibratedClassifierCV(_tiny(), cv=2, ensemble=False),
    "selected": lambda: make_pipeline(ChannelSelector(_tiny(), n_channels=4), _tiny()),
    "original": lambda: OriginalTransformerClassifier(
        embed_dim=8, n_heads=2, n_layers=1, max_epochs=1, early_stopping=False, random_state=0
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_and_steps_come_back_whole(name, epochs, tmp_path):
    X, y = epochs
    model = PIPELINES[name]()
    unfitted = _again(model, tmp_path)
    assert repr(unfitted) == repr(model)
    model.fit(X, y)
    loaded = _again(model, tmp_path)
    assert repr(loaded) == repr(model)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    # What is written of it is the same to the bit, so that nothing has got lost or changed.
    first = (tmp_path / "again.safetensors").read_bytes()
    assert save_model(loaded, tmp_path / "second.safetensors").read_bytes() == first
    np.testing.assert_array_equal(unfitted.fit(X, y).predict_proba(X), model.predict_proba(X))


def test_metadata_routing_is_kept(tmp_path):
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = _tiny(adapt=True).set_fit_request(groups="subjects")
        classifier.set_predict_proba_request(groups=True)
        aligner = EuclideanAlignment().set_fit_request(groups=True)
        pipe = make_pipeline(aligner.set_transform_request(groups=True), classifier)
    loaded = _again(pipe, tmp_path)
    with sklearn.config_context(enable_metadata_routing=True):
        routing = get_routing_for_object(loaded)
        assert routing.consumes("fit", ["groups", "subjects"]) == {"groups", "subjects"}
        assert str(routing) == str(get_routing_for_object(pipe))
        assert clone(loaded)[-1].get_metadata_routing().predict_proba.requests == {"groups": True}
    assert "_metadata_request" not in vars(_again(_tiny(), tmp_path))


@pytest.mark.filterwarnings("ignore:.* is marked as bad")
def test_a_real_info(tmp_path):
    """Positions as files have them, in single precision, and points of the head's shape."""
    info = mne.create_info(["Fz", "Cz", "Pz", "s1"], 100.0, ["eeg"] * 3 + ["seeg"])
    rng = np.random.default_rng(0)
    places = dict(zip(info["ch_names"], 0.1 * rng.standard_normal((4, 3)), strict=True))
    landmarks = {"nasion": [0, 0.1, 0], "lpa": [-0.08, 0, 0], "rpa": [0.08, 0, 0]}
    landmarks["hsp"] = 0.1 * rng.standard_normal((20, 3))
    info.set_montage(mne.channels.make_dig_montage(places, **landmarks))
    info["bads"] = ["Cz"]
    X = mne.EpochsArray(1e-5 * rng.standard_normal((12, 4, 40)), info, verbose="ERROR")
    X.save(tmp_path / "x-epo.fif")
    for read in (X, mne.read_epochs(tmp_path / "x-epo.fif", verbose="ERROR")):
        classifier = _tiny().fit(read, np.arange(12) % 2)
        found, expected = _again(classifier, tmp_path).info_, classifier.info_
        for name in ("dig", "ch_names", "bads"):
            assert mne.utils.object_diff(found[name], expected[name]) == ""
        assert found.get_channel_types() == expected.get_channel_types()
        for name in ("loc", "coord_frame"):
            a, b = ([ch[name] for ch in info["chs"]] for info in (found, expected))
            np.testing.assert_array_equal(np.array(a)[..., :3], np.array(b)[..., :3])


def test_recordings(recorded_subjects, tmp_path):
    """A Pipeline on EEGMMI, whose channels are then estimated from half of them."""
    X, y, _ = load_eegmmi("baseline-eyes", subjects=recorded_subjects[:1])
    classifier = _tiny(positions="electrode").fit(X, y)
    loaded = _again(classifier, tmp_path)
    few = X[::5].load_data().pick(X.ch_names[::2])
    np.testing.assert_array_equal(loaded.predict_proba(few), classifier.predict_proba(few))
    pipe = make_pipeline(BandPassFilter(1.0, 40.0), EuclideanAlignment(), _tiny())
    expected = pipe.fit(X[::5], y[::5]).predict_proba(X[::7])
    np.testing.assert_array_equal(_again(pipe, tmp_path).predict_proba(X[::7]), expected)


def _through_json(value):
    encoder = Encoder()
    plain = json.loads(json.dumps(encoder.encode(value), allow_nan=False))
    return Decoder(encoder.arrays).decode(plain)


def test_values_of_all_types():
    values = {
        "none": None,
        "numbers": [True, 2**70, -0.0, 1e-300, float("inf"), -float("inf"), float("nan")],
        "nested": ({1: "a", None: (), False: [{}], 2.5: "b", "": 0}, {"tuple": 1}),
        "scalars": [np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("ö"), np.uint64(2**63)],
        "text": 'a\ud800\u2028"',
    }
    found = _through_json(values)
    assert repr(found) == repr(values)
    assert [type(x) for x in found["scalars"]] == [type(x) for x in values["scalars"]]
    arrays = [np.float64(np.arange(6).reshape(2, 3)), np.asfortranarray(np.ones((2, 3)))]
    arrays += [np.array(3, dtype=">i2"), np.zeros((0, 2), dtype=bool), np.array([["a", "bcd"]])]
    arrays += [np.array([b"a", b"bcd"]), np.array([], dtype="<U3"), np.arange(10)[::3]]
    arrays += [np.array([("C3", "C4"), None, np.float32(1)], dtype=object)]
    for found, expected in zip(_through_json(arrays), arrays, strict=True):
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert found.shape == expected.shape
        assert found.flags.c_contiguous == (expected.flags.c_contiguous or expected.ndim < 2)
        assert repr(found.tolist()) == repr(expected.tolist())
    tensor = torch.arange(4.0).reshape(2, 2)
    assert (_through_json(tensor) == tensor).all()
    dates = np.zeros(1, "M8[s]"), np.datetime64(1, "s")
    for other in (np.zeros(2, complex), *dates, tensor.bfloat16(), object()):
        with pytest.raises(CannotEncode, match="a"):
            Encoder().encode(other)


def test_the_reference_model_is_read():
    """A file of format 3: later versions read it, and predict what it predicted."""
    path = reference_model.FOLDER / "model-3.safetensors"
    model, (X, y) = load_model(path), reference_model.make_epochs()
    expected = np.load(reference_model.FOLDER / "model-3-probabilities.npy")
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-4)
    assert np.ptp(expected[:, 0]) > 0.5
    assert str(model) == str(reference_model.make_model())
    assert sorted(model[-1].subject_means_) == [1, 2]
    assert model[-1].mirrored_classes_ == {"left": "right", "right": "left"}
    assert len(model[-1].history_) == 20
    assert model[-1].fine_tune(model[:-1].transform(X), y, n_steps=2)
    assert path.stat().st_size < 100_000


def test_a_model_of_the_former_network_is_refused_with_the_version_that_reads_it():
    message = r"was written by skeegformer 0\.1\.0\.dev0 in format 1.*format 3: install that"
    with pytest.raises(ValueError, match=message):
        load_model(reference_model.FOLDER / "model-1.safetensors")


def _header(path):
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8:start])["__metadata__"]["skeegformer"])


def _forge(path, change):
    """Change the text in a file, and give it the checksum that it should have."""
    arrays, header = load_tensors(path.read_bytes()), _header(path)
    change(header)
    header["checksum"] = checksum(arrays, {k: v for k, v in header.items() if k != "checksum"})
    path.write_bytes(save_tensors(arrays, {"skeegformer": json.dumps(header)}))
    return path


def test_what_other_programs_find_in_it(fitted, path, tmp_path):
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    with safetensors.safe_open(path, "numpy") as file:
        description = json.loads(file.metadata()["skeegformer"])
        weights = file.get_tensor("network.class_weight")
    assert (description["format"], description["version"]) == ("skeegformer-model", 3)
    assert set(description["saved_with"]) >= {"python", "skeegformer", "torch", "scikit-learn"}
    assert description["model"]["params"]["n_heads"] == 4
    np.testing.assert_array_equal(weights, fitted.net_.module_.class_weight.detach().numpy())


def test_files_that_are_no_models(path, tmp_path):
    other = tmp_path / "other.safetensors"
    content = path.read_bytes()
    other.write_bytes(content.replace(b'\\"random_state\\": 0', b'\\"random_state\\": 1'))
    with pytest.raises(ValueError, match="was changed since it was saved"):
        load_model(other)
    deep = '{"format": "skeegformer-model", "version": 3, "model": %s}' % ("[" * 5000 + "]" * 5000)
    texts = "[" * 10**5, "{}", deep
    for metadata in (None, {"format": "pt"}, *({"skeegformer": text} for text in texts)):
        other.write_bytes(save_tensors({"weight": np.zeros(3)}, metadata))
        with pytest.raises(ValueError, match=r"is no model that|was changed"):
            load_model(other)


def _set(name, value):
    def change(header):
        *names, last = name.split(".")
        for key in names:
            header = header[key]
        header[last] = value

    return change


class Evil:
    """What runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def test_a_pickle_under_our_name_is_not_opened(tmp_path):
    target, path = tmp_path / "evil", tmp_path / "model.safetensors"
    torch.save({"model": Evil(str(target))}, path)
    with pytest.raises(ValueError, match="no file of safetensors"):
        load_model(path)
    assert not target.exists()


UNLIKE_OURS = [
    ("in format 4, and this version", "version", 4),
    ("has no parameter new_option", "model.params.new_option", 3),
    ("lacks classes_", "model.attributes", {}),
    ("no 'max_epochs'", "model.net", {"network": "EEGTransformer"}),
    ("cannot be made as", "model.net.weights", {}),
    ("unexpected keyword", "model.net.params.dict.new", 1),
    ("nothing is known of 'new'", "model.attributes.x_", {"new": 1}),
    # Names mean nothing but our own.
    ("'subprocess.Popen' is not known", "model.estimator", "subprocess.Popen"),
    ("'IsotonicRegression' is not", "model.estimator", "IsotonicRegression"),
    ("the class 'Popen'", "model.params.lr", {"estimator": "Popen", **NOTHING}),
    ("no parameter __class__", "model.params.__class__", "os"),
    ("'torch.hub.load' is not", "model.net.network", "torch.hub.load"),
    ("cannot be made as", "model.net.params.dict.pairs", "../evil"),
    ("passwd", "model.net.weights.class_bias", "../../etc/passwd"),
    ("'predict' is no fitted", "model.attributes.predict", 1),
    ("no values of the type 'O'", "model.attributes.a_", {"scalar": ["O", "g"]}),
    ("no values of", "model.attributes.a_", {"texts": [], "dtype": "O", "shape": [0]}),
    ("multiple values|self", "model.attributes.a_", {"array": "x", "self": 1}),
    ("no metadata for '__init__'", "model.requests", {"__init__": {"a": True}}),
    ("evil", "model.requests", {"fit": {"evil": True}}),
    ("cannot be made into", "model", {"tuple": []}),
]


@pytest.mark.parametrize("message, name, value", UNLIKE_OURS)
def test_a_file_of_another_version_or_program(message, name, value, path, tmp_path, monkeypatch):
    _forge(path, _set(name, value))
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("raise SystemExit('it was run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=message):
        load_model(path)


def test_no_cache_of_pickles_comes_with_a_pipeline(tmp_path):
    pipe = make_pipeline(BandPassFilter(1.0, 30.0), _tiny(), memory=str(tmp_path / "cache"))
    with pytest.warns(UserWarning, match="parameter memory of the Pipeline .* memory=None in its"):
        path = save_model(pipe, tmp_path / "p.safetensors")
    assert load_model(path).memory is None
    with pytest.raises(ValueError, match="a Pipeline with a cache"):
        load_model(_forge(path, _set("model.params.memory", "cache")))


class _Subclass(EEGTransformerClassifier):
    pass


def test_other_estimators_are_refused_by_name(tmp_path):
    search = GridSearchCV(LinearDiscriminantAnalysis(), {"tol": [1e-3]}, cv=2)
    search.fit(np.random.default_rng(0).standard_normal((8, 2)), [0, 1] * 4)
    for model, message in (
        (make_pipeline(ToMicrovolts(), CSP()), r"CSP in the step 'csp' cannot be.*skops.*joblib"),
        (MirroredClassifier(LinearDiscriminantAnalysis()), "LinearDiscriminantAnalysis cannot be"),
        (_Subclass(), "_Subclass cannot be saved"),
        (search, "GridSearchCV cannot be saved. Save its best_estimator_"),
        ({"a": 1}, "is no estimator"),
    ):
        with pytest.raises(TypeError, match=message):
            save_model(model, tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_parameters_that_cannot_be_saved_are_told(tmp_path):
    params = {"callbacks": [EpochScoring("accuracy")], "random_state": np.random.RandomState(0)}
    path = tmp_path / "model.safetensors"
    with pytest.warns(UserWarning, match="cannot be saved") as caught:
        save_model(make_pipeline(_tiny(**params, class_weight={"a": 1.0})), path)
    callbacks, random_state = (str(warning.message) for warning in caught)
    assert "callbacks of the EEGTransformerClassifier in the step 'eegtransformer" in callbacks
    assert "has callbacks=None in its place" in callbacks
    assert "random_state" in random_state
    loaded = load_model(path)[-1]
    assert loaded.callbacks is loaded.random_state is None
    assert loaded.class_weight == {"a": 1.0}


def test_networks_and_attributes_that_cannot_be_saved(epochs, tmp_path):
    classifier = _tiny().fit(*epochs)

    def replace(net):
        net.module_ = torch.nn.Linear(2, 2)

    for change, message in (
        (lambda net: net.module_.half(), "weights of torch.float16"),
        (replace, r"torch.nn.modules.linear.Linear, and what can be saved"),
        (lambda net: vars(classifier).update(net_=0, note_=object()), r"note_ of .* joblib.dump"),
    ):
        change(classifier.net_)
        with pytest.raises(TypeError, match=message):
            save_model(classifier, tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_there(fitted, path, epochs):

    def was_on_a_gpu(header):
        header["model"]["params"]["device"] = header["model"]["net"]["device"] = "cuda:9"

    _forge(path, was_on_a_gpu)
    with pytest.warns(UserWarning, match=r"device='cuda:9', which is not there: .*on the CPU"):
        loaded = load_model(path)
    assert loaded.device == "cuda:9"
    np.testing.assert_array_equal(loaded.predict_proba(epochs[0]), fitted.predict_proba(epochs[0]))


def test_loading_leaves_the_global_random_state(path):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_model(path)
    assert (torch.rand(3) == expected).all()


def test_a_network_of_somebody_else_is_given_to_who_loads(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(20, 3, 40)), np.arange(20) % 2
    fitted = NetworkClassifier(LogPower, max_epochs=1, random_state=0).fit(X, y)
    path = save_model(fitted, tmp_path / "model.safetensors")
    loaded = load_model(path, modules=[LogPower])
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.module is LogPower
    with pytest.raises(ValueError, match=r"load_model\(path, modules=\["):
        load_model(path)
