"""From a fitted classifier and epochs to an explanation."""

from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skeegformer._validation import check_one_of
from skeegformer.attention import attention_rollout, record_attention
from skeegformer.explain.explanation import Explanation

from skeegformer.explain.methods import METHODS


class AttentionExplainer(BaseEstimator):
    """Explain which channels a transformer looks at.

    Attention says where the model looks, not what it needs: loud channels draw attention
    whether or not they matter. Read a map together with the score of the model.

    Parameters
    ----------
    method : {"rollout"}, default="rollout"
        "rollout": the class token's row of attention rollout [1]_, as a share of what it
        takes from the channels.
    head_fusion : {"mean", "max", "min"}, default="mean"
        How attention heads are fused.
    residual : bool, default=True
        Whether residual connections are taken into account.
    convention : {"abnar-zuidema", "eeg-transformer"}, default="abnar-zuidema"
        See `attention_rollout`.

    See Also
    --------
    attention_rollout : The computation.
    record_attention : The weights it starts from.

    References
    ----------
    .. [1] Abnar and Zuidema (2020), Quantifying attention flow in transformers. ACL.
       arXiv:2005.00928

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

    def __init__(
        self, method="rollout", *, head_fusion="mean", residual=True, convention="abnar-zuidema"
    ):
        self.method = method
        self.head_fusion = head_fusion
        self.residual = residual
        self.convention = convention

    def explain(self, estimator, X, y=None, *, info=None, **transform_params):
        """Explain the predictions for epochs.

        Parameters
        ----------
        estimator : Pipeline or EEGTransformerClassifier
            Fitted; of a search over parameters, the best estimator is taken.
        X : mne.Epochs, list of mne.Epochs or array-like of shape (n_epochs, n_chans, n_times)
            What the estimator would predict.
        y : array-like of shape (n_epochs,) or None, default=None
            True labels, for averages per class; without them predicted ones are used.
        info : mne.Info or None, default=None
            Names and positions of the channels that reach the classifier; needed for topomaps
            where the classifier was fitted on arrays. Where it was fitted on Epochs, channels
            are matched by name.
        **transform_params : dict
            Metadata for the steps before the classifier, such as `groups`, routed by
            scikit-learn.

        Returns
        -------
        Explanation
            Values per epoch and channel.

        Raises
        ------
        ValueError
            If `method` is unknown, y or `info` do not fit X, or X is refused by the
            classifier.
        TypeError
            If the last step is no EEGTransformerClassifier.
        sklearn.exceptions.NotFittedError
            If `estimator` is not fitted.
        """
        check_one_of("method", self.method, METHODS)
        estimator = getattr(estimator, "best_estimator_", estimator)
        classifier = estimator
        if hasattr(estimator, "steps"):
            classifier = estimator[-1]
        if not hasattr(classifier, "predict_proba") or not isinstance(classifier, BaseEstimator):
            raise TypeError(
                f"A {type(classifier).__name__} cannot be explained: pass a fitted "
                "EEGTransformerClassifier, or a Pipeline that ends with one."
            )
        check_is_fitted(classifier)
        if classifier is not estimator and len(estimator.steps) > 1:
            X = estimator[:-1].transform(X, **transform_params)
        rollout = partial(
            attention_rollout,
            head_fusion=self.head_fusion,
            residual=self.residual,
            convention=self.convention,
            output="class",
        )
        with record_attention(classifier, reduce=rollout) as attention:
            probabilities = classifier.predict_proba(X)
        network = classifier.net_.module_
        tokens = attention.values().double().numpy()
        tokens = network.tokens_to_channels(tokens / tokens.sum(axis=-1, keepdims=True))
        if y is not None:
            y = column_or_1d(y)
            check_consistent_length(y, probabilities)
            unknown = np.setdiff1d(y, classifier.classes_)
            if len(unknown):
                raise ValueError(
                    f"y holds {unknown.tolist()[0]!r}, which is none of the classes "
                    f"{', '.join(map(repr, classifier.classes_.tolist()))}."
                )
        return Explanation(
            token_values=tokens,
            probabilities=probabilities,
            classes=classifier.classes_,
            y=y,
            method=self.method,
            **_channels(classifier, info),
        )


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
