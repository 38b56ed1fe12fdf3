"""The scikit-learn classifier around the transformer."""

import warnings
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skeegformer._covariance import find_bands
from skeegformer._electrodes import can_complete, check_positions, complete
from skeegformer._lazy_training import (
    CentredRows,
    MirroredRows,
    Scratch,
    as_tensors,
    mean_of,
)
from skeegformer._memmap import LazyRows
from skeegformer._saving import SavingMixin, ask_for_the_original_shape
from skeegformer._training import NetworkClassifier, check_number
from skeegformer._validation import check_one_of, validate_eeg, validate_groups
from skeegformer.attention import attention_gradients, gradient_rollout, log_odds
from skeegformer.nn import ACTIVATIONS, EEGTransformer
from skeegformer.preprocessing.mirroring import (
    both_directions,
    is_own_image,
    mirror_classes,
    mirror_pairs,
    partner_order,
)

# Epochs worked on at once: with more, memory for all heads' attention takes longest to get.
_BATCH = 16
# Votes would know the training subjects by heart at the rate that attention needs.
_VOTES_LR = 0.1
# With fewer epochs the mean of a subject is that of its classes' whims.
_FEW_EPOCHS = 10


class EEGTransformerClassifier(SavingMixin, NetworkClassifier):
    """Transformer on raw EEG with channels as tokens, as a scikit-learn classifier.

    Takes `mne.Epochs` as they are, arrays, or `MappedEpochs` that stay in their file, at the
    end of a :class:`~sklearn.pipeline.Pipeline` or alone. The network is `EEGTransformer`, after
    eeg-transformer [1]_; skorch trains it with AdamW, a linear warm-up and a cosine
    schedule.

    Parameters
    ----------
    tokenizer : {"covariance", "spectral", "linear"}, default="covariance"
        What a channel's token is made of: its rows of the logarithm of the covariance in each
        band and each second, and its waveform in outline; its log power spectrum and its
        waveform; or its raw samples as in the original. Bands are those of delta to gamma
        that the filters in front have left.
    votes : bool, default=True
        Whether, beside the class token, every channel votes for the classes by a linear rule
        of its own; good where few subjects are there to train on.
    mirror : dict, "auto" or None, default="auto"
        Train on each epoch's mirror image as well, left and right electrodes exchanged: the
        dict says which labels change with it, each pair in one direction or both, such as
        ``{"left": "right"}``; others stay. Both labels of a pair are then equally frequent in
        the training. "auto" makes the dict from names that turn into
        each other when the words left and right are exchanged; it does not mirror where there
        are none, where a class or a channel has no partner on the other side, or where all
        channels are on the midline. Pass ``{}`` where both sides of the head take part alike in
        every class, as in open against closed eyes.
    adapt : bool, default=False
        Whether features are centred on each subject's own mean, in `fit` as in the
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
        `fit` that X lacks is estimated by spherical splines [3]_ from those that it has and are
        not marked as bad, while the others keep theirs. `fit` and X have to be Epochs with a
        montage, and X has to have at least 4 electrodes, spread over the head.
    n_time_tokens : int, default=1
        Number of temporal tokens of each channel.
    embed_dim : int, default=32
        Size of a token inside the network.
    n_layers : int, default=1
        Number of transformer blocks.
    n_heads : int, default=4
        Number of attention heads; has to divide `embed_dim`.
    ff_dim : int or None, default=None
        Size of the hidden layer within a block; None means ``2 * embed_dim``.
    activation : {"gelu", "relu"}, default="gelu"
        Of the hidden layer within a block; with "relu", as in the original, another one ends the
        block's network.
    head_dim : int or None, default=None
        Size of a hidden layer, with ReLU, between the class token and the logits, 64 in the
        original; None for no such layer.
    drop_prob : float, default=0.5
        Dropout probability.
    token_drop_prob : float, default=0.0
        Probability that a token is set to zero in training; votes see it all the same.
    crop : int or None, default=None
        How many samples of each epoch are used: in training from a random one on, drawn anew in
        every pass, and in prediction the first. None uses all. Features of covariance are then
        computed anew in every pass as well, which takes many times as long.
    noise : float, default=0.0
        Standard deviation of the noise added in training, relative to each channel's own; not
        together with ``adapt=True``.
    shuffle_tokens : {"none", "channels", "temporal", "all"}, default="none"
        Which tokens are shuffled in training; votes see them in their places.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. "auto" makes as many as 600 training steps need, at
        least 20 and at most 200, so that a few dozen epochs of EEG are learnt as well as
        thousands.
    batch_size : int, default=32
        Epochs of EEG in a training step.
    lr : float, default=1e-3
        Peak learning rate of AdamW. Votes, which are many and linear, learn at a tenth of it.
    weight_decay : float, default=0.05
        Weight decay of AdamW.
    warmup : float or int, default=0.1
        Share of the training steps in which the learning rate rises from 0; an int is their
        number.
    lr_schedule : {"cosine", "constant", "exponential"}, default="cosine"
        What the learning rate does after the warm-up: come down to 0, stay, or lose half a
        percent with every pass as in eeg-transformer.
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
        Share of each channel in the gradient rollout [2]_ of the true class, averaged over
        the training epochs; non-negative, sums to 1. It tells what the model uses; the
        page on explanations says why it was chosen.
    subject_means_ : dict of {subject: ndarray of shape (n_chans, n_time_tokens, n_features)}
        With ``adapt=True``: mean features of each subject in `fit`, and of those that
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
    original_ : dict
        After `load` of a checkpoint of eeg-transformer: its hyperparameters.

    See Also
    --------
    skeegformer.AttentionExplainer : Which channels it looked at, epoch by epoch.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0
    .. [2] Chefer, Gur and Wolf (2021), Generic attention-model explainability for
       interpreting bi-modal and encoder-decoder transformers. ICCV. arXiv:2103.15679
    .. [3] Perrin et al. (1989), Spherical splines for scalp potential and current density
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
        tokenizer="covariance",
        votes=True,
        mirror="auto",
        adapt=False,
        positions="channel",
        n_time_tokens=1,
        embed_dim=32,
        n_layers=1,
        n_heads=4,
        ff_dim=None,
        activation="gelu",
        head_dim=None,
        drop_prob=0.5,
        token_drop_prob=0.0,
        crop=None,
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
        self.votes = votes
        self.mirror = mirror
        self.adapt = adapt
        self.positions = positions
        self.n_time_tokens = n_time_tokens
        self.embed_dim = embed_dim
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.ff_dim = ff_dim
        self.activation = activation
        self.head_dim = head_dim
        self.drop_prob = drop_prob
        self.token_drop_prob = token_drop_prob
        self.crop = crop
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

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("n_time_tokens", "embed_dim", "n_layers", "n_heads"):
            check_number(self, name, Integral, 1)
        for name in ("ff_dim", "head_dim", "crop"):
            if getattr(self, name) is not None:
                check_number(self, name, Integral, 1, or_else="None")
        check_one_of("activation", self.activation, ACTIVATIONS)
        for name in ("drop_prob", "token_drop_prob"):
            check_number(self, name, Real, 0, below=1)
        check_number(self, "noise", Real, 0)
        for name in ("votes", "adapt"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ValueError(f"{name}={getattr(self, name)!r} is not True or False.")
        check_one_of("positions", self.positions, ("channel", "electrode"))
        if self.adapt and self.noise > 0:
            raise ValueError(
                f"noise={self.noise} cannot be added anew in every pass with adapt=True, which "
                "centres features once; set noise=0 or adapt=False."
            )
        if self.adapt and self.crop is not None:
            raise ValueError(
                f"crop={self.crop} draws other samples in every pass, and adapt=True centres "
                "features once; set crop=None or adapt=False, or put a Cropper in front."
            )

    def _make_network(self, data):
        bands = None
        if self.tokenizer == "covariance":
            bands = find_bands(data, self.sfreq_)
        return EEGTransformer, {
            "n_chans": self.n_chans_,
            "n_outputs": len(self.classes_),
            "n_times": self.n_times_,
            "sfreq": self.sfreq_,
            "tokenizer": self.tokenizer,
            "bands": bands,
            "votes": self.votes,
            "n_time_tokens": self.n_time_tokens,
            "embed_dim": self.embed_dim,
            "n_layers": self.n_layers,
            "n_heads": self.n_heads,
            "ff_dim": self.ff_dim,
            "activation": self.activation,
            "head_dim": self.head_dim,
            "drop_prob": self.drop_prob,
            "token_drop_prob": self.token_drop_prob,
            "crop": self.crop,
            "noise": self.noise,
            "shuffle_tokens": self.shuffle_tokens,
        }

    def _mirror_image(self):
        """Find each channel's partner and each class's, or None where nothing is mirrored."""
        swap = self.mirror
        if swap is None:
            return None, None
        asked = not isinstance(swap, str) or swap != "auto"
        if not asked:
            try:
                swap = mirror_classes(self.classes_)
                pairs = None if swap is None else mirror_pairs(self.info_ or self.ch_names_ or ())
            except ValueError:  # a class or a channel whose other side is not there
                pairs = None
            if not pairs:
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
        return torch.from_numpy(pairs), partner_order(swap, labels)

    def _begin(self):
        if self.positions == "electrode":
            check_positions(self.info_)
        self._pairs, self._swapped = self._mirror_image()
        for name in ("subject_means_", "original_"):  # `fit` knows nobody yet
            vars(self).pop(name, None)

    def _complete(self, eeg):
        """Give epochs to predict the channels of `fit`."""
        return complete(self, eeg) if self.positions == "electrode" else eeg

    def _way_out(self, eeg):
        """Say what to do with epochs that have other channels or samples than in `fit`."""
        if "original_" in vars(self):
            return ask_for_the_original_shape(self.original_, eeg.data.shape)
        if self.positions == "electrode" or not can_complete(self, eeg):
            return ""
        return "A classifier with positions='electrode' estimates those that are missing."

    def _needs_subjects(self):
        return super()._needs_subjects() or self.adapt

    def _trained_codes(self, codes):
        return codes if self._pairs is None else np.concatenate([codes, self._swapped[codes]])

    def _learn_statistics(self, network, data):
        if isinstance(data, LazyRows):
            return network.learn_statistics(data, pairs=self._pairs)
        keep = self._features_are_computed_once()
        return network.learn_statistics(torch.from_numpy(data), pairs=self._pairs, keep=keep)

    def _optimizer_options(self):
        if not self.votes:
            return {}
        # The others first: skorch notes the learning rate of the first group.
        groups = [("[!v]*", {"lr": self.lr}), ("votes.*", {"lr": _VOTES_LR * self.lr})]
        return {"optimizer__param_groups": groups}

    def _start_from(self, net, codes):
        if not self.votes:
            return
        counts = np.bincount(self._trained_codes(codes), minlength=len(self.classes_)).astype(float)
        if self.class_weight is not None:
            counts *= net.criterion_.weight.double().cpu().numpy()
        net.module_.start_from(np.log(np.maximum(counts, 1e-3 * counts.max())))

    def _training_set(self, network, data, codes, subjects, scratch=None, learnt=None):
        inputs = self._prepare(network, data, subjects, scratch, learn=True, learnt=learnt)
        codes = self._trained_codes(codes)
        if self._pairs is None:
            return inputs, codes

        def mirror(rows):
            if inputs is data:
                return rows[:, self._pairs.numpy()]
            return network.mirror_features(torch.from_numpy(rows), self._pairs).numpy()

        if isinstance(inputs, LazyRows):
            return MirroredRows(inputs, mirror), codes
        return np.concatenate([inputs, mirror(inputs)]), codes

    def _features_are_computed_once(self):
        """Tell whether they do not change from pass to pass."""
        if self.adapt:
            return True
        return self.tokenizer == "covariance" and self.noise == 0 and self.crop is None

    def _prepare(self, network, data, subjects, scratch=None, learn=False, learnt=None):
        if not self._features_are_computed_once():
            return data
        features = self._extract(network, data, scratch, learnt)
        return self._centre(features, subjects, learn) if self.adapt else features

    @staticmethod
    def _extract(network, data, scratch, learnt):
        """Compute the features of many epochs; those of lazy ones are written to a file."""
        device = next(network.parameters()).device

        @torch.no_grad()
        def batches():
            if not learnt:
                for x in as_tensors(data, _BATCH):
                    yield network.extract_features(x.to(device)).cpu().numpy()
            while learnt:  # let go of each, since they take as much memory as what is made of them
                yield network.standardize_features(learnt.pop(0).to(device)).cpu().numpy()

        if isinstance(data, LazyRows):
            return scratch.write(batches())
        out, start = None, 0
        for features in batches():
            if out is None:
                out = np.empty((len(data), *features.shape[1:]), dtype=features.dtype)
            out[start : start + len(features)] = features
            start += len(features)
        return out

    def _centre(self, features, subjects, learn):
        """Subtract from features their subject's mean, and keep those of `fit`."""
        known = vars(self).get("subject_means_", {})
        rows_of = _rows_by_subject(subjects, len(features))
        means = {
            subject: known[subject] if subject in known else mean_of(features, rows, _BATCH)
            for subject, rows in rows_of.items()
        }
        _refuse_single_epochs({s: rows for s, rows in rows_of.items() if s not in known}, learn)
        if learn:
            if subjects is None and not known:
                _warn_of_unnamed_subjects()
            self.subject_means_ = means | known
        if isinstance(features, LazyRows):
            which = np.empty(len(features), dtype=int)
            for index, rows in enumerate(rows_of.values()):
                which[rows] = index
            return CentredRows(features, [*means.values()], which)
        for subject, rows in rows_of.items():
            features[rows] -= means[subject]
        return features

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

    def export(self, path, format="onnx", *, overwrite=False, subject=None):
        """Write the trained network as a file that runs without skeegformer.

        Parameters
        ----------
        path : str or pathlib.Path
            The file, ending in ``.onnx`` or ``.pt2``.
        format : {"onnx", "torch"}, default="onnx"
            For onnxruntime, or for :func:`torch.export.load`.
        overwrite : bool, default=False
            Whether a file that is there is replaced.
        subject : object or None, default=None
            With ``adapt=True``, which of ``subject_means_`` the features are centred on.

        Returns
        -------
        pathlib.Path
            The file.

        See Also
        --------
        skeegformer.export_network : Tells more, and takes a calibrated classifier too.
        """
        from skeegformer.online import export_network  # a later room

        return export_network(self, path, format=format, overwrite=overwrite, subject=subject)

    def _logits(self, X, groups=None):
        check_is_fitted(self, "net_")
        eeg = validate_eeg(self, X, reset=False, lazy=True)
        if not self.adapt:
            return self._forward(eeg.data).numpy()
        subjects = validate_groups(eeg.subjects if groups is None else groups, len(eeg.data))
        network = self.net_.module_
        network.eval()
        with Scratch() as scratch:
            return self._forward(self._prepare(network, eeg.data, subjects, scratch)).numpy()

    def _finish(self, inputs, codes):
        network = self.net_.module_.eval()
        device = next(network.parameters()).device
        network.weigh_votes(x.to(device) for x in as_tensors(inputs, _BATCH))
        self.feature_importances_ = self._importances(inputs, codes)

    def _importances(self, inputs, codes):
        """Average the relevance of channels for the true class over epochs."""
        network = self.net_.module_
        device = next(network.parameters()).device
        total = 0
        for x, code in zip(
            as_tensors(inputs, _BATCH),
            torch.from_numpy(codes).split(_BATCH),
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
