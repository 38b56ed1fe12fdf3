"""Names beside points, where they hide neither each other nor a point."""

import numpy as np

# Where a name may stand around its point, in points of print, the best place first.
_PLACES = [
    (radius * dx, radius * dy)
    for radius in (1.0, 1.8, 2.8)
    for dx, dy in ((6, 5), (-6, 5), (6, -6), (-6, -6), (9, 0), (-9, 0), (0, 8), (0, -8))
]
_WIDTH, _HEIGHT = 3.9, 6.5  # of a letter of this size, in points of print
_SIZE = 6.5


def place_labels(ax, x, y, names, *, avoid=()):
    """Write a name beside each point; equal points share a text.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With final limits.
    x, y : ndarray of shape (n_points,)
        Where the points are.
    names : list of str
        One for each.
    avoid : sequence of (float, float), default=()
        Other marks that are not to be hidden.

    Returns
    -------
    list of matplotlib.text.Annotation
        The texts.
    """
    together = {}
    for px, py, name in zip(np.round(x, 9), np.round(y, 9), names, strict=True):
        together.setdefault((px, py), []).append(name)
    ax.figure.canvas.draw()  # a figure with a layout engine finds its scale only when drawn
    to_points = 72 / ax.figure.dpi
    centres = ax.transData.transform(list(together)) * to_points
    taken = [(cx - 3, cy - 3, cx + 3, cy + 3) for cx, cy in centres]
    if len(avoid):
        marks = ax.transData.transform(list(avoid)) * to_points
        taken += [(cx - 7, cy - 7, cx + 7, cy + 7) for cx, cy in marks]
    frame = ax.bbox.extents * to_points
    texts = []
    for (place, group), (cx, cy) in zip(together.items(), centres, strict=True):
        text = ", ".join(group)
        boxes = [_box(cx + dx, cy + dy, dx, len(text)) for dx, dy in _PLACES]
        best = min(range(len(boxes)), key=lambda k: _hidden(boxes[k], taken, frame) + k / 100)
        taken.append(boxes[best])
        dx, dy = _PLACES[best]
        far = best >= 8
        texts.append(
            ax.annotate(
                text,
                place,
                xytext=(dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right" if dx < 0 else "center",
                va="center",
                fontsize=_SIZE,
                color="0.3",
                parse_math=False,
                zorder=5,
                annotation_clip=False,
                arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "0.6"} if far else None,
            )
        )
    return texts


def _box(x, y, dx, n_letters):
    """Return left, lower, right and upper end of a text."""
    width = _WIDTH * n_letters
    left = x if dx > 0 else x - width if dx < 0 else x - width / 2
    return left, y - _HEIGHT / 2, left + width, y + _HEIGHT / 2


def _hidden(box, taken, frame):
    """Measure the area that a text shares with what is there already, or has outside the axes."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return sum(_shared(box, other) for other in taken) + area - _shared(box, frame)


def _shared(box, other):
    """Measure the area that two boxes share."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0.0, width) * max(0.0, height)
