"""Methods by which a classifier saves and loads itself."""


def ask_for_the_original_shape(original, shape):
    """Say how epochs for a network of eeg-transformer come to have its shape.

    Parameters
    ----------
    original : dict
        Its hyperparameters.
    shape : tuple of int
        What was given, (n_epochs, n_chans, n_times).

    Returns
    -------
    str
        A sentence, or nothing where the shape does not tell.
    """
    n_chans, n_times = original["num_channels"], original["epoch_length"]
    ignored, used = original["ignore_channels"], original.get("used_data_length")
    if shape[1:] == (n_times, n_chans):
        return "Samples come last here: pass X.transpose(0, 2, 1)."
    advice = []
    if ignored and shape[1] == n_chans:
        advice.append(
            f"The original ignored {len(ignored)} of {n_chans} channels: pass "
            f"np.delete(X, {ignored}, axis=1)."
        )
    if used is not None and shape[2] == n_times:
        advice.append(
            f"The original used the first {used} of {n_times} samples: pass X[:, :, :{used}]."
        )
    return " ".join(advice)


class SavingMixin:
    """Save and load without pickle; `skeegformer.persistence` does the work.

    It knows all estimators, this one among them, and so is imported when it is asked for.
    """

    def save(self, path, *, overwrite=False):
        """Save the classifier, fitted or not, as one file without pickle.

        Parameters
        ----------
        path : str or pathlib.Path
            Where to, with the ending ``.safetensors``. A description of the same name is written
            beside it, with the ending ``.json``.
        overwrite : bool, default=False
            Whether files that are there may be replaced.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        TypeError, ValueError, OSError
            As by `save_model`.

        See Also
        --------
        skeegformer.save_model : Saves a Pipeline as well.

        Examples
        --------
        >>> import tempfile
        >>> from skeegformer import EEGTransformerClassifier
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = EEGTransformerClassifier(n_heads=5).save(f"{folder}/model.safetensors")
        ...     EEGTransformerClassifier.load(path)
        EEGTransformerClassifier(n_heads=5)
        """
        from skeegformer.persistence import save_model

        return save_model(self, path, overwrite=overwrite)

    @classmethod
    def load(cls, path):
        """Read a classifier that was saved, or a checkpoint of eeg-transformer.

        Nothing in the file is executed.

        Parameters
        ----------
        path : str or pathlib.Path
            A file of `save`, ending in ``.safetensors``; or, ending in ``.ckpt``, what PyTorch
            Lightning kept of a training of eeg-transformer [1]_.

        Returns
        -------
        estimator
            Of this class; fitted if it was.

        Raises
        ------
        TypeError
            If the file holds another model, such as a Pipeline; `load_model` reads it.
        FileNotFoundError, ValueError
            As by `load_model`. Also if a checkpoint was not made by eeg-transformer, or by a
            version of it with another network, or does not tell its hyperparameters.

        See Also
        --------
        skeegformer.load_model : Reads a Pipeline as well.

        Notes
        -----
        A checkpoint becomes an `OriginalTransformerClassifier` with the same weights, so that
        probabilities and attention are the same. Conditions become ``classes_``, in order.
        Hyperparameters that the checkpoint lacks are taken from a ``hparams.yaml`` beside it or one
        folder above.

        X has to be what the original was given, prepared alike and in the same unit (volts if it
        was trained on what MNE gives), as an array of shape (n_epochs, n_chans, n_times): without
        the channels that it ignored (``ignore_channels``), and, where it used a part of each epoch
        (``used_data_length``), that first part. ``original_`` is a dict with its hyperparameters.

        ``history_`` is empty. `fit` trains the network anew, with the hyperparameters of the
        checkpoint.

        References
        ----------
        .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
           Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0
        """
        from skeegformer.persistence import load_model

        model = load_model(path)
        if not isinstance(model, cls):
            raise TypeError(
                f"{path} holds a {type(model).__name__}, no {cls.__name__}: read it with "
                "skeegformer.load_model."
            )
        return model
