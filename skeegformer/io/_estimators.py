"""Estimators as plain data, and estimators of plain data again; only those of a fixed list."""

import inspect
from importlib import import_module

from sklearn import config_context
from skorch import NeuralNet
from skorch.history import History
from torch import nn

from skeegformer.io._encoding import CannotEncode, Decoder, Encoder
from skeegformer.io._net import decode_net, encode_net

_HOMES = {
    "EEGTransformerClassifier": "skeegformer.classifier",
    "OriginalTransformerClassifier": "skeegformer.baselines",
    "NetworkClassifier": "skeegformer.training",
    "MirroredClassifier": "skeegformer.preprocessing",
    "BandPassFilter": "skeegformer.preprocessing",
    "NotchFilter": "skeegformer.preprocessing",
    "Resampler": "skeegformer.preprocessing",
    "ChannelDropper": "skeegformer.preprocessing",
    "ChannelPicker": "skeegformer.preprocessing",
    "EuclideanAlignment": "skeegformer.preprocessing",
    "ChannelSelector": "skeegformer.selection",
    "ToMicrovolts": "skeegformer.baselines",
    "Pipeline": "sklearn.pipeline",
    "FrozenEstimator": "sklearn.frozen",
    "CalibratedClassifierCV": "sklearn.calibration",
    # What a fitted CalibratedClassifierCV is made of.
    "_CalibratedClassifier": "sklearn.calibration",
    "_TemperatureScaling": "sklearn.calibration",
    "_SigmoidCalibration": "sklearn.calibration",
}
_METHODS = ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function")
_METHODS += ("score", "transform", "inverse_transform", "partial_fit", "split")
_REQUEST = "_metadata_request"  # where scikit-learn keeps what set_fit_request was told


class EstimatorEncoder(Encoder):
    """Encode estimators too."""

    def __init__(self):
        super().__init__()
        self.notes = []  # a sentence for each parameter that is written as its default
        self._where = ""

    def encode_other(self, value):
        kind = type(value)
        if isinstance(value, History):
            return {"history": self.encode([dict(row) for row in value])}
        if isinstance(value, type) and issubclass(value, nn.Module):
            return {"module": value.__name__}  # whoever loads the model gives the class
        if _find(kind.__name__) is not kind:
            if hasattr(value, "fit") and not isinstance(value, type | NeuralNet):
                ours = ", ".join(name for name in _HOMES if not name.startswith("_"))
                best = " Save its best_estimator_." if hasattr(value, "best_estimator_") else ""
                raise TypeError(
                    f"The {kind.__module__}.{kind.__name__}{self._where} cannot be saved.{best} "
                    f"What can be are {ours}. For others there is skops.io.dump, which needs no "
                    "pickle either, and joblib.dump, for those who trust the file."
                )
            raise CannotEncode(f"a {kind.__name__}")
        params = {name: getattr(value, name) for name in _parameters(kind)}
        plain = {
            "estimator": kind.__name__,
            "params": {name: self._encode_param(kind, name, item) for name, item in params.items()},
        }
        learnt = {name: item for name, item in vars(value).items() if name not in params}
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
            plain["net"] = encode_net(net, self)
        plain["attributes"] = {}
        for name, item in learnt.items():
            try:
                plain["attributes"][name] = self.encode(item)
            except CannotEncode as error:
                raise TypeError(
                    f"{name} of the {kind.__name__}{self._where} is, or holds, {error}, which "
                    "cannot be saved without pickle; joblib.dump saves it, for those who trust the "
                    "file."
                ) from error
        return plain

    def _encode_param(self, kind, name, value):
        if kind.__name__ == "Pipeline" and name == "steps":
            steps = []
            for step, estimator in value:
                before, self._where = self._where, f" in the step {step!r}"
                steps.append({"tuple": [step, self.encode(estimator)]})
                self._where = before
            return steps
        try:
            if kind.__name__ == "Pipeline" and name == "memory" and value is not None:
                # joblib reads pickles there: whoever writes the file would choose which.
                raise CannotEncode("a cache of joblib")
            return self.encode(value)
        except CannotEncode as error:
            default = _parameters(kind)[name].default
            what = f"The parameter {name} of the {kind.__name__}{self._where} is, or holds, {error}"
            if default is inspect.Parameter.empty:
                raise TypeError(f"{what}, which cannot be saved without pickle.") from error
            self.notes.append(
                f"{what}, which cannot be saved: the file has {name}={default!r} in its place. Set "
                "it again after loading, where the model is to be fitted once more."
            )
            return self.encode(default)


class EstimatorDecoder(Decoder):
    """Decode estimators too, with the networks in `modules` of a `NetworkClassifier`."""

    def __init__(self, arrays, modules=()):
        super().__init__(arrays)
        self._modules = {module.__name__: module for module in modules}

    def _read_module(self, module):
        if module not in self._modules:
            raise ValueError(
                f"the class of its network, {module}, is not known: give it, "
                f"load_model(path, modules=[{module}])"
            )
        return self._modules[module]

    def decode_estimator(self, estimator, params, attributes, net=None, requests=None):
        """Make an estimator of what `EstimatorEncoder` wrote of it."""
        kind = _find(estimator) if isinstance(estimator, str) else None
        if kind is None:
            raise ValueError(f"the class {estimator!r} is not known")
        params = {name: self.decode(value) for name, value in params.items()}
        unknown = sorted(set(params) - set(_parameters(kind)))
        if unknown:
            raise ValueError(f"{estimator} has no parameter {', '.join(unknown)} here")
        if estimator == "Pipeline" and params.get("memory") is not None:
            raise ValueError("a Pipeline with a cache was not written by save_model")
        made = kind(**params)
        for name, value in attributes.items():
            # An attribute in front of a method would stand in for it.
            if name in params or name.startswith("__") or hasattr(kind, name):
                raise ValueError(f"{name!r} is no fitted attribute of {estimator}")
            vars(made)[name] = self.decode(value)
        if net is not None:
            decode_net(made, net, self)
        with config_context(enable_metadata_routing=True):
            for method, wanted in (requests or {}).items():
                if method not in _METHODS or not hasattr(kind, f"set_{method}_request"):
                    raise ValueError(f"{estimator} requests no metadata for {method!r}")
                getattr(made, f"set_{method}_request")(**wanted)
        return made

    _read_estimator = decode_estimator

    def _read_history(self, history):
        return History(self.decode(history))


def _find(name):
    """Import a class of the list; None for others."""
    return getattr(import_module(_HOMES[name]), name, None) if name in _HOMES else None


def _parameters(kind):
    # Not get_params, which scikit-learn's _CalibratedClassifier has not.
    return inspect.signature(kind).parameters
