"""Where electrodes are on the head, and on the plane that it is drawn on."""

import warnings

import mne
import numpy as np

from skeegformer._validation import check_info
from skeegformer.plotting._style import is_dark
from skeegformer.preprocessing._interpolation import positions as positions_of

_FEWEST = 16  # electrodes; fewer may lie in one corner of the head and tell no sphere
_HEAD_RADIUS = (0.07, 0.13)  # m
_CENTRE = np.array([0.0, 0.0, 0.04])  # m; MNE's, for electrodes that tell no sphere
_SAME_PLACE = 1e-3  # m
_N_CONTOURS = 6


def usable_electrodes(info):
    """Find the channels that have a place of their own, and warn of others in a sentence."""
    check_info(info)
    names = [] if info is None else info["ch_names"]
    positions = positions_of(info) if names else np.empty((0, 3))
    known = np.isfinite(positions).all(axis=1)
    for centre in (0, _CENTRE):  # of coordinates, as files have it for no position, or of the head
        known &= np.linalg.norm(np.nan_to_num(positions) - centre, axis=1) > _SAME_PLACE
    kept, left_out = [], []
    for k, name in enumerate(names):
        near = [j for j in kept if np.linalg.norm(positions[j] - positions[k]) < _SAME_PLACE]
        if not known[k]:
            left_out.append(f"{name} (no position)")
        elif near:
            left_out.append(f"{name} (in the place of {names[near[0]]})")
        else:
            kept.append(k)
    if len(kept) < 3:
        raise ValueError(
            f"A head needs at least 3 electrodes in places of their own, and of "
            f"{len(names)} channels {len(kept)} are: fit the classifier on Epochs with a montage "
            "(epochs.set_montage), or give explain an info=."
        )
    note = f"Not drawn: {', '.join(left_out)}." if left_out else ""
    if note:
        warnings.warn(note, UserWarning, stacklevel=3)
    return np.array(kept), note


def head_layout(info):
    """Lay electrodes out on the plane: angles from the vertex of the sphere of `on_sphere`."""
    # From the origin of MNE's head coordinates occipital electrodes would move towards the vertex.
    x, y, z = on_sphere(info).T
    angle = np.arctan2(np.hypot(x, y), z) / (np.pi / 2)
    azimuth = np.arctan2(y, x)
    return np.column_stack([angle * np.cos(azimuth), angle * np.sin(azimuth)])


def on_sphere(info):
    """Return where electrodes are on the sphere that fits them, or about MNE's standard centre."""
    positions = positions_of(info)
    # |x|² = 2 c·x + r² - |c|² is linear in the centre c and in the rest.
    design = np.column_stack([2 * positions, np.ones(len(positions))])
    *centre, rest = np.linalg.lstsq(design, (positions**2).sum(axis=1), rcond=None)[0]
    radius = np.sqrt(max(rest + np.dot(centre, centre), 0.0))
    if len(positions) < _FEWEST or not _HEAD_RADIUS[0] < radius < _HEAD_RADIUS[1]:
        directions = positions - _CENTRE
    else:
        x, y, z = (positions - centre).T
        y, z = _level(y, z, [name.upper() for name in info["ch_names"]])
        directions = np.column_stack([x, y, z])
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _level(y, z, names):
    """Turn around the axis through the ears until Fpz and Oz are at equal heights."""
    if "FPZ" not in names or "OZ" not in names:
        return y, z
    front, back = names.index("FPZ"), names.index("OZ")
    tilt = np.arctan2(z[back] - z[front], y[front] - y[back])
    return np.cos(tilt) * y - np.sin(tilt) * z, np.sin(tilt) * y + np.cos(tilt) * z


def draw_map(axes, values, places, scale, mask=None):
    """Draw one map of electrodes on the plane, in the colours of `colour_scale`."""
    from matplotlib import rc_context

    cmap, vlim = scale
    # The outline of the head lies on colours, and partly on the background.
    with rc_context({"axes.edgecolor": "0.5" if is_dark(axes) else "black"}):
        image, _ = mne.viz.plot_topomap(
            values,
            pos=places,
            axes=axes,
            cmap=cmap,
            vlim=vlim,
            mask=None if mask is None or not mask.any() else mask,
            mask_params={"markersize": 6},
            sphere=(0, 0, 0, 1),
            contours=np.linspace(*vlim, _N_CONTOURS + 2)[1:-1],  # the same lines in every map
            res=128,
            show=False,
        )
    return image
