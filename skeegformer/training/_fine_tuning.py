"""Training that goes on with a few epochs of somebody new, and stays close to where it began."""

import copy
import time

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skeegformer._utils.settings import seeded_torch
from skeegformer._validation import (
    check_count,
    check_positive,
    refuse_single_class,
    validate_eeg,
    validate_groups,
    validate_labels,
)
from skeegformer.training._net import class_weights

N_STEPS = 50
LR_FACTOR = 0.3  # of the learning rate of `fit`
# Of half the squared distance to the weights before: keeps what few epochs say nothing about.
PULL = 1.0
_BATCH_NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm


class FineTuningMixin:
    """Let a fitted classifier of a network go on training with epochs of somebody new."""

    def fine_tune(self, X, y, groups=None, *, n_steps=N_STEPS, lr=None):
        """Fine-tune the fitted classifier on a few labelled epochs of a new subject.

        Training starts from the present weights, is short, and penalises the distance from them
        (L2-SP [1]_), so that a few epochs change what is specific to the subject, above all
        the threshold between the classes. Standardisation and ``feature_importances_`` do not
        change. With ``adapt=True``, the mean of a new subject is
        learnt from these epochs and added to ``subject_means_``.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs as for `predict`; about 5 of each class already help.
        y : array-like of shape (n_epochs,)
            Labels, with at least two of ``classes_``. Other classes are left out of the loss.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, as in `fit`; only used with ``adapt=True``.
        n_steps : int, default=50
            Number of training steps.
        lr : float or None, default=None
            Initial learning rate, which decays to 0. None for 0.3 times the classifier's `lr`.

        Returns
        -------
        self
            The same classifier, with new weights; the training epochs are added to ``history_``. To
            keep the original, fine-tune a `copy.deepcopy`.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If X is inconsistent with that of `fit`, y has a new label or a single class, a
            parameter is out of range, or training diverges. The classifier is then unchanged, as it
            is after an interruption.

        References
        ----------
        .. [1] Li, Grandvalet and Davoine (2018), Explicit inductive bias for transfer learning
           with convolutional networks. ICML. arXiv:1802.01483

        Examples
        --------
        >>> import copy
        >>> from skeegformer import EEGTransformerClassifier, make_simulated_eeg
        >>> X, y, metadata, truth = make_simulated_eeg(3, 20, random_state=0)
        >>> is_new = (metadata["subject"] == 3).to_numpy()
        >>> classifier = EEGTransformerClassifier(max_epochs=5, random_state=0)
        >>> classifier = classifier.fit(X[~is_new], y[~is_new])
        >>> first = is_new.nonzero()[0][:10]
        >>> own = copy.deepcopy(classifier).fine_tune(X[first], y[first])
        >>> len(classifier.history_), len(own.history_)
        (5, 55)
        """
        check_is_fitted(self, "net_")
        self._check_parameters()
        check_count("n_steps", n_steps, 1)
        lr = LR_FACTOR * self.lr if lr is None else lr
        check_positive("lr", lr)
        eeg = validate_eeg(self, X, reset=False)
        codes = self._codes_of_known(*validate_labels(self, y, len(eeg.data)))
        groups = validate_groups(groups, len(eeg.data))
        subjects = self._subjects_of(eeg, groups)

        with seeded_torch(check_random_state(self.random_state).randint(2**31 - 1)):
            # Explanations of before keep the net they are of. Callbacks may hold open files.
            callbacks = {id(callback): callback for _, callback in self.net_.callbacks_}
            net = copy.deepcopy(self.net_, callbacks)
            network = net.module_.eval()
            forward, parameters, inputs, learnt = self._tunable(network, eeg.data, subjects)
            options = {"n_steps": n_steps, "lr": lr, "batch_size": int(self.batch_size)}
            rows = tune(forward, parameters, self._criterion_for(codes), inputs, codes, **options)
        network.eval()
        if not all(value.isfinite().all() for value in network.state_dict().values()):
            raise ValueError(
                f"The fine-tuning diverged: its loss is {rows[-1]['train_loss']}, and the "
                f"classifier stays as it was. Lower lr (now {lr}), or look for extreme values in X."
            )
        vars(self).update(learnt)
        self.net_, self.history_ = net, net.history
        for row in rows:
            self.history_.new_epoch()
            for name, value in {"epoch": len(self.history_), **row}.items():
                self.history_.record(name, value)
        return self

    def _tunable(self, network, data, subjects):
        """Say what is trained: function, parameters, its inputs, and new fitted attributes."""
        network.train()
        for module in network.modules():
            # A handful of epochs would overwrite what it has gathered from thousands.
            if isinstance(module, _BATCH_NORMS):
                module.eval()
        return network, list(network.parameters()), torch.from_numpy(data), {}

    def _criterion_for(self, targets):
        """Give the loss of `fit`; with classes that are balanced, balanced anew."""
        criterion = self.net_.criterion_
        if not isinstance(self.class_weight, str):
            return criterion
        weight = class_weights(self.class_weight, self.classes_, targets)
        return type(criterion)(weight=weight.to(criterion.weight.device))

    def _codes_of_known(self, classes, codes):
        """Encode labels by the classes of `fit`, and refuse others."""
        labels, known = classes.tolist(), self.classes_.tolist()
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise ValueError(
                f"y has the label {unknown[0]!r}, but this {type(self).__name__} was fitted with "
                f"{', '.join(map(repr, known))}; leave those epochs out, or fit with them."
            )
        refuse_single_class(classes)
        return np.array([known.index(label) for label in labels])[codes]


def tune(forward, parameters, criterion, inputs, targets, *, n_steps, lr, batch_size):
    """Train parameters from the values that they have, with a pull towards them (L2-SP).

    `forward` gives logits, (batch, n_outputs) or (batch, n_outputs, n_groups), of some of the
    `inputs`; `targets` are an ndarray of int64. Only the classes among them compete in the loss: of
    the others these epochs say nothing, and to push their logits down would unlearn them. Gives
    ``train_loss``, the pull left out, and ``dur``, the seconds, for each training epoch.
    """
    device = parameters[0].device
    inputs, targets = inputs.to(device), torch.from_numpy(targets).to(device)
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.Adam(parameters, lr=lr, fused=device.type in ("cpu", "cuda"))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    absent = None
    rows_of_history, step = [], 0
    while step < n_steps:
        start, losses, sizes = time.perf_counter(), [], []
        for rows in torch.randperm(len(inputs)).to(device).split(batch_size)[: n_steps - step]:
            logits = forward(inputs[rows])
            if absent is None:
                absent = torch.ones(logits.shape[1], dtype=torch.bool, device=device)
                absent[targets] = False
            mask = absent.reshape(-1, *[1] * (logits.ndim - 2))
            loss = criterion(logits.masked_fill(mask, -torch.inf), targets[rows])
            moved = sum(
                (now - then).square().sum() for now, then in zip(parameters, before, strict=True)
            )
            optimizer.zero_grad()
            (loss + 0.5 * PULL * moved).backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            sizes.append(len(rows))
        step += len(sizes)
        loss = float(np.average(losses, weights=sizes))
        rows_of_history.append({"train_loss": loss, "dur": time.perf_counter() - start})
    return rows_of_history
