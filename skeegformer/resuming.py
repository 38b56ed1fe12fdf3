"""Training that goes on where it was interrupted."""

import hashlib
import json
from pathlib import Path

import torch
from skorch.callbacks import Callback

from skeegformer._files import remove_leftovers, writing
from skeegformer._validation import check_count

_FORMAT = "skeegformer training"
_VERSION = 1


class ResumableTraining(Callback):
    """Save the state of a training after each pass, and go on from it after an interruption.

    A `skorch.callbacks.Callback` for the parameter ``callbacks`` of the classifiers. The same `fit`
    on the same data, started again after it was killed at any moment, goes on after the last pass
    that was saved, and ends with the weights that it would have had without the interruption, to
    the bit on the same CPU: weights, optimizer, learning rate schedule, early stopping, random
    states and history are all saved.

    Parameters
    ----------
    path : str or pathlib.Path
        File for the state, in a folder that exists. It is replaced as a whole after each pass, and
        left there at the end: delete it when the model is saved.
    every : int, default=1
        Save after every so many passes.

    Raises
    ------
    ValueError
        In `fit`, if `path` holds something else, or the state of a training of another model or on
        other data.
    OSError
        In `fit`, if `path` cannot be written.

    Notes
    -----
    Of other callbacks, attributes whose names end with an underscore are saved where they are
    numbers, texts or tensors, and schedulers of learning rates. The file holds nothing that is
    executed when it is read.

    Examples
    --------
    >>> import tempfile
    >>> from skeegformer import EEGTransformerClassifier, ResumableTraining, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(2, 20, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     state = ResumableTraining(f"{folder}/training.pt")
    ...     classifier = EEGTransformerClassifier(max_epochs=3, callbacks=[state], random_state=0)
    ...     classifier = classifier.fit(X, y)
    ...     again = classifier.fit(X, y)  # nothing is left to do
    >>> len(again.history_)
    3
    """

    def __init__(self, path, every=1):
        self.path = path
        self.every = every

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Take up the state that is there, if any.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net, with new weights.
        X, y : object
            What it is trained on.
        **kwargs : dict
            Not used.
        """
        check_count("every", self.every, 1)
        path = Path(self.path)
        if not path.parent.is_dir():
            raise FileNotFoundError(f"There is no folder {path.parent} to keep {path.name} in.")
        remove_leftovers(path)
        self.max_epochs_ = net.max_epochs
        self.training_ = _describe(net, X)
        if not path.exists():
            return
        state = _read(path)
        if state["training"] != self.training_:
            raise ValueError(
                f"{path} holds the state of a training of another model, or on other data; delete "
                "it, or name another file."
            )
        _restore(net, self, state)
        net.max_epochs = self.max_epochs_ - len(net.history)

    def on_epoch_end(self, net, **kwargs):
        """Save the state.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net, after a pass.
        **kwargs : dict
            Not used.
        """
        if len(net.history) % self.every and len(net.history) < self.max_epochs_:
            return
        path = Path(self.path)
        try:
            with writing(path) as file:
                torch.save(_state(net, self), file)
        except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
            why = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise OSError(f"{path} could not be written: {why}.") from error

    def on_train_end(self, net, **kwargs):
        """Leave the net as it was made.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net.
        **kwargs : dict
            Not used.
        """
        net.max_epochs = self.max_epochs_
        del self.max_epochs_, self.training_


def _describe(net, X):
    """Tell one training from another: by the weights and statistics that it starts from."""
    settings = {
        "n_epochs": None if X is None else len(X),
        "max_epochs": net.max_epochs,
        "batch_size": net.batch_size,
        "optimizer": repr(net.optimizer_),
    }
    digest = hashlib.sha256(json.dumps(settings).encode())
    for name, value in net.module_.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _state(net, saver):
    """Gather all that decides how a training goes on."""
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "training": saver.training_,
        "module": net.module_.state_dict(),
        "optimizer": _plain(net.optimizer_.state_dict()),  # a schedule may have put in NumPy's
        "callbacks": {
            name: _attributes(callback)
            for name, callback in net.callbacks_
            if callback is not saver
        },
        "history": [
            {key: _plain(value) for key, value in row.items() if key != "batches"}
            for row in net.history
        ],
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore(net, saver, state):
    """Put a net that has just been made into a saved state."""
    net.module_.load_state_dict(state["module"])
    net.optimizer_.load_state_dict(state["optimizer"])
    for name, callback in net.callbacks_:
        for attribute, value in state["callbacks"].get(name, {}).items():
            if attribute == "lr_scheduler_":
                callback.lr_scheduler_.load_state_dict(value)
            else:
                setattr(callback, attribute, value)
    for row in state["history"]:
        net.history.new_epoch()
        for key, value in row.items():
            net.history.record(key, value)
    torch.set_rng_state(state["random"])
    if len(state["random_cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["random_cuda"])


def _attributes(callback):
    """Take of a callback what it has learnt in this training."""
    learnt = {}
    for name, value in vars(callback).items():
        if name == "lr_scheduler_":
            learnt[name] = _plain(value.state_dict())
        elif name.endswith("_") and _is_plain(value):
            learnt[name] = _plain(value)
    return learnt


def _is_plain(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    value = _plain(value)
    return value is None or isinstance(value, bool | int | float | str | torch.Tensor)


def _plain(value):
    """Turn numbers of NumPy into Python's, which can be read without executing anything."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    is_number = hasattr(value, "item") and not isinstance(value, torch.Tensor)
    return value.item() if is_number and value.size == 1 else value


def _read(path):
    """Read a state, or say what is wrong with the file."""
    try:
        state = torch.load(path, weights_only=True)
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # torch raises a dozen types for files that are not its own
        raise ValueError(
            f"{path} cannot be read as the state of a training; delete it, or name another file."
        ) from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise ValueError(f"{path} is not the state of a training; name another file.")
    if state["version"] > _VERSION:
        raise ValueError(
            f"{path} was written by a newer version of skeegformer: update it (pip install "
            "--upgrade skeegformer), or delete the file to start anew."
        )
    return state
