"""Estimators as plain data, and estimators of plain data again.

Only classes of a fixed list are written and made; a file names them, and nothing that it names is
looked for anywhere else.
"""

import inspect
from importlib import import_module

from sklearn import config_context
from skorch import NeuralNet
from skorch.history import History

from skeegformer.persistence._encoding import CannotEncode, Decoder, Encoder
from skeegformer.persistence._net import decode_net, encode_net

_HOMES = {
    "EEGTransformerClassifier": "skeegformer.classifier",
    "OriginalTransformerClassifier": "skeegformer.original",
    "TemperatureScaledClassifier": "skeegformer.calibration",
    "MirroredClassifier": "skeegformer.preprocessing",
    "LeftRightMirror": "skeegformer.preprocessing",
    "BandPassFilter": "skeegformer.preprocessing",
    "NotchFilter": "skeegformer.preprocessing",
    "Resampler": "skeegformer.preprocessing",
    "ChannelDropper": "skeegformer.preprocessing",
    "ChannelPicker": "skeegformer.preprocessing",
    "Cropper": "skeegformer.preprocessing",
    "EuclideanAlignment": "skeegformer.preprocessing",
    "ChannelSelector": "skeegformer.selection",
    "RecursiveChannelElimination": "skeegformer.selection",
    "ToMicrovolts": "skeegformer.baselines",
    "Pipeline": "sklearn.pipeline",
    "FrozenEstimator": "sklearn.frozen",
}
_METHODS = ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function")
_METHODS += ("score", "transform", "inverse_transform", "partial_fit", "split")
_REQUEST = "_metadata_request"  # where scikit-learn keeps what set_fit_request was told


def encode_estimator(estimator):
    """Turn an estimator into plain data.

    Parameters
    ----------
    estimator : estimator
        One of ours or a Pipeline of ours, fitted or not.

    Returns
    -------
    plain : dict
        What `json.dumps` takes.
    arrays : dict of ndarray
        The numbers, by the names that they have in it.
    notes : list of str
        A sentence for each parameter that is no plain data, and is written as its default.

    Raises
    ------
    TypeError
        If it is, or holds, an estimator of another class, or fitted attributes that are no plain
        data.
    """
    writer = _Writer()
    encoder = Encoder(writer.encode)
    if not _is_estimator(estimator):
        raise TypeError(f"{estimator!r} is no estimator; an EEGTransformerClassifier is one.")
    return writer.encode(estimator, encoder), encoder.arrays, writer.notes


def decode_estimator(plain, arrays):
    """Make an estimator of plain data.

    Parameters
    ----------
    plain : dict
        From `encode_estimator`.
    arrays : dict of ndarray
        The numbers.

    Returns
    -------
    estimator
        As it was.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError
        If it is nothing that `encode_estimator` has written.
    """
    if not isinstance(plain, dict) or "estimator" not in plain:
        raise ValueError("there is no estimator in it")
    return Decoder(arrays, {"estimator": _read, "history": _read_history}).decode(plain)


class _Writer:
    """Encode estimators, and know in which step of a Pipeline one is."""

    def __init__(self):
        self.notes = []
        self._steps = []

    def encode(self, value, encoder):
        if isinstance(value, History):
            return {"history": encoder.encode([dict(row) for row in value])}
        if not _is_estimator(value):
            raise CannotEncode(f"a {type(value).__name__}")
        name = type(value).__name__
        if name not in _HOMES or _find(name) is not type(value):
            self._refuse(value)
        params = value.get_params(deep=False)
        plain = {
            "estimator": name,
            "params": {key: self._param(value, key, item, encoder) for key, item in params.items()},
        }
        learnt = {key: item for key, item in vars(value).items() if key not in params}
        requests = learnt.pop(_REQUEST, None)
        if requests is not None:
            plain["requests"] = {
                method: dict(getattr(requests, method).requests)
                for method in _METHODS
                if getattr(requests, method).requests
            }
        net = learnt.get("net_")
        if isinstance(net, NeuralNet):
            del learnt["net_"]
            if learnt.get("history_") is net.history:
                del learnt["history_"]
            plain["net"] = encode_net(net, encoder)
        plain["attributes"] = {}
        for key, item in learnt.items():
            try:
                plain["attributes"][key] = encoder.encode(item)
            except CannotEncode as error:
                raise TypeError(
                    f"{key} of the {name}{self._where()} is, or holds, {error}, which cannot be "
                    "saved without pickle; joblib.dump saves it, for those who trust the file."
                ) from error
        return plain

    def _param(self, estimator, key, value, encoder):
        if type(estimator).__name__ == "Pipeline" and key == "steps":
            return self._pipeline_steps(value, encoder)
        try:
            if type(estimator).__name__ == "Pipeline" and key == "memory" and value is not None:
                # joblib reads pickles there: whoever writes the file would choose which.
                raise CannotEncode("a cache of joblib")
            return encoder.encode(value)
        except CannotEncode as error:
            name = type(estimator).__name__
            default = inspect.signature(type(estimator).__init__).parameters[key].default
            if default is inspect.Parameter.empty:
                raise TypeError(
                    f"The parameter {key} of the {name}{self._where()} is, or holds, {error}, "
                    "which cannot be saved without pickle."
                ) from error
            self.notes.append(
                f"The parameter {key} of the {name}{self._where()} is, or holds, {error}, which "
                f"cannot be saved: the file has {key}={default!r} in its place. Set it again after "
                "loading, where the model is to be fitted once more."
            )
            return encoder.encode(default)

    def _pipeline_steps(self, steps, encoder):
        plain = []
        for name, step in steps:
            self._steps.append(name)
            plain.append({"tuple": [name, encoder.encode(step)]})
            self._steps.pop()
        return plain

    def _where(self):
        return f" in the step {self._steps[-1]!r}" if self._steps else ""

    def _refuse(self, estimator):
        kind = type(estimator)
        ours = ", ".join(_HOMES)
        best = " Save its best_estimator_." if hasattr(estimator, "best_estimator_") else ""
        raise TypeError(
            f"The {kind.__module__}.{kind.__name__}{self._where()} cannot be saved.{best} What can "
            f"be are {ours}. For others there is skops.io.dump, which needs no pickle either, and "
            "joblib.dump, for those who trust the file."
        )


def _is_estimator(value):
    return hasattr(value, "fit") and not isinstance(value, type | NeuralNet)


def _find(name):
    """Import a class of the list."""
    return getattr(import_module(_HOMES[name]), name)


def _read(plain, decoder):
    name = plain["estimator"]
    if not isinstance(name, str) or name not in _HOMES:
        raise ValueError(f"the class {name!r} is not known")
    kind = _find(name)
    params = {key: decoder.decode(value) for key, value in plain["params"].items()}
    unknown = sorted(set(params) - set(kind._get_param_names()))
    if unknown:
        raise ValueError(f"{name} has no parameter {', '.join(unknown)} here")
    if name == "Pipeline" and params.get("memory") is not None:
        raise ValueError("a Pipeline with a cache was not written by save_model")
    estimator = kind(**params)
    for key, value in plain["attributes"].items():
        # An attribute in front of a method would stand in for it.
        if key in params or key.startswith("__") or hasattr(kind, key):
            raise ValueError(f"{key!r} is no fitted attribute of {name}")
        vars(estimator)[key] = decoder.decode(value)
    if "net" in plain:
        decode_net(estimator, plain["net"], decoder)
    with config_context(enable_metadata_routing=True):
        for method, requests in plain.get("requests", {}).items():
            if method not in _METHODS or not hasattr(kind, f"set_{method}_request"):
                raise ValueError(f"{name} requests no metadata for {method!r}")
            getattr(estimator, f"set_{method}_request")(**requests)
    return estimator


def _read_history(plain, decoder):
    return History(decoder.decode(plain["history"]))
