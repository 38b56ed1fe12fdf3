"""What is trained, and how: network, loss, learning rate and callbacks of a skorch net."""

import copy
import signal
import threading
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, InputShapeSetter, LRScheduler
from torch import nn
from torch.nn import functional as F

from skeegformer._utils.settings import seeded_torch
from skeegformer._validation import MappedEpochs
from skeegformer.training._batches import (
    EpochDataset,
    MirrorSome,
    collate,
    training_loader,
    validation_loader,
)

# Share of the training steps in which the learning rate rises.
WARMUP = 0.1
# Training steps, and the limits of training epochs, of ``max_epochs="auto"``.
AUTO_STEPS = 600
AUTO_EPOCHS = (20, 200)


def make_net(classifier, network, params, codes, *, stops_early):
    """Compose the net of a classifier for training epochs of classes with these codes."""
    classifier._steps_per_pass = -(-len(codes) // classifier.batch_size)
    max_epochs = classifier.max_epochs
    if max_epochs == "auto":
        max_epochs = int(np.clip(round(AUTO_STEPS / classifier._steps_per_pass), *AUTO_EPOCHS))
    image = classifier._mirror_image()
    seen = codes if image is None else np.concatenate([codes, image[1][codes]])
    return compose_net(
        classifier,
        network,
        params,
        class_weight=class_weights(classifier.class_weight, classifier.classes_, seen),
        max_epochs=max_epochs,
        device=pick_device(classifier.device),
        stops_early=stops_early,
    )


def compose_net(classifier, network, params, *, class_weight, max_epochs, device, stops_early):
    """Compose the net of a classifier, not yet initialised, from what depends on the data."""
    steps_per_pass = vars(classifier).get("_steps_per_pass", 1)
    image = classifier._mirror_image()
    schedule = LRScheduler(
        torch.optim.lr_scheduler.LambdaLR,
        lr_lambda=classifier._lr_factor(max_epochs, steps_per_pass),
        step_every="batch",
    )
    callbacks = [("lr_scheduler", schedule)]
    if stops_early:
        stopping = EarlyStopping(patience=classifier.n_iter_no_change, load_best=True)
        callbacks.append(("early_stopping", stopping))
    net = GroupNet(
        network,
        **{f"module__{name}": value for name, value in params.items()},
        criterion=GroupCrossEntropy,
        criterion__weight=class_weight,
        optimizer=torch.optim.AdamW,
        optimizer__fused=torch.device(device).type in ("cpu", "cuda"),
        **classifier._optimizer_options(),
        # NumPy's numbers would get into checkpoints, and torch reads none of them.
        lr=float(classifier.lr),
        max_epochs=int(max_epochs),
        batch_size=int(classifier.batch_size),
        dataset=EpochDataset,
        iterator_train=training_loader,
        iterator_train__collate_fn=collate if image is None else MirrorSome(*image),
        iterator_valid=validation_loader,
        train_split=None,
        classes=np.arange(len(classifier.classes_)),
        callbacks=callbacks + [copied(callback) for callback in classifier.callbacks or []],
        device=device,
        verbose=int(classifier.verbose),
    )
    if not classifier.verbose:
        net.set_params(callbacks__print_log=None)
    return net


def copied(callback):
    """Copy a callback, of which `fit` changes nothing; an open file that it has is shared."""
    try:
        return copy.deepcopy(callback)
    except TypeError:
        if isinstance(callback, tuple):
            return callback[0], copy.copy(callback[1])
        return copy.copy(callback)


def class_weights(class_weight, classes, codes):
    """Compute the weights of the classes in the loss, for epochs of these codes; None for none."""
    if class_weight is None:
        return None
    weights = np.ones(len(classes))
    # `fine_tune` need not have epochs of all classes to balance.
    of = np.unique(codes) if isinstance(class_weight, str) else np.arange(len(weights))
    weights[of] = compute_class_weight(class_weight, classes=classes[of], y=classes[codes])
    if not weights.min() >= 0 or not 0 < weights.max() < np.inf:
        raise ValueError(
            f"class_weight={class_weight!r} has to hold finite numbers of at least 0, not all 0."
        )
    return torch.as_tensor(weights, dtype=torch.float32)


class GroupNet(NeuralNetClassifier):
    """Show callbacks logits of epochs, as in prediction, where groups of heads have their own."""

    def on_train_end(self, net, **kwargs):
        """Let go of optimizers in schedules, whose keys are tensors: joblib.hash reads none."""
        super().on_train_end(net, **kwargs)
        for _, callback in self.callbacks_:
            vars(callback).pop("lr_scheduler_", None)

    def train_step_single(self, batch, **fit_params):
        """Train on a batch."""
        if not any(parameter.requires_grad for parameter in self.module_.parameters()):
            raise ValueError("No weight is left to train: a callback has frozen all of them.")
        step = super().train_step_single(batch, **fit_params)
        if step["y_pred"].ndim == 3:
            step["y_pred"] = step["y_pred"].mean(dim=-1)
        return step

    def infer(self, x, **fit_params):
        """Run the network, which does not take the weights of epochs."""
        if isinstance(x, dict) and "weight" in x:
            x = {name: value for name, value in x.items() if name != "weight"}
            x = x if len(x) > 1 else x["x"]
        return super().infer(x, **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compute the loss, in which epochs may have weights."""
        if not isinstance(X, dict) or "weight" not in X:
            return super().get_loss(y_pred, y_true, X=X, training=training)
        weight = X["weight"].to(y_pred)
        return self.criterion_(y_pred, y_true.to(y_pred.device), weight)


class GroupCrossEntropy(nn.CrossEntropyLoss):
    """Cross-entropy, averaged over groups of heads where each gives logits."""

    def forward(self, logits, targets, sample_weight=None):
        """Compute the loss of logits (batch, n_outputs) or (batch, n_outputs, n_groups)."""
        each = targets if logits.ndim == 2 else targets[:, None].expand(-1, logits.shape[2])
        if sample_weight is None:
            return super().forward(logits, each)
        losses = F.cross_entropy(logits, each, self.weight, reduction="none")
        losses = sample_weight * losses.reshape(len(targets), -1).mean(dim=1)
        return losses.sum() / (len(targets) if self.weight is None else self.weight[targets].sum())


def check_callbacks(classifier):
    """Refuse what is no list of callbacks, and those that watch what is not there."""
    callbacks = classifier.callbacks or []
    if not isinstance(callbacks, list | tuple) or not all(map(_is_callback, callbacks)):
        raise ValueError(
            f"callbacks={classifier.callbacks!r} is not a list of skorch callbacks, or of pairs of "
            "a name and a callback."
        )
    for callback in callbacks:
        callback = callback[1] if isinstance(callback, tuple) else callback
        if callback is InputShapeSetter or isinstance(callback, InputShapeSetter):
            raise ValueError("InputShapeSetter is not needed: networks get n_chans and n_times.")
        watched = str(getattr(callback, "monitor", ""))
        if watched.startswith("valid_") and not classifier.early_stopping:
            raise ValueError(
                f"{type(callback).__name__} watches {watched}, but nothing is held out: pass "
                f"early_stopping=True, or monitor='{watched.replace('valid_', 'train_')}'."
            )


def _is_callback(callback):
    """Tell whether this is a callback as skorch takes them, alone or after its name."""
    if isinstance(callback, tuple) and len(callback) == 2 and isinstance(callback[0], str):
        callback = callback[1]
    return issubclass(callback if isinstance(callback, type) else type(callback), Callback)


def warm_up_and_come_down(step, *, n_steps, n_warmup):
    """Scale the learning rate: up to 1 in the warm-up, then down to 0 on a cosine."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return float(0.5 * (1 + np.cos(np.pi * (step - n_warmup) / max(1, n_steps - n_warmup))))


def check_finite(logits):
    """Refuse logits, an ndarray of shape (n_epochs, n_outputs), of which some are no numbers."""
    lost = ~np.isfinite(logits).all(axis=1)
    if lost.any():
        raise ValueError(
            f"There is no prediction for {int(lost.sum())} of {len(logits)} epochs: X holds "
            "values of another order of magnitude than in fit. Pass the same unit, and drop "
            "epochs with such artefacts (epochs.drop_bad)."
        )
    return logits


class StandardizedNetwork(nn.Module):
    """A network, given as its class and parameters, with standardised channels as its input."""

    def __init__(self, network, params, n_chans, n_outputs, n_times, channels_last=False):
        super().__init__()
        self._made_with = (network, params, n_chans, n_outputs, n_times, channels_last)
        try:
            self.network = network(**params)
            with torch.no_grad():  # some find out only here that nothing is left of an epoch
                logits = self.network.eval()(torch.zeros(1, n_chans, n_times))
        except TypeError as error:
            raise TypeError(f"{network.__name__} cannot be made with {params}: {error}") from error
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            raise ValueError(
                f"{network.__name__} cannot be made for epochs of {n_times} samples and {n_chans} "
                f"channels, most often because they are too short: {error}"
            ) from error
        shape = getattr(logits, "shape", None)
        if shape != (1, n_outputs):
            given = f"a {type(logits).__name__}" if shape is None else tuple(shape)
            raise ValueError(
                f"{network.__name__} gives {given} for an epoch, but has to give a "
                f"logit for each of {n_outputs} classes, (n_epochs, {n_outputs})."
            )
        if not any(True for _ in self.network.parameters()):
            raise ValueError(f"{network.__name__} has no parameters, and nothing could be learnt.")
        self.network.train()
        if channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.zeros(n_chans, 1))
        self.register_buffer("scale", torch.ones(n_chans, 1))

    def __reduce__(self):
        # Networks that bound the norm of their weights are such as torch cannot pickle.
        return _restore, (self._made_with, self.state_dict(), self.training)

    @torch.no_grad()
    def learn_statistics(self, x):
        """Learn the mean and the standard deviation of each channel from training epochs."""
        x = torch.from_numpy(x.load()) if isinstance(x, MappedEpochs) else x
        for index, channel in enumerate(x.unbind(1)):  # one by one, to save memory
            std, mean = torch.std_mean(channel.double(), correction=0)
            # A channel that never moved says nothing, also if it moves one day.
            alive = std > 1e-6 * mean.abs()
            self.mean[index] = mean
            self.scale[index] = 1 / std if alive else 0.0

    def forward(self, x):
        """Compute logits of shape (batch, n_outputs) of epochs."""
        return self.network((x - self.mean) * self.scale)


def _restore(made_with, state, is_training):
    """Make a network again that was pickled."""
    with seeded_torch():
        network = StandardizedNetwork(*made_with)
    network.load_state_dict(state)
    return network.to(state["mean"].device).train(is_training)


def pick_device(name):
    """Resolve ``"auto"``, and refuse what torch does not have here."""
    if isinstance(name, str) and name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        there = "'cpu' and 'cuda'" if torch.cuda.is_available() else "'cpu'"
        raise ValueError(
            f"device={name!r} is not available to torch here, only {there}; 'auto' takes a GPU if "
            "there is one."
        ) from error
    return name if name is not None else "cpu"


@contextmanager
def ctrl_c_ends_more_than_training():
    """Raise again what skorch takes for a callback that ends the training: Ctrl-C by the user."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed = []

    def note(number, frame):
        pressed.append(number)
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if pressed:
        raise KeyboardInterrupt
