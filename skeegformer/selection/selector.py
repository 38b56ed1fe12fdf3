"""Choice of channels by the importances of one fitted estimator."""

import numpy as np

from skeegformer.selection._base import ChannelSelection, count_channels


class ChannelSelector(ChannelSelection, auto_wrap_output_keys=None):
    """Keep the channels that an estimator finds important.

    What :class:`~sklearn.feature_selection.SelectFromModel` is for columns of a table, for
    channels of Epochs and 3-D arrays. In a Pipeline, channels are chosen with the training
    epochs of each fold alone.

    Parameters
    ----------
    estimator : estimator or None, default=None
        Says which channels matter; None is ``EEGTransformerClassifier(random_state=0)``. It
        gets what the selector gets: Epochs, or an array. One that is fitted already, on the
        channels of X in their order, stays so in a :class:`~sklearn.frozen.FrozenEstimator`.
    n_channels : int, float or None, default=None
        How many channels to keep, or which share of them, rounded down.
    threshold : str, float or None, default=None
        The least importance of a channel that is kept: a number, "mean", "median", or a
        multiple of them such as "1.25*mean". None means "mean" where `n_channels` is None.
    importance_getter : "auto" or callable, default="auto"
        "auto" reads ``feature_importances_``, or the size of ``coef_`` (summed over classes),
        of the estimator, or of the last step of a Pipeline whose other steps are transformers
        of this package. A function is called with the fitted estimator, X and y, and returns
        one number for each channel, in the order of X; for example permutation importance.

    Attributes
    ----------
    importances_ : ndarray of shape (n_chans,)
        Importance of each channel, in the order of X.
    threshold_ : float
        The least importance of a channel that is kept.
    support_, n_channels_ : ndarray of bool of shape (n_chans,), int
        Which channels are kept, and how many.
    kept_ch_names_ : list of str or None
        Names of the EEG channels that are kept; None where names are not known.
    estimator_ : estimator
        The fitted estimator.
    n_chans_, ch_names_ : int, list of str or None
        Number of EEG channels in `fit`, and their names; None for arrays.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    RecursiveChannelElimination : Fits again after each few channels it takes away.
    ChannelPicker : Keeps channels that are named.

    Notes
    -----
    The importances of an `EEGTransformerClassifier` tell where it looks. Trained for a few epochs
    only, as in the example, it still looks where its initial weights do, and its importances say
    nothing; leave it at ``max_epochs="auto"`` to choose channels. Even then a channel can be
    looked at in vain. A function that measures what the predictions lose without a channel
    tells what the classifier needs, at the cost of one prediction for each channel.

    Only the size of ``coef_`` counts; other importances are taken with their sign, so that a
    negative permutation importance is less than none.

    `groups` are given to an estimator whose `fit` has that parameter, and to a Pipeline where
    metadata routing is on and one of its steps requests them.

    Examples
    --------
    >>> from skeegformer import EEGTransformerClassifier, make_simulated_eeg
    >>> from skeegformer.selection import ChannelSelector
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=3, n_heads=4, random_state=0)
    >>> selector = ChannelSelector(classifier, n_channels=8).fit(X, y)
    >>> len(selector.transform(X).ch_names)
    8
    >>> int(selector.get_support().sum())
    8
    """

    def __init__(
        self, estimator=None, *, n_channels=None, threshold=None, importance_getter="auto"
    ):
        self.estimator = estimator
        self.n_channels = n_channels
        self.threshold = threshold
        self.importance_getter = importance_getter

    def _choose(self, eeg, X, y, groups):
        """Mark the channels that are kept, and set what else `fit` tells."""
        if self.n_channels is not None and self.threshold is not None:
            raise ValueError(
                f"n_channels={self.n_channels!r} and threshold={self.threshold!r} are both given; "
                "set one of them to None."
            )
        find_threshold = _parse_threshold(self.threshold)
        n_channels, n_chans = self.n_channels, self.n_chans_
        if n_channels is not None:
            n_channels = count_channels("n_channels", n_channels, n_chans)
        self.estimator_ = self._fit_clone(X, y, groups)
        importances = self._importances(self.estimator_, X, y, eeg.ch_names, n_chans, norm_order=1)
        self.importances_ = importances
        if n_channels is not None:
            best = np.argsort(-importances, kind="stable")[:n_channels]
            self.threshold_ = float(importances[best[-1]])
            support = np.isin(np.arange(n_chans), best)
        else:
            self.threshold_ = float(find_threshold(importances))
            support = importances >= self.threshold_
        if not support.any():
            best = int(importances.argmax())
            raise ValueError(
                f"threshold={self.threshold!r} ({self.threshold_:.3g}) leaves no channel: the most "
                f"important one, {eeg.ch_names[best] if eeg.ch_names else best}, has "
                f"{importances[best]:.3g}. Lower it, or give n_channels instead."
            )
        return support


def _parse_threshold(threshold):
    """Make a function of the importances of a threshold such as 0.1, "mean" or "1.25*median"."""
    text = "mean" if threshold is None else str(threshold)
    factor, _, name = text.rpartition("*")
    statistic = {"mean": np.mean, "median": np.median}.get(name.strip())
    try:
        number = float(factor or 1) if statistic else float(text)
    except ValueError:
        number = np.nan
    if np.isnan(number):
        raise ValueError(
            f"threshold={threshold!r} has to be a number, 'mean', 'median', a multiple of them "
            "such as '1.25*mean', or None."
        )
    if statistic is None:
        return lambda importances: number
    # The mean of equal numbers can be rounded to more than any of them.
    return lambda importances: number * min(statistic(importances), importances.max())
