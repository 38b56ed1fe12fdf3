"""The scikit-learn classifier around the transformer."""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skeegformer._batches import EpochDataset
from skeegformer._electrodes import can_complete, check_positions, complete
from skeegformer._memmap import batches_of
from skeegformer._training import NetworkClassifier, check_finite, check_number
from skeegformer._validation import check_one_of, validate_eeg, validate_groups
from skeegformer.attention import attention_rollout, record_attention
from skeegformer.nn import EEGTransformer
from skeegformer.nn.transformer import LEAST_POWER
from skeegformer.preprocessing.mirroring import (
    both_directions,
    is_own_image,
    mirror_classes,
    mirror_pairs,
    partner_order,
)

# Epochs worked on at once in prediction.
_BATCH = 64
# Weight decay of all weights but those of the class token.
_LITTLE_DECAY = 0.01
# With fewer epochs the mean of a subject is that of its classes' whims.
_FEW_EPOCHS = 10


class EEGTransformerClassifier(NetworkClassifier):
    """Transformer on raw EEG with channels as tokens, as a scikit-learn classifier.

    Takes `mne.Epochs` as they are, arrays, or `MappedEpochs` that stay in their file, at the
    end of a :class:`~sklearn.pipeline.Pipeline` or alone. The network is `EEGTransformer`, after
    eeg-transformer [1]_: its heads attend over the channels with signs, and a class token attends
    over what they gather; skorch trains it with AdamW, a linear warm-up and a cosine schedule.

    Parameters
    ----------
    mirror : dict, "auto" or None, default="auto"
        Exchange left and right electrodes in half of the training epochs, anew in every batch, and
        predict the mean over an epoch and its mirror image: the dict says which labels change with
        it, each pair in one direction or both, such as ``{"left": "right"}``; others stay. "auto"
        makes the dict from names that turn into each other when the words left and right are
        exchanged; it does not mirror where there are none, where a class or a channel has no
        partner on the other side (`mirror_pairs`; of channels a warning says so), or where all
        channels are on the midline. ``mirror_pairs_`` tells what was found. Pass ``{}`` where both
        sides of the head take part alike in every class, as in open against closed eyes.
    adapt : bool, default=False
        Whether log powers of sources are centred on each subject's own mean, in `fit` as in the
        predictions, so that what differs between people from the start does not count.
        A subject seen in `fit` keeps the mean from there, and is known by its name: do not
        give somebody else the same one. Of others, the unlabelled epochs to
        predict are used, all that are given at once: such scores are transductive, and a single
        epoch of somebody unknown is refused. Subjects are those of `groups` or of the column
        ``subject`` of the metadata of Epochs; where `fit` finds neither it warns, since all
        epochs, also those to predict, are then one person's.
    positions : {"channel", "electrode"}, default="channel"
        What the channels to predict have in common with those of `fit`. "channel": their names;
        X with others, or fewer, is refused. "electrode": the head; the signal at electrodes of
        `fit` that X lacks is estimated by spherical splines [2]_ from those that it has and are
        not marked as bad, while the others keep theirs. `fit` and X have to be Epochs with a
        montage, and X has to have at least 4 electrodes, spread over the head.
    n_groups : int, default=2
        Number of groups of heads, each of which learns to decide by itself; their mean decides.
    n_heads : int, default=20
        Number of attention heads of each group, and so of sources.
    n_filters : int, default=4
        Number of spatial filters of each head.
    drop_prob : float, default=0.5
        Dropout probability of the tokens.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. "auto" makes as many as 600 training steps need, at
        least 20 and at most 200, so that a few dozen epochs of EEG are learnt as well as
        thousands.
    batch_size : int, default=32
        Epochs of EEG in a training step; with ``adapt=True``, 8 of each of a few subjects.
    lr : float, default=4e-3
        Peak learning rate of AdamW.
    weight_decay : float, default=1.0
        Weight decay by AdamW of the weights with which the class token attends, times the learning
        rate at every step; what no class needs comes down to zero.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as everywhere in scikit-learn. "balanced" counts
        mirror images as well, and `fine_tune` balances its own epochs.
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
        Equal seeds give equal weights, to the bit, on the same machine, unless other threads
        of the process train or predict at the same time. The global random states of NumPy and
        torch are left as they were; None draws a seed from NumPy's.
    verbose : int, default=0
        0: silent; 1: a progress bar; 2: skorch's table, a line per pass.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    feature_importances_ : ndarray of shape (n_chans,)
        Share of each channel in what the class token attends to, averaged over the training
        epochs; non-negative, sums to 1. See `attention_rollout`.
    mirror_pairs_ : ndarray of int of shape (n_chans,) or None
        Index of each channel's partner on the other side, where epochs are mirrored.
    mirrored_classes_ : dict or None
        The label that each label becomes in a mirror image, where epochs are mirrored.
    subject_means_ : dict of {subject: ndarray of shape (n_images, n_sources, n_windows)}
        With ``adapt=True``: mean log powers of each subject in `fit`, and of those that
        `fine_tune` was given since; the only key is None where `fit` was not told who the
        subjects are.
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
    .. [2] Perrin et al. (1989), Spherical splines for scalp potential and current density
       mapping. Electroenceph. Clin. Neurophysiol. 72(2). doi:10.1016/0013-4694(89)90180-6

    Examples
    --------
    >>> from skeegformer import EEGTransformerClassifier, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> classifier.predict_proba(X[:3]).shape
    (3, 2)
    >>> classifier.feature_importances_.shape
    (64,)

    Every second electrode, for a classifier that was trained with all of them:

    >>> classifier = EEGTransformerClassifier(positions="electrode", max_epochs=5, random_state=0)
    >>> classifier.fit(X, y).predict_proba(X[:3].pick(X.ch_names[::2])).shape
    (3, 2)
    """

    # Only who adapts wants to know whom the epochs to predict come from, and says so.
    __metadata_request__predict = {"groups": False}  # noqa: RUF012
    __metadata_request__predict_proba = {"groups": False}  # noqa: RUF012
    __metadata_request__decision_function = {"groups": False}  # noqa: RUF012

    def __init__(
        self,
        *,
        mirror="auto",
        adapt=False,
        positions="channel",
        n_groups=2,
        n_heads=20,
        n_filters=4,
        drop_prob=0.5,
        max_epochs="auto",
        batch_size=32,
        lr=4e-3,
        weight_decay=1.0,
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
        self.mirror = mirror
        self.adapt = adapt
        self.positions = positions
        self.n_groups = n_groups
        self.n_heads = n_heads
        self.n_filters = n_filters
        self.drop_prob = drop_prob
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.sfreq = sfreq
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("n_groups", "n_heads", "n_filters"):
            check_number(self, name, Integral, 1)
        check_number(self, "drop_prob", Real, 0, below=1)
        if not isinstance(self.adapt, bool | np.bool_):
            raise ValueError(f"adapt={self.adapt!r} is not True or False.")
        check_one_of("positions", self.positions, ("channel", "electrode"))

    def _make_network(self, data):
        pairs = swapped = None
        if self._mirror_image() is not None:
            pairs, swapped = (order.tolist() for order in self._mirror_image())
        return EEGTransformer, {
            "n_chans": self.n_chans_,
            "n_outputs": len(self.classes_),
            "n_times": self.n_times_,
            "sfreq": self.sfreq_,
            "n_groups": self.n_groups,
            "n_heads": self.n_heads,
            "n_filters": self.n_filters,
            "drop_prob": self.drop_prob,
            "pairs": pairs,
            "swapped": swapped,
        }

    def _begin(self):
        if self.positions == "electrode":
            check_positions(self.info_)
        vars(self).pop("subject_means_", None)  # `fit` knows nobody yet
        self.mirror_pairs_, self.mirrored_classes_ = self._find_mirror_image()

    def _find_mirror_image(self):
        """Find each channel's partner and each class's, or None where nothing is mirrored."""
        swap = self.mirror
        if swap is None:
            return None, None
        asked = not isinstance(swap, str) or swap != "auto"
        if not asked:
            try:
                swap = mirror_classes(self.classes_)
            except ValueError:  # a class whose other side is not there
                swap = None
            if swap is None or self.ch_names_ is None:
                return None, None
            try:
                mirror_pairs(self.info_ or self.ch_names_)
            except ValueError as error:  # a channel whose other side is not there
                warnings.warn(f"No epoch is mirrored. {error}", UserWarning, stacklevel=4)
                return None, None
        if not isinstance(swap, dict):
            raise ValueError(f"mirror={self.mirror!r} is not a dict of labels, 'auto' or None.")
        labels = self.classes_.tolist()
        unknown = [label for pair in swap.items() for label in pair if label not in labels]
        if unknown:
            raise ValueError(f"mirror names the class {unknown[0]!r}, but there are {labels}.")
        swap = both_directions("mirror", swap)
        if self.ch_names_ is None:
            raise ValueError(
                "mirror needs to know which channels are left and which right; pass Epochs, or "
                "mirror=None."
            )
        pairs = partner_order(mirror_pairs(self.info_ or self.ch_names_), self.ch_names_)
        if is_own_image(pairs):
            if swap and asked:
                raise ValueError(
                    f"mirror={self.mirror!r} cannot exchange left and right of channels that are "
                    f"all on the midline ({', '.join(self.ch_names_)}): each epoch would be "
                    "trained with both labels. Pass channels of both sides, or mirror=None."
                )
            return None, None
        return pairs, {label: swap.get(label, label) for label in labels}

    def _mirror_image(self):
        if self.mirror_pairs_ is None:
            return None
        return self.mirror_pairs_, partner_order(self.mirrored_classes_, self.classes_.tolist())

    def _complete(self, eeg):
        """Give epochs to predict the channels of `fit`."""
        return complete(self, eeg) if self.positions == "electrode" else eeg

    def _way_out(self, eeg):
        """Say what to do with epochs that have other channels or samples than in `fit`."""
        if self.positions == "electrode" or not can_complete(self, eeg):
            return ""
        return "A classifier with positions='electrode' estimates those that are missing."

    def _needs_subjects(self):
        return super()._needs_subjects() or self.adapt

    def _learn_statistics(self, network, data):
        level, size, drift = _statistics(data)
        if self.mirror_pairs_ is not None:
            other = self.mirror_pairs_
            drift = drift + np.abs(level - level[other])  # mirror images exchange offsets
            level, size, drift = ((one + one[other]) / 2 for one in (level, size, drift))
        statistics = (torch.from_numpy(one).float() for one in (level, size, drift))
        network.learn_statistics(*statistics)
        # Powers at first, of which the running mean would have left the 1 only after many steps.
        with torch.no_grad():
            signals = (torch.as_tensor(x) for x in batches_of(data, _BATCH))
            sources = (network.gather(network.prepare(x.to(network.scale.device))) for x in signals)
            total = sum(one.square().mean(dim=-1).sum(dim=(0, 1)) for one in sources)
        network.source_power.copy_((total / len(data)).clamp_min(LEAST_POWER))

    def _optimizer_options(self):
        decay = {"weight_decay": self.weight_decay}
        return {
            "optimizer__param_groups": [("class_weight", decay)],
            "optimizer__weight_decay": _LITTLE_DECAY,
        }

    def _dataset(self, data, codes=None, subjects=None):
        if not self.adapt:
            return EpochDataset(data, codes)
        if subjects is None:
            numbers = np.zeros(len(data), dtype=np.int64)
        else:
            _refuse_single_epochs(_rows_by_subject(subjects, len(data)), learn=True)
            numbers = np.unique(subjects, return_inverse=True)[1].astype(np.int64)
        return EpochDataset(data, codes, numbers)

    def _finish(self, data, subjects, train):
        network, tokens = self.net_.module_, self._raw_tokens(data)
        if self.adapt:
            if subjects is None:
                _warn_of_unnamed_subjects()
            rows_of = _rows_by_subject(subjects, len(tokens))
            self.subject_means_ = {s: _mean_powers(tokens, rows) for s, rows in rows_of.items()}
        if len(train) < len(data):  # what early stopping held out is no training
            data, tokens = data[train], tokens[train]
            subjects = None if subjects is None else subjects[train]
        tokens = self._centred(tokens, subjects)
        network.usual_tokens.copy_(tokens.double().mean(dim=0))
        self.feature_importances_ = self._importances(data, tokens)

    def _importances(self, data, tokens):
        """Average the rollout of attention over epochs."""
        network, total = self.net_.module_, 0
        signals = (torch.as_tensor(x).to(network.scale.device) for x in batches_of(data, _BATCH))
        for x, their in zip(signals, tokens.split(_BATCH), strict=True):
            with torch.no_grad(), record_attention(network) as attention:
                network.gather(network.prepare(x))
                network.read_out(their.to(network.scale.device))
            total = total + attention_rollout(attention.values()).double().sum(dim=0)
        return (total / total.sum()).numpy()

    def _tunable(self, network, data, codes, subjects):
        # Neither the powers of sources are learnt anew, nor are their windows shifted.
        network.eval().drop.train()
        if not self.adapt:
            return network, list(network.parameters()), torch.from_numpy(data), codes
        # Heads stay, since means of subjects are those of their sources.
        tokens = self._centred(self._raw_tokens(data), subjects, learn=True)
        return network.read_out, [network.class_weight, network.class_bias], tokens, codes

    def decision_function(self, X, groups=None):
        """Compute the logits of epochs.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`; channels may come in another order where they have names.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, which ``adapt=True`` asks for. None takes the column ``subject`` of the
            metadata of Epochs; where there is none, all epochs are one subject. Reaches the
            classifier in a Pipeline by metadata routing:
            ``set_predict_proba_request(groups=True)``, and so for each method.

        Returns
        -------
        ndarray of shape (n_epochs,) or (n_epochs, n_classes)
            Logits; for two classes the log odds of the second.
        """
        logits = self._logits(X, groups)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X, groups=None):
        """Compute the probability of each class.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`.
        groups : array-like of shape (n_epochs,) or None, default=None
            As in `decision_function`.

        Returns
        -------
        ndarray of shape (n_epochs, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        return torch.softmax(torch.from_numpy(self._logits(X, groups)), dim=1).numpy()

    def predict(self, X, groups=None):
        """Predict the class of each epoch.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as in `fit`.
        groups : array-like of shape (n_epochs,) or None, default=None
            As in `decision_function`.

        Returns
        -------
        ndarray of shape (n_epochs,)
            Members of ``classes_``.
        """
        logits = self._logits(X, groups)
        return self.classes_[logits.argmax(axis=1)]

    def _logits(self, X, groups=None):
        check_is_fitted(self, "net_")
        eeg = validate_eeg(self, X, reset=False, lazy=True)
        subjects = eeg.subjects if groups is None else groups
        subjects = validate_groups(subjects, len(eeg.data)) if self.adapt else None
        return self._logits_of(eeg.data, subjects)

    @torch.no_grad()
    def _logits_of(self, data, subjects):
        if not self.adapt:
            return super()._logits_of(data, subjects)
        network = self.net_.module_.eval()
        tokens = self._centred(self._raw_tokens(data), subjects).to(network.scale.device)
        return check_finite(network.read_out(tokens).cpu()).numpy()

    def _known_means(self, data, subjects):
        """Give what the log powers of each epoch are centred on, or None."""
        if not self.adapt:
            return None
        raw = self._raw_tokens(data)
        centred = self._centred(raw.clone(), subjects)
        return (raw - centred)[:, :, 0].numpy()

    @torch.no_grad()
    def _raw_tokens(self, data):
        """Compute the tokens of epochs as they are."""
        network = self.net_.module_.eval()
        signals = (torch.as_tensor(x).to(network.scale.device) for x in batches_of(data, _BATCH))
        return torch.cat(
            [network.tokens(network.gather(network.prepare(x))).cpu() for x in signals]
        )

    def _centred(self, tokens, subjects, *, learn=False):
        """Centre tokens, in place, on their subject's mean where the classifier adapts."""
        if not self.adapt:
            return tokens
        network = self.net_.module_
        known = self.subject_means_
        rows_of = _rows_by_subject(subjects, len(tokens))
        unknown = {subject: rows for subject, rows in rows_of.items() if subject not in known}
        _refuse_single_epochs(unknown, learn)
        means = {**known, **{s: _mean_powers(tokens, rows) for s, rows in unknown.items()}}
        if learn:
            self.subject_means_ = means
        for subject, rows in rows_of.items():
            tokens[rows] = network.centre(tokens[rows], torch.from_numpy(means[subject]))
        return tokens


def _statistics(data):
    """Compute level, size, and changes of level of each channel: medians over epochs.

    A few artefacts count little in them, and a constant offset of an amplifier is no size.
    """
    means, stds = [], []
    for batch in batches_of(data, _BATCH):
        batch = np.asarray(batch, dtype=np.float64)
        means.append(batch.mean(axis=-1))
        stds.append(batch.std(axis=-1))
    means, stds = np.concatenate(means), np.concatenate(stds)
    level = np.median(means, axis=0)
    return level, np.median(stds, axis=0), np.median(np.abs(means - level), axis=0)


def _mean_powers(tokens, rows):
    """Average log powers over some epochs: ndarray of shape (n_images, n_sources, n_windows)."""
    return tokens[rows, :, 0].double().mean(dim=0).float().numpy()


def _warn_of_unnamed_subjects():
    warnings.warn(
        "adapt=True was not told who the subjects are: all epochs are taken for one person's, and "
        "so are those to predict, which does not adapt to anybody new. Pass groups (by metadata "
        "routing where it is a step of a Pipeline), or Epochs whose metadata have a column "
        "'subject'.",
        UserWarning,
        stacklevel=2,
    )


def _refuse_single_epochs(rows_of, learn):
    """Raise where an epoch would be centred on itself, and warn where on hardly more."""
    for subject, rows in rows_of.items():
        if learn:
            if len(rows) == 1:
                raise ValueError(
                    f"Subject {subject!r} has a single epoch, which adapt=True would centre on "
                    "itself: leave it out, or check that groups are subjects and not epochs."
                )
            continue
        of_whom = "somebody unknown" if subject is None else f"the unknown subject {subject!r}"
        way_out = (
            "adapt=True centres features on each subject's mean. Pass more epochs at once, or "
            "teach it the mean by fine_tune"
        )
        if len(rows) == 1:
            raise ValueError(
                f"There is a single epoch of {of_whom}, and all single epochs look alike: "
                f"{way_out}."
            )
        if len(rows) < _FEW_EPOCHS:
            warnings.warn(
                f"There are only {len(rows)} epochs of {of_whom}: {way_out}.",
                UserWarning,
                stacklevel=2,
            )


def _rows_by_subject(subjects, n_epochs):
    """Map each subject to its epochs; None to all where subjects are not known."""
    if subjects is None:
        return {None: np.arange(n_epochs)}
    return {
        subject: np.flatnonzero(subjects == subject) for subject in np.unique(subjects).tolist()
    }
