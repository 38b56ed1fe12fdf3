"""Training that goes on where it was interrupted."""

import hashlib
import json
import re

import numpy as np
import torch
from skorch.callbacks import Callback

from skeegformer import __version__
from skeegformer._utils.files import check_output_file, remove_leftovers
from skeegformer._validation import BATCH, batches_of
from skeegformer.io._encoding import CannotEncode, Decoder, Encoder
from skeegformer.io._format import SUFFIX, read_file, write_file


class ResumableTraining(Callback):
    """Save the state of training after each training epoch, and resume from it.

    A `skorch.callbacks.Callback` for the parameter ``callbacks`` of the classifiers. After an
    interruption, the same `fit` on the same data continues after the last saved training epoch. The
    final weights are those of an uninterrupted training, bitwise identical on the same CPU.

    Parameters
    ----------
    path : str or pathlib.Path
        File for the state, with the extension ``.safetensors``, in an existing folder. It is
        replaced atomically after each training epoch and kept: delete it when the model is saved.

    Raises
    ------
    ValueError, OSError
        In `fit`, if `path` cannot be written, or contains something else or a state from another
        model or other data.

    Notes
    -----
    For other callbacks, attributes with names ending in an underscore are saved if they are
    numbers, strings, arrays or tensors, as are learning rate schedulers. Loading the file executes
    no code.

    Examples
    --------
    >>> import tempfile
    >>> from skeegformer import EEGTransformerClassifier, ResumableTraining, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(2, 20, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     state = ResumableTraining(f"{folder}/training.safetensors")
    ...     classifier = EEGTransformerClassifier(max_epochs=3, callbacks=[state], random_state=0)
    ...     classifier = classifier.fit(X, y)
    ...     again = classifier.fit(X, y)  # nothing is left to do
    >>> len(again.history_)
    3
    """

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Take up the state that is there, if any, in a net with new weights."""
        self.path_ = check_output_file(self.path, (SUFFIX,), overwrite=True)
        remove_leftovers(self.path_)
        self.max_epochs_ = net.max_epochs
        self.training_ = _describe(net, X)
        if not self.path_.exists():
            return
        try:
            state = read_file(self.path_, "training", Decoder.decode_all)
            fits = state["training"] == self.training_
            if fits:
                _restore(net, state)
        except Exception as error:  # what a made-up file raises is of many types
            raise ValueError(f"{error} Delete the file to start anew, or name another.") from error
        if not fits:
            raise ValueError(
                f"{self.path_} holds the state of a training of another model, or on other data; "
                "delete it, or name another file."
            )
        net.max_epochs = self.max_epochs_ - len(net.history)

    def on_epoch_end(self, net, **kwargs):
        """Save the state."""
        encoder = Encoder()
        state = {"training": self.training_, **_state(net, self)}
        state = {name: encoder.encode(value) for name, value in state.items()}
        write_file(self.path_, "training", state, encoder.arrays)

    def on_train_end(self, net, **kwargs):
        """Leave the net as it was made."""
        net.max_epochs = self.max_epochs_
        del self.max_epochs_, self.training_, self.path_


def _describe(net, X):
    """Tell one training from another: by all that decides on it, first weights and statistics."""
    weight = getattr(net.criterion_, "weight", None)
    settings = {
        "version": __version__,
        "n_epochs": None if X is None else len(X),
        "max_epochs": net.max_epochs,
        "batch_size": net.batch_size,
        "optimizer": repr(net.optimizer_),
        "module": repr(net.get_params_for("module")),
        "class_weight": None if weight is None else weight.tolist(),
        # Without addresses of functions, and without what only writes down how it goes.
        "callbacks": [
            re.sub(r" at 0x[0-9a-f]+", "", f"{name} {type(one)} {one.get_params(deep=False)}")
            for name, one in net.callbacks_
            if not one.__module__.startswith(("skeegformer.", "skorch.callbacks.logging"))
        ],
    }
    digest = hashlib.sha256(json.dumps(settings).encode())
    for name, value in net.module_.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    for values in (getattr(X, name, None) for name in ("targets", "subjects", "weights")):
        digest.update(b"" if values is None else values.tobytes())
    for block in batches_of(getattr(X, "data", ()), BATCH):
        digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()


def _state(net, saver):
    """Gather all that decides how a training goes on."""
    return {
        "module": net.module_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
        "callbacks": {
            name: _learnt(callback) for name, callback in net.callbacks_ if callback is not saver
        },
        "history": [
            {name: value for name, value in row.items() if name != "batches" and _is_plain(value)}
            for row in net.history
        ],
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore(net, state):
    """Put a net that has just been made into a saved state."""
    net.module_.load_state_dict(state["module"])
    net.optimizer_.load_state_dict(state["optimizer"])
    for name, callback in net.callbacks_:
        if isinstance(callback, ResumableTraining):  # where to write is nothing a file may say
            continue
        for attribute, value in state["callbacks"].get(name, {}).items():
            if attribute == "lr_scheduler_":
                callback.lr_scheduler_.load_state_dict(value)
            elif attribute.endswith("_"):  # parameters, such as paths, stay as they were given
                setattr(callback, attribute, value)
    for row in state["history"]:
        net.history.new_epoch()
        net.history.new_batch()  # callbacks may ask for the last one
        for key, value in row.items():
            net.history.record(key, value)
    torch.set_rng_state(state["random"])
    if len(state["random_cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["random_cuda"])


def _learnt(callback):
    """Take of a callback what it has learnt in this training."""
    learnt = {name: value for name, value in vars(callback).items() if name.endswith("_")}
    if "lr_scheduler_" in learnt:
        learnt["lr_scheduler_"] = learnt["lr_scheduler_"].state_dict()
    return {name: value for name, value in learnt.items() if _is_plain(value)}


def _is_plain(value):
    """Tell whether a value can be saved; lists are what a callback has gathered in one epoch."""
    try:
        Encoder().encode(value)
    except CannotEncode:
        return False
    return not isinstance(value, list)
