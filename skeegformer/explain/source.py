"""What an explanation was made from."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Source:
    """What an explanation was made from, for those who want to put it to the test.

    Parameters
    ----------
    classifier : EEGTransformerClassifier
        The model that was explained; a copy that a later `fit` does not change.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        The epochs as they enter its network.
    means : ndarray of shape (n_epochs, n_images, n_sources, n_windows) or None, default=None
        What log powers are centred on with ``adapt=True``.
    """

    classifier: Any
    data: np.ndarray
    means: np.ndarray | None = None

    def select(self, epochs):
        """Keep some epochs.

        Parameters
        ----------
        epochs : array-like
            Indices or a mask.

        Returns
        -------
        Source
            Of these epochs.
        """
        means = None if self.means is None else self.means[epochs]
        return replace(self, data=self.data[epochs], means=means)
