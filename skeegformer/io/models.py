"""Models on the disk, without pickle: to open a file never runs anything that is in it."""

import warnings
from pathlib import Path

from skeegformer._utils.files import check_output_file
from skeegformer._utils.settings import usual_torch
from skeegformer.io._checkpoints import load_checkpoint
from skeegformer.io._estimators import EstimatorDecoder, EstimatorEncoder
from skeegformer.io._format import SUFFIX, read_file, write_file


@usual_torch()
def save_model(model, path, *, overwrite=False):
    """Save a classifier or a Pipeline, fitted or not, to a file without pickle.

    Parameters
    ----------
    model : estimator
        An `EEGTransformerClassifier`, another estimator of this package, a
        :class:`~sklearn.pipeline.Pipeline` of them, or a
        :class:`~sklearn.calibration.CalibratedClassifierCV` around either.
    path : str or pathlib.Path
        The file, with the extension ``.safetensors``.
    overwrite : bool, default=False
        Whether an existing file may be replaced, which is atomic.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If the model is or contains an estimator of another package, such as CSP, or was given
        another network.
    ValueError, OSError
        If the extension differs, or the file exists and may not be replaced or cannot be written.

    Warns
    -----
    UserWarning
        If parameters cannot be saved, such as callbacks, a RandomState or the cache of a Pipeline.
        Their default values are saved instead.

    See Also
    --------
    load_model : Loads the file.

    Notes
    -----
    The file has the format of safetensors, with everything except arrays as JSON. Of the
    measurement info, names, types, rate, bad channels, positions and fiducials are kept. No
    recordings are saved, but with ``adapt=True`` or `EuclideanAlignment`, the names of subjects in
    `fit` are.

    Examples
    --------
    >>> import tempfile
    >>> from skeegformer import EEGTransformerClassifier, load_model, make_simulated_eeg, save_model
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, n_epochs=20, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_model(classifier, f"{folder}/model.safetensors")
    ...     loaded = load_model(path)
    >>> bool((loaded.predict_proba(X) == classifier.predict_proba(X)).all())
    True
    """
    path = check_output_file(path, (SUFFIX,), overwrite)
    if not hasattr(model, "fit"):
        raise TypeError(f"{model!r} is no estimator; an EEGTransformerClassifier is one.")
    encoder = EstimatorEncoder()
    content = encoder.encode(model)
    for note in encoder.notes:
        warnings.warn(note, UserWarning, stacklevel=3)
    write_file(path, "model", content, encoder.arrays)
    return path


@usual_torch()
def load_model(path, *, modules=()):
    """Load a saved model or a checkpoint of eeg-transformer, without executing code from the file.

    Parameters
    ----------
    path : str or pathlib.Path
        A ``.safetensors`` file of `save_model`, or a ``.ckpt`` file of eeg-transformer [1]_.
    modules : sequence of type, default=()
        Network classes of a saved `NetworkClassifier`, since a file contains only their names.

    Returns
    -------
    estimator
        The estimator, with the same parameters and predictions. Its net is on the same device as
        before or, with a warning, on the CPU. A checkpoint is loaded as an
        `OriginalTransformerClassifier`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model, is incomplete or modified, or is from an unsupported version of
        skeegformer or eeg-transformer.

    See Also
    --------
    save_model : Saves a model; contains an example.

    Notes
    -----
    A checksum detects damage; it is not a signature and does not show who wrote a file.

    Probabilities and attention of a checkpoint are the original's; ``original_`` has its
    hyperparameters. X must be an array like the original's input, in the same unit (volts for data
    from MNE), without ignored channels, and with the first ``used_data_length`` samples only.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0
    """
    path = Path(path).expanduser()
    if not all(isinstance(module, type) for module in modules):
        raise TypeError(f"modules={modules!r} has to hold the classes of networks.")
    if path.suffix == ".ckpt":
        return load_checkpoint(path)
    return read_file(
        path,
        "model",
        lambda content, arrays: EstimatorDecoder(arrays, modules).decode_estimator(**content),
    )
