"""The network of eeg-transformer as a classifier, trained as by its own script."""

from dataclasses import field
from functools import partial
from numbers import Integral, Real

from skeegformer._validation import check_number
from skeegformer.nn.original import OriginalTransformer
from skeegformer.training import NetworkClassifier, network_estimator

_SIZES = ("n_time_tokens", "embed_dim", "n_layers", "n_heads")
_AUGMENTATION = ("drop_prob", "token_drop_prob", "crop", "noise", "shuffle_tokens")


@network_estimator
class OriginalTransformerClassifier(NetworkClassifier):
    """The network of eeg-transformer [1]_, trained as in its own script.

    Loaded checkpoints of eeg-transformer are of this class, which is also a baseline for
    `EEGTransformerClassifier`.

    Parameters
    ----------
    n_time_tokens, embed_dim, n_layers, n_heads : int, default=4, 64, 3 and 8
        Parameters of the network; see `OriginalTransformer`.
    drop_prob, token_drop_prob : float, default=0.3 and 0.1
        Parameters of the network.
    crop : int or None, default=None
        Number of consecutive samples of each epoch to use, in training from a random start, and in
        prediction the first ones. None uses all.
    noise : float, default=0.0
        Standard deviation of the noise added in training, relative to that of each channel.
    shuffle_tokens : {"none", "channels", "temporal", "all"}, default="none"
        Tokens to shuffle in training; see `OriginalTransformer`.
    max_epochs : int or "auto", default=300
        Number of training epochs.
    lr, weight_decay : float, default=5e-3 and 0.1
        Peak learning rate and weight decay of AdamW.
    warmup_steps : int, default=500
        Number of training steps in which the learning rate rises from 0.
    lr_decay : float, default=0.995
        Factor by which the learning rate is multiplied in every training epoch after the warm-up.
    class_weight : dict, "balanced" or None, default="balanced"
        Class weights in the loss.
    early_stopping : bool, default=True
        Hold out subjects, stop when their loss no longer decreases, and restore the best weights.
    validation_fraction : float, default=0.15
        Fraction of the subjects to hold out for `early_stopping`.
    n_iter_no_change : int, default=100
        Number of training epochs without a lower loss after which `early_stopping` stops.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_`` is the `OriginalTransformer`.
    original_ : dict
        After `load_model` of a checkpoint of eeg-transformer: its hyperparameters.

    References
    ----------
    .. [1] Thoelke et al. (2022), eeg-transformer. Conference on
       Cognitive Computational Neuroscience. doi:10.32470/CCN.2022.1240-0

    Examples
    --------
    >>> from skeegformer import OriginalTransformerClassifier, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = OriginalTransformerClassifier(
    ...     embed_dim=16, n_layers=2, max_epochs=2, early_stopping=False, random_state=0
    ... )
    >>> classifier.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    """

    n_time_tokens: int = 4
    embed_dim: int = 64
    n_layers: int = 3
    n_heads: int = 8
    drop_prob: float = 0.3
    token_drop_prob: float = 0.1
    crop: int | None = None
    noise: float = 0.0
    shuffle_tokens: str = "none"
    max_epochs: int | str = 300
    lr: float = 5e-3
    weight_decay: float = 0.1
    warmup_steps: int = 500
    lr_decay: float = 0.995
    class_weight: dict | str | None = "balanced"
    early_stopping: bool = True
    validation_fraction: float = 0.15
    n_iter_no_change: int = 100
    module: type = field(default=OriginalTransformer, init=False)
    module_params: None = field(default=None, init=False)

    _forgotten = ("net_", "original_")

    def _check_parameters(self):
        super()._check_parameters()
        for name in _SIZES:
            check_number(self, name, Integral, 1)
        if self.crop is not None:
            check_number(self, "crop", Integral, 1, or_else="None")
        for name in ("drop_prob", "token_drop_prob"):
            check_number(self, name, Real, 0, below=1)
        for name in ("noise", "lr_decay"):
            check_number(self, name, Real, 0)
        check_number(self, "warmup_steps", Integral, 0)

    def _lr_factor(self, max_epochs, steps_per_pass):
        return partial(
            _warm_up_and_decay,
            n_warmup=self.warmup_steps,
            decay=float(self.lr_decay),
            steps_per_pass=steps_per_pass,
        )

    def _way_out(self, eeg):
        """Say what to do with epochs that have other channels or samples than in `fit`."""
        if "original_" not in vars(self):
            return ""
        original = self.original_
        return (
            f"The original took epochs of {original['num_channels']} channels and "
            f"{original['epoch_length']} samples without the channels "
            f"{original['ignore_channels']} and with the first {self.n_times_} samples alone: pass "
            f"np.delete(X, {original['ignore_channels']}, axis=1)[:, :, :{self.n_times_}], of "
            "shape (n_epochs, n_chans, n_times)."
        )

    def _make_network(self):
        params = {name: getattr(self, name) for name in (*_SIZES, *_AUGMENTATION)}
        return OriginalTransformer, {**self._shape(), **params}


def _warm_up_and_decay(step, *, n_warmup, decay, steps_per_pass):
    """Scale the learning rate: up to 1 in the warm-up, then down at every training epoch."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return decay ** (step // steps_per_pass - max(0, n_warmup - 1) // steps_per_pass)
