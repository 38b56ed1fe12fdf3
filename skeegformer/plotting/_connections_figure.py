"""Arrows between electrodes, seen from several sides, with matplotlib."""

import numpy as np

from skeegformer.plotting._head import fit_head

# Directions, in head coordinates, that point right, up and towards the viewer.
VIEWS = {
    "top": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "left": ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
    "right": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "back": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "front": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
}
SIGNED_COLOURS = ("#2166ac", "#c9c9c9", "#b2182b")
COLOURS = ("#d8d2e0", "#b07aa1", "#5c1a58")
_FAR = 0.12  # opacity of what lies on the far side


def draw_connections(rows, positions, names, *, views, limit, signed, label, caption, ax):
    """Draw a grid of heads: a row for each condition, a column for each view.

    Parameters
    ----------
    rows : list of tuple
        Title, arrows (query, key, strength), the strongest first, and the self-attention of
        all channels.
    positions : ndarray of shape (n_chans, 3)
        In head coordinates.
    names : list of str or None
        Channel names, if they are to be written.
    views : list of str
        Keys of `VIEWS`.
    limit : float
        Strength of the strongest arrow of all.
    signed : bool
        Whether strengths may be negative.
    label : str
        Label of the colour bar.
    caption : str
        Written below a figure that is made here.
    ax : matplotlib.axes.Axes, sequence of them or None
        Where to draw.

    Returns
    -------
    figure : matplotlib.figure.Figure
        The figure.
    axes : ndarray of matplotlib.axes.Axes of shape (n_rows, n_views)
        Its heads.
    """
    import matplotlib.pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    shape = len(rows), len(views)
    if ax is None:
        figure, axes = plt.subplots(
            *shape,
            figsize=(3.4 * shape[1] + 0.9, 3.2 * shape[0] + 0.7),
            layout="constrained",
            squeeze=False,
        )
        width = int(17 * figure.get_figwidth())
        figure.supxlabel(_wrap(caption, width), fontsize=7, color="0.3")
    else:
        axes = np.ravel(ax)
        if len(axes) != shape[0] * shape[1]:
            raise ValueError(
                f"There are {shape[0]} conditions seen from {shape[1]} sides, "
                f"{shape[0] * shape[1]} heads, but {len(axes)} axes to draw on."
            )
        axes = axes.reshape(shape)
        figure = axes[0, 0].figure
    limit = limit or 1.0  # nothing differs from the baseline, and any scale will do
    colours = LinearSegmentedColormap.from_list(
        "connections", SIGNED_COLOURS if signed else COLOURS
    )
    scale = ScalarMappable(Normalize(-limit if signed else 0, limit), colours)
    head = fit_head(positions)
    strongest_loop = max(abs(loops).max() for _, _, loops in rows) or 1.0
    for (title, arrows, loops), heads in zip(rows, axes, strict=True):
        for axis, view in zip(heads, views, strict=True):
            _draw_head(axis, head, view)
            _draw_loops(axis, loops, positions, head, view, strongest_loop, scale)
            _draw_arrows(axis, arrows, positions, head, view, limit, scale)
            _draw_electrodes(axis, positions, names, head, view)
            axis.set_title(f"{title}, from the {view}", fontsize=10, parse_math=False)
    bar = figure.colorbar(
        scale, ax=axes.ravel().tolist(), shrink=0.6, extend="both" if signed else "max"
    )
    bar.set_label(label, parse_math=False)
    return figure, axes


def _wrap(text, width):
    import textwrap

    return textwrap.fill(text, width)


def _project(points, head, view):
    """Return places on the page, and nearness from -1, the far side, to 1."""
    centre, axes = head
    right, up, towards = np.array(VIEWS[view], dtype=float)
    away = (points - centre) / axes
    nearness = away @ towards
    if view == "top":
        # Flattened as topomaps are, or electrodes near the ears would lie upon each other.
        sideways = np.linalg.norm(away[:, :2], axis=1, keepdims=True)
        angle = np.arctan2(sideways, away[:, 2:]) / (np.pi / 2)
        return centre[:2] + axes[:2] * away[:, :2] / np.maximum(sideways, 1e-9) * angle, nearness
    return np.column_stack([points @ right, points @ up]), nearness


def _draw_head(axis, head, view):
    """Draw outline, nose and ears; the ears lie on the x axis of head coordinates."""
    from matplotlib.patches import Ellipse, Polygon

    centre, axes = head
    right, up, towards = np.array(VIEWS[view], dtype=float)
    middle = np.array([centre @ right, centre @ up])
    size = np.array([axes @ abs(right), axes @ abs(up)])
    style = {"facecolor": "white", "edgecolor": "0.55", "linewidth": 1.2}
    length = axes.mean()
    side = np.array([axes[0], 0, 0])
    if view == "top":
        front = np.array([middle[0], middle[1] + size[1]])
        nose = front + length * np.array([[-0.14, -0.03], [0, 0.14], [0.14, -0.03]])
    elif view in ("left", "right"):
        direction = -1 if view == "left" else 1
        # The nose leaves the outline at the height of the ears.
        height = -centre[2] / axes[2]
        front = middle + size * [direction * np.sqrt(max(0.2, 1 - height**2)), height]
        nose = front + length * np.array(
            [[-0.03 * direction, 0.1], [0.16 * direction, -0.1], [-0.06 * direction, -0.12]]
        )
    else:
        nose = None
    if nose is not None:
        axis.add_patch(Polygon(nose, zorder=0, **style))
    ears = [np.array([centre[0], 0, 0]) + sign * side for sign in (-1, 1)]
    in_front = abs(towards[0]) > 0
    for ear in ears:
        if in_front and (ear - centre) @ towards < 0:
            continue
        width = 0.16 if in_front else 0.12
        axis.add_patch(
            Ellipse(
                (ear @ right, ear @ up),
                width * length,
                0.32 * length,
                zorder=1.5 if in_front else 0,
                **style,
            )
        )
    axis.add_patch(Ellipse(middle, *(2 * size), zorder=1, **style))
    # From the side, the head is cut off below the ears.
    low = middle[1] - 1.25 * length if view == "top" else -0.35 * length
    axis.set(
        aspect="equal",
        xlim=middle[0] + 1.25 * length * np.array([-1, 1]),
        ylim=(low, middle[1] + size[1] + 0.2 * length),
    )
    axis.set_axis_off()


def _draw_arrows(axis, arrows, positions, head, view, limit, scale):
    """Draw arcs from key to query."""
    from matplotlib.patches import FancyArrowPatch

    places, nearness = _project(positions, head, view)
    for rank, (query, key, strength) in enumerate(reversed(arrows)):
        size = min(1.0, abs(strength) / limit)
        far = view != "top" and nearness[query] + nearness[key] < -0.2
        axis.add_patch(
            FancyArrowPatch(
                places[key],
                places[query],
                # Bent to one side, so that the two directions of a pair stay apart.
                connectionstyle="arc3,rad=0.18",
                arrowstyle="-|>",
                mutation_scale=5 + 7 * size,
                shrinkA=2.5,
                shrinkB=3.5,
                linewidth=0.5 + 2.2 * size,
                color=scale.to_rgba(strength),
                alpha=(0.35 + 0.6 * size) * (_FAR if far else 1),
                zorder=2 + rank / (len(arrows) + 1),
            )
        )


def _draw_loops(axis, loops, positions, head, view, limit, scale):
    """Draw rings, on the outer side of channels, as large as their attention to themselves."""
    from matplotlib.patches import Circle

    places, nearness = _project(positions, head, view)
    centre = _project(head[0][None] + [0, 0, 1e-9], head, view)[0][0]
    length = head[1].mean()
    for channel in np.flatnonzero(loops):
        radius = 0.07 * length * abs(loops[channel]) / limit
        outwards = places[channel] - centre
        distance = np.linalg.norm(outwards)
        outwards = outwards / distance if distance > 0.05 * length else np.array([0.0, 1.0])
        axis.add_patch(
            Circle(
                places[channel] + radius * outwards,
                radius,
                fill=False,
                linewidth=1,
                edgecolor=scale.to_rgba(loops[channel]),
                alpha=_FAR if nearness[channel] < -0.1 and view != "top" else 0.8,
                zorder=2,
            )
        )


def _draw_electrodes(axis, positions, names, head, view):
    """Draw dots, and names on the near side."""
    from matplotlib.patheffects import withStroke

    places, nearness = _project(positions, head, view)
    near = (nearness > -0.1) | (view == "top")
    axis.scatter(*places[near].T, s=7, color="0.15", linewidths=0, zorder=4)
    axis.scatter(*places[~near].T, s=5, color="0.8", linewidths=0, zorder=1.8)
    if names is None:
        return
    for k in np.flatnonzero(near):
        text = axis.annotate(
            str(names[k]),
            places[k],
            xytext=(0, 2.2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=5,
            color="0.1",
            zorder=5,
            parse_math=False,
        )
        text.set_path_effects([withStroke(linewidth=1.2, foreground="white")])
