"""The interactive page of connections: one file, plotly inside, nothing loaded from outside."""

import html
import json
import re

import numpy as np

from skeegformer.plotting._connections_figure import COLOURS, SIGNED_COLOURS
from skeegformer.plotting._head import fit_head

_DIGITS = 6  # significant ones, of the values in the page


def connections_page(data, *, title, caption):
    """Put connections into a page.

    Parameters
    ----------
    data : dict
        ``names``, ``positions``, ``bands``, ``conditions``, ``values`` and ``strengths``
        (by band, condition, query and key), ``limit``, ``signed``, ``baseline``, ``unit``,
        ``label`` and ``top``.
    title : str
        Title of the page.
    caption : str
        How to read it.

    Returns
    -------
    str
        The page.

    Raises
    ------
    ImportError
        If plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError(
            'The interactive page needs plotly: pip install "skeegformer[viz]".'
        ) from error
    centre, axes = fit_head(data["positions"])
    colours = SIGNED_COLOURS if data["signed"] else COLOURS
    data = {
        **data,
        "positions": _rounded(data["positions"]),
        "values": None if data["baseline"] is None else _rounded(data["values"]),
        "strengths": _rounded(data["strengths"]),
        "head": {"centre": _rounded(centre), "axes": _rounded(axes)},
        "colours": [[k / (len(colours) - 1), colour] for k, colour in enumerate(colours)],
    }
    parts = {
        "TITLE": html.escape(title),
        "CAPTION": html.escape(caption),
        "STYLE": _STYLE,
        "SCRIPT": _SCRIPT,
        "DATA": script_json(data),
        "PLOTLY": get_plotlyjs(),
    }
    # In one pass: what is put in is not searched for marks again.
    return re.sub(f"@({'|'.join(parts)})@", lambda mark: parts[mark[1]], _PAGE)


def script_json(data):
    """Write JSON that can stand inside a script element, whatever the texts in it are.

    Parameters
    ----------
    data : object
        What `json.dumps` takes.

    Returns
    -------
    str
        JSON in which nothing can end the element or open a comment.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _rounded(values):
    """Shorten numbers to their significant digits, to lists."""
    shape = np.shape(values)
    short = [float(f"{value:.{_DIGITS}g}") for value in np.ravel(values)]
    return np.reshape(short, shape).tolist()


# The content security policy makes the browser refuse whatever would come from outside.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';
 script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:">
<title>@TITLE@</title>
<style>@STYLE@</style>
</head>
<body>
<h1>@TITLE@</h1>
<form id="controls">
<label id="condition-label">Condition <select id="condition"></select></label>
<label id="band-label">Band <select id="band"></select></label>
<label>Threshold <input id="threshold" type="range" min="0" max="100" step="0.5">
<output id="threshold-value" for="threshold"></output></label>
<label><input id="loops" type="checkbox" checked> self-attention</label>
<label><input id="names" type="checkbox" checked> names</label>
</form>
<div id="head" role="img" aria-label="Connections on a head"></div>
<p id="count" aria-live="polite"></p>
<p id="caption">@CAPTION@</p>
<script type="application/json" id="data">@DATA@</script>
<script>@PLOTLY@</script>
<script>@SCRIPT@</script>
</body>
</html>
"""

_STYLE = """
html, body { height: 100%; }
body { margin: 0; padding: 0.7rem 1rem; box-sizing: border-box;
  display: flex; flex-direction: column;
  font: 15px/1.4 system-ui, sans-serif; color: #222; background: #fff; }
h1 { font-size: 1.15rem; margin: 0 0 0.5rem; }
#controls { display: flex; flex-wrap: wrap; gap: 0.4rem 1.4rem; align-items: center; }
#controls label { display: inline-flex; gap: 0.4rem; align-items: center; }
#controls [hidden] { display: none; }
#threshold { width: 12rem; }
#threshold-value { min-width: 5em; font-variant-numeric: tabular-nums; }
#head { flex: 1 1 0; min-height: 320px; }
#count, #caption { margin: 0.2rem 0; }
#caption { color: #555; font-size: 0.85rem; max-width: 75em; }
"""

_SCRIPT = r"""
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const control = name => document.getElementById(name);

// Vectors of three numbers.
const add = (a, b) => a.map((x, k) => x + b[k]);
const scale = (a, factor) => a.map(x => x * factor);
const minus = (a, b) => a.map((x, k) => x - b[k]);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const norm = a => Math.sqrt(dot(a, a));
const unit = a => scale(a, 1 / (norm(a) || 1));
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                         a[0] * b[1] - a[1] * b[0]];

const centre = data.head.centre;
const radius = (data.head.axes[0] + data.head.axes[1] + data.head.axes[2]) / 3;
const limit = data.limit || 1;
const N_STEPS = 20;

// Plotly reads a few tags in texts, but names are to be shown as they are. In the scene itself it
// reads no entities; there, a character without width keeps it from seeing a tag.
const escaped = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const untagged = text => text.replace(/</g, "<\u200c");
const digits = value => String(Number(value.toPrecision(3)));

// Small thresholds matter most, so the slider moves slowly there.
const threshold = () => limit * (control("threshold").value / 100) ** 2;

function fill(name, options) {
  for (const [index, text] of options.entries()) {
    const option = document.createElement("option");
    option.value = index;
    option.textContent = text;
    control(name).append(option);
  }
  control(name + "-label").hidden = options.length < 2;
}

// Which connections are shown, the strongest first.
function selected() {
  const matrix = data.strengths[control("band").value][control("condition").value];
  const arrows = [], loops = [];
  matrix.forEach((row, query) => row.forEach((strength, key) => {
    if (strength === 0 || Math.abs(strength) < threshold()) return;
    (query === key ? loops : arrows).push({query, key, strength});
  }));
  arrows.sort((a, b) => Math.abs(b.strength) - Math.abs(a.strength));
  return {arrows: arrows.slice(0, data.top), hidden: Math.max(0, arrows.length - data.top),
          loops: control("loops").checked ? loops : []};
}

// An arc above the head from key to query, bent to its left so that both directions of a
// pair stay apart.
function arc(from, to) {
  const a = minus(from, centre), b = minus(to, centre);
  const ua = unit(a), ub = unit(b);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(ua, ub))));
  const side = unit(cross(ua, ub));
  const lift = radius * (0.03 + 0.09 * angle);
  const points = [];
  for (let step = 0; step <= N_STEPS; step++) {
    const t = step / N_STEPS, bump = 4 * t * (1 - t);
    const way = Math.sin(angle) > 1e-6
      ? add(scale(ua, Math.sin((1 - t) * angle)), scale(ub, Math.sin(t * angle)))
      : add(scale(ua, 1 - t), scale(ub, t));
    const direction = unit(add(unit(way), scale(side, 0.10 * angle * bump)));
    const distance = norm(a) * (1 - t) + norm(b) * t + lift * bump;
    points.push(add(centre, scale(direction, distance)));
  }
  return points;
}

// A ring that lies on the head and touches the channel; its size is its strength.
const strongestLoop = Math.max(...data.strengths.flat().flatMap(
  matrix => matrix.map((row, k) => Math.abs(row[k])))) || 1;
function ring(at, strength) {
  const out = unit(minus(at, centre));
  const side = unit(cross(out, Math.abs(out[2]) < 0.9 ? [0, 0, 1] : [0, 1, 0]));
  const up = cross(side, out);
  const start = add(at, scale(out, 0.02 * radius));
  const r = 0.08 * radius * Math.abs(strength) / strongestLoop;
  const points = [];
  for (let step = 0; step <= N_STEPS; step++) {
    const turn = 2 * Math.PI * step / N_STEPS;
    const along = scale(up, r * (1 - Math.cos(turn)));
    points.push(add(start, add(along, scale(side, r * Math.sin(turn)))));
  }
  return points;
}

function colour(strength) {
  const low = data.signed ? -limit : 0;
  const place = Math.max(0, Math.min(1, (strength - low) / (limit - low)));
  const n = data.colours.length - 1, k = Math.min(n - 1, Math.floor(place * n));
  const share = place * n - k;
  const parts = hex => [1, 3, 5].map(start => parseInt(hex.slice(start, start + 2), 16));
  const from = parts(data.colours[k][1]), to = parts(data.colours[k + 1][1]);
  return "rgb(" + from.map((x, j) => Math.round(x + share * (to[j] - x))).join(",") + ")";
}

function description({query, key, strength}) {
  const values = (data.values ?? data.strengths)[control("band").value][control("condition").value];
  const route = query === key ? data.names[key] + " to itself"
    : data.names[key] + " \u2192 " + data.names[query];
  const size = digits(values[query][key]) + " " + escaped(data.unit);
  const beyond = (strength > 0 ? "+" : "\u2212") + digits(Math.abs(strength)) + " to the baseline";
  return escaped(route) + "<br>" + size + (data.baseline === null ? "" : "<br>" + beyond);
}

// Lines of one width; plotly has no width for each line of a trace.
function lines(edges, width) {
  const trace = {type: "scatter3d", mode: "lines", x: [], y: [], z: [], text: [],
                 line: {width, color: []}, hoverinfo: "text", showlegend: false};
  for (const edge of edges) {
    const shade = colour(edge.strength), text = description(edge);
    for (const [x, y, z] of edge.points) {
      trace.x.push(x); trace.y.push(y); trace.z.push(z);
      trace.line.color.push(shade); trace.text.push(text);
    }
    trace.x.push(null); trace.y.push(null); trace.z.push(null);
    trace.line.color.push(shade); trace.text.push("");
  }
  return trace;
}

// A small cone at the query end of each arc.
function arrowheads(edges) {
  const mesh = {type: "mesh3d", x: [], y: [], z: [], i: [], j: [], k: [], facecolor: [],
                hoverinfo: "skip", flatshading: true,
                lighting: {ambient: 0.9, diffuse: 0.3, specular: 0}};
  const vertex = ([x, y, z]) => mesh.x.push(x) && mesh.y.push(y) && mesh.z.push(z) - 1;
  const n = 8;
  for (const {points, strength} of edges) {
    const end = points[points.length - 1];
    const along = unit(minus(end, points[points.length - 3]));
    const length = radius * (0.05 + 0.03 * Math.min(1, Math.abs(strength) / limit));
    const tip = minus(end, scale(along, 0.015 * radius));
    const base = minus(tip, scale(along, length));
    const u = unit(cross(along, Math.abs(along[2]) < 0.9 ? [0, 0, 1] : [0, 1, 0]));
    const v = cross(along, u);
    const first = vertex(tip), bottom = vertex(base);
    const rim = [];
    for (let k = 0; k < n; k++) {
      const turn = 2 * Math.PI * k / n;
      rim.push(vertex(add(base, scale(add(scale(u, Math.cos(turn)), scale(v, Math.sin(turn))),
                                      0.35 * length))));
    }
    for (let k = 0; k < n; k++) {
      for (const apex of [first, bottom]) {
        mesh.i.push(apex); mesh.j.push(rim[k]); mesh.k.push(rim[(k + 1) % n]);
        mesh.facecolor.push(colour(strength));
      }
    }
  }
  return mesh;
}

// An ellipsoid as a mesh, from its top down to an angle.
function ellipsoid(middle, axes, end = Math.PI) {
  const mesh = {type: "mesh3d", x: [], y: [], z: [], i: [], j: [], k: [], color: "#e9e2dc",
                hoverinfo: "skip", lighting: {ambient: 0.9, diffuse: 0.2, specular: 0.02}};
  const rows = 24, columns = 36;
  for (let row = 0; row <= rows; row++) {
    for (let column = 0; column < columns; column++) {
      const polar = end * row / rows, turn = 2 * Math.PI * column / columns;
      mesh.x.push(middle[0] + axes[0] * Math.sin(polar) * Math.cos(turn));
      mesh.y.push(middle[1] + axes[1] * Math.sin(polar) * Math.sin(turn));
      mesh.z.push(middle[2] + axes[2] * Math.cos(polar));
      if (row === rows) continue;
      const here = row * columns + column, next = row * columns + (column + 1) % columns;
      mesh.i.push(here, next); mesh.j.push(next, next + columns);
      mesh.k.push(here + columns, here + columns);
    }
  }
  return mesh;
}

// The ears lie on the x axis of head coordinates, and the nose at their height.
function headTraces() {
  const [a, b, c] = data.head.axes;
  const low = Math.max(-0.8, -centre[2] / c);
  const shrink = Math.sqrt(1 - low * low);
  const height = centre[2] + low * c;
  const nose = ellipsoid([centre[0], centre[1] + 0.97 * b * shrink, height],
                         [0.12 * radius, 0.28 * radius, 0.16 * radius]);
  const ears = [-1, 1].map(side => ellipsoid(
    [centre[0] + side * 0.98 * a * shrink, centre[1], height],
    [0.07 * radius, 0.11 * radius, 0.20 * radius]));
  return [ellipsoid(centre, scale([a, b, c], 0.96), 2.1), nose, ...ears];
}

// Dots, and their names a little further out, where the head does not hide them.
function electrodes() {
  const shared = {type: "scatter3d", showlegend: false};
  const outwards = distance => {
    const points = data.positions.map(
      at => add(at, scale(unit(minus(at, centre)), distance * radius)));
    return {x: points.map(p => p[0]), y: points.map(p => p[1]), z: points.map(p => p[2])};
  };
  const dots = {...shared, ...outwards(0.01), mode: "markers", marker: {size: 3, color: "#222"},
                hovertext: data.names.map(escaped), hoverinfo: "text"};
  const texts = {...shared, ...outwards(0.04), mode: "text", text: data.names.map(untagged),
                 textposition: "top center", textfont: {size: 11, color: "#222"},
                 hoverinfo: "skip", visible: control("names").checked};
  return [dots, texts];
}

// Nothing but the colour bar.
function colourBar() {
  return {type: "scatter3d", mode: "markers", x: [null], y: [null], z: [null], showlegend: false,
          hoverinfo: "skip",
          marker: {color: [0], cmin: data.signed ? -limit : 0, cmax: limit, showscale: true,
                   colorscale: data.colours,
                   colorbar: {title: {text: escaped(data.label), side: "right"}, thickness: 14,
                              len: 0.7}}};
}

// Fixed ranges, or the head would change its size with the arcs that are drawn.
const span = 1.5 * Math.max(...data.head.axes);
const axis = k => ({visible: false, showspikes: false,
                    range: [centre[k] - span, centre[k] + span]});
const layout = {
  margin: {l: 0, r: 0, t: 0, b: 0}, autosize: true, hovermode: "closest",
  uirevision: "keep the camera",
  scene: {xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: "manual",
          aspectratio: {x: 2.6, y: 2.6, z: 2.6},
          camera: {eye: {x: 0, y: -0.45, z: 1.7}, up: {x: 0, y: 0, z: 1},
                   projection: {type: "orthographic"}}},
};
const config = {displaylogo: false, responsive: true, showLink: false, plotlyServerURL: "",
                showSendToCloud: false, modeBarButtonsToRemove: ["tableRotation"],
                toImageButtonOptions: {filename: "connections", scale: 2}};

const still = headTraces();

function draw() {
  const {arrows, hidden, loops} = selected();
  const at = data.positions;
  for (const edge of arrows) edge.points = arc(at[edge.key], at[edge.query]);
  for (const edge of loops) edge.points = ring(at[edge.key], edge.strength);
  const widths = [2, 4, 6, 9];
  const bins = widths.map(() => []);
  for (const edge of arrows) {
    bins[Math.min(3, Math.floor(4 * Math.abs(edge.strength) / limit))].push(edge);
  }
  bins[1].push(...loops);
  control("threshold-value").textContent = "\u2265 " + digits(threshold());
  control("count").textContent = arrows.length + " connections"
    + (hidden ? " (the strongest; " + hidden + " weaker ones are not drawn)" : "")
    + (loops.length ? ", " + loops.length + " channels with self-attention" : "");
  const traces = [...still, ...bins.map((edges, k) => lines(edges, widths[k])),
                  arrowheads(arrows), ...electrodes(), colourBar()];
  return Plotly.react("head", traces, layout, config);
}

fill("condition", data.conditions);
fill("band", data.bands);
// Start with some forty connections, the strongest of the first condition.
const sizes = data.strengths[0][0].flatMap(
  (row, query) => row.filter((_, key) => key !== query).map(Math.abs)).sort((a, b) => b - a);
control("threshold").value = 100 * Math.sqrt(sizes[Math.min(40, sizes.length) - 1] / limit);
control("controls").addEventListener("input", draw);
control("controls").addEventListener("submit", event => event.preventDefault());
draw();
"""
