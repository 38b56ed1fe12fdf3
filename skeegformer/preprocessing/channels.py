"""Choice of channels, by name or by number."""

import difflib
from numbers import Integral

from skeegformer._validation import validate_ch_names, validate_signal
from skeegformer.preprocessing._base import SignalTransformer


class _ChannelSelector(SignalTransformer):
    """What `ChannelDropper` and `ChannelPicker` share; they differ in `_choose`."""

    def _open(self, X, *, reset):
        return validate_signal(self, X, reset=reset, ch_names=self.input_ch_names)

    def _prepare(self, eeg):
        names = eeg.ch_names if eeg.epochs is None else eeg.epochs.ch_names
        self.kept_ch_names_ = self._choose(names, eeg)

    # Non-EEG channels are no part of arrays, and Epochs may have others than in `fit`: what was
    # chosen is taken as far as it is there. EEG channels are there, the door sees to that.

    def _transform_data(self, data, eeg):
        if self.kept_ch_names_ is None:
            return data
        kept = [eeg.ch_names.index(name) for name in self.kept_ch_names_ if name in eeg.ch_names]
        return data[:, kept]

    def _transform_epochs(self, eeg):
        epochs = eeg.epochs.copy()
        if self.kept_ch_names_ is None:
            return epochs
        return epochs.reorder_channels(
            [name for name in self.kept_ch_names_ if name in epochs.ch_names]
        )


class ChannelDropper(_ChannelSelector):
    """Leave channels out.

    Parameters
    ----------
    ch_names : sequence of str or of int, default=()
        Names of the channels to leave out, or their places among the EEG channels of `fit`, from
        0 on.
    input_ch_names : sequence of str or None, default=None
        Names of the channels of arrays, in order. Epochs know theirs; names given here have to
        be the same.

    Attributes
    ----------
    kept_ch_names_ : list of str or None
        Names of the channels that are left; None where names are not known.
    kept_channels_ : list of int
        Places of the EEG channels that are left.
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None where they are not known.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    ChannelPicker : Names the channels to keep.

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
    >>> ChannelDropper([1]).fit_transform(X).shape
    (5, 2, 320)
    """

    def __init__(self, ch_names=(), *, input_ch_names=None):
        self.ch_names = ch_names
        self.input_ch_names = input_ch_names

    def _choose(self, names, eeg):
        kept = self._choose_names(names, eeg)
        self.kept_channels_ = [
            place
            for place in range(self.n_chans_)
            if (place not in self._places() if kept is None else eeg.ch_names[place] in kept)
        ]
        return kept

    def _transform_data(self, data, eeg):
        if self.kept_ch_names_ is None:  # no names, and all channels are in their places
            return data[:, self.kept_channels_]
        return super()._transform_data(data, eeg)

    def _places(self):
        """Return the places to drop, or nothing where channels are named."""
        if isinstance(self.ch_names, str):
            return []
        is_place = [
            isinstance(part, Integral) and not isinstance(part, bool) for part in self.ch_names
        ]
        return [int(place) for place in self.ch_names] if is_place and all(is_place) else []

    def _choose_names(self, names, eeg):
        places = self._places()
        outside = [place for place in places if not 0 <= place < self.n_chans_]
        if outside:
            raise ValueError(
                f"ch_names has {outside[0]}, but the {self.n_chans_} channels of X have the places "
                f"0 to {self.n_chans_ - 1}."
            )
        if places and len(set(places)) == self.n_chans_:
            raise ValueError(
                f"ch_names has all {self.n_chans_} channels of X, and no signal would be left; "
                "drop fewer."
            )
        if places and names is None:
            return None
        named = [eeg.ch_names[place] for place in dict.fromkeys(places)]
        dropped = named or validate_ch_names(self.ch_names, "ch_names")
        if not dropped:
            return names
        names = _known_names(self, names, dropped)
        kept = [name for name in names if name not in dropped]
        if not kept:
            raise ValueError(
                f"ch_names has all {len(names)} channels of X, and no signal would be left; drop "
                "fewer."
            )
        return kept


class ChannelPicker(_ChannelSelector):
    """Keep some channels, in the order given.

    Parameters
    ----------
    ch_names : sequence of str or None, default=None
        Names of the channels to keep; None keeps all.
    input_ch_names : sequence of str or None, default=None
        Names of the channels of arrays, in order. Epochs know theirs; names given here have to
        be the same.

    Attributes
    ----------
    kept_ch_names_ : list of str or None
        Names of the channels that are kept; None where names are not known.
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None where they are not known.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    ChannelDropper : Names the channels to leave out.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer import ChannelPicker
    >>> X = np.array([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
    >>> ChannelPicker(["C4", "C3"], input_ch_names=["C3", "Cz", "C4"]).fit_transform(X)
    array([[[3., 3.],
            [1., 1.]]])
    """

    def __init__(self, ch_names=None, *, input_ch_names=None):
        self.ch_names = ch_names
        self.input_ch_names = input_ch_names

    def _choose(self, names, eeg):
        if self.ch_names is None:
            return names
        picked = validate_ch_names(self.ch_names, "ch_names")
        if not picked:
            raise ValueError(
                "ch_names is empty, and no signal would be left; name a channel, or pass None to "
                "keep all."
            )
        _known_names(self, names, picked)
        return picked


def _known_names(estimator, names, wanted):
    """Return the channels' names, among which all wanted ones have to be."""
    if names is None:
        raise ValueError(
            f"An array does not tell its channels' names: give {type(estimator).__name__} "
            "input_ch_names, the name of each channel of X in order, or pass Epochs."
        )
    missing = [name for name in wanted if name not in names]
    if missing:
        by_lower = {name.lower(): name for name in names}
        near = difflib.get_close_matches(missing[0].lower(), by_lower, n=3, cutoff=0.5)
        hint = ", ".join(by_lower[name] for name in near) or ", ".join(names[:5]) + ", ..."
        raise ValueError(
            f"ch_names has {', '.join(missing)}, but X has no such channel; near {missing[0]} it "
            f"has {hint}."
            if near
            else f"ch_names has {', '.join(missing)}, but X has no such channel, only {hint}"
        )
    return names
