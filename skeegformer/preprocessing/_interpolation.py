"""The signal at the electrodes of `fit`, estimated from those that are there."""

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.spatial.distance import cdist

from skeegformer._validation import MappedEpochs, listed, other_places

# A spherical spline through fewer electrodes is hardly more than their mean.
_LEAST_ELECTRODES = 4
# How far, in degrees seen from the middle of the head, most missing electrodes may be from the
# nearest one that is there. Neighbours of the 10-20 system are 36 degrees apart.
_FAR = 60.0
# In degrees: electrodes that are nearer to each other are one under two names, such as T3 and T7.
_SAME_PLACE = 1.0
# A sphere through fewer points of the head may have its middle anywhere; the head frame of MNE
# has it about here, in metres.
_LEAST_POINTS = 16
_MIDDLE_OF_HEAD = (0.0, 0.0, 0.04)


def check_positions(info):
    """Refuse info (None for arrays) that does not tell where the electrodes of `fit` are."""
    asks = "positions='electrode' asks where on the head the electrodes are, but X"
    if info is None:
        raise ValueError(
            f"{asks} is an array, which does not tell; pass Epochs with a montage "
            "(epochs.set_montage), or leave positions='channel'."
        )
    lost = _named(info, ~(has_position(info) & _on_scalp(info)))
    if lost:
        raise ValueError(
            f"{asks} has none for {listed(lost, 8)}; set a montage (epochs.set_montage), drop what "
            "is not in it or not on the head (sEEG, ECoG, DBS), or leave positions='channel'."
        )


def complete(estimator, eeg):
    """Put together the channels of `fit` from those that are there."""
    # Channels that are there by name stay as they are. The others are interpolated by spherical
    # splines (Perrin et al. 1989, doi:10.1016/0013-4694(89)90180-6) from all electrodes of X that
    # are not marked as bad; one in the same place under another name gives its signal.
    fitted = estimator.ch_names_
    if fitted is None or eeg.ch_names is None:
        if eeg.data.shape[1] != estimator.n_chans_:
            why = "X is an array" if eeg.ch_names is None else "fit had an array"
            raise ValueError(
                f"X has {eeg.data.shape[1]} channels, but this {type(estimator).__name__} was "
                f"fitted with {estimator.n_chans_}, and {why}, which does not tell where its "
                "electrodes are; pass Epochs with a montage (epochs.set_montage)."
            )
        return eeg
    for text in other_places(estimator.info_, eeg.info):
        raise ValueError(f"{text} Names and positions tell of different electrodes.")
    known = [name for name in fitted if name in eeg.ch_names]
    missing = [name for name in fitted if name not in eeg.ch_names]
    put_together = partial(
        _put_together,
        known=(_indices(known, fitted), _indices(known, eeg.ch_names)),
        missing=_indices(missing, fitted),
        # Sums depend on the order of what is added: it must not be that of X.
        estimate=missing
        and _estimate(estimator, eeg, missing, known + sorted(set(eeg.ch_names) - set(known))),
    )
    if isinstance(eeg.data, MappedEpochs):
        data = eeg.data._with_channels(put_together, fitted, estimator.info_)
    else:
        data = put_together(eeg.data)
    return replace(eeg, data=data, ch_names=list(fitted), info=estimator.info_)


def _put_together(data, known, missing, estimate):
    """Make the channels of `fit` out of those of X, for some epochs."""
    to, where = known
    out = np.empty((len(data), len(to) + len(missing), data.shape[2]), dtype=data.dtype)
    out[:, to] = data[:, where]
    if missing:
        sources, weights = estimate
        out[:, missing] = weights @ data[:, sources]
    return out


def can_complete(estimator, eeg):
    """Tell whether `complete` would take Epochs that lack channels."""
    if eeg.info is None or estimator.info_ is None or set(estimator.ch_names_) <= set(eeg.ch_names):
        return False
    try:
        complete(estimator, replace(eeg, data=np.asarray(eeg.data[:1])[..., :1]))
    except ValueError:
        return False
    return True


def spline_weights(sources, targets):
    """Compute how a spherical spline makes the signal at some places of that at others."""
    # Places are seen from the middle of the head. The weights, (n_targets, n_sources), are those of
    # `mne.Epochs.interpolate_bads`; each row sums to 1.
    import mne

    places = np.concatenate([sources, targets])
    info = mne.create_info(len(places), 1.0, "eeg")
    for channel, place in zip(info["chs"], places, strict=True):
        channel["loc"][:3] = place
    info["bads"] = info["ch_names"][len(sources) :]
    units = mne.EvokedArray(np.eye(len(places), len(sources)), info, verbose="ERROR")
    units.interpolate_bads(reset_bads=False, origin=(0.0, 0.0, 0.0), verbose="ERROR")
    return units.data[len(sources) :]


def _estimate(estimator, eeg, missing, order):
    """Say which channels of X the missing ones are estimated from, and with which weights."""
    name = type(estimator).__name__
    lacks = (
        f"X lacks {len(missing)} of the {estimator.n_chans_} channels that this {name} was fitted "
        "with"
    )
    known = estimator.info_
    if known is None or not (has_position(known) & _on_scalp(known)).all():
        raise ValueError(
            f"{lacks}, {listed(missing, 8)}, and they cannot be estimated, since not all Epochs in "
            "fit had positions on the head; fit again on Epochs with a montage "
            "(epochs.set_montage)."
        )
    good = lost = ()
    if eeg.info is not None:
        good = ~np.isin(eeg.info["ch_names"], eeg.info["bads"]) & _on_scalp(eeg.info)
        lost = _named(eeg.info, good & ~has_position(eeg.info))
    if lost or eeg.info is None:
        raise ValueError(
            f"{lacks}, and to estimate them takes the positions of its electrodes, but there are "
            f"none for {listed(lost, 8) or 'any'}; set a montage (epochs.set_montage), drop what "
            "is not in it, or export the file from such Epochs."
        )
    order = [channel for channel in order if good[eeg.ch_names.index(channel)]]
    if len(order) < _LEAST_ELECTRODES:
        bad = " that are not marked as bad" if eeg.info["bads"] else ""
        raise ValueError(
            f"{lacks}, but has only {len(order)} electrode{'s' * (len(order) != 1)}{bad}; at least "
            f"{_LEAST_ELECTRODES}, spread over the head, are needed to estimate the others."
        )
    sources = _indices(order, eeg.ch_names)
    middle = _middle(estimator.info_, _MIDDLE_OF_HEAD)
    targets = positions(estimator.info_)[_indices(missing, estimator.ch_names_)] - middle
    # Montages differ in where in the head frame they have the head.
    places = positions(eeg.info)[sources] - _middle(eeg.info, middle)
    cosines = 1 - cdist(targets, places, "cosine")
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))  # seen from the middle
    nearest = angles.min(axis=1)
    if np.median(nearest) > _FAR:
        raise ValueError(
            f"{lacks}, and most of them are too far from its electrodes ({listed(order, 8)}) to be "
            f"estimated: the nearest one is {np.median(nearest):.0f} degrees away in the median, "
            f"and at most {_FAR:.0f} are allowed. Pass Epochs with electrodes all over the head, "
            "or check their positions (epochs.plot_sensors)."
        )
    weights = spline_weights(places, targets)
    same = nearest < _SAME_PLACE  # the spline would smooth them
    weights[same] = np.eye(len(sources))[angles[same].argmin(axis=1)]
    return sources, weights


def _indices(names, ch_names):
    return [ch_names.index(name) for name in names]


def positions(info):
    """Give the place of each channel, of shape (n_chans, 3)."""
    return np.array([channel["loc"][:3] for channel in info["chs"]])


def has_position(info):
    """Mark channels whose place is known in metres; MNE writes NaN, or once zeros, of others."""
    places = positions(info)
    return (np.abs(places) < 1).all(axis=1) & places.any(axis=1)


def _on_scalp(info):
    """Mark electrodes that are on a sphere, not in or on the brain."""
    return np.array(info.get_channel_types()) == "eeg"


def _middle(info, otherwise):
    """Find the middle of the head as MNE does, where enough points are known."""
    import mne
    from mne.io.constants import FIFF

    kinds = (FIFF.FIFFV_POINT_EEG, FIFF.FIFFV_POINT_EXTRA)
    points = [
        point
        for point in info["dig"] or ()
        if point["kind"] in kinds and point["coord_frame"] == FIFF.FIFFV_COORD_HEAD
    ]
    if len(points) < _LEAST_POINTS:
        return np.array(otherwise)
    return mne.bem.fit_sphere_to_headshape(info, units="m", verbose="ERROR")[1]


def _named(info, mask):
    return [name for name, chosen in zip(info["ch_names"], mask, strict=True) if chosen]
