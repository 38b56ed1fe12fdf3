"""The explainer: from a fitted classifier and epochs to an explanation."""

import copy
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skeegformer._utils.settings import usual_torch
from skeegformer._validation import check_count, check_one_of
from skeegformer.attention import CONVENTIONS, HEAD_FUSIONS
from skeegformer.explain._electrodes import find_adjacency
from skeegformer.explain._gradients import explain_integrated_gradients
from skeegformer.explain._inputs import channels_of, check_labels, read_epochs, target_codes
from skeegformer.explain._model import predict
from skeegformer.explain._perturbation import (
    REPLACEMENTS,
    derangements,
    make_parts,
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


@dataclass(eq=False, repr=False)
class AttentionExplainer(BaseEstimator):
    """Attribute the predictions of a transformer to channels.

    Attention shows where the model looks, gradients what changes its output, and perturbation what
    it needs. Interpret a map together with the model's score, and test it with
    `Explanation.evaluate`.

    Parameters
    ----------
    method : str, default="rollout"
        Where the model looks, as shares of the attention of the class token:

        - "rollout": attention rollout [1]_, see `attention_rollout`.

        What changes the log odds of a class:

        - "gradient-rollout": the positive part of attention times its gradient [2]_, as shares;
          channels in which a decrease is the evidence for the class do not show;
        - "integrated-gradients": contributions [3]_ that add up to the difference from the average
          training epoch.

        The decrease in the log odds of a class without the channel:

        - "occlusion": the channel is replaced [4]_, see `replacement`;
        - "permutation": the channel is permuted across epochs [5]_ (within subjects if they are
          known); `channel_permutation_importance` measures the decrease in a score.
    target : object, default="predicted"
        The class whose log odds the last four methods explain: the "predicted" or "true" class of
        each epoch, or one class for all, by its label.
    parts : {"time", "band"}, default="time"
        Whether values are for the temporal tokens of an `OriginalTransformer` (an `EEGTransformer`
        has none) or, with "occlusion" only, for frequency bands.
    bands : dict of str to tuple of float, or None, default=None
        Lower and upper frequency in Hz by name. None: delta 1-4, theta 4-8, alpha 8-13, beta 13-30.
    replacement : {"swap", "interpolate", "mean", "zero"}, default="swap"
        What "occlusion" inserts for the channel: the same channel of another epoch (of the same
        subject if known), a spherical spline interpolation from the other electrodes, the average
        of the channel over epochs, or zeros. No model has seen signals like the last two in
        training.
    neighbors : bool, default=False
        Whether "occlusion" and "permutation" also perturb the neighbouring electrodes, which record
        the same sources, so that the model can do without each one alone.
    n_repeats : int, default=5
        Number of other epochs swapped in, or of permutations of a channel.
    head_fusion, convention : default="mean" and "abnar-zuidema"
        For "rollout" of an `OriginalTransformer`; see `attention_rollout`.
    connections : bool, default=False
        Whether "rollout" also keeps connections between channels, for
        `Explanation.plot_connections`. For an `EEGTransformer`: how much the class token takes from
        both channels through the same sources. For an `OriginalTransformer`, also with
        "gradient-rollout": what each channel has taken from every other before the class token
        attends to it. This excludes the last block, so at least ``n_layers=2`` are needed; with
        ``convention="eeg-transformer"``, all blocks are included, as in the original.
    random_state : int, RandomState instance or None, default=None
        Seed for the epochs that are swapped in and for the permutations.

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
    """

    method: str = "rollout"
    _: KW_ONLY
    target: object = "predicted"
    parts: str = "time"
    bands: dict | None = None
    replacement: str = "swap"
    neighbors: bool = False
    n_repeats: int = 5
    head_fusion: str = "mean"
    convention: str = "abnar-zuidema"
    connections: bool = False
    random_state: object = None

    @usual_torch()
    @torch.inference_mode(False)  # in which there would be no gradients
    def explain(self, estimator, X, y=None, *, groups=None, info=None, **transform_params):
        """Explain the predictions for epochs.

        Parameters
        ----------
        estimator : Pipeline, EEGTransformerClassifier or OriginalTransformerClassifier
            A fitted estimator; for a hyperparameter search, its best estimator is explained.
        X : mne.Epochs, list of mne.Epochs or array-like of shape (n_epochs, n_chans, n_times)
            Epochs, as for `predict` of the estimator.
        y : array-like of shape (n_epochs,) or None, default=None
            True labels, for averages by class; if None, predicted labels are used.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, also for steps that request them by metadata routing; None for the column
            ``subject`` of the metadata of Epochs, if it exists.
        info : mne.Info or None, default=None
            Names and positions of the channels in the input of the classifier, if it was fitted on
            arrays; otherwise, channels are matched by name.
        **transform_params : dict
            Further metadata for the steps before the classifier, by metadata routing.

        Returns
        -------
        Explanation
            Values for each epoch and channel.

        Raises
        ------
        ValueError
            If a parameter is unknown, y, `groups` or `info` do not match X, X is invalid for the
            classifier, or what the method needs is missing, such as positions or true labels.
        TypeError, sklearn.exceptions.NotFittedError
            If the last step is another kind of classifier, or is not fitted.
        """
        self._check_parameters()
        classifier, data, subjects = read_epochs(estimator, X, groups, transform_params)
        y = check_labels(classifier, y, len(data))
        channels = channels_of(classifier, info)
        fields, means = self._attribute(classifier, data, y, subjects, channels)
        # A list of Epochs, as of scikit-learn, or another sequence of them, has that of the first.
        tmin = getattr(X if hasattr(X, "tmin") else next(iter(X), X), "tmin", 0.0)
        params = self.get_params()
        if not isinstance(self.random_state, int | np.integer | None):
            params["random_state"] = "RandomState"  # of a generator a file keeps the name
        return Explanation(
            classes=classifier.classes_,
            y=y,
            method=self.method,
            part_kind=self.parts,
            subjects=subjects,
            settings=params | fields.pop("settings", {}),
            source=Source(copy.copy(classifier), copy.copy(self), data, means, tmin),
            **channels,
            **fields,
        )

    def _check_parameters(self):
        check_one_of("method", self.method, tuple(METHODS))
        check_one_of("parts", self.parts, ("time", "band"))
        check_one_of("replacement", self.replacement, REPLACEMENTS)
        check_one_of("head_fusion", self.head_fusion, tuple(HEAD_FUSIONS))
        check_one_of("convention", self.convention, CONVENTIONS)
        if self.parts == "band" and self.method != "occlusion":
            raise ValueError(
                f"method={self.method!r} cannot tell bands apart; parts='band' is for occlusion."
            )
        if self.connections and self.method not in ("rollout", "gradient-rollout"):
            raise ValueError(
                f"method={self.method!r} knows no connections between channels; they come from "
                "'rollout' and 'gradient-rollout'."
            )
        check_count("n_repeats", self.n_repeats, 1)

    def _attribute(self, classifier, data, y, subjects, channels):
        """Compute what an `Explanation` holds, and what log powers are centred on, if anything."""
        method, network, info = self.method, classifier.net_.module_, channels["info"]
        if self.connections:
            check_connections(network, method, self.convention)
        if method == "rollout":
            logits, means, found = explain_rollout(self, classifier, data, subjects)
        else:
            logits, means = predict(classifier, data, subjects)
        predicted = logits.argmax(dim=1).numpy()
        codes = target_codes(self.target, classifier, predicted, y)
        task = (network, data, codes, means)
        sets = [[channel] for channel in range(network.n_chans)]
        if self.neighbors and method in ("occlusion", "permutation"):
            near = find_adjacency(info, "A set of neighbours") | np.eye(network.n_chans, dtype=bool)
            sets = [np.flatnonzero(row).tolist() for row in near]
        if method == "gradient-rollout":
            found = explain_gradient_rollout(*task, self.connections)
        elif method == "integrated-gradients":
            found = explain_integrated_gradients(*task)
        elif method == "occlusion":
            parts = make_parts(self.parts, network, classifier.sfreq_, self.bands)
            options = {"kind": self.replacement, "info": info}
            if self.replacement == "swap":
                who = len(data), subjects, self.n_repeats, self.random_state
                options["orders"] = derangements(*who)
            drops = occlude(*task, sets, parts, **options)
            found = {"token_values": drops.mean(axis=0), "parts": tuple(parts)}
        elif method == "permutation":
            seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
            orders = shuffled_orders(len(data), subjects, seed, self.n_repeats)
            drops = occlude(*task, sets, orders=orders)
            found = {"token_values": drops.mean(axis=0), "parts": ("epoch",)}
        fields = {
            "probabilities": torch.softmax(logits, dim=1).numpy(),
            "parts": part_names(network, classifier.sfreq_),
            "targets": classifier.classes_[codes] if METHODS[method].class_specific else None,
        }
        return fields | found, means
