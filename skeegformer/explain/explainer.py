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
from skeegformer.attention import (
    CONVENTIONS,
    HEAD_FUSIONS,
    RolloutFold,
    attention_rollout,
    channel_connections,
    record_attention,
)
from skeegformer.explain._model import predict_logits
from skeegformer.explain.explanation import Explanation, Source
from skeegformer.explain.gradients import (
    explain_gradient_rollout,
    integrated_gradients,
    signed_gradient_rollout,
    source_contributions,
)
from skeegformer.explain.methods import METHODS
from skeegformer.explain.permutation import importance_bunch, shuffled_orders
from skeegformer.explain.perturbation import (
    REPLACEMENTS,
    make_parts,
    make_substitute,
    neighborhoods,
    occlude,
    part_names,
)
from skeegformer.nn import EEGTransformer, OriginalTransformer


class AttentionExplainer(BaseEstimator):
    """Explain what a transformer made of each channel.

    Attention says where the model looks, gradients what moves its output, and perturbation
    what it needs; these are three questions. Read a map together with the model's score,
    and put it to the test with `Explanation.evaluate`.

    Parameters
    ----------
    method : str, default="rollout"
        Where the model looks, as shares of what the class token takes from the channels:

        - "rollout": attention rollout [1]_, see `attention_rollout`.

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
        Whether channels are divided into the temporal tokens of an `OriginalTransformer` (an
        `EEGTransformer` has none), or into frequency bands, for "occlusion": the band is taken out
        of the channel.
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
        How "rollout" fuses the heads of an `OriginalTransformer`.
    residual : bool, default=True
        Whether it takes residual connections into account.
    convention : {"abnar-zuidema", "eeg-transformer"}, default="abnar-zuidema"
        Of "rollout"; see `attention_rollout`.
    correct_only : bool, default=False
        Keep only epochs that are predicted correctly.
    min_confidence : float, default=0.0
        Keep only predictions of at least this probability.
    connections : bool, default=False
        Whether "rollout" also keeps how channels belong together, for matrices and figures in
        3-D. Of an `EEGTransformer`: how much the class token takes of both from the same sources.
        Of an `OriginalTransformer`: what each channel has taken from each other one when the class
        token reads it, also by "gradient-rollout"; the last block, whose channels nobody reads, has
        no part in it, so that it takes ``n_layers=2``; with ``convention="eeg-transformer"`` all
        blocks have, as in the original.
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
        estimator : Pipeline, EEGTransformerClassifier or OriginalTransformerClassifier
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
            If the last step is no such classifier.
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
        with torch.no_grad():
            logits = torch.from_numpy(classifier._logits_of(data, subjects))
        codes = self._target_codes(classifier, logits.numpy(), y)
        explain = {
            "rollout": self._rollout,
            "gradient-rollout": self._gradient_rollout,
            "integrated-gradients": self._integrated_gradients,
            "occlusion": self._occlusion,
            "permutation": self._permutation,
        }[self.method]
        explained = explain(classifier, network, data, codes, y, subjects, channels["info"])
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
        check_one_of("head_fusion", self.head_fusion, HEAD_FUSIONS)
        check_one_of("convention", self.convention, CONVENTIONS)
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
        if not self.connections:
            return
        if isinstance(network, EEGTransformer):
            if self.method != "rollout":
                raise ValueError(
                    "connections=True of an EEGTransformer are those of attention: take "
                    "method='rollout'."
                )
            return
        every_block = self.method == "rollout" and self.convention == "eeg-transformer"
        if len(network.encoder.encoder_layers) == 1 and not every_block:
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
        if not isinstance(network, EEGTransformer | OriginalTransformer):
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

    def _rollout(self, classifier, network, data, codes, y, subjects, info):
        """Explain by attention alone."""
        if isinstance(network, EEGTransformer):
            with record_attention(network) as attention:
                classifier._logits_of(data, subjects)
            values = attention.values()
            if subjects is not None:
                values = values.within_subjects(subjects)
            explained = _whole_epochs(attention_rollout(values).double().numpy())
            if self.connections:
                explained["connections"] = channel_connections(values).numpy()
            return explained
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
        if isinstance(network, EEGTransformer):
            means = classifier._known_means(data, subjects)
            return _whole_epochs(_normalize(signed_gradient_rollout(network, data, codes, means)))
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
        if isinstance(network, EEGTransformer):
            means = classifier._known_means(data, subjects)
            values, errors = source_contributions(network, data, codes, means)
            explained = _whole_epochs(values)
        else:
            values, errors = integrated_gradients(network, data, codes)
            explained = {"token_values": values, "parts": self._time_parts(network, classifier)}
        settings = {**self._settings(), "completeness_error": float(errors.max())}
        return {**explained, "settings": settings}

    def _occlusion(self, classifier, network, data, codes, y, subjects, info):
        means = classifier._known_means(data, subjects)
        parts = make_parts(
            self.parts,
            n_times=network.n_times,
            n_time_tokens=getattr(network, "n_time_tokens", 1),
            token_length=getattr(network, "token_length", network.n_times),
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
            means=means,
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
            means=classifier._known_means(data, subjects),
        )
        true = np.searchsorted(classifier.classes_, y)
        intact = _balanced_accuracy(true, classifier._logits_of(data, subjects).argmax(axis=1))
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


def _whole_epochs(values):
    """Make values of channels what has a single part, the whole epoch."""
    return {"token_values": values[..., None], "parts": part_names(1, 1, None)}


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
