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
    """Save a classifier or a Pipeline, fitted or not, as one file without pickle.

    Parameters
    ----------
    model : estimator
        An `EEGTransformerClassifier`, another estimator of this package, a
        :class:`~sklearn.pipeline.Pipeline` of them, or a
        :class:`~sklearn.calibration.CalibratedClassifierCV` around either.
    path : str or pathlib.Path
        Where to, with the ending ``.safetensors``.
    overwrite : bool, default=False
        Whether a file that is there may be replaced, as a whole or not at all.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If the model is, or holds, an estimator of another package, such as CSP, or was given
        another network.
    ValueError, OSError
        If the ending is another one, there is such a file that may not be replaced, or it cannot
        be written.

    Warns
    -----
    UserWarning
        Of parameters that cannot be saved, such as callbacks, a RandomState or the cache of a
        Pipeline; the file has their default values, None for these.

    See Also
    --------
    load_model : Reads it.

    Notes
    -----
    The file is in the format of safetensors, and everything but arrays is a JSON text in it. Of
    measurement info, names, types, rate, bad channels, positions and fiducials are kept. Recordings
    are not, but with ``adapt=True``, and by `EuclideanAlignment`, the names of subjects in `fit`.

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
    """Read a model that was saved, or a checkpoint of eeg-transformer; nothing in it is executed.

    Parameters
    ----------
    path : str or pathlib.Path
        A file of `save_model`, ending in ``.safetensors``; or, ending in ``.ckpt``, what PyTorch
        Lightning kept of a training of eeg-transformer [1]_.
    modules : sequence of type, default=()
        Classes of the networks of a `NetworkClassifier`, of which a file has the names alone.

    Returns
    -------
    estimator
        As it was: equal parameters, equal predictions, and its net on the device where it was, or,
        with a warning, on the CPU. A checkpoint becomes an `OriginalTransformerClassifier`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no model, is incomplete or was changed since, or is of another version of
        skeegformer, or of eeg-transformer, that is not understood.

    See Also
    --------
    save_model : Writes it, and has an example.

    Notes
    -----
    A checksum finds damage; it is no signature, and does not tell who wrote a file.

    A checkpoint's probabilities and attention stay the same; its hyperparameters are in
    ``original_``. X has to be an array of what the original was given, in the same unit (volts if
    it was trained on what MNE gives), without the channels that it ignored, and of the first
    ``used_data_length`` samples of each epoch.

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
