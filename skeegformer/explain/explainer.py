"""From a fitted classifier and epochs to an explanation."""

import copy
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skeegformer._validation import check_count, check_one_of, validate_eeg, validate_groups
from skeegformer.attention import CONVENTIONS, HEAD_FUSIONS
from skeegformer.explain._electrodes import neighborhoods
from skeegformer.explain._gradients import explain_integrated_gradients
from skeegformer.explain._inputs import channels_of, check_labels, reach_classifier, target_codes
from skeegformer.explain._model import predict
from skeegformer.explain._perturbation import (
    REPLACEMENTS,
    importance_bunch,
    make_parts,
    make_substitute,
    occlude,
    part_names,
    shuffled_orders,
)
from skeegformer.explain._rollout import (
    check_connections,
    explain_gradient_rollout,
    explain_rollout,
)
from skeegformer.explain.explanation import Explanation, Source
from skeegformer.explain.methods import METHODS


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
        classifier, X, subjects = reach_classifier(estimator, X, groups, transform_params)
        data = validate_eeg(classifier, X, reset=False).data
        subjects = validate_groups(subjects, len(data))
        y = check_labels(classifier, y, len(data))
        channels = channels_of(classifier, info)
        network = classifier.net_.module_
        if self.connections:
            check_connections(network, self.method, self.convention)
        if self.method == "rollout":
            options = (self.head_fusion, self.residual, self.convention)
            logits, means, found = explain_rollout(
                classifier, data, subjects, self.connections, *options
            )
        else:
            logits, means = predict(classifier, data, subjects)
        predicted = logits.argmax(dim=1).numpy()
        codes = target_codes(self.target, classifier, predicted, y)
        task = (network, data, codes, means)
        if self.method == "gradient-rollout":
            found = explain_gradient_rollout(*task, self.connections)
        elif self.method == "integrated-gradients":
            found = explain_integrated_gradients(*task)
        elif self.method == "occlusion":
            found = self._occlude(*task, subjects, channels["info"], classifier.sfreq_)
        elif self.method == "permutation":
            found = self._permute(*task, subjects, channels, classifier.classes_, y, predicted)
        found = {"parts": part_names(network, classifier.sfreq_)} | found
        settings = self._settings() | found.pop("settings", {})
        explanation = Explanation(
            probabilities=torch.softmax(logits, dim=1).numpy(),
            classes=classifier.classes_,
            y=y,
            method=self.method,
            part_kind=self.parts,
            targets=classifier.classes_[codes] if METHODS[self.method].class_specific else None,
            subjects=subjects,
            settings=settings,
            source=Source(copy.copy(classifier), data, means),
            **channels,
            **found,
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

    def _settings(self):
        """List the parameters that matter, for whoever reads a saved explanation."""
        seed = self.random_state
        seed = seed if seed is None or isinstance(seed, int | np.integer) else "RandomState"
        return {**self.get_params(), "random_state": seed}

    def _occlude(self, network, data, codes, means, subjects, info, sfreq):
        parts = make_parts(self.parts, network, sfreq, self.bands)
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
            sets=self._sets(network, info),
            parts=parts,
            n_repeats=self.n_repeats if self.replacement == "swap" else 1,
            means=means,
        )
        return {"token_values": drops.mean(axis=0), "parts": tuple(parts)}

    def _permute(self, network, data, codes, means, subjects, channels, classes, y, predicted):
        if y is None:
            raise ValueError("method='permutation' compares scores: pass y to explain.")
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        orders = shuffled_orders(len(data), subjects, seed, self.n_repeats)
        drops, changed = occlude(
            network,
            data,
            codes,
            substitute=make_substitute("swap", data, orders=orders),
            sets=self._sets(network, channels["info"]),
            n_repeats=self.n_repeats,
            means=means,
        )
        true = np.searchsorted(classes, y)
        losses = _balanced_accuracy(true, predicted) - _balanced_accuracy(
            true, changed[..., 0].transpose(2, 0, 1)
        )
        names = channels["ch_names"] or [str(channel) for channel in range(data.shape[1])]
        return {
            "token_values": drops.mean(axis=0),
            "parts": ("epoch",),
            "permutation": importance_bunch(losses, list(names)),
        }

    def _sets(self, network, info):
        if self.neighbors:
            return neighborhoods(info)
        return [[channel] for channel in range(network.n_chans)]


def _balanced_accuracy(y, predictions):
    """Compute it for predictions of shape (..., n_epochs)."""
    correct = predictions == y
    return np.mean([correct[..., y == label].mean(axis=-1) for label in np.unique(y)], axis=0)
