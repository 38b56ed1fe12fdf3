"""Choice of channels by name."""

from skeegformer._validation import validate_ch_names
from skeegformer.preprocessing._base import SignalTransformer


class _ChannelSelector(SignalTransformer):
    """What `ChannelDropper` and `ChannelPicker` share; they differ in `_choose`."""

    def __init__(self, ch_names=None, *, input_ch_names=None):
        self.ch_names = ch_names
        self.input_ch_names = input_ch_names

    def _prepare(self, eeg):
        names = eeg.ch_names if eeg.epochs is None else eeg.epochs.ch_names
        kept = self._choose(names)
        self.kept_ch_names_, self.kept_channels_ = None, kept
        if names is not None:
            self.kept_ch_names_, places = kept, {name: i for i, name in enumerate(eeg.ch_names)}
            self.kept_channels_ = [places[name] for name in kept if name in places]

    # The door has put EEG channels in the order of `fit`. Other channels are no part of arrays,
    # and Epochs may have others than in `fit`: they are kept as far as they are there.

    def _transform_data(self, data, eeg):
        return data[:, self.kept_channels_]

    def _transform_epochs(self, eeg):
        epochs = eeg.epochs.copy()
        if self.kept_ch_names_ is None:  # fitted on an array without names, all of whose stay
            return epochs
        kept = [name for name in self.kept_ch_names_ if name in epochs.ch_names]
        return epochs.reorder_channels(kept)


class ChannelDropper(_ChannelSelector):
    """Drop channels by name.

    Parameters
    ----------
    ch_names : sequence of str, default=()
        Names of the channels to drop.
    input_ch_names : sequence of str or None, default=None
        Channel names of arrays, in order. For Epochs, None or their own channel names.

    Attributes
    ----------
    kept_ch_names_ : list of str or None
        Names of the remaining channels; None if names are not known.
    kept_channels_ : list of int
        Indices of the remaining EEG channels.

    See Also
    --------
    ChannelPicker : Keeps channels by name.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import ChannelDropper
    >>> X = np.zeros((5, 3, 320))
    >>> dropper = ChannelDropper(["T9"], input_ch_names=["C3", "T9", "C4"])
    >>> dropper.fit_transform(X).shape
    (5, 2, 320)
    >>> dropper.kept_ch_names_
    ['C3', 'C4']
    """

    def __init__(self, ch_names=(), *, input_ch_names=None):
        super().__init__(ch_names, input_ch_names=input_ch_names)

    def _choose(self, names):
        dropped = validate_ch_names(self.ch_names, "ch_names")
        _refuse_unknown(self, names, dropped)
        everything = range(self.n_chans_) if names is None else names
        kept = [channel for channel in everything if channel not in dropped]
        if not kept:
            raise ValueError(
                f"ch_names has all {len(everything)} channels of X, and no signal would be left; "
                "drop fewer."
            )
        return kept


class ChannelPicker(_ChannelSelector):
    """Pick channels by name, in the given order.

    Parameters
    ----------
    ch_names : sequence of str or None, default=None
        Names of the channels to keep; None keeps all.
    input_ch_names : sequence of str or None, default=None
        As in `ChannelDropper`.

    Attributes
    ----------
    kept_ch_names_, kept_channels_ : list
        As in `ChannelDropper`.

    See Also
    --------
    ChannelDropper : Drops channels by name.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import ChannelPicker
    >>> X = np.array([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
    >>> ChannelPicker(["C4", "C3"], input_ch_names=["C3", "Cz", "C4"]).fit_transform(X)
    array([[[3., 3.],
            [1., 1.]]])
    """

    def _choose(self, names):
        if self.ch_names is None:
            return list(range(self.n_chans_) if names is None else names)
        picked = validate_ch_names(self.ch_names, "ch_names")
        if not picked:
            raise ValueError(
                "ch_names is empty, and no signal would be left; name a channel, or pass None to "
                "keep all."
            )
        _refuse_unknown(self, names, picked)
        return picked


def _refuse_unknown(estimator, names, wanted):
    """Refuse names of channels that X does not have."""
    missing = [name for name in wanted if name not in (names or ())]
    if not missing:
        return
    if names is None:
        raise ValueError(
            f"An array does not tell its channels' names: give {type(estimator).__name__} "
            "input_ch_names, the name of each channel of X in order, or pass Epochs."
        )
    raise ValueError(
        f"ch_names has {', '.join(missing)}, but X has no such channel; it has {', '.join(names)}."
    )
