"""Electrodes on the plane."""

import numpy as np

_FEWEST = 16  # electrodes; fewer may lie in one corner of the head and tell no sphere
_HEAD_RADIUS = (0.07, 0.13)  # m


def head_layout(info):
    """Lay electrodes out on the plane, with the equator of the head as the unit circle.

    The origin of MNE's head coordinates lies between the ears, and the plane of ears and nose
    is tilted against the equator Fpz-T7-Oz-T8: seen from there, occipital electrodes move
    towards the vertex, and much of a map lies where no electrode is. So a sphere is fitted to
    the electrodes, turned until Fpz and Oz are at equal heights, and unrolled from its top:
    distances from the centre of the map are angles from the vertex.

    Parameters
    ----------
    info : mne.Info
        Electrode positions.

    Returns
    -------
    ndarray of shape (n_chans, 2) or None
        x to the right, y to the front; None where the electrodes are too few or too
        far from a sphere of a head's size.
    """
    positions = np.array([channel["loc"][:3] for channel in info["chs"]])
    if len(positions) < _FEWEST:
        return None
    # |x|² = 2 c·x + r² - |c|² is linear in the centre c and in the rest.
    design = np.column_stack([2 * positions, np.ones(len(positions))])
    *centre, rest = np.linalg.lstsq(design, (positions**2).sum(axis=1), rcond=None)[0]
    radius = np.sqrt(max(rest + np.dot(centre, centre), 0.0))
    if not _HEAD_RADIUS[0] < radius < _HEAD_RADIUS[1]:
        return None
    x, y, z = (positions - centre).T
    y, z = _level(y, z, [name.upper() for name in info["ch_names"]])
    angle = np.arctan2(np.hypot(x, y), z) / (np.pi / 2)
    azimuth = np.arctan2(y, x)
    return np.column_stack([angle * np.cos(azimuth), angle * np.sin(azimuth)])


def _level(y, z, names):
    """Turn around the axis through the ears until Fpz and Oz are at equal heights."""
    if "FPZ" not in names or "OZ" not in names:
        return y, z
    front, back = names.index("FPZ"), names.index("OZ")
    tilt = np.arctan2(z[back] - z[front], y[front] - y[back])
    return np.cos(tilt) * y - np.sin(tilt) * z, np.sin(tilt) * y + np.cos(tilt) * z
