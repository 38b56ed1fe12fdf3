"""Networks as scikit-learn classifiers, whichever the network; skorch does the work."""

import copy
import inspect
import warnings
from dataclasses import field
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from skorch.helper import predefined_split

from skeegformer._utils.settings import seeded_torch
from skeegformer._validation import (
    MappedEpochs,
    refuse_single_class,
    remember_input,
    validate_eeg,
    validate_groups,
    validate_labels,
    validate_weights,
)
from skeegformer.training._batches import EpochDataset, split_epochs
from skeegformer.training._fine_tuning import FineTuningMixin
from skeegformer.training._net import (
    WARMUP,
    StandardizedNetwork,
    copied,
    ctrl_c_ends_more_than_training,
    make_net,
    warm_up_and_come_down,
)
from skeegformer.training._parameters import check_training, network_estimator
from skeegformer.training._prediction import PredictionMixin


@network_estimator
class NetworkClassifier(PredictionMixin, FineTuningMixin, ClassifierMixin, BaseEstimator):
    """Any torch network for EEG as a scikit-learn classifier.

    Accepts `mne.Epochs`, arrays, and memory-mapped `MappedEpochs`. skorch trains the network with
    AdamW, a linear warm-up and a cosine schedule.

    Parameters
    ----------
    module : type
        Class of the network, a `torch.nn.Module` that takes a batch of epochs, a Tensor of shape
        (n_epochs, n_chans, n_times), and returns logits of shape (n_epochs, n_outputs). If its
        ``__init__`` has parameters ``n_chans``, ``n_outputs``, ``n_times`` or ``sfreq``, as in
        braindecode, they are passed. Each channel is standardised by its mean and standard
        deviation over the training epochs, unless the network has a method ``learn_statistics``,
        which receives the training epochs.
    module_params : dict or None, default=None
        Further parameters of the network.
    max_epochs : int or "auto", default="auto"
        Number of training epochs. "auto" chooses it for about 600 training steps, between 20 and
        200 epochs, which suits a few dozen epochs of EEG as well as thousands.
    batch_size : int, default=32
        Number of EEG epochs in a training step.
    lr : float, default=1e-3
        Peak learning rate of AdamW.
    weight_decay : float, default=0.05
        Weight decay of AdamW, for all weights.
    class_weight : dict, "balanced" or None, default=None
        Class weights in the loss, as in scikit-learn. `fine_tune` balances its own epochs.
    early_stopping : bool, default=False
        Whether to hold out part of the training data, stop when its loss no longer decreases, and
        restore the best weights. Whole subjects are held out if they are known, from `groups`
        passed to `fit` or from the column ``subject`` of the metadata of Epochs.
    validation_fraction : float, default=0.15
        Fraction of the subjects, or of the epochs if subjects are unknown, to hold out for
        `early_stopping`.
    n_iter_no_change : int, default=10
        Number of training epochs without a lower loss after which `early_stopping` stops.
    callbacks : list of skorch.callbacks.Callback or None, default=None
        Additional skorch callbacks.
    sfreq : float or None, default=None
        Sampling rate of arrays in Hz; for Epochs, None or their own rate. For arrays of unknown
        rate, `EEGTransformerClassifier` assumes 80 Hz, with a warning.
    device : str, default="cpu"
        Device for torch, for example ``"cuda"``, or ``"auto"`` for a GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        Equal seeds give bitwise identical weights on the same machine, unless other threads of the
        process train or predict at the same time. The global random states of NumPy and torch are
        not changed, except that None draws a seed from NumPy's.
    verbose : int, default=0
        0: silent; 1: skorch's table, a line per training epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_.network`` is the network, or ``net_.module_`` if it has
        ``learn_statistics``.
    history_ : skorch.history.History
        Losses in every training epoch.
    n_chans_, n_times_ : int
        Shape of an epoch.
    sfreq_ : float or None
        Sampling rate in Hz, if known.
    ch_names_ : list of str or None
        Channel names, after `fit` on Epochs.
    info_ : mne.Info or None
        Measurement info with the electrode positions, after `fit` on Epochs.
    n_features_in_ : int
        Number of channels; for 2-D input (epochs of one channel), number of samples.
    feature_names_in_ : ndarray of str
        Channel names after `fit` on Epochs, column names after `fit` on a DataFrame.

    Notes
    -----
    A subclass decorated with `network_estimator` can add parameters, annotated with their defaults.
    It overrides ``_make_network``, and may override ``_check_parameters``, ``_learn_statistics``,
    ``_lr_factor``, ``_optimizer_options`` and ``_finish`` (which sets attributes from the trained
    network).

    Examples
    --------
    >>> from torch import nn
    >>> from skeegformer import NetworkClassifier, make_simulated_eeg
    >>> class LogPower(nn.Module):
    ...     def __init__(self, n_chans, n_outputs, n_filters=8):
    ...         super().__init__()
    ...         self.spatial = nn.Conv1d(n_chans, n_filters, 1, bias=False)
    ...         self.linear = nn.Linear(n_filters, n_outputs)
    ...
    ...     def forward(self, x):
    ...         return self.linear(self.spatial(x).square().mean(dim=-1).log())
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = NetworkClassifier(LogPower, module_params={"n_filters": 4}, max_epochs=5)
    >>> classifier.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    """

    module: Any = field(default=None, kw_only=False)
    module_params: dict | None = None
    max_epochs: int | str = "auto"
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.05
    class_weight: dict | str | None = None
    early_stopping: bool = False
    validation_fraction: float = 0.15
    n_iter_no_change: int = 10
    callbacks: list | None = None
    sfreq: float | None = None
    device: str = "cpu"
    random_state: Any = None
    verbose: int = 0

    _forgotten = ("net_",)  # what fitted attributes `fit` takes away before it begins

    def fit(self, X, y, groups=None, sample_weight=None):
        """Train the network from newly initialised weights.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs, MappedEpochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times), or (n_epochs, n_times) for a
            single channel. Arrays should be in microvolts, but scores are the same for any unit as
            long as `fit` and `predict` use the same. `MappedEpochs` are read batch by batch.
        y : array-like of shape (n_epochs,)
            Labels of any type.
        groups : array-like of shape (n_epochs,) or None, default=None
            The subject of each epoch; `early_stopping` holds out whole subjects. None for the
            column ``subject`` of the metadata of Epochs, or the subjects of `MappedEpochs`, if
            known. In a Pipeline, use metadata routing: ``set_fit_request(groups=True)``.
        sample_weight : array-like of shape (n_epochs,) or None, default=None
            Weight of each epoch in the loss; only ratios matter. Epochs of weight 0 are left out.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If X contains NaN or infinity, has no epochs, channels or samples, or is inconsistent
            with y or groups; if a parameter is out of range, or training diverges.
        OSError
            If the file of a `MappedEpochs` cannot be read.

        Warns
        -----
        UserWarning
            If channels are marked as bad (``info["bads"]``); they are used like all others.
        """
        self._check_parameters()
        for name in self._forgotten:  # a fit that fails is no fit, also where there was one
            vars(self).pop(name, None)
        eeg = validate_eeg(self, X, reset=True, lazy=True)
        _warn_of_bads(eeg.info)
        self.classes_, codes = validate_labels(self, y, len(eeg.data))
        groups = validate_groups(groups, len(eeg.data))
        weights = validate_weights(sample_weight, len(eeg.data))
        if weights is not None and not weights.all():
            rows = np.flatnonzero(weights)
            eeg, codes, weights = eeg.take(rows), codes[rows], weights[rows]
            groups = groups if groups is None else groups[rows]
        refuse_single_class(self.classes_[np.unique(codes)])
        subjects = groups
        if groups is None and (self.early_stopping or self._uses_subjects):
            subjects = validate_groups(eeg.subjects, len(eeg.data))
            if subjects is not None and len(np.unique(subjects)) > 1:
                groups = subjects  # of a single one, early stopping holds out epochs
        remember_input(self, eeg, scale=True)
        seed, train, held_out = self._plan(codes, self.classes_, groups)

        def dataset(data, rows):
            told = (None if one is None else one[rows] for one in (subjects, weights))
            return self._dataset(data, codes[rows], *told)

        with seeded_torch(seed):
            network, params = self._make_network()
            net = make_net(self, network, params, codes[train], stops_early=held_out is not None)
            net.initialize()
            data = eeg.data if held_out is None else eeg.data[train]
            self._learn_statistics(net.module_, data, codes[train])
            if held_out is not None:
                watched = dataset(eeg.data[held_out], held_out)
                net.set_params(train_split=predefined_split(watched))
            with ctrl_c_ends_more_than_training():
                net.partial_fit(dataset(data, train))
            if not np.isfinite(net.history[-1, "train_loss"]):
                raise ValueError(
                    f"The training diverged: its loss is {net.history[-1, 'train_loss']}. Lower lr "
                    f"(now {self.lr}), or look for extreme values in X."
                )
            net.set_params(train_split=None)  # a saved model carries nobody's recordings
            net.module_.eval()  # threads that predict at the same time change nothing in it
            self.net_, self.history_ = net, net.history
            self._finish(eeg, subjects, train)
        return self

    def held_out(self, y, groups=None):
        """Return which epochs `fit` would hold out for early stopping.

        Parameters
        ----------
        y : array-like of shape (n_epochs,)
            Labels, as for `fit`.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, as for `fit`, but not taken from the metadata of Epochs.

        Returns
        -------
        ndarray of bool of shape (n_epochs,)
            Mask of the held-out epochs, of a `fit` without `sample_weight`; all False with
            ``early_stopping=False``. The same in every call if `random_state` is an int.
        """
        self._check_parameters()
        classes, codes = validate_labels(self, y, np.size(y))
        held_out = self._plan(codes, classes, validate_groups(groups, len(codes)))[-1]
        return np.isin(np.arange(len(codes)), [] if held_out is None else held_out)

    def _check_parameters(self):
        """Refuse parameters that torch would choke on, or take without a word."""
        check_training(self)

    def _make_network(self):
        """Choose the class of the network and what it is made with; classes and input are known."""
        if not isinstance(self.module, type) or not issubclass(self.module, torch.nn.Module):
            raise ValueError(
                f"module={self.module!r} is no network; pass the class of a torch.nn.Module."
            )
        if not isinstance(self.module_params, dict | None):
            raise ValueError(f"module_params={self.module_params!r} is no dict of parameters.")
        shape = self._shape()
        told = {name: value for name, value in {**shape, "sfreq": self.sfreq_}.items() if value}
        accepted = inspect.signature(self.module).parameters
        params = {name: told[name] for name in accepted if name in told}
        params |= self.module_params or {}
        if hasattr(self.module, "learn_statistics"):
            return self.module, params
        return StandardizedNetwork, {"network": self.module, "params": params, **shape}

    def _shape(self):
        """Give the sizes that every network is made with."""
        n_outputs = len(self.classes_)
        return {"n_chans": self.n_chans_, "n_outputs": n_outputs, "n_times": self.n_times_}

    def _learn_statistics(self, network, data, codes):
        """Let the network learn from the training epochs, and classes, what is not trained."""
        if hasattr(network, "learn_statistics"):
            is_lazy = isinstance(data, MappedEpochs)
            network.learn_statistics(data if is_lazy else torch.from_numpy(data))

    def _lr_factor(self, max_epochs, steps_per_pass):
        """Make the function that gives the learning rate of a step as a share of ``lr``."""
        n_steps = max_epochs * steps_per_pass
        return partial(warm_up_and_come_down, n_steps=n_steps, n_warmup=round(WARMUP * n_steps))

    def _optimizer_options(self):
        """Give skorch more parameters for the optimizer, such as groups of weights."""
        return {"optimizer__weight_decay": float(self.weight_decay)}

    def _mirror_image(self):
        """Give each channel's partner and each class's, or None where nothing is mirrored."""
        return None

    def _dataset(self, data, codes, subjects, weights):
        """Make what the network is trained on of epochs, classes, subjects and weights."""
        return EpochDataset(data, codes, weights=weights)

    def _finish(self, eeg, subjects, train):
        """Learn more from the trained network and the epochs of `fit`; `train` are trained on."""

    def _plan(self, codes, classes, groups):
        """Draw the seed of the training, the epochs to train on, and those that are held out."""
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(2**31 - 1)
        if not self.early_stopping:
            return seed, np.arange(len(codes)), None
        fraction = self.validation_fraction
        return seed, *split_epochs(codes, classes, groups, fraction, random_state)

    def __sklearn_clone__(self):
        try:
            return super().__sklearn_clone__()
        except TypeError:  # a callback with an open file
            without = copy.copy(self)
            without.callbacks = None
            clone = super(NetworkClassifier, without).__sklearn_clone__()
            return clone.set_params(callbacks=[copied(one) for one in self.callbacks])


def _warn_of_bads(info):
    """Say that channels that are marked as bad are used, as MNE would not do."""
    bads = [] if info is None else [name for name in info["ch_names"] if name in info["bads"]]
    if bads:
        warnings.warn(
            f"{', '.join(bads)} {'is' if len(bads) == 1 else 'are'} marked as bad, and used all "
            "the same: every subject has to have the same channels. Interpolate them "
            "(epochs.interpolate_bads), or leave them out for everybody (ChannelDropper).",
            stacklevel=3,
        )
