"""One number per channel from a fitted estimator, or a sentence on why there is none."""

from operator import attrgetter

import numpy as np

from skeegformer.preprocessing._base import SignalTransformer


def check_getter(getter):
    if not isinstance(getter, str) and not callable(getter):
        raise ValueError(
            f"importance_getter={getter!r} is neither 'auto', nor the name of an attribute, nor a "
            "function of the fitted estimator, X and y."
        )


def channel_importances(estimator, getter, X, y, *, n_chans, ch_names, norm_order):
    """Read the importance of each channel of X from an estimator fitted on X.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    getter : "auto", str or callable
        As in `ChannelSelector`.
    X, y : object
        What a callable gets.
    n_chans : int
        Number of EEG channels of X.
    ch_names : list of str or None
        Their names, where known.
    norm_order : int
        Which norm makes one number of a channel's coefficients for several classes.

    Returns
    -------
    ndarray of float64 of shape (n_chans,)
        In the order of the channels of X; more is better.

    Raises
    ------
    ValueError
        If there is not one finite number for each channel of X.
    """
    _refuse_other_order(_steps(estimator)[0], ch_names)
    if getter == "auto" and getattr(_steps(estimator)[-1], "_fitted_flat", False):
        return np.ones(1)  # the only channel; networks give no importances of samples
    if callable(getter):
        what, values = "importance_getter", getter(estimator, X, y)
    else:
        if getter == "auto":
            holder, attribute = _find_importances(estimator)
        else:
            holder, attribute = estimator, getter
        _refuse_changed_channels(estimator, ch_names)
        what = f"{attribute} of {type(holder).__name__}"
        try:
            values = attrgetter(attribute)(holder)
        except AttributeError as error:
            raise ValueError(
                f"importance_getter={getter!r} is no attribute of the fitted "
                f"{type(estimator).__name__}: {error}."
            ) from error
        if attribute.endswith("coef_"):  # their signs are directions, not ranks
            values = np.asarray(values, dtype=np.float64)
            is_matrix = values.ndim == 2
            values = np.linalg.norm(values, ord=norm_order, axis=0) if is_matrix else abs(values)
    return _checked(np.asarray(values, dtype=np.float64), what, X, n_chans, ch_names)


def _steps(estimator):
    """List what a Pipeline is made of; any other estimator is its own only step."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not hasattr(estimator, "steps"):
        return [estimator]
    return [step for _, step in estimator.steps if step is not None and step != "passthrough"]


def _find_importances(estimator):
    """Find which attribute of an estimator, or of a Pipeline's last step, has importances."""
    *before, last = _steps(estimator)
    for step in before:
        # Behind a spatial filter, six importances are of its components, not of six channels.
        if not isinstance(step, SignalTransformer):
            raise ValueError(
                f"What comes out of {type(step).__name__} need not be the channels of X, so the "
                f"importances of {type(last).__name__} behind it may be of something else. If "
                "they are of the channels, say so with importance_getter="
                "'named_steps.<name of the step>.feature_importances_'; otherwise pass a function "
                "as importance_getter, for example one that measures permutation importance."
            )
    for attribute in ("feature_importances_", "coef_"):
        if hasattr(last, attribute):
            return last, attribute
    raise ValueError(
        f"{type(last).__name__} has neither feature_importances_ nor coef_, so it does not say "
        "which channels matter. Take another estimator, or pass a function of the fitted "
        "estimator, X and y as importance_getter."
    )


def _refuse_other_order(first, ch_names):
    """Raise where an estimator that came fitted knows other channels, or another order."""
    fitted = getattr(first, "ch_names_", None)
    if fitted is None or ch_names is None or list(fitted) == list(ch_names):
        return
    name = type(first).__name__
    missing = [ch_name for ch_name in fitted if ch_name not in ch_names]
    extra = [ch_name for ch_name in ch_names if ch_name not in fitted]
    if not missing and not extra:
        raise ValueError(
            f"X has the channels of the fitted {name} in another order; bring them into its order "
            "with epochs.reorder_channels."
        )
    raise ValueError(
        f"X has {len(ch_names)} channels, but the {name} was fitted with {len(fitted)}"
        + (f"; missing: {', '.join(missing)}" if missing else "")
        + (f"; extra: {', '.join(extra)}" if extra else "")
        + ". Pick the same ones, or fit it anew with prefit=False."
    )


def _refuse_changed_channels(estimator, ch_names):
    """Raise where a step inside a Pipeline drops channels or changes their order."""
    for step in _steps(estimator):
        entered = getattr(step, "ch_names_", None)
        if entered is None:
            continue
        if ch_names is not None and list(entered) != list(ch_names):
            _refuse_inside(estimator, entered)
        # Arrays have no names that a later step could be known by. Epochs have more than EEG.
        kept = getattr(step, "kept_ch_names_", None) or entered
        kept = [name for name in kept if name in entered]
        if kept != list(entered):
            _refuse_inside(estimator, kept)


def _refuse_inside(estimator, inside):
    raise ValueError(
        f"The {type(estimator).__name__} changes the channels of X inside itself, so that its "
        f"importances are of {', '.join(inside)}. Move the step that does so in front of the "
        "selection, or pass a function as importance_getter that returns one number for each "
        "channel of X."
    )


def _checked(values, what, X, n_chans, ch_names):
    if values.shape != (n_chans,):
        if getattr(X, "ndim", 3) == 2:
            hint = "2-D X is epochs of one channel; pass shape (n_epochs, n_chans, n_times)."
        else:
            hint = (
                "There has to be one for each: fit with the same channels, move steps that change "
                "the channels in front of the selection, or pass a function as importance_getter."
            )
        plural = "" if n_chans == 1 else "s"
        raise ValueError(
            f"{what} has shape {values.shape}, but X has {n_chans} channel{plural}. {hint}"
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"{what} is {values[bad[0]]} for {len(bad)} of {n_chans} channels, the first of them "
            f"{ch_names[bad[0]] if ch_names else bad[0]}; channels cannot be ranked by that."
        )
    return values
