"""From a fitted classifier and epochs to an explanation."""

import copy
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skeegformer._memmap import MappedEpochs
from skeegformer._routing import routed_groups
from skeegformer._validation import (
    as_epochs,
    check_count,
    check_one_of,
    is_epochs,
    validate_eeg,
    validate_groups,
)
from skeegformer.attention import RolloutFold, attention_flow, record_attention
from skeegformer.explain._model import predict_logits
from skeegformer.explain.explanation import Explanation, Source
from skeegformer.explain.gradients import explain_gradient_rollout, integrated_gradients
from skeegformer.explain.methods import METHODS
from skeegformer.explain.permutation import importance_bunch, shuffled_orders
from skeegformer.explain.perturbation import (
    REPLACEMENTS,
    check_bands,
    make_parts,
    make_substitute,
    neighborhoods,
    occlude,
    part_names,
)
from skeegformer.nn import EEGTransformer


class AttentionExplainer(BaseEstimator):
    """Explain what a transformer made of each channel.

    Attention says where the model looks, gradients what moves its output, and perturbation
    what it needs; these are three questions. Read a map together with the model's score,
    and put it to the test with `Explanation.evaluate`.

    Parameters
    ----------
    method : str, default="rollout"
        Where the model looks, as shares of what the class token takes from the channels:

        - "rollout": attention rollout [1]_, layers multiplied;
        - "flow": attention flow [1]_, the exact maximum flow through the layers.

        What moves the log odds of a class:

        - "gradient-rollout": attention weighted by its gradient [2]_, as shares;
        - "integrated-gradients": contributions [3]_ that add up to the difference from the
          average training epoch.

        What the log odds of a class lose without the channel:

        - "occlusion": the channel is replaced [4]_, see `replacement`;
        - "permutation": it is permuted across epochs [5]_ (within subjects where these are
          known); ``explanation.permutation`` holds the drop in balanced accuracy.
    target : object, default="predicted"
        Whose log odds the last four explain: those of each epoch's "predicted" or "true"
        class, or of one of the classes, by its label.
    parts : {"time", "band"}, default="time"
        Whether channels are divided into the network's temporal tokens or into frequency
        bands; the latter for "occlusion" (the band is taken out of the channel) and
        "integrated-gradients" (features by their frequency).
    bands : dict of str to tuple of float, or None, default=None
        Lower and upper frequency in Hz by name. None: delta 1-4, theta 4-8, alpha 8-13,
        beta 13-30 Hz.
    replacement : {"swap", "interpolate", "mean", "zero"}, default="swap"
        What "occlusion" puts in the channel's place: the same channel in another epoch (of
        the same subject where known), a spherical spline through the other electrodes, the
        channel's average over epochs, or nothing. The last two are signals that no model
        has seen in training.
    neighbors : bool, default=False
        Whether "occlusion" and "permutation" take the neighbouring electrodes away together
        with a channel: neighbours see the same sources, and each alone can be missed.
    n_repeats : int, default=5
        How many other epochs are swapped in, and how often a channel is permuted.
    head_fusion : {"mean", "max", "min"}, default="mean"
        How "rollout" and "flow" fuse attention heads.
    residual : bool, default=True
        Whether these take residual connections into account.
    convention : {"abnar-zuidema", "eeg-transformer"}, default="abnar-zuidema"
        Of "rollout"; see `attention_rollout`.
    correct_only : bool, default=False
        Keep only epochs that are predicted correctly.
    min_confidence : float, default=0.0
        Keep only predictions of at least this probability.
    connections : bool, default=False
        Whether "rollout" and "gradient-rollout" also keep what each channel has taken from
        each other one when the class token reads it, for matrices and figures in 3-D. The last
        block, whose channels nobody reads, has no part in it, so that it takes ``n_layers=2``;
        with ``convention="eeg-transformer"`` all blocks have, as in the original.
    random_state : int, RandomState instance or None, default=None
        Draws the epochs that are swapped in and the permutations.

    See Also
    --------
    attention_rollout : Rollout of recorded weights.
    channel_permutation_importance : For any classifier, with any score.

    References
    ----------
    .. [1] Abnar and Zuidema (2020), Quantifying attention flow in transformers. ACL.
       arXiv:2005.00928
    .. [2] Chefer, Gur and Wolf (2021), Generic attention-model explainability for
       interpreting bi-modal and encoder-decoder transformers. ICCV. arXiv:2103.15679
    .. [3] Sundararajan, Taly and Yan (2017), Axiomatic attribution for deep networks. ICML.
       arXiv:1703.01365
    .. [4] Zeiler and Fergus (2014), Visualizing and understanding convolutional networks.
       ECCV. arXiv:1311.2901
    .. [5] Breiman (2001), Random forests. Machine Learning 45. doi:10.1023/A:1010933404324

    Examples
    --------
    >>> from skeegformer import AttentionExplainer, EEGTransformerClassifier
    >>> from skeegformer import make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> explanation = AttentionExplainer().explain(classifier, X, y)
    >>> explanation.values.shape
    (80, 64)
    >>> explainer = AttentionExplainer("occlusion", parts="band", replacement="zero")
    >>> explainer.explain(classifier, X[:10], y[:10]).token_values.shape
    (10, 64, 4)
    """

    def __init__(
        self,
        method="rollout",
        *,
        target="predicted",
        parts="time",
        bands=None,
        replacement="swap",
        neighbors=False,
        n_repeats=5,
        head_fusion="mean",
        residual=True,
        convention="abnar-zuidema",
        correct_only=False,
        min_confidence=0.0,
        connections=False,
        random_state=None,
    ):
        self.method = method
        self.target = target
        self.parts = parts
        self.bands = bands
        self.replacement = replacement
        self.neighbors = neighbors
        self.n_repeats = n_repeats
        self.head_fusion = head_fusion
        self.residual = residual
        self.convention = convention
        self.correct_only = correct_only
        self.min_confidence = min_confidence
        self.connections = connections
        self.random_state = random_state

    def explain(self, estimator, X, y=None, *, groups=None, info=None, **transform_params):
        """Explain the predictions for epochs.

        Parameters
        ----------
        estimator : Pipeline or EEGTransformerClassifier
            Fitted; of a search over parameters, the best estimator is taken.
        X : mne.Epochs, list of mne.Epochs or array-like of shape (n_epochs, n_chans, n_times)
            What the estimator would predict.
        y : array-like of shape (n_epochs,) or None, default=None
            True labels, for averages per class; without them predicted ones are used.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, for statistics and for swapping within them, and for a classifier with
            ``adapt=True``. None takes the column ``subject`` of the metadata of Epochs, where
            there is one. Reaches those steps that request it by scikit-learn's metadata
            routing.
        info : mne.Info or None, default=None
            Names and positions of the channels that reach the classifier; needed for topomaps
            where the classifier was fitted on arrays. Where it was fitted on Epochs, channels
            are matched by name.
        **transform_params : dict
            Further metadata for the steps before the classifier, routed by scikit-learn.

        Returns
        -------
        Explanation
            Values per epoch and channel.

        Raises
        ------
        ValueError
            If a parameter is unknown, y, `groups` or `info` do not fit X, X is refused by the
            classifier, or the method lacks what it needs, such as positions or true labels.
        TypeError
            If the last step is no EEGTransformerClassifier.
        sklearn.exceptions.NotFittedError
            If `estimator` is not fitted.
        """
        self._check_parameters()
        classifier, X, subjects = self._reach_classifier(estimator, X, groups, transform_params)
        data = validate_eeg(classifier, X, reset=False).data
        subjects = validate_groups(subjects, len(data))
        y = _check_labels(classifier, y, len(data))
        channels = _channels(classifier, info)
        network = classifier.net_.module_
        self._check_connections(network)
        inputs = data
        if getattr(classifier, "adapt", False):
            inputs = self._adapted(classifier, network, data, subjects)

        logits = predict_logits(network, inputs)
        codes = self._target_codes(classifier, logits.numpy(), y)
        explained = {
            "rollout": self._look,
            "flow": self._look,
            "gradient-rollout": self._gradient_rollout,
            "integrated-gradients": self._integrated_gradients,
            "occlusion": self._occlusion,
            "permutation": self._permutation,
        }[self.method](classifier, network, inputs, codes, y, subjects, channels["info"])
        class_specific = METHODS[self.method].class_specific
        explanation = Explanation(
            probabilities=torch.softmax(logits, dim=1).numpy(),
            classes=classifier.classes_,
            y=y,
            method=self.method,
            part_kind=self.parts,
            targets=classifier.classes_[codes] if class_specific else None,
            subjects=subjects,
            source=Source(copy.copy(classifier), data),
            **channels,
            **{"settings": self._settings(), **explained},
        )
        return explanation.select(
            correct=True if self.correct_only else None, min_confidence=self.min_confidence
        )

    def _check_parameters(self):
        check_one_of("method", self.method, tuple(METHODS))
        check_one_of("parts", self.parts, ("time", "band"))
        check_one_of("replacement", self.replacement, REPLACEMENTS)
        if self.parts not in METHODS[self.method].parts and self.parts != "time":
            able = [name for name, method in METHODS.items() if "band" in method.parts]
            raise ValueError(
                f"method={self.method!r} cannot tell bands apart; parts='band' is for "
                f"{' and '.join(able)}."
            )
        if self.connections and self.method not in ("rollout", "gradient-rollout"):
            raise ValueError(
                f"method={self.method!r} knows no connections between channels; they come from "
                "'rollout' and 'gradient-rollout'."
            )
        check_count("n_repeats", self.n_repeats, 1)
        confidence = self.min_confidence
        if isinstance(confidence, bool) or not isinstance(confidence, Real):
            raise ValueError(f"min_confidence={confidence!r} is not a number between 0 and 1.")

    def _check_connections(self, network):
        """Refuse to show what is computed and goes nowhere."""
        every_block = self.method == "rollout" and self.convention == "eeg-transformer"
        if self.connections and len(network.blocks) == 1 and not every_block:
            raise ValueError(
                "connections=True shows what channels take from each other before the class token "
                "reads them, and with a single block it reads them as they are: train with "
                "n_layers=2 or more. method='rollout' with convention='eeg-transformer' shows "
                "what a single block computes and nobody reads."
            )

    def _settings(self):
        """List the parameters that matter, for whoever reads a saved explanation."""
        seed = self.random_state
        seed = seed if seed is None or isinstance(seed, int | np.integer) else "RandomState"
        return {**self.get_params(), "random_state": seed}

    def _reach_classifier(self, estimator, X, groups, transform_params):
        """Take epochs through the steps before the classifier."""
        estimator = getattr(estimator, "best_estimator_", estimator)
        classifier = estimator[-1] if hasattr(estimator, "steps") else estimator
        if not hasattr(classifier, "predict_proba") or not isinstance(classifier, BaseEstimator):
            raise TypeError(_refusal(classifier))
        check_is_fitted(classifier)
        network = getattr(getattr(classifier, "net_", None), "module_", None)
        if not isinstance(network, EEGTransformer):
            raise TypeError(_refusal(classifier))
        subjects = groups
        if subjects is None and isinstance(X, MappedEpochs):
            subjects = X.subjects
        elif subjects is None and is_epochs(X):
            X = as_epochs(X)
            if X.metadata is not None and "subject" in X.metadata:
                subjects = X.metadata["subject"].to_numpy()
        if classifier is not estimator and len(estimator.steps) > 1:
            steps = estimator[:-1]
            params = {**routed_groups(steps, "transform", groups), **transform_params}
            X = steps.transform(X, **params)
        return classifier, X, subjects

    def _adapted(self, classifier, network, data, subjects):
        """Compute the features that an adapting classifier sees, centred on each subject."""
        if METHODS[self.method].question == "needs":
            raise ValueError(
                f"method={self.method!r} changes the signal, and with it the mean that adapt=True "
                "centres each subject's features on; take a method that leaves the signal as it "
                "is, such as 'gradient-rollout', or a classifier with adapt=False."
            )
        network.eval()
        return classifier._prepare(network, data, subjects)

    def _target_codes(self, classifier, logits, y):
        """Choose the class whose log odds are explained, epoch by epoch."""
        predicted = logits.argmax(axis=1)
        is_name = isinstance(self.target, str)
        if is_name and self.target == "predicted":
            return predicted
        if is_name and self.target == "true":
            if y is None:
                raise ValueError("target='true' needs the true labels: pass y to explain.")
            return np.searchsorted(classifier.classes_, y)
        found = np.flatnonzero(classifier.classes_ == self.target)
        if len(found) != 1:
            classes = ", ".join(map(repr, classifier.classes_.tolist()))
            raise ValueError(
                f"target={self.target!r} is neither 'predicted' nor 'true' nor one of the classes "
                f"{classes}."
            )
        return np.full(len(logits), found[0])

    def _look(self, classifier, network, data, codes, y, subjects, info):
        """Explain by attention alone."""
        if self.method == "flow":
            options = {"head_fusion": self.head_fusion, "residual": self.residual}
            with record_attention(
                network, reduce=lambda weights: attention_flow(weights.cpu(), **options)
            ) as attention:
                predict_logits(network, data)
            return self._tokens(network, attention.values().double().numpy(), classifier)
        options = (self.head_fusion, self.residual, self.convention)
        reduce = _RowsAndProduct(*options) if self.connections else RolloutFold(*options, "layers")
        with record_attention(network, reduce=reduce) as attention:
            predict_logits(network, data)
        layers = attention.values()
        if not self.connections:
            return self._tokens(network, layers.double().numpy(), classifier)
        n_layers = layers.shape[1] - network.n_tokens
        return self._tokens(
            network,
            layers[:, :n_layers, 1:].double().numpy(),
            classifier,
            matrices=layers[:, n_layers:].numpy(),
        )

    def _gradient_rollout(self, classifier, network, data, codes, y, subjects, info):
        rows, matrices = explain_gradient_rollout(network, data, codes)
        return self._tokens(
            network, rows, classifier, matrices=matrices if self.connections else None
        )

    def _tokens(self, network, rows, classifier, matrices=None):
        """Turn the class token's rows, after each layer or the last, into shares."""
        if rows.ndim == 2:
            shares = _normalize(rows)
            layers = None
        else:
            layers = network.tokens_to_channels(_normalize(rows)).sum(axis=-1)
            shares = _normalize(rows[:, -1])
        explained = {
            "token_values": network.tokens_to_channels(shares),
            "parts": self._time_parts(network, classifier),
            "layer_values": layers,
        }
        if matrices is not None:
            between = network.tokens_to_channels(matrices[:, 1:]).sum(axis=-1)
            between = network.tokens_to_channels(between.swapaxes(1, 2)).mean(axis=-1)
            explained["connections"] = between.swapaxes(1, 2)
        return explained

    def _time_parts(self, network, classifier):
        return part_names(network.n_time_tokens, network.token_length, classifier.sfreq_)

    def _integrated_gradients(self, classifier, network, data, codes, y, subjects, info):
        attributions, errors = integrated_gradients(network, data, codes)
        settings = {**self._settings(), "completeness_error": float(errors.max())}
        if self.parts == "time":
            values = attributions.sum(axis=-1, dtype=float)
            parts = self._time_parts(network, classifier)
            return {"token_values": values, "parts": parts, "settings": settings}
        frequencies = network.tokenizer.frequencies
        if all(frequency is None for frequency in frequencies):
            raise ValueError(
                "parts='band' needs features that have frequencies: "
                + (
                    "tokenizer='covariance' or 'spectral'; method='occlusion' can do without."
                    if classifier.sfreq_
                    else "the classifier was fitted on arrays without a sampling rate; give it "
                    "sfreq=, or fit on Epochs."
                )
            )
        by_feature = attributions.sum(axis=2, dtype=float)
        values, names, taken = [], [], np.zeros(len(frequencies), dtype=bool)
        for name, (low, high) in check_bands(self.bands, classifier.sfreq_):
            inside = np.array([f is not None and low <= f < high for f in frequencies])
            values.append(by_feature[:, :, inside].sum(axis=-1))
            names.append(name)
            taken |= inside
        # With the rest, values still add up to the change of the log odds.
        waveform = np.array([f is None for f in frequencies])
        for name, features in (("other", ~taken & ~waveform), ("waveform", waveform)):
            values.append(by_feature[:, :, features].sum(axis=-1))
            names.append(name)
        values = np.stack(values, axis=-1)
        return {"token_values": values, "parts": tuple(names), "settings": settings}

    def _occlusion(self, classifier, network, data, codes, y, subjects, info):
        parts = make_parts(
            self.parts,
            n_times=network.n_times,
            n_time_tokens=network.n_time_tokens,
            token_length=network.token_length,
            sfreq=classifier.sfreq_,
            bands=self.bands,
        )
        substitute = make_substitute(
            self.replacement,
            data,
            info=info,
            subjects=subjects,
            random_state=check_random_state(self.random_state),
        )
        drops, _ = occlude(
            network,
            data,
            codes,
            substitute=substitute,
            parts=parts,
            sets=self._sets(network, info),
            n_repeats=self.n_repeats if self.replacement == "swap" else 1,
        )
        return {"token_values": drops.mean(axis=0), "parts": tuple(parts)}

    def _permutation(self, classifier, network, data, codes, y, subjects, info):
        if y is None:
            raise ValueError("method='permutation' compares scores: pass y to explain.")
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        orders = shuffled_orders(len(data), subjects, seed, self.n_repeats)
        drops, predictions = occlude(
            network,
            data,
            codes,
            substitute=make_substitute("swap", data, orders=orders),
            parts={"epoch": lambda signal: signal},
            sets=self._sets(network, info),
            n_repeats=self.n_repeats,
        )
        true = np.searchsorted(classifier.classes_, y)
        intact = _balanced_accuracy(true, predict_logits(network, data).argmax(dim=1).numpy())
        changed = _balanced_accuracy(true, predictions[..., 0].transpose(2, 0, 1))
        names = classifier.ch_names_ or [str(channel) for channel in range(data.shape[1])]
        return {
            "token_values": drops.mean(axis=0),
            "permutation": importance_bunch(intact - changed, list(names)),
        }

    def _sets(self, network, info):
        if self.neighbors:
            return neighborhoods(info)
        return [[channel] for channel in range(network.n_chans)]


class _RowsAndProduct(RolloutFold):
    """Rollout that keeps the class token's row after each layer, and the product of all tokens.

    Of the last layer the class token's row alone is read, so that the product ends before it;
    in the original's convention it does not.
    """

    def __init__(self, head_fusion, residual, convention):
        super().__init__(head_fusion, residual, convention, output="layers")

    def step(self, state, weights):
        """Multiply one more layer on, and keep the product before it."""
        before = None if state is None else state[1]
        product, *rows = super().step(None if state is None else [before, *state[2:]], weights)
        return [product if self.original else before, product, *rows]

    def finish(self, state):
        """Put the rows above the product: (batch, n_layers + n_tokens, n_tokens)."""
        product, *rest = state
        rows = torch.nn.functional.pad(super().finish(rest), (1, 0))
        return torch.cat([rows, product], dim=1)


def _refusal(classifier):
    """Say what to explain instead of a classifier that does not attend."""
    sentence = (
        f"A {type(classifier).__name__} cannot be explained: pass a fitted "
        "EEGTransformerClassifier, or a Pipeline that ends with one"
    )
    if hasattr(classifier, "classifier_"):
        return f"{sentence}, which may be this one's classifier_."
    return f"{sentence}; channel_permutation_importance takes any classifier."


def _normalize(rows):
    """Let values sum to 1 over tokens; where all are 0, each has the same share."""
    total = rows.sum(axis=-1, keepdims=True)
    return np.where(total > 0, rows / np.where(total > 0, total, 1), 1 / rows.shape[-1])


def _balanced_accuracy(y, predictions):
    """Compute it for predictions of shape (..., n_epochs)."""
    correct = predictions == y
    return np.mean([correct[..., y == label].mean(axis=-1) for label in np.unique(y)], axis=0)


def _check_labels(classifier, y, n_epochs):
    if y is None:
        return None
    y = column_or_1d(y)
    check_consistent_length(y, range(n_epochs))
    unknown = np.setdiff1d(y, classifier.classes_)
    if len(unknown):
        raise ValueError(
            f"y holds {unknown.tolist()[0]!r}, which is none of the classes "
            f"{', '.join(map(repr, classifier.classes_.tolist()))}."
        )
    return y


def _channels(classifier, info):
    """Take names and positions from `info`, or from what the classifier was fitted on."""
    fitted = classifier.ch_names_
    if info is None:
        return {"ch_names": fitted, "info": classifier.info_}
    if not hasattr(info, "ch_names"):
        raise TypeError(f"info is a {type(info).__name__}, but has to be a mne.Info.")
    import mne

    if isinstance(info, mne.BaseEpochs | mne.io.BaseRaw):
        info = info.info
    if fitted is not None and set(fitted) <= set(info.ch_names):
        info = mne.pick_info(info, [info.ch_names.index(name) for name in fitted])
    elif fitted is not None or len(info.ch_names) != classifier.n_chans_:
        raise ValueError(
            f"info has {len(info.ch_names)} channels, but {classifier.n_chans_} reach the "
            "classifier; pick the same ones, for example with mne.pick_info."
        )
    return {"ch_names": list(info.ch_names), "info": info}
