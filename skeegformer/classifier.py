"""The scikit-learn classifier around the transformer."""

import logging
import warnings
from dataclasses import field
from numbers import Integral, Real

import numpy as np
import torch

from skeegformer._validation import (
    batches_of,
    check_number,
    check_one_of,
    listed,
    refuse_other_spelling,
    rows_by_subject,
)
from skeegformer.attention import attention_rollout, record_attention
from skeegformer.nn import EEGTransformer
from skeegformer.nn.transformer import RATE
from skeegformer.preprocessing._interpolation import can_complete, check_positions, complete
from skeegformer.preprocessing._sides import find_mirror_image, partner_order
from skeegformer.training import NetworkClassifier, network_estimator
from skeegformer.training._batches import EpochDataset, refuse_single_epochs
from skeegformer.training._evidence import draw_rows, token_gains
from skeegformer.training._net import check_finite
from skeegformer.training._shares import channel_shares

_LOGGER = logging.getLogger("skeegformer")
# Epochs worked on at once in prediction.
_BATCH = 64
# Share of a channel's variance that the others explain: at least in EEG, whose sources are seen by
# many electrodes; and, in units of what is usual, at least with contact.
_USUALLY_SHARED, _LEAST_SHARED = 0.3, 0.2
# How many times as loud an electrode without contact counts at most; and a ridge, for stability.
_ISOLATED, _RIDGE = 3.5, 1e-3
# Weight decay of all weights but those of the class token.
_LITTLE_DECAY = 0.01


@network_estimator
class EEGTransformerClassifier(NetworkClassifier):
    """Transformer classifier for raw EEG, with channels as tokens.

    The network is `EEGTransformer`, which derives from eeg-transformer [1]_: its heads attend to
    the channels with signed weights, and a class token attends to the resulting sources. The input
    can be `mne.Epochs`, arrays or `MappedEpochs`; `NetworkClassifier` describes the training.

    **Start with these parameters.** `mirror` and `adapt` depend on the design and matter most;
    `sfreq` is needed for arrays; `random_state` makes fits reproducible; a small `max_epochs` saves
    time in first trials; ``class_weight="balanced"`` is for rare classes, ``positions="electrode"``
    for predictions on other caps, and `early_stopping` for many subjects.

    **Leave these at first.** Size of the network: `n_groups`, `n_heads`, `n_filters`. Training:
    `drop_prob`, `batch_size`, `lr`, `weight_decay`. The benchmark uses the defaults.

    Parameters
    ----------
    mirror : dict, "auto" or None, default="auto"
        Exchange left and right electrodes in a random half of the epochs of every training batch,
        and average predictions over an epoch and its mirror image. A dict contains the labels that
        are exchanged, each pair in one or both directions, such as ``{"left": "right"}``; other
        labels are kept. "auto" pairs the classes whose names are equal after exchanging the words
        left and right; there is no mirroring if there are none, if a class or a channel has no
        partner, or if all channels are on the midline. Pass ``{}`` if both hemispheres are equally
        involved in every class, as with open or closed eyes. None disables mirroring.
    adapt : bool, default=False
        Whether log powers of sources are centred on the mean of each subject, in `fit` and in
        predictions, to remove constant differences between subjects. A subject seen in `fit`,
        identified by its name, keeps the mean from `fit`, so names must be unique. For new
        subjects, the mean over all unlabelled epochs in the call is used: such scores are
        transductive, and a single epoch of a new subject raises an error. Subjects are given by
        `groups` or by the column ``subject`` of the metadata of Epochs; if `fit` finds neither, it
        warns, since all epochs, including those to predict, then count as those of one subject.
    positions : {"channel", "electrode"}, default="channel"
        How channels in predictions are matched with those of `fit`. "channel": by name; different
        or missing channels raise an error. "electrode": by position; the signal at electrodes of
        `fit` that X lacks is estimated by spherical splines [2]_ from the electrodes of X that are
        not marked as bad, while the others keep their signal. `fit` and X must be Epochs with a
        montage, and X must have at least 4 electrodes, spread over the head.
    n_groups : int, default=2
        Number of groups of heads, which learn to classify on their own; logits are averaged.
    n_heads : int, default=20
        Number of attention heads, and therefore of sources, in each group.
    n_filters : int, default=4
        Number of spatial filters of each head.
    drop_prob : float, default=0.5
        Dropout probability of the tokens.
    batch_size : int, default=32
        Number of epochs in a training step; with ``adapt=True``, 8 from each of several subjects.
    lr : float, default=4e-3
        Peak learning rate of AdamW.
    weight_decay : float, default=1.0
        Weight decay of AdamW, for the weights of the class token only; it is multiplied by the
        learning rate in every step. Weights that no class needs decay to zero.
    class_weight : dict, "balanced" or None, default=None
        Class weights in the loss, as in scikit-learn. "balanced" includes mirror images, and
        `fine_tune` balances its own epochs.

    Attributes
    ----------
    feature_importances_ : ndarray of shape (n_chans,)
        Mean attention rollout over the training epochs (`attention_rollout`): the share of each
        channel, non-negative with sum 1. Not available for 2-D input, whose features are the
        samples of one channel.
    mirror_pairs_ : ndarray of int of shape (n_chans,) or None
        Index of each channel's partner on the other side; None without mirroring.
    mirrored_classes_ : dict or None
        The label of the mirror image for each label; None without mirroring.
    subject_means_ : dict of {subject: ndarray of shape (n_images, n_sources, n_windows)}
        With ``adapt=True``: mean log powers of each subject in `fit` and `fine_tune`. If subjects
        are unknown in `fit`, the only key is None.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_`` is the `EEGTransformer`.

    See Also
    --------
    skeegformer.AttentionExplainer : Shows the channels attended to, for each epoch.

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
    """

    mirror: dict | str | None = "auto"
    adapt: bool = False
    positions: str = "channel"
    n_groups: int = 2
    n_heads: int = 20
    n_filters: int = 4
    drop_prob: float = 0.5
    batch_size: int = 32
    lr: float = 4e-3
    weight_decay: float = 1.0
    class_weight: dict | str | None = None
    module: type = field(default=EEGTransformer, init=False)
    module_params: None = field(default=None, init=False)

    _forgotten = ("net_", "feature_importances_", "subject_means_")

    @property
    def _uses_subjects(self):
        return self.adapt

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("n_groups", "n_heads", "n_filters"):
            check_number(self, name, Integral, 1)
        check_number(self, "drop_prob", Real, 0, below=1)
        if not isinstance(self.adapt, bool | np.bool_):
            raise ValueError(f"adapt={self.adapt!r} is not True or False.")
        check_one_of("positions", self.positions, ("channel", "electrode"))

    def _make_network(self):
        if self.positions == "electrode":
            check_positions(self.info_)
        if self.sfreq_ is None and not self._fitted_flat:
            warnings.warn(
                "The sampling rate of X is not known, and the lengths of filters and windows are "
                f"counted as if it were {RATE:g} Hz. Pass EEGTransformerClassifier(sfreq=...) for "
                "arrays, or Epochs.",
                stacklevel=3,
            )
        image = find_mirror_image(self.mirror, self.classes_, self.ch_names_, self.info_)
        self.mirror_pairs_, self.mirrored_classes_ = image
        if self.mirrored_classes_ is None:
            _LOGGER.info("No epoch is mirrored.")
        else:
            _LOGGER.info("Epochs are mirrored, and labels become %s.", self.mirrored_classes_)
        pairs, swapped = self._mirror_image() or (None, None)
        return EEGTransformer, {
            **self._shape(),
            "sfreq": self.sfreq_,
            "n_groups": self.n_groups,
            "n_heads": self.n_heads,
            "n_filters": self.n_filters,
            "drop_prob": self.drop_prob,
            "pairs": None if pairs is None else pairs.tolist(),
            "swapped": None if swapped is None else swapped.tolist(),
        }

    def _mirror_image(self):
        if self.mirror_pairs_ is None:
            return None
        return self.mirror_pairs_, partner_order(self.mirrored_classes_, self.classes_.tolist())

    def _subjects_of(self, eeg, groups):
        if bool(self.adapt) != hasattr(self, "subject_means_"):
            raise ValueError(f"adapt={self.adapt} was set after fit; fit again, or set it back.")
        return super()._subjects_of(eeg, groups)

    def _complete(self, eeg):
        """Give epochs to predict the channels of `fit`."""
        return complete(self, eeg) if self.positions == "electrode" else eeg

    def _way_out(self, eeg):
        """Say what to do with epochs that have other channels or samples than in `fit`."""
        if self.positions == "electrode" or not can_complete(self, eeg):
            return ""
        return "A classifier with positions='electrode' estimates those that are missing."

    def _learn_statistics(self, network, data, codes):
        level, size, drift, isolation = statistics = _statistics(data)
        if (isolated := np.flatnonzero(isolation > 1)).size:
            names = isolated if self.ch_names_ is None else [self.ch_names_[i] for i in isolated]
            _LOGGER.info("Channels without contact count as louder: %s.", listed(names))
        if self.mirror_pairs_ is not None:
            other = self.mirror_pairs_
            drift = drift + np.abs(level - level[other])  # mirror images exchange offsets
            statistics = [(one + one[other]) / 2 for one in (level, size, drift, isolation)]
        network.learn_statistics(*(torch.from_numpy(one).float() for one in statistics))
        # Powers at first, of which the running mean would have left the 1 only after many steps.
        network.learn_powers(batches_of(data, _BATCH))
        network.gains.copy_(token_gains(network, data, codes))

    def _optimizer_options(self):
        decay = {"weight_decay": float(self.weight_decay)}
        return {
            "optimizer__param_groups": [("class_weight", decay)],
            "optimizer__weight_decay": _LITTLE_DECAY,
        }

    def _dataset(self, data, codes, subjects, weights):
        if not self.adapt:
            return EpochDataset(data, codes, weights=weights)
        if subjects is None:
            subjects = np.zeros(len(data))
        else:
            refuse_single_epochs(rows_by_subject(subjects, len(data)), learn=True, codes=codes)
        subjects = np.unique(subjects, return_inverse=True)[1]
        return EpochDataset(data, codes, subjects, weights)

    def _finish(self, eeg, subjects, train):
        network = self.net_.module_
        tokens = self._raw_tokens(eeg.data)
        if self.adapt:
            if subjects is None:
                warnings.warn(
                    "adapt=True was not told who the subjects are: all epochs are taken for one "
                    "person's, and so are those to predict, which does not adapt to anybody new. "
                    "Pass groups (by metadata routing where it is a step of a Pipeline), or Epochs "
                    "whose metadata have a column 'subject'.",
                    stacklevel=3,
                )
            self.subject_means_ = {}
            self.subject_means_ = self._means(tokens, subjects)
        # What early stopping held out is no training; a slice of all makes no copy.
        rows = train if self.early_stopping else slice(None)
        subjects = None if subjects is None else subjects[rows]
        tokens = self._centred(tokens[rows], subjects)
        network.usual_tokens.copy_(tokens.double().mean(dim=0))
        some = draw_rows(len(tokens))
        said = self._recorded(tokens, subjects, some).contributions
        whose = None if subjects is None else subjects[some]
        network.channel_shares.copy_(channel_shares(network, eeg.data, train[some], said, whose))
        if not eeg.is_flat:  # else the features are the samples of one channel
            self.feature_importances_ = self._importances(tokens, subjects)

    def _importances(self, tokens, subjects):
        """Average the rollout of attention over epochs, subject by subject where they are known."""
        parts, total = np.arange(len(tokens)) // _BATCH if subjects is None else subjects, 0
        for rows in rows_by_subject(parts, len(tokens)).values():
            values = self._recorded(tokens, subjects, rows)
            total = total + attention_rollout(values).double().sum(dim=0)
        return (total / total.sum()).numpy()

    def _recorded(self, tokens, subjects, rows):
        """Give what is recorded of some epochs, compared within subjects where they are known."""
        network = self.net_.module_
        with record_attention(network) as attention:
            network.recorder(tokens[rows])
        values = attention.values()
        return values if subjects is None else values.within_subjects(subjects[rows])

    def _tunable(self, network, data, subjects):
        # Neither the powers of sources are learnt anew, nor are their windows shifted.
        network.eval().drop.train()
        if not self.adapt:
            return network, list(network.parameters()), torch.from_numpy(data), {}
        # Heads stay, since means of subjects are those of their sources.
        tokens = self._raw_tokens(data)
        means = self._means(tokens, subjects, learn=True)
        parameters = [network.class_weight, network.class_bias]
        tokens = self._centred(tokens, subjects, means)
        return network.read_out, parameters, tokens, {"subject_means_": means}

    @torch.no_grad()
    def _logits_of(self, data, subjects):
        if not self.adapt:
            return super()._logits_of(data, subjects)
        network = self.net_.module_.eval()
        tokens = self._centred(self._raw_tokens(data), subjects).to(network.scale.device)
        return check_finite(network.read_out(tokens).cpu().numpy())

    @torch.no_grad()
    def _raw_tokens(self, data):
        """Compute the tokens of epochs as they are."""
        network, tokens = self.net_.module_.eval(), []
        for x in batches_of(data, _BATCH):
            signal = network.prepare(torch.as_tensor(x).to(network.scale.device))
            tokens.append(network.tokens(network.gather(signal)).cpu())
        return torch.cat(tokens)

    def _means(self, tokens, subjects, *, learn=False):
        """Give the mean log powers of known subjects, and of those of these epochs."""
        rows_of = rows_by_subject(subjects, len(tokens))
        new = {name: rows for name, rows in rows_of.items() if name not in self.subject_means_}
        refuse_other_spelling(self.subject_means_, new)
        if learn or self.subject_means_:
            refuse_single_epochs(new, learn)
        powers = {name: tokens[rows, :, 0].double().mean(dim=0) for name, rows in new.items()}
        new = {name: mean.float().numpy() for name, mean in powers.items()}
        return {**self.subject_means_, **new}

    def _centred(self, tokens, subjects, means=None):
        """Centre tokens, in place, on their subject's mean where the classifier adapts."""
        if not self.adapt:
            return tokens
        means = self._means(tokens, subjects) if means is None else means
        for subject, rows in rows_by_subject(subjects, len(tokens)).items():
            tokens[rows] = self.net_.module_.centre(tokens[rows], torch.from_numpy(means[subject]))
        return tokens


def _statistics(data):
    """Compute level, size, changes of level and isolation of channels, by medians over epochs."""
    # A few artefacts count little in them, and a constant offset of an amplifier is no size.
    means, stds, products = [], [], 0
    for batch in batches_of(data, _BATCH):
        batch = np.asarray(batch, dtype=np.float64)
        means.append(batch.mean(axis=-1))
        stds.append(batch.std(axis=-1))
        units = np.where(stds[-1] > 0, stds[-1], 1)[..., np.newaxis]
        scores = (batch - means[-1][..., np.newaxis]) / units
        scores = scores.swapaxes(0, 1).reshape(batch.shape[1], -1)
        products = products + scores @ scores.T
    means, stds = np.concatenate(means), np.concatenate(stds)
    level = np.median(means, axis=0)
    drift = np.median(np.abs(means - level), axis=0)
    return level, np.median(stds, axis=0), drift, _isolation(products)


def _isolation(products):
    """Compute how much louder channels count that share little with others: from 1 to 3.5."""
    # `products` are sums over samples of products of channels, (n_chans, n_chans).
    size = np.sqrt(np.diag(products).clip(min=np.finfo(float).tiny))
    correlation = products / np.outer(size, size)
    np.fill_diagonal(correlation, 1 + _RIDGE)
    # Squared multiple correlations, each with all other channels.
    shared = (1 - 1 / np.diag(np.linalg.inv(correlation))).clip(min=_RIDGE)
    usual = np.median(shared)
    if usual < _USUALLY_SHARED:
        return np.ones(len(shared))
    return np.clip(_LEAST_SHARED * usual / shared, 1, _ISOLATED)
