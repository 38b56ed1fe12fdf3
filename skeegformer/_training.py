"""Training of networks as scikit-learn classifiers, whichever the network; skorch does the work."""

import copy
import signal
import threading
import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from torch import nn

from skeegformer._batches import (
    EpochDataset,
    MirrorSome,
    collate,
    training_loader,
    validation_loader,
)
from skeegformer._fine_tuning import LR_FACTOR, N_STEPS, tune
from skeegformer._memmap import MappedEpochs
from skeegformer._validation import (
    check_count,
    validate_eeg,
    validate_groups,
    validate_labels,
)

# Training steps, and the limits of passes over the data, of ``max_epochs="auto"``.
AUTO_STEPS = 600
AUTO_PASSES = (20, 200)
# Share of the training steps in which the learning rate rises.
WARMUP = 0.1


class NetworkClassifier(ClassifierMixin, BaseEstimator, ABC):
    """What classifiers that train a network share; a subclass says which network.

    A subclass has the parameters of the training, ``max_epochs``, ``batch_size``, ``lr``,
    ``weight_decay``, ``class_weight``, ``early_stopping``, ``validation_fraction``,
    ``n_iter_no_change``, ``callbacks``, ``sfreq``, ``device``, ``random_state`` and ``verbose``, as
    `EEGTransformerClassifier` describes them, and those of its network. It makes the network in
    `_make_network`, checks its own parameters in `_check_parameters`, and adds what it learns from
    the trained network in `_finish`.
    """

    def fit(self, X, y, groups=None):
        """Train the network from new weights.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs, MappedEpochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times), or
            (n_epochs, n_times) for a single channel. Arrays are best in microvolts; any
            unit gives the same scores as long as `fit` and `predict` get the same.
            `MappedEpochs` stay in their file and are read batch by batch.
        y : array-like of shape (n_epochs,)
            Labels of any type.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects; `early_stopping` holds out whole ones. None takes the column ``subject``
            of the metadata of Epochs, or the subjects of `MappedEpochs`, where they are known.
            Reaches the classifier in a
            Pipeline by metadata routing: ``set_fit_request(groups=True)``.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, has no epochs, channels or samples, does not fit y
            or groups, a parameter is out of its range, or the training diverges.
        OSError
            If X is in a file that cannot be read.

        Warns
        -----
        UserWarning
            If channels are marked as bad (``info["bads"]``), which are used like all others.
        """
        self._check_parameters()
        vars(self).pop("net_", None)  # a fit that fails is no fit, also where there was one
        eeg = validate_eeg(self, X, reset=True, lazy=True)
        _warn_of_bads(eeg.info)
        codes = validate_labels(self, y, len(eeg.data))
        groups = validate_groups(groups, len(eeg.data))
        subjects = groups
        if groups is None and self._needs_subjects():
            subjects = validate_groups(eeg.subjects, len(eeg.data))
            if subjects is not None and len(np.unique(subjects)) > 1:
                groups = subjects  # of a single one, early stopping holds out epochs
        self._begin()
        seed, train, held_out = self._plan(codes, groups)
        data = eeg.data if held_out is None else eeg.data[train]
        whose = None if subjects is None else subjects[train]
        with _seeded(seed), _ctrl_c_ends_more_than_training():
            net = self._make_net(data, codes[train], stops_early=held_out is not None)
            net.initialize()
            self._learn_statistics(net.module_, data)
            if held_out is not None:
                others = None if subjects is None else subjects[held_out]
                watched = self._dataset(eeg.data[held_out], codes[held_out], others)
                net.set_params(train_split=predefined_split(watched))
            net.partial_fit(self._dataset(data, codes[train], whose))
        if not np.isfinite(net.history[-1, "train_loss"]):
            raise ValueError(
                f"The training diverged: its loss is {net.history[-1, 'train_loss']}. Lower lr "
                f"(now {self.lr}), or look for extreme values in X."
            )
        net.set_params(train_split=None)  # a saved model carries nobody's recordings
        self.net_ = net
        self.history_ = net.history
        self._finish(eeg.data, subjects, train)
        return self

    def fine_tune(self, X, y, groups=None, *, n_steps=N_STEPS, lr=None):
        """Go on training with a few labelled epochs of somebody new.

        The training starts from the weights that are there, is short, and has a pull
        towards them (L2-SP [1]_), so that a handful of epochs moves what is peculiar to the
        person, above all the threshold between the classes, and leaves the rest.
        What the data are standardised with stays as `fit` learnt it, and epochs are mirrored as
        in `fit`. With ``adapt=True``, the mean of a subject that is not known yet is learnt from
        these epochs and kept in ``subject_means_``; of one that is known it stays.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as for `predict`; some 5 of each class help already.
        y : array-like of shape (n_epochs,)
            Labels; at least two of ``classes_``. What is known of others is not changed on
            purpose.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, as in `fit`; of use with ``adapt=True`` alone.
        n_steps : int, default=50
            Number of training steps.
        lr : float or None, default=None
            Learning rate at first; it comes down to 0. None for 0.3 times
            the classifier's `lr`.

        Returns
        -------
        self
            The same classifier, with new weights; the passes over these epochs are added to
            ``history_``. To keep the one for everybody, fine-tune a `copy.deepcopy`.

        Raises
        ------
        NotFittedError
            If there is nothing to go on from.
        ValueError
            If X does not look as in `fit`, y has a label that `fit` has not seen or only one, a
            parameter is out of its range, or the training diverges. The classifier stays
            as it was, also where it is interrupted.

        See Also
        --------
        fit : Starts anew, whatever has been learnt here.

        Notes
        -----
        Attributes that describe the epochs of `fit`, such as ``feature_importances_`` where there
        are such, are not touched: those epochs are gone. Explain epochs of the new person
        instead (`AttentionExplainer`).

        References
        ----------
        .. [1] Li, Grandvalet and Davoine (2018), Explicit inductive bias for transfer learning
           with convolutional networks. ICML. arXiv:1802.01483

        Examples
        --------
        >>> import copy
        >>> from skeegformer import EEGTransformerClassifier, make_simulated_eeg
        >>> X, y, metadata, truth = make_simulated_eeg(3, 20, random_state=0)
        >>> is_new = (metadata["subject"] == 3).to_numpy()
        >>> classifier = EEGTransformerClassifier(max_epochs=5, random_state=0)
        >>> classifier = classifier.fit(X[~is_new], y[~is_new])
        >>> first = is_new.nonzero()[0][:10]
        >>> own = copy.deepcopy(classifier).fine_tune(X[first], y[first])
        >>> len(classifier.history_), len(own.history_)
        (5, 55)
        """
        check_is_fitted(self, "net_")
        check_count("n_steps", n_steps, 1)
        lr = LR_FACTOR * self.lr if lr is None else lr
        if not isinstance(lr, Real) or isinstance(lr, bool) or not 0 < lr < np.inf:
            raise ValueError(f"lr={lr!r} is not a number above 0; None chooses one.")
        eeg = validate_eeg(self, X, reset=False)
        codes = self._codes_of_known(y, len(eeg.data))
        if groups is None and self._needs_subjects():
            groups = eeg.subjects
        groups = validate_groups(groups, len(eeg.data))

        learner = copy.copy(self)  # takes what is learnt on the way, until all has gone well
        network = copy.deepcopy(self.net_.module_).eval()
        with _seeded(check_random_state(self.random_state).randint(2**31 - 1)):
            forward, parameters, inputs, codes = learner._tunable(network, eeg.data, codes, groups)
            options = {"n_steps": n_steps, "lr": lr, "batch_size": self.batch_size}
            criterion = self._criterion_for(codes)
            passes = tune(forward, parameters, criterion, inputs, codes, **options)
            network.eval()
        state = network.state_dict()
        if not all(value.isfinite().all() for value in state.values()):
            raise ValueError(
                f"The fine-tuning diverged: its loss is {passes[-1]['train_loss']}, and the "
                f"classifier stays as it was. Lower lr (now {lr}), or look for extreme values in X."
            )
        vars(self).update(vars(learner))
        self.net_ = copy.deepcopy(self.net_)  # explanations of before keep the one they are of
        self.net_.module_.load_state_dict(state)
        self.history_ = self.net_.history
        for row in passes:
            self.history_.new_epoch()
            for name, value in {"epoch": len(self.history_), **row}.items():
                self.history_.record(name, value)
        return self

    def _criterion_for(self, targets):
        """Give the loss of `fit`; with classes that are balanced, balanced anew."""
        criterion = self.net_.criterion_
        if not isinstance(self.class_weight, str):
            return criterion
        return type(criterion)(weight=self._class_weights(targets).to(criterion.weight.device))

    def _codes_of_known(self, y, n_epochs):
        """Encode labels by the classes of `fit`, and refuse others."""
        stranger = copy.copy(self)  # learns which labels there are, in place of this one
        codes = validate_labels(stranger, y, n_epochs)
        labels, known = stranger.classes_.tolist(), self.classes_.tolist()
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise ValueError(
                f"y has the label {unknown[0]!r}, but this {type(self).__name__} was fitted with "
                f"{', '.join(map(repr, known))}; leave those epochs out, or fit with them."
            )
        if len(labels) < 2:
            raise ValueError(
                f"y has only the label {labels[0]!r}, and of epochs of a single class nothing is "
                "learnt but to predict it always; give at least two classes."
            )
        return np.array([known.index(label) for label in labels])[codes]

    def decision_function(self, X):
        """Compute the logits of epochs.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`; channels may come in another order where they have names.

        Returns
        -------
        ndarray of shape (n_epochs,) or (n_epochs, n_classes)
            Logits; for two classes the log odds of the second.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X):
        """Compute the probability of each class.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`.

        Returns
        -------
        ndarray of shape (n_epochs, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        return torch.softmax(torch.from_numpy(self._logits(X)), dim=1).numpy()

    def predict(self, X):
        """Predict the class of each epoch.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`.

        Returns
        -------
        ndarray of shape (n_epochs,)
            Members of ``classes_``.
        """
        logits = self._logits(X)
        return self.classes_[logits.argmax(axis=1)]

    def _check_parameters(self):
        """Refuse parameters that torch would choke on, or take without a word."""
        for name in ("batch_size", "n_iter_no_change"):
            check_number(self, name, Integral, 1)
        if not isinstance(self.max_epochs, str) or self.max_epochs != "auto":
            check_number(self, "max_epochs", Integral, 1, or_else="'auto'")
        check_number(self, "validation_fraction", Real, 0, below=1)
        for name in ("lr", "weight_decay"):
            check_number(self, name, Real, 0)
        if self.sfreq is not None:
            check_number(self, "sfreq", Real, 1, or_else="None")
        check_number(self, "verbose", (Integral, bool), 0)
        if not isinstance(self.early_stopping, bool | np.bool_):
            raise ValueError(f"early_stopping={self.early_stopping!r} is not True or False.")
        self._check_schedule()
        callbacks = self.callbacks or []
        if not isinstance(callbacks, list | tuple) or not all(map(_is_callback, callbacks)):
            raise ValueError(
                f"callbacks={self.callbacks!r} is not a list of skorch callbacks, or of pairs of "
                "a name and a callback."
            )

    def _check_schedule(self):
        """Refuse parameters that `_lr_factor` cannot use."""

    def _lr_factor(self, max_epochs, steps_per_pass):
        """Make the function that gives the learning rate of a step as a share of ``lr``."""
        n_steps = max_epochs * steps_per_pass
        n_warmup = round(WARMUP * n_steps)
        return partial(_warm_up_and_come_down, n_steps=n_steps, n_warmup=n_warmup)

    @abstractmethod
    def _make_network(self, data):
        """Choose the class of the network, a `torch.nn.Module`, and the parameters to make it with.

        The network gives logits of shape (batch, n_classes). It is made with torch seeded; where
        it has a method ``learn_statistics``, that gets the training epochs, which `data` are, too.
        """

    def _needs_subjects(self):
        """Tell whether `fit` looks for subjects in the metadata of Epochs."""
        return self.early_stopping

    def _begin(self):
        """Check what needs the classes and channel names, before any work is done."""

    def _learn_statistics(self, network, data):
        """Let the network learn from the training epochs what is not trained."""
        if hasattr(network, "learn_statistics"):
            network.learn_statistics(
                data if isinstance(data, MappedEpochs) else torch.from_numpy(data)
            )

    def _optimizer_options(self):
        """Give skorch more parameters for the optimizer, such as groups of weights."""
        return {"optimizer__weight_decay": self.weight_decay}

    def _mirror_image(self):
        """Give each channel's partner and each class's, or None where nothing is mirrored."""
        return None

    def _dataset(self, data, codes=None, subjects=None):
        """Make what the network is trained on of epochs, classes and subjects."""
        return EpochDataset(data, codes)

    def _tunable(self, network, data, codes, subjects):
        """Say what `fine_tune` trains: function, parameters, and its inputs and classes."""
        network.train()
        for module in network.modules():
            # A handful of epochs would overwrite what it has gathered from thousands.
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return network, list(network.parameters()), torch.from_numpy(data), codes

    def _finish(self, data, subjects, train):
        """Learn more from the trained network and the epochs of `fit`; `train` are trained on."""

    def _logits(self, X):
        check_is_fitted(self, "net_")
        return self._logits_of(validate_eeg(self, X, reset=False, lazy=True).data, None)

    def _known_means(self, data, subjects):
        """Give what an adapting network centres on; others do not."""

    def _logits_of(self, data, subjects):
        # Iterating a DataLoader draws from torch's global random state, shuffling or not.
        with torch.random.fork_rng(devices=[]):
            return check_finite(self.net_.forward(EpochDataset(data))).numpy()

    def _plan(self, codes, groups):
        """Draw the seed of the training, the epochs to train on, and those that are watched."""
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(2**31 - 1)
        return seed, *self._split(codes, groups, random_state)

    def held_out(self, y, groups=None):
        """Tell which epochs `fit` would hold out for early stopping.

        Parameters
        ----------
        y : array-like of shape (n_epochs,)
            Labels, as for `fit`.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, as for `fit`, which would look for them in the metadata of Epochs.

        Returns
        -------
        ndarray of bool of shape (n_epochs,)
            Whether an epoch is held out; none is with ``early_stopping=False``. The same in
            every call if `random_state` is an int.

        Examples
        --------
        >>> from skeegformer import EEGTransformerClassifier
        >>> classifier = EEGTransformerClassifier(
        ...     early_stopping=True, validation_fraction=0.3, random_state=0
        ... )
        >>> classifier.held_out(["a", "b"] * 3, groups=[1, 1, 2, 2, 3, 3]).tolist()
        [False, False, False, False, True, True]
        """
        self._check_parameters()
        planner = copy.copy(self)  # learns which labels there are, in place of this one
        y = column_or_1d(y)
        codes = validate_labels(planner, y, len(y))
        mask = np.zeros(len(codes), dtype=bool)
        held_out = planner._plan(codes, validate_groups(groups, len(codes)))[-1]
        if held_out is not None:
            mask[held_out] = True
        return mask

    def _split(self, codes, groups, random_state):
        """Choose the epochs to train on, and those that early stopping watches."""
        everything = np.arange(len(codes))
        if not self.early_stopping:
            return everything, None
        options = {"test_size": self.validation_fraction, "random_state": random_state}
        if groups is not None:
            if len(np.unique(groups)) < 2:
                raise ValueError(
                    "early_stopping holds out whole groups, but groups holds only "
                    f"{groups.tolist()[0]!r}; pass more groups, none at all, or "
                    "early_stopping=False."
                )
            splitter = GroupShuffleSplit(1, **options)
        elif np.bincount(codes).min() >= 2:
            splitter = StratifiedShuffleSplit(1, **options)
        else:
            splitter = ShuffleSplit(1, **options)
        try:
            train, held_out = next(splitter.split(everything, codes, groups))
        except ValueError as error:
            raise ValueError(
                f"early_stopping cannot hold out validation_fraction={self.validation_fraction} "
                f"of {len(codes)} epochs with {len(self.classes_)} classes; change the fraction, "
                "give more epochs, or set early_stopping=False."
            ) from error
        missing = np.setdiff1d(codes, codes[train])
        if len(missing):
            raise ValueError(
                "early_stopping held out every epoch of class "
                f"{self.classes_[missing].tolist()[0]!r}; "
                "lower validation_fraction, or set early_stopping=False."
            )
        return train, held_out

    def _make_net(self, data, codes, *, stops_early):
        """Compose the skorch net for training epochs and their classes."""
        steps_per_pass = -(-len(codes) // self.batch_size)
        max_epochs = self.max_epochs
        if max_epochs == "auto":
            max_epochs = int(np.clip(round(AUTO_STEPS / steps_per_pass), *AUTO_PASSES))
        image = self._mirror_image()
        seen = codes if image is None else np.concatenate([codes, image[1][codes]])
        class_weight = self._class_weights(seen)
        network, params = self._make_network(data)
        self._steps_per_pass = steps_per_pass
        return self._compose_net(
            network,
            params,
            class_weight=class_weight,
            max_epochs=max_epochs,
            steps_per_pass=steps_per_pass,
            device=pick_device(self.device),
            stops_early=stops_early,
        )

    def _class_weights(self, codes):
        """Compute the weights of the classes in the loss, or None for none."""
        if self.class_weight is None:
            return None
        weights = np.ones(len(self.classes_))
        # `fine_tune` need not have epochs of all classes to balance.
        of = np.unique(codes) if isinstance(self.class_weight, str) else np.arange(len(weights))
        weights[of] = compute_class_weight(
            self.class_weight, classes=self.classes_[of], y=self.classes_[codes]
        )
        if weights.min() < 0 or weights.max() == 0:
            raise ValueError(
                f"class_weight={self.class_weight!r} has to hold numbers of at least 0, not "
                "all of them 0."
            )
        return torch.as_tensor(weights, dtype=torch.float32)

    def _compose_net(
        self, network, params, *, class_weight, max_epochs, steps_per_pass, device, stops_early
    ):
        """Compose the skorch net, in `fit` or again after it, from what depends on the data."""
        image = self._mirror_image()
        schedule = LRScheduler(
            torch.optim.lr_scheduler.LambdaLR,
            lr_lambda=self._lr_factor(max_epochs, steps_per_pass),
            step_every="batch",
        )
        callbacks = [("lr_scheduler", schedule)]
        if stops_early:
            callbacks.append(
                ("early_stopping", EarlyStopping(patience=self.n_iter_no_change, load_best=True))
            )
        if self.verbose == 1:
            callbacks.append(("progress", _ProgressBar()))
        net = _GroupNet(
            network,
            **{f"module__{name}": value for name, value in params.items()},
            criterion=GroupCrossEntropy,
            criterion__weight=class_weight,
            optimizer=torch.optim.AdamW,
            optimizer__fused=torch.device(device).type in ("cpu", "cuda"),
            **self._optimizer_options(),
            lr=self.lr,
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            dataset=EpochDataset,
            iterator_train=training_loader,
            iterator_train__collate_fn=collate if image is None else MirrorSome(*image),
            iterator_valid=validation_loader,
            train_split=None,
            classes=np.arange(len(self.classes_)),
            callbacks=callbacks + copy.deepcopy(list(self.callbacks or [])),
            device=device,
            verbose=1 if self.verbose >= 2 else 0,
        )
        if self.verbose < 2:
            net.set_params(callbacks__print_log=None)
        return net

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


class _ProgressBar(Callback):
    """Show the passes of a training as one tqdm bar, with losses and time left."""

    def on_train_begin(self, net, **kwargs):
        from tqdm.auto import tqdm

        self.bar_ = tqdm(total=net.max_epochs, desc="training", unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        losses = {
            name: f"{net.history[-1, name]:.3f}"
            for name in ("train_loss", "valid_loss")
            if name in net.history[-1]
        }
        self.bar_.set_postfix(losses)
        self.bar_.update(len(net.history) - self.bar_.n)  # not 1: it may have been resumed

    def on_train_end(self, net, **kwargs):
        self.bar_.close()
        del self.bar_  # an open terminal cannot be pickled


class _GroupNet(NeuralNetClassifier):
    """Show callbacks logits of epochs, as in prediction, where groups of heads have their own."""

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        if step["y_pred"].ndim == 3:
            step["y_pred"] = step["y_pred"].mean(dim=-1)
        return step


class GroupCrossEntropy(nn.CrossEntropyLoss):
    """Cross-entropy, averaged over groups of heads where each gives logits."""

    def forward(self, logits, targets):
        """Compute the loss.

        Parameters
        ----------
        logits : Tensor of shape (batch, n_outputs) or (batch, n_outputs, n_groups)
            What the network says.
        targets : Tensor of shape (batch,)
            Classes.

        Returns
        -------
        Tensor of shape ()
            The loss.
        """
        if logits.ndim == 2:
            return super().forward(logits, targets)
        n_groups = logits.shape[2]
        return super().forward(logits, targets[:, None].expand(-1, n_groups))


def _warm_up_and_come_down(step, *, n_steps, n_warmup):
    """Scale the learning rate: up to 1 in the warm-up, then down to 0."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return 0.5 * (1 + np.cos(np.pi * (step - n_warmup) / max(1, n_steps - n_warmup)))


def check_finite(logits):
    """Refuse logits that are none.

    Parameters
    ----------
    logits : Tensor of shape (n_epochs, n_outputs)
        What the network says.

    Returns
    -------
    Tensor of shape (n_epochs, n_outputs)
        The same.

    Raises
    ------
    ValueError
        If some are NaN or infinite.
    """
    lost = ~logits.isfinite().all(dim=1)
    if lost.any():
        raise ValueError(
            f"There is no prediction for {int(lost.sum())} of {len(logits)} epochs: X holds "
            "values of another order of magnitude than in fit. Pass the same unit, and drop "
            "epochs with such artefacts (epochs.drop_bad)."
        )
    return logits


def check_number(estimator, name, kind, least, *, below=np.inf, or_else=None):
    """Refuse a parameter that is no number, or is out of its range.

    Parameters
    ----------
    estimator : estimator
        Whose parameter it is.
    name : str
        The parameter.
    kind : type or tuple of type
        `numbers.Integral` or `numbers.Real`, perhaps with others.
    least, below : float
        The least that it may be, and what it has to be below.
    or_else : str or None
        What else is allowed, for the message.

    Raises
    ------
    ValueError
        If it is something else.
    """
    value = getattr(estimator, name)
    is_bool = isinstance(value, bool) and kind is not Real and bool not in np.ravel(kind)
    if isinstance(value, kind) and not is_bool and least <= value < below:
        return
    what = "a whole number" if kind is not Real else "a number"
    limits = f"at least {least}" + (f" and below {below}" if below < np.inf else "")
    raise ValueError(
        f"{name}={value!r} has to be {what} of {limits}" + (f", or {or_else}." if or_else else ".")
    )


def _warn_of_bads(info):
    """Say that channels that are marked as bad are used, as MNE would not do."""
    bads = [] if info is None else [name for name in info["ch_names"] if name in info["bads"]]
    if bads:
        warnings.warn(
            f"{', '.join(bads)} {'is' if len(bads) == 1 else 'are'} marked as bad, and used all "
            "the same: every subject has to have the same channels. Interpolate them "
            "(epochs.interpolate_bads), or leave them out for everybody (ChannelDropper).",
            UserWarning,
            stacklevel=3,
        )


def _is_callback(callback):
    if isinstance(callback, tuple) and len(callback) == 2 and isinstance(callback[0], str):
        callback = callback[1]
    is_class = isinstance(callback, type)
    return issubclass(callback, Callback) if is_class else isinstance(callback, Callback)


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
def _seeded(seed):
    """Seed torch on all devices inside a with block, and put all states back after it."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def _ctrl_c_ends_more_than_training():
    """Raise KeyboardInterrupt at the end of a with block in which the user pressed Ctrl-C.

    skorch lets callbacks end a training by that exception, and so takes Ctrl-C for the same:
    it would return a net that looks trained.
    """
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
