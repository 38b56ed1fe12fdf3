"""A trained network as an ONNX file, which runs without skeegformer."""

import importlib.util
import json
import logging
import warnings
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import torch

from skeegformer._utils.files import check_output_file, replacing
from skeegformer._utils.settings import seeded_torch
from skeegformer.io._frozen import freeze

_INPUT, _OUTPUT, _BATCH = "epochs", "probabilities", "batch"
# What the file computes may differ by from what the classifier does.
_AGREEMENT = 1e-4


@seeded_torch()
def export_network(classifier, path, *, overwrite=False, subject=None):
    """Export a trained network to an ONNX file, which runs without skeegformer and torch.

    The file maps float32 epochs of shape (batch, n_chans, n_times), with any batch size, to class
    probabilities of shape (batch, n_classes). Before it is saved, its output is compared with that
    of the classifier.

    Parameters
    ----------
    classifier : EEGTransformerClassifier, OriginalTransformerClassifier or CalibratedClassifierCV
        A fitted classifier, or a CalibratedClassifierCV of one, with ``method="temperature"`` and
        ``ensemble=False``. For a Pipeline, pass the last step; the file does not contain earlier
        steps.
    path : str or pathlib.Path
        The file, with the extension ``.onnx``.
    overwrite : bool, default=False
        Whether to replace an existing file.
    subject : object or None, default=None
        With ``adapt=True``, the key of ``subject_means_`` on whose means log powers are centred.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FileExistsError, ImportError
        If the file exists and `overwrite` is False, or the extra ``onnx`` is not installed.
    TypeError, ValueError
        If the classifier is of another kind or not fitted, if it adapts to subjects and `subject`
        is unknown, or if path has another extension.
    RuntimeError
        If the exported network gives different probabilities. No file is written.

    Notes
    -----
    Epochs must be in the unit of `fit`, which is microvolts after a fit on `mne.Epochs`, and have
    channels in the order of `fit`. The model properties of the file contain the names of classes
    and channels, the sampling rate and the unit, as JSON. For use with torch alone,
    ``torch.export.export( classifier.net_.module_, ...)`` makes a program that returns logits.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, onnxruntime
    >>> from skeegformer import EEGTransformerClassifier, export_network
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(20, 4, 160)).astype(np.float32), np.arange(20) % 2
    >>> classifier = EEGTransformerClassifier(max_epochs=2, sfreq=160.0, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export_network(classifier, folder + "/network.onnx")
    ...     session = onnxruntime.InferenceSession(path)
    >>> (probabilities,) = session.run(None, {"epochs": X[:3]})
    >>> probabilities.shape
    (3, 2)
    """
    path = check_output_file(path, (".onnx",), overwrite)
    steps, classifier, network = freeze(classifier, subject, "An exported network", "cpu")
    if steps:
        raise ValueError(
            f"The steps in front of the classifier ({', '.join(name for name, _ in steps)}) would "
            "not be in the file; export the last step alone, pipeline[-1], and prepare epochs "
            "with the others."
        )
    needed = ("onnx", "onnxscript", "onnxruntime")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"ONNX needs {' and '.join(missing)}, which is not installed: pip install "
            "'skeegformer[onnx]'."
        )
    import onnxruntime

    metadata = {
        "producer": f"skeegformer {version('skeegformer')}",
        "classes": classifier.classes_.tolist(),
        "ch_names": classifier.ch_names_,
        "sfreq": classifier.sfreq_,
        "n_times": classifier.n_times_,
        "unit": "uV" if classifier.info_ is not None else "as the arrays in fit",
        "subject": subject,
    }
    epochs = _typical_epochs(classifier)
    with torch.no_grad():
        expected = network(epochs).numpy()
    with _quiet(), replacing(path) as temporary:
        program = torch.export.export(
            network,
            (epochs[:2],),
            dynamic_shapes={_INPUT: {0: torch.export.Dim(_BATCH)}},
            strict=False,
        )
        onnx_program = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            optimize=False,  # it takes 1e-8 for 0
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_shapes={_INPUT: {0: _BATCH}},
        )
        properties = {name: json.dumps(value, default=str) for name, value in metadata.items()}
        onnx_program.model.metadata_props.update(properties)
        onnx_program.save(temporary)
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        for batch in (epochs[:1], epochs):
            (found,) = session.run([_OUTPUT], {_INPUT: batch.numpy()})
            difference = float(np.abs(found - expected[: len(batch)]).max())
            if not difference <= _AGREEMENT:  # NaN is not either
                raise RuntimeError(
                    f"The exported network gives probabilities that differ by {difference:.1g} "
                    "from those of the classifier, and is not written. This is an error in "
                    "skeegformer or in torch's export: please report it, with the versions of "
                    "torch and onnx."
                )
    return path


def _typical_epochs(classifier):
    """Draw noise about as loud as the training epochs, flat in a channel, and silent altogether."""
    generator = torch.Generator().manual_seed(0)
    n_chans = classifier.n_chans_
    noise = torch.randn(5, n_chans, classifier.n_times_, generator=generator)
    mixture = torch.randn(n_chans, n_chans, generator=generator)
    noise[2:4] = mixture @ noise[2:4] / n_chans**0.5
    noise[3, 0] = 0
    noise[4] = 0
    return classifier._input_scale * noise


@contextmanager
def _quiet():
    """Keep to itself what torch's exporter says of its own parts, inside a with block."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
