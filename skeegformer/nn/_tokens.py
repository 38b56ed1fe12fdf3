"""Between tokens and channels, for networks whose tokens are segments of channels."""


def tokens_to_channels(values, n_chans, n_time_tokens=1):
    """Turn one value per token into one value per channel and temporal token.

    Parameters
    ----------
    values : Tensor or ndarray of shape (..., n_tokens)
        A value for each token, with the class token (``1 + n_chans * n_time_tokens``
        values; the first is left out) or without (``n_chans * n_time_tokens``).
    n_chans : int
        Number of channels.
    n_time_tokens : int, default=1
        Number of temporal tokens of each channel.

    Returns
    -------
    Tensor or ndarray of shape (..., n_chans, n_time_tokens)
        The values, channel by channel.

    Raises
    ------
    ValueError
        If the number of tokens fits neither way.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.nn import tokens_to_channels
    >>> tokens_to_channels(np.array([9, 0, 1, 10, 11]), n_chans=2, n_time_tokens=2)
    array([[ 0,  1],
           [10, 11]])
    """
    n_tokens = n_chans * n_time_tokens
    if values.shape[-1] == n_tokens + 1:
        values = values[..., 1:]
    if values.shape[-1] != n_tokens:
        raise ValueError(
            f"values has {values.shape[-1]} tokens, but {n_chans} channels with {n_time_tokens} "
            f"temporal tokens each make {n_tokens}, or {n_tokens + 1} with the class token."
        )
    return values.reshape(*values.shape[:-1], n_chans, n_time_tokens)
