"""The method of `Explanation` that puts everything on one page."""

import html
import platform
from importlib.metadata import version
from importlib.util import find_spec

import mne
import numpy as np
import pandas as pd
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, balanced_accuracy_score

from skeegformer._utils.files import check_output_file, replacing
from skeegformer.explain.methods import METHODS
from skeegformer.plotting._electrodes import usable_electrodes

_READING = {
    "attention": (
        "where the model looks. Attention is not need: loud channels draw attention whether or "
        "not they matter."
    ),
    "gradient": (
        "what moves the output of the model. A gradient rollout shows what speaks for a class "
        "alone, not channels whose decrease does."
    ),
    "perturbation": "what the model needs: what its output loses without a channel.",
}
_PACKAGES = ("skeegformer", "torch", "skorch", "scikit-learn", "mne", "moabb", "numpy")
_N_CHANNELS = 10  # in the table of the most important ones
_LONGEST = 300  # letters of a setting


def to_report(self, path=None, *, title=None, faithfulness=None, scores=None, overwrite=False):
    """Put everything on one page: method, scores, maps, connections, tests and versions.

    Parameters
    ----------
    path : path-like or None, default=None
        Where to write the page (``.html``), which loads nothing from outside.
    title : str or None, default=None
        Title of the page; None names the method.
    faithfulness : Faithfulness, True or None, default=None
        What `evaluate` found; True evaluates now.
    scores : pandas.DataFrame or None, default=None
        Scores to show as a table, beside those on the explained epochs.
    overwrite : bool, default=False
        Whether an existing file is replaced.

    Returns
    -------
    mne.Report
        The page, to which more can be added.

    Raises
    ------
    FileExistsError, ValueError, TypeError
        If the file exists, `path` does not end in ``.html``, or `scores` is no DataFrame.
    """
    if path is not None:
        path = check_output_file(path, (".html", ".htm"), overwrite)
    if scores is not None and not isinstance(scores, pd.DataFrame):
        raise TypeError(f"scores is a {type(scores).__name__}, but has to be a pandas.DataFrame.")
    if faithfulness is True:
        faithfulness = self.evaluate(random_state=0)
    label = METHODS[self.method].label
    report = mne.Report(title=title or f"Explanation by {label}", verbose="ERROR")
    _add_summary(report, self)
    if scores is not None:
        _add(report, _table(scores), "Scores handed in", "Scores")
    _add_scores(report, self)
    _add_maps(report, self)
    if faithfulness is not None:
        verdict, curves = _text(faithfulness.verdict), faithfulness.plot()[0].figure
        figures = {name: f"{value:.3g}" for name, value in faithfulness.figures.items()}
        _add(report, verdict, "Is the explanation true of the model?", "Faithfulness")
        _add(report, curves, "Deletion and insertion", "Faithfulness")
        _add(report, _pairs(figures), "Figures", "Faithfulness")
    _add_settings(report, self)
    if path is not None:
        with replacing(path) as temporary:
            report.save(temporary, open_browser=False, overwrite=True, verbose="ERROR")
        report.fname = str(path)
    return report


def _add_summary(report, explanation):
    method, subjects = METHODS[explanation.method], explanation.subjects
    kind = "true" if explanation.y is not None else "predicted"
    counts = [f"{label} ({np.sum(explanation.labels() == label)})" for label in explanation.classes]
    n_epochs, n_chans, n_parts = explanation.token_values.shape
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
    _add(report, _pairs(rows), "What was explained", "Summary")
    share = "Share of all channels (%)"
    importances = 100 * explanation.feature_importances_
    largest = pd.DataFrame({"Channel": explanation.channel_names, share: importances})
    table = _table(largest.nlargest(_N_CHANNELS, share))
    _add(report, table, "Most important channels", "Summary")


def _add_scores(report, explanation):
    title = "Scores on the explained epochs"
    if explanation.y is None:
        said = "The true labels of the explained epochs are not known: pass y to explain."
        _add(report, _text(said), title, "Scores")
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
    _add(report, _text(said) + _table(rows), title, "Scores")
    classes = explanation.classes
    look = {"cmap": "Blues", "colorbar": False}
    # A dollar sign would start a formula.
    look["display_labels"] = [str(label).replace("$", r"\$") for label in classes]
    display = ConfusionMatrixDisplay.from_predictions(
        explanation.y, explanation.predictions, labels=classes, **look
    )
    display.figure_.set_layout_engine("constrained")
    _add(report, display.figure_, "Confusion matrix", "Scores")


def _add_maps(report, explanation):
    try:
        usable_electrodes(explanation.info)
    except ValueError:
        said = "There is no map: it needs at least 3 channels with known positions."
        _add(report, _text(said), "Values by class", "Topomaps")
        return
    _add(report, explanation.plot_topomap("class").figure_, "Values by class", "Topomaps")
    if len(explanation.parts) > 1:
        title = {"time": "Values by time", "band": "Values by band"}[explanation.part_kind]
        _add(report, explanation.plot_topomap("part").figure_, title, "Topomaps")
    if explanation.connections is None:
        return
    display = explanation.plot_connections()
    _add(report, display.figure_, "Strongest connections between channels", "Connections")
    page = _text('For a head to turn around, install plotly: pip install "skeegformer[viz]".')
    if find_spec("plotly") is not None:
        # In a frame of its own, what runs in it cannot touch the report.
        page = (
            f'<iframe title="Connections" srcdoc="{html.escape(display.to_html())}" '
            'sandbox="allow-scripts allow-downloads" '
            'style="width: 100%; height: 820px; border: 0"></iframe>'
        )
    _add(report, page, "Connections on a head to turn around", "Connections")


def _add_settings(report, explanation):
    if explanation.settings:
        _add(report, _pairs(explanation.settings), "Explainer", "Settings")
    if explanation.source is not None:
        parameters = explanation.source.classifier.get_params(deep=False)
        _add(report, _pairs(parameters), "Classifier", "Settings")
    versions = {"python": platform.python_version()}
    versions |= {package: version(package) for package in _PACKAGES}
    _add(report, _pairs(versions), "Versions", "Settings")


def _add(report, content, title, section):
    """Add a page of HTML, or a figure, which is closed."""
    import matplotlib.pyplot as plt

    add = report.add_html if isinstance(content, str) else report.add_figure
    add(content, title, section=section, tags=(section.lower(),))
    if not isinstance(content, str):
        plt.close(content)


def _text(text):
    return f"<p>{html.escape(text)}</p>"


def _pairs(rows):
    """Write names and values as a table."""
    # The repr of NumPy's scalars names their type.
    values = [value.item() if isinstance(value, np.generic) else value for value in rows.values()]
    texts = [value if isinstance(value, str) else repr(value) for value in values]
    short = [text if len(text) <= _LONGEST else text[:_LONGEST] + " ..." for text in texts]
    return _table(pd.DataFrame({"": list(rows), " ": short}), header=False)


def _table(frame, header=True):
    """Write a table, whatever the texts in it are; row numbers that mean nothing are left out."""
    numbered = pd.api.types.is_integer_dtype(frame.index) and frame.index.name is None
    look = {"float_format": "{:.3f}".format, "border": 0, "classes": "table table-sm w-auto"}
    with pd.option_context("display.max_colwidth", None):
        return frame.to_html(index=not numbered, header=header, **look)
