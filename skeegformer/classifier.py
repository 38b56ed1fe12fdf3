"""The scikit-learn classifier around the network; skorch does the training."""

import copy
import signal
import threading
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from skeegformer._validation import (
    check_one_of,
    validate_eeg,
    validate_groups,
    validate_labels,
)
from skeegformer.attention import attention_gradients, gradient_rollout, log_odds
from skeegformer.nn import EEGTransformer

# Training steps, and the limits of passes over the data, of ``max_epochs="auto"``.
AUTO_STEPS = 600
AUTO_PASSES = (20, 200)
_IMPORTANCE_BATCH = 64


class EEGTransformerClassifier(ClassifierMixin, BaseEstimator):
    """Transformer on raw EEG with channels as tokens, as a scikit-learn classifier.

    Takes `mne.Epochs` as they are, or arrays, at the end of a
    :class:`~sklearn.pipeline.Pipeline` or alone. The network is `EEGTransformer`, after
    eeg-transformer [1]_; skorch trains it with AdamW, a linear warm-up and a cosine
    schedule.

    Parameters
    ----------
    tokenizer : {"spectral", "linear"}, default="spectral"
        What a channel's token is made of: its log power spectrum and its waveform in outline,
        or its raw samples as in the original.
    n_time_tokens : int, default=1
        Number of temporal tokens of each channel.
    embed_dim : int, default=64
        Size of a token inside the network.
    n_layers : int, default=2
        Number of transformer blocks.
    n_heads : int, default=4
        Number of attention heads; has to divide `embed_dim`.
    ff_dim : int or None, default=None
        Size of the hidden layer within a block; None means ``2 * embed_dim``.
    drop_prob : float, default=0.2
        Dropout probability.
    token_drop_prob : float, default=0.0
        Probability that a token is set to zero in training.
    noise : float, default=0.0
        Standard deviation of the noise added in training, relative to each channel's own.
    shuffle_tokens : {"none", "channels", "temporal", "all"}, default="none"
        Which tokens are shuffled in training.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. "auto" makes as many as 600 training steps need, at
        least 20 and at most 200, so that a few dozen epochs of EEG are learnt as well as
        thousands.
    batch_size : int, default=32
        Epochs of EEG in a training step.
    lr : float, default=1e-3
        Peak learning rate of AdamW.
    weight_decay : float, default=0.05
        Weight decay of AdamW.
    warmup : float, default=0.1
        Share of the training steps in which the learning rate rises from 0.
    lr_schedule : {"cosine", "constant"}, default="cosine"
        What the learning rate does after the warm-up.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as everywhere in scikit-learn.
    early_stopping : bool, default=False
        Hold out part of the training data, stop when its loss no longer falls, and return
        to the best weights. Whole subjects are held out where they are known: from `groups`
        given to `fit`, or from the column ``subject`` of the metadata of Epochs.
    validation_fraction : float, default=0.15
        Share of the subjects, or of the epochs where subjects are not known, that
        `early_stopping` holds out.
    n_iter_no_change : int, default=10
        After how many passes without a lower loss `early_stopping` ends the training.
    callbacks : list of skorch.callbacks.Callback or None, default=None
        Further callbacks, as skorch takes them.
    sfreq : float or None, default=None
        Sampling rate in Hz of arrays; Epochs know their own, and have to agree.
    device : str, default="cpu"
        Where torch computes, for example ``"cuda"``, or ``"auto"`` for a GPU if there is
        one.
    random_state : int, RandomState instance or None, default=None
        Equal seeds give equal weights, to the bit, on the same machine. The global random
        states of NumPy and torch are left as they were.
    verbose : int, default=0
        0: silent; 1: a progress bar; 2: skorch's table, a line per pass.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    feature_importances_ : ndarray of shape (n_chans,)
        Share of each channel in the gradient rollout [2]_ of the true class, averaged over
        the training epochs; non-negative, sums to 1. It tells what the model uses; the
        page on explanations says why it was chosen.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_`` is the `EEGTransformer`.
    history_ : skorch.history.History
        Losses of every pass.
    n_chans_, n_times_ : int
        Shape of an epoch.
    sfreq_ : float or None
        Sampling rate in Hz, where known.
    ch_names_ : list of str or None
        Channel names, after `fit` on Epochs.
    info_ : mne.Info or None
        Measurement info with the electrode positions, after `fit` on Epochs.
    n_features_in_ : int
        Number of channels; for 2-D input, which are epochs of one channel, of samples.
    feature_names_in_ : ndarray of str
        Channel names after `fit` on Epochs, column names after `fit` on a DataFrame.

    See Also
    --------
    skeegformer.AttentionExplainer : Which channels it looked at, epoch by epoch.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0
    .. [2] Chefer, Gur and Wolf (2021), Generic attention-model explainability for
       interpreting bi-modal and encoder-decoder transformers. ICCV. arXiv:2103.15679

    Examples
    --------
    >>> from skeegformer import EEGTransformerClassifier, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> classifier.predict_proba(X[:3]).shape
    (3, 2)
    >>> classifier.feature_importances_.shape
    (64,)
    """

    def __init__(
        self,
        *,
        tokenizer="spectral",
        n_time_tokens=1,
        embed_dim=64,
        n_layers=2,
        n_heads=4,
        ff_dim=None,
        drop_prob=0.2,
        token_drop_prob=0.0,
        noise=0.0,
        shuffle_tokens="none",
        max_epochs="auto",
        batch_size=32,
        lr=1e-3,
        weight_decay=0.05,
        warmup=0.1,
        lr_schedule="cosine",
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.15,
        n_iter_no_change=10,
        callbacks=None,
        sfreq=None,
        device="cpu",
        random_state=None,
        verbose=0,
    ):
        self.tokenizer = tokenizer
        self.n_time_tokens = n_time_tokens
        self.embed_dim = embed_dim
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.ff_dim = ff_dim
        self.drop_prob = drop_prob
        self.token_drop_prob = token_drop_prob
        self.noise = noise
        self.shuffle_tokens = shuffle_tokens
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.lr_schedule = lr_schedule
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.sfreq = sfreq
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, groups=None):
        """Train the network from new weights.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times), or
            (n_epochs, n_times) for a single channel. Arrays are best in microvolts; any
            unit gives the same scores as long as `fit` and `predict` get the same.
        y : array-like of shape (n_epochs,)
            Labels of any type.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects; `early_stopping` holds out whole ones. None takes the column ``subject``
            of the metadata of Epochs, where there is one. Reaches the classifier in a
            Pipeline by metadata routing: ``set_fit_request(groups=True)``.

        Returns
        -------
        EEGTransformerClassifier
            Itself.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, has no epochs, channels or samples, does not fit y
            or groups, a parameter is out of its range, or the training diverges.
        """
        _check_parameters(self)
        vars(self).pop("net_", None)  # a fit that fails is no fit, also where there was one
        eeg = validate_eeg(self, X, reset=True)
        codes = validate_labels(self, y, len(eeg.data))
        groups = validate_groups(groups, len(eeg.data))
        if groups is None and self.early_stopping:  # nothing else needs to know the subjects
            subjects = validate_groups(eeg.subjects, len(eeg.data))
            if subjects is not None and len(np.unique(subjects)) > 1:
                groups = subjects
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(2**31 - 1)

        train, held_out = self._split(codes, groups, random_state)
        data = eeg.data if held_out is None else eeg.data[train]
        device = _pick_device(self.device)
        with _seeded(seed), _ctrl_c_ends_more_than_training():
            net = self._make_net(eeg, codes, train, held_out, device)
            net.initialize()
            net.module_.learn_statistics(torch.from_numpy(data))
            net.partial_fit(data, codes[train])
        if not np.isfinite(net.history[-1, "train_loss"]):
            raise ValueError(
                f"The training diverged: its loss is {net.history[-1, 'train_loss']}. Lower lr "
                f"(now {self.lr}), or look for extreme values in X."
            )
        net.set_params(train_split=None)  # a saved model carries nobody's recordings
        self.net_ = net
        self.history_ = net.history
        self.feature_importances_ = self._importances(data, codes[train])
        return self

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

    def _logits(self, X):
        check_is_fitted(self, "net_")
        return self._forward(validate_eeg(self, X, reset=False).data).numpy()

    def _forward(self, data):
        # Iterating a DataLoader draws from torch's global random state, shuffling or not.
        with torch.random.fork_rng(devices=[]):
            return self.net_.forward(data)

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

    def _make_net(self, eeg, codes, train, held_out, device):
        """Compose the skorch net."""
        steps_per_pass = -(-len(train) // self.batch_size)
        max_epochs = self.max_epochs
        if max_epochs == "auto":
            max_epochs = int(np.clip(round(AUTO_STEPS / steps_per_pass), *AUTO_PASSES))
        callbacks = [("lr_scheduler", self._make_schedule(max_epochs * steps_per_pass))]
        if held_out is not None:
            callbacks.append(
                ("early_stopping", EarlyStopping(patience=self.n_iter_no_change, load_best=True))
            )
        if self.verbose == 1:
            callbacks.append(("progress", _ProgressBar()))
        class_weight = None
        if self.class_weight is not None:
            weights = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_[codes[train]]
            )
            if weights.min() < 0 or weights.max() == 0:
                raise ValueError(
                    f"class_weight={self.class_weight!r} has to hold numbers of at least 0, not "
                    "all of them 0."
                )
            class_weight = torch.as_tensor(weights, dtype=torch.float32)
        split = None
        if held_out is not None:
            split = predefined_split(Dataset(eeg.data[held_out], codes[held_out]))
        net = NeuralNetClassifier(
            EEGTransformer,
            module__n_chans=self.n_chans_,
            module__n_outputs=len(self.classes_),
            module__n_times=self.n_times_,
            module__sfreq=self.sfreq_,
            module__tokenizer=self.tokenizer,
            module__n_time_tokens=self.n_time_tokens,
            module__embed_dim=self.embed_dim,
            module__n_layers=self.n_layers,
            module__n_heads=self.n_heads,
            module__ff_dim=self.ff_dim,
            module__drop_prob=self.drop_prob,
            module__token_drop_prob=self.token_drop_prob,
            module__noise=self.noise,
            module__shuffle_tokens=self.shuffle_tokens,
            criterion=nn.CrossEntropyLoss,
            criterion__weight=class_weight,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            optimizer__fused=torch.device(device).type in ("cpu", "cuda"),
            lr=self.lr,
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            iterator_train__shuffle=True,
            train_split=split,
            classes=np.arange(len(self.classes_)),
            callbacks=callbacks + copy.deepcopy(list(self.callbacks or [])),
            device=device,
            verbose=1 if self.verbose >= 2 else 0,
        )
        if self.verbose < 2:
            net.set_params(callbacks__print_log=None)
        return net

    def _make_schedule(self, n_steps):
        factor = partial(
            _lr_factor,
            n_steps=n_steps,
            n_warmup=round(self.warmup * n_steps),
            cosine=self.lr_schedule == "cosine",
        )
        return LRScheduler(torch.optim.lr_scheduler.LambdaLR, lr_lambda=factor, step_every="batch")

    def _importances(self, data, codes):
        """Average the relevance of channels for the true class over epochs."""
        network = self.net_.module_
        device = next(network.parameters()).device
        total = 0
        for x, code in zip(
            torch.from_numpy(data).split(_IMPORTANCE_BATCH),
            torch.from_numpy(codes).split(_IMPORTANCE_BATCH),
            strict=True,
        ):
            score = partial(log_odds, codes=code.to(device))
            weights, gradients, _ = attention_gradients(network, x.to(device), score)
            row = gradient_rollout(weights, gradients)[:, 0, 1:].double()
            total = total + (row / row.sum(dim=1, keepdim=True).clamp_min(1e-30)).sum(dim=0)
        importances = network.tokens_to_channels(total).sum(dim=-1).cpu().numpy()
        if importances.sum() == 0:  # no gradient at all: a channel is as good as any other
            importances = np.ones_like(importances)
        return importances / importances.sum()

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
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        self.bar_.close()
        del self.bar_  # an open terminal cannot be pickled


def _lr_factor(step, *, n_steps, n_warmup, cosine):
    """Scale the learning rate: up to 1 in the warm-up, then down to 0 or flat."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    if not cosine:
        return 1.0
    return 0.5 * (1 + np.cos(np.pi * (step - n_warmup) / max(1, n_steps - n_warmup)))


def _check_parameters(classifier):
    """Refuse parameters that torch would choke on, or take without a word."""
    for name in ("n_time_tokens", "embed_dim", "n_layers", "n_heads", "batch_size"):
        _check_number(classifier, name, Integral, 1)
    _check_number(classifier, "n_iter_no_change", Integral, 1)
    if not isinstance(classifier.max_epochs, str) or classifier.max_epochs != "auto":
        _check_number(classifier, "max_epochs", Integral, 1, or_else="'auto'")
    if classifier.ff_dim is not None:
        _check_number(classifier, "ff_dim", Integral, 1, or_else="None")
    for name in ("drop_prob", "token_drop_prob", "warmup", "validation_fraction"):
        _check_number(classifier, name, Real, 0, below=1)
    for name in ("lr", "weight_decay", "noise"):
        _check_number(classifier, name, Real, 0)
    if classifier.sfreq is not None:
        _check_number(classifier, "sfreq", Real, 1, or_else="None")
    _check_number(classifier, "verbose", (Integral, bool), 0)
    if not isinstance(classifier.early_stopping, bool | np.bool_):
        raise ValueError(f"early_stopping={classifier.early_stopping!r} is not True or False.")
    check_one_of("lr_schedule", classifier.lr_schedule, ("cosine", "constant"))
    callbacks = classifier.callbacks or []
    if not isinstance(callbacks, list | tuple) or not all(map(_is_callback, callbacks)):
        raise ValueError(
            f"callbacks={classifier.callbacks!r} is not a list of skorch callbacks, or of pairs of "
            "a name and a callback."
        )


def _check_number(classifier, name, kind, least, *, below=np.inf, or_else=None):
    value = getattr(classifier, name)
    is_bool = isinstance(value, bool) and kind is not Real and bool not in np.ravel(kind)
    if isinstance(value, kind) and not is_bool and least <= value < below:
        return
    what = "a whole number" if kind is not Real else "a number"
    limits = f"at least {least}" + (f" and below {below}" if below < np.inf else "")
    raise ValueError(
        f"{name}={value!r} has to be {what} of {limits}" + (f", or {or_else}." if or_else else ".")
    )


def _is_callback(callback):
    if isinstance(callback, tuple) and len(callback) == 2 and isinstance(callback[0], str):
        callback = callback[1]
    is_class = isinstance(callback, type)
    return issubclass(callback, Callback) if is_class else isinstance(callback, Callback)


def _pick_device(name):
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
