"""The skorch net that is trained: loss, learning rate, callbacks."""

import copy

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn
from tqdm.auto import tqdm

from skeegformer.training._batches import (
    EpochDataset,
    MirrorSome,
    collate,
    training_loader,
    validation_loader,
)

# Share of the training steps in which the learning rate rises.
WARMUP = 0.1


def compose_net(
    classifier,
    network,
    params,
    *,
    class_weight,
    max_epochs,
    steps_per_pass,
    device,
    stops_early,
):
    """Compose the net of a classifier, in `fit` or again after it, from what depends on the data.

    `network` is the class of the network and `params` what it is made with; `class_weight` a Tensor
    of shape (n_classes,) or None. The net is not initialised.
    """
    image, verbose = classifier._mirror_image(), classifier.verbose
    schedule = LRScheduler(
        torch.optim.lr_scheduler.LambdaLR,
        lr_lambda=classifier._lr_factor(max_epochs, steps_per_pass),
        step_every="batch",
    )
    callbacks = [("lr_scheduler", schedule)]
    if stops_early:
        stopping = EarlyStopping(patience=classifier.n_iter_no_change, load_best=True)
        callbacks.append(("early_stopping", stopping))
    if verbose == 1:
        callbacks.append(("progress", ProgressBar()))
    net = GroupNet(
        network,
        **{f"module__{name}": value for name, value in params.items()},
        criterion=GroupCrossEntropy,
        criterion__weight=class_weight,
        optimizer=torch.optim.AdamW,
        optimizer__fused=torch.device(device).type in ("cpu", "cuda"),
        **classifier._optimizer_options(),
        lr=classifier.lr,
        max_epochs=max_epochs,
        batch_size=classifier.batch_size,
        dataset=EpochDataset,
        iterator_train=training_loader,
        iterator_train__collate_fn=collate if image is None else MirrorSome(*image),
        iterator_valid=validation_loader,
        train_split=None,
        classes=np.arange(len(classifier.classes_)),
        callbacks=callbacks + copy.deepcopy(list(classifier.callbacks or [])),
        device=device,
        verbose=1 if verbose >= 2 else 0,
    )
    if verbose < 2:
        net.set_params(callbacks__print_log=None)
    return net


def class_weights(class_weight, classes, codes):
    """Compute the weights of the classes in the loss, for epochs of these codes; None for none."""
    if class_weight is None:
        return None
    weights = np.ones(len(classes))
    # `fine_tune` need not have epochs of all classes to balance.
    of = np.unique(codes) if isinstance(class_weight, str) else np.arange(len(weights))
    weights[of] = compute_class_weight(class_weight, classes=classes[of], y=classes[codes])
    if weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            f"class_weight={class_weight!r} has to hold numbers of at least 0, not all of them 0."
        )
    return torch.as_tensor(weights, dtype=torch.float32)


class GroupNet(NeuralNetClassifier):
    """Show callbacks logits of epochs, as in prediction, where groups of heads have their own."""

    def train_step_single(self, batch, **fit_params):
        """Train on a batch."""
        step = super().train_step_single(batch, **fit_params)
        if step["y_pred"].ndim == 3:
            step["y_pred"] = step["y_pred"].mean(dim=-1)
        return step


class GroupCrossEntropy(nn.CrossEntropyLoss):
    """Cross-entropy, averaged over groups of heads where each gives logits."""

    def forward(self, logits, targets):
        """Compute the loss of logits (batch, n_outputs) or (batch, n_outputs, n_groups)."""
        if logits.ndim == 2:
            return super().forward(logits, targets)
        return super().forward(logits, targets[:, None].expand(-1, logits.shape[2]))


class ProgressBar(Callback):
    """Show the epochs of a training as one tqdm bar, with losses and time left."""

    def on_train_begin(self, net, **kwargs):
        """Begin the bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc="training", unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Move the bar."""
        losses = {
            name: f"{net.history[-1, name]:.3f}"
            for name in ("train_loss", "valid_loss")
            if name in net.history[-1]
        }
        self.bar_.set_postfix(losses)
        self.bar_.update(len(net.history) - self.bar_.n)  # not 1: it may have been resumed

    def on_train_end(self, net, **kwargs):
        """End the bar."""
        self.bar_.close()
        del self.bar_  # an open terminal cannot be pickled


def is_callback(callback):
    """Tell whether this is a callback as skorch takes them, alone or after its name."""
    if isinstance(callback, tuple) and len(callback) == 2 and isinstance(callback[0], str):
        callback = callback[1]
    is_class = isinstance(callback, type)
    return issubclass(callback, Callback) if is_class else isinstance(callback, Callback)


def warm_up_and_come_down(step, *, n_steps, n_warmup):
    """Scale the learning rate: up to 1 in the warm-up, then down to 0 on a cosine."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return 0.5 * (1 + np.cos(np.pi * (step - n_warmup) / max(1, n_steps - n_warmup)))


def check_finite(logits):
    """Refuse logits (n_epochs, n_outputs) of which some are NaN or infinite."""
    lost = ~logits.isfinite().all(dim=1)
    if lost.any():
        raise ValueError(
            f"There is no prediction for {int(lost.sum())} of {len(logits)} epochs: X holds "
            "values of another order of magnitude than in fit. Pass the same unit, and drop "
            "epochs with such artefacts (epochs.drop_bad)."
        )
    return logits
