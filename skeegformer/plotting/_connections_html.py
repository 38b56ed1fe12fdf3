"""Connections on heads to turn around, as a figure of plotly."""

import textwrap

import numpy as np

_N_POINTS = 16  # of an arc


def connections_figure(heads, places, names, titles, *, title, caption, label, directed, colours):
    """Make the figure, of connections (query, key, strength) of each head."""
    try:
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise ImportError(
            'The interactive page needs plotly: pip install "skeegformer[viz]".'
        ) from error

    names = [_plain(name) for name in names]
    figure = make_subplots(
        cols=len(heads),
        specs=[[{"type": "scene"}] * len(heads)],
        subplot_titles=[_plain(one) for one in titles],
        horizontal_spacing=0.01,
    )
    x, y, z = places.T
    dots = {"x": x, "y": y, "z": z, "text": names, "mode": "markers+text", "hoverinfo": "text"}
    look = {"size": 3, "color": "#222222"}
    for column, edges in enumerate(heads, 1):
        electrodes = go.Scatter3d(**dots, textposition="top center", marker=look)
        for part in (electrodes, *(_edges(go, edges, places, names, directed) if edges else ())):
            figure.add_trace(part, row=1, col=column)
    colours, (low, high) = colours
    bar = {"title": {"text": _plain(label), "side": "right"}, "len": 0.7, "thickness": 14}
    figure.update_scenes(
        **{axis: {"visible": False} for axis in ("xaxis", "yaxis", "zaxis")},
        aspectmode="data",
        camera={"eye": {"x": 0, "y": -0.5, "z": 1.6}, "projection": {"type": "orthographic"}},
    )
    figure.update_layout(
        title=_plain(title),
        coloraxis={"cmin": low, "cmax": high, "colorscale": colours, "colorbar": bar},
        showlegend=False,
        margin={"l": 10, "r": 10, "t": 80, "b": 120},
        template="plotly_white",
    )
    figure.add_annotation(
        text="<br>".join(_plain(line) for line in textwrap.wrap(caption, 130)),
        x=0, y=-0.03, xref="paper", yref="paper", xanchor="left", yanchor="top",
        showarrow=False, align="left", font={"size": 12},
    )  # fmt: skip
    return figure


def _plain(text):
    """Keep plotly from reading tags and entities in a name: a mark without width parts them."""
    return str(text).replace("<", "<\u200c").replace("&", "&\u200c")


def _edges(go, edges, places, names, directed):
    """Draw arcs, and a cone at the end of each where they have a direction."""
    arcs = [_arc(places[key], places[query]) for query, key, _ in edges]
    arrow = " → " if directed else " – "
    said = [f"{names[key]}{arrow}{names[query]}<br>{size:+.3g}" for query, key, size in edges]
    x, y, z = np.concatenate([[*arc, [np.nan] * 3] for arc in arcs]).T
    strengths = np.repeat([size for _, _, size in edges], _N_POINTS + 1)
    line = {"color": strengths, "coloraxis": "coloraxis", "width": 5}
    text = np.repeat(said, _N_POINTS + 1)
    yield go.Scatter3d(x=x, y=y, z=z, mode="lines", hoverinfo="text", text=text, line=line)
    if directed:
        x, y, z = np.array([arc[-1] for arc in arcs]).T
        along = np.array([arc[-1] - arc[-3] for arc in arcs])
        u, v, w = (along / np.linalg.norm(along, axis=1, keepdims=True)).T
        grey = {"colorscale": ["#777777"] * 2, "showscale": False, "hoverinfo": "skip"}
        cones = {"anchor": "tip", "sizemode": "raw", "sizeref": 0.09} | grey
        yield go.Cone(x=x, y=y, z=z, u=u, v=v, w=w, **cones)


def _arc(start, end):
    """Return points of a Bézier curve, bent outwards and to one side: (n_points, 3)."""
    share = np.linspace(0, 1, _N_POINTS)[:, np.newaxis]
    middle = 0.8 * (start + end) + 0.2 * np.cross(start, end)
    return (1 - share) ** 2 * start + 2 * share * (1 - share) * middle + share**2 * end
