"""A simple head to draw electrodes on: an ellipsoid through them."""

import numpy as np

# MNE's standard sphere, in metres, for electrodes that do not determine an ellipsoid.
_CENTRE = np.array([0.0, 0.0, 0.04])


def fit_head(positions):
    """Lay an ellipsoid with axes along the head's through electrodes.

    Parameters
    ----------
    positions : ndarray of shape (n_chans, 3)
        In metres, in MNE's head coordinates: x to the right, y to the front, z up.

    Returns
    -------
    centre : ndarray of shape (3,)
        Centre in metres.
    axes : ndarray of shape (3,)
        Semi-axes in metres. Where few electrodes, or electrodes in one place, leave the
        ellipsoid open, that of a sphere around MNE's standard centre.
    """
    radius = np.linalg.norm(positions - _CENTRE, axis=1).mean()
    if len(positions) >= 10:
        # A x^2 + B y^2 + C z^2 + D x + E y + F z = 1, in units that make all columns alike.
        scaled = positions / radius
        design = np.column_stack([scaled**2, scaled])
        (*squares, d, e, f), _, rank, _ = np.linalg.lstsq(design, np.ones(len(scaled)), rcond=None)
        squares = np.array(squares)
        if rank == 6 and (squares > 0).all():
            centre = -np.array([d, e, f]) / (2 * squares)
            axes = np.sqrt((1 + (squares * centre**2).sum()) / squares)
            if axes.max() < 1.6 * axes.min():
                return centre * radius, axes * radius
    return _CENTRE.copy(), np.full(3, radius)
