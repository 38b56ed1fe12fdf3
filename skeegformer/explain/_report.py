"""Everything about an explanation on one page."""

import html
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
import pandas as pd
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, balanced_accuracy_score

from skeegformer._utils.files import check_output_file, replacing
from skeegformer._validation import name_channels
from skeegformer.explain.methods import METHODS
from skeegformer.plotting._electrodes import usable_electrodes

_READING = {
    "attention": (
        "where the model looks. Attention is not need: loud channels draw attention whether or "
        "not they matter."
    ),
    "gradient": "what moves the output of the model.",
    "perturbation": "what the model needs: what its output loses without a channel.",
}
_PACKAGES = ("skeegformer", "torch", "skorch", "scikit-learn", "mne", "moabb", "numpy")
_N_CHANNELS = 10  # in the table of the most important ones
_LONGEST = 300  # letters of a setting


def explanation_report(explanation, path, *, title, faithfulness, scores, overwrite):
    """Make the page; see `Explanation.to_report`."""
    import mne

    if path is not None:
        path = check_output_file(path, (".html", ".htm"), overwrite)
    if scores is not None and not isinstance(scores, pd.DataFrame):
        raise TypeError(f"scores is a {type(scores).__name__}, but has to be a pandas.DataFrame.")
    method = METHODS[explanation.method]
    report = mne.Report(title=title or f"Explanation by {method.label}", verbose="ERROR")
    _add_summary(report, explanation, method)
    if scores is not None:
        _add_html(report, _table(scores), "Scores handed in", "Scores")
    _add_scores(report, explanation)
    if _has_places(explanation.info):
        _add_maps(report, explanation)
        if explanation.connections is not None:
            _add_connections(report, explanation)
    else:
        said = "There is no map: it needs at least 3 channels with known positions."
        _add_html(report, _text(said), "Values by class", "Topomaps")
    if faithfulness is not None:
        section = "Faithfulness"
        _add_html(
            report, _text(faithfulness.verdict), "Is the explanation true of the model?", section
        )
        _add_figure(report, faithfulness.plot().figure_, "Deletion and insertion", section)
        figures = {name: f"{value:.3g}" for name, value in faithfulness.figures.items()}
        _add_html(report, _pairs(figures), "Figures", section)
    _add_settings(report, explanation)
    if path is not None:
        with replacing(path) as temporary:
            report.save(temporary, open_browser=False, overwrite=True, verbose="ERROR")
        report.fname = str(path)
    return report


def _add_summary(report, explanation, method):
    n_epochs, n_chans, n_parts = explanation.token_values.shape
    labels, subjects = explanation.labels(), explanation.subjects
    kind = "true" if explanation.y is not None else "predicted"
    counts = [f"{label} ({np.sum(labels == label)})" for label in explanation.classes]
    rows = {
        "Method": method.label,
        "Paper": method.reference,
        "What it tells": _READING[method.family],
        "Unit": method.unit,
        "Epochs": n_epochs,
        "Subjects": "not known" if subjects is None else len(np.unique(subjects.astype(str))),
        f"Classes (epochs by {kind} label)": ", ".join(counts),
        "Channels": n_chans,
        "Parts of a channel": "none" if n_parts == 1 else ", ".join(map(str, explanation.parts)),
    }
    _add_html(report, _pairs(rows), "What was explained", "Summary")
    largest = pd.DataFrame(
        {
            "Channel": name_channels(explanation.ch_names, n_chans),
            "Share of all channels (%)": 100 * explanation.feature_importances_,
        }
    ).nlargest(_N_CHANNELS, "Share of all channels (%)")
    _add_html(report, _table(largest), "Most important channels", "Summary")


def _add_scores(report, explanation):
    title = "Scores on the explained epochs"
    if explanation.y is None:
        said = "The true labels of the explained epochs are not known: pass y to explain."
        _add_html(report, _text(said), title, "Scores")
        return
    parts = {"all": explanation}
    if explanation.subjects is not None:
        subjects = np.unique(explanation.subjects)
        parts |= {subject: explanation.select(subject=subject) for subject in subjects}
    rows = pd.DataFrame(
        {
            "Subject": subject,
            "Epochs": len(part),
            "Accuracy": accuracy_score(part.y, part.predictions),
            "Balanced accuracy": balanced_accuracy_score(part.y, part.predictions),
        }
        for subject, part in parts.items()
    )
    said = (
        f"Chance is {1 / len(explanation.classes):.3f} for balanced accuracy. Only epochs of "
        "subjects that the model has not seen in training tell how well it will do."
    )
    _add_html(report, _text(said) + _table(rows), title, "Scores")
    # A dollar sign would start a formula.
    names = [str(label).replace("$", r"\$") for label in explanation.classes]
    display = ConfusionMatrixDisplay.from_predictions(
        explanation.y,
        explanation.predictions,
        labels=explanation.classes,
        display_labels=names,
        cmap="Blues",
        colorbar=False,
    )
    display.figure_.set_layout_engine("constrained")
    _add_figure(report, display.figure_, "Confusion matrix", "Scores")


def _has_places(info):
    try:
        usable_electrodes(info)
    except ValueError:
        return False
    return True


def _add_maps(report, explanation):
    kinds = {"class": "Values by class"}
    if len(explanation.parts) > 1:
        kinds["part"] = {"time": "Values by time", "band": "Values by band"}[explanation.part_kind]
    for by, title in kinds.items():
        _add_figure(report, explanation.plot_topomap(by).figure_, title, "Topomaps")


def _add_connections(report, explanation):
    display = explanation.plot_connections()
    section = "Connections"
    _add_figure(report, display.figure_, "Strongest connections between channels", section)
    if find_spec("plotly") is None:
        page = _text('For a head to turn around, install plotly: pip install "skeegformer[viz]".')
    else:
        # In a frame of its own, what runs in it cannot touch the report.
        page = (
            f'<iframe title="Connections" srcdoc="{html.escape(display.to_html())}" '
            'sandbox="allow-scripts allow-downloads" '
            'style="width: 100%; height: 820px; border: 0"></iframe>'
        )
    _add_html(report, page, "Connections on a head to turn around", section)


def _add_settings(report, explanation):
    section = "Settings"
    if explanation.settings:
        _add_html(report, _pairs(explanation.settings), "Explainer", section)
    if explanation.source is not None:
        parameters = explanation.source.classifier.get_params(deep=False)
        _add_html(report, _pairs(parameters), "Classifier", section)
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    _add_html(report, _pairs(versions), "Versions", section)


def _add_html(report, page, title, section):
    report.add_html(page, title, section=section, tags=(section.lower(),))


def _add_figure(report, figure, title, section):
    import matplotlib.pyplot as plt

    report.add_figure(figure, title, section=section, tags=(section.lower(),))
    plt.close(figure)


def _text(text):
    return f"<p>{html.escape(text)}</p>"


def _pairs(rows):
    """Write names and values as a table."""
    texts = [
        value if isinstance(value, str) else repr(value) for value in map(_plain, rows.values())
    ]
    short = [text if len(text) <= _LONGEST else text[:_LONGEST] + " ..." for text in texts]
    return _table(pd.DataFrame({"": list(rows), " ": short}), header=False)


def _plain(value):
    """Unwrap NumPy's scalars, whose repr names their type."""
    return value.item() if isinstance(value, np.generic) else value


def _table(frame, header=True):
    """Write a table, whatever the texts in it are; row numbers that mean nothing are left out."""
    numbered = pd.api.types.is_integer_dtype(frame.index) and frame.index.name is None
    with pd.option_context("display.max_colwidth", None):
        return frame.to_html(
            index=not numbered,
            header=header,
            float_format="{:.3f}".format,
            border=0,
            classes="table table-sm w-auto",
        )
