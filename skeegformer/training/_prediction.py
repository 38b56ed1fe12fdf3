"""What a fitted classifier of a network predicts."""

import torch
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from skeegformer._utils.settings import usual_torch
from skeegformer._validation import batches_of, validate_eeg, validate_groups, validate_weights
from skeegformer.preprocessing._base import EpochsMixin
from skeegformer.training._net import check_finite


class PredictionMixin(EpochsMixin):
    """Logits, probabilities and labels, perhaps of subjects that the network is told."""

    # Only who adapts to subjects wants to know whom the epochs to predict come from, and says so.
    __metadata_request__predict = {"groups": False}  # noqa: RUF012
    __metadata_request__predict_proba = {"groups": False}  # noqa: RUF012
    __metadata_request__decision_function = {"groups": False}  # noqa: RUF012
    __metadata_request__score = {"groups": False}  # noqa: RUF012

    _uses_subjects = False  # whether the network is told whom epochs come from

    def decision_function(self, X, groups=None):
        """Compute the logits of epochs.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs, MappedEpochs or array-like
            Epochs as in `fit`; channels may come in another order where they have names.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, of use for classifiers that adapt to them (``adapt=True``). None takes the
            column ``subject`` of the metadata of Epochs; where there is none, all epochs are one
            subject. Reaches the classifier in a Pipeline by metadata routing:
            ``set_predict_proba_request(groups=True)``, and so for each method.

        Returns
        -------
        ndarray of shape (n_epochs,) or (n_epochs, n_classes)
            Logits; for two classes the log odds of the second.
        """
        logits = self._logits(X, groups)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X, groups=None):
        """Compute the probability of each class.

        Parameters
        ----------
        X, groups : object
            As in `decision_function`.

        Returns
        -------
        ndarray of shape (n_epochs, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        return torch.softmax(torch.from_numpy(self._logits(X, groups)), dim=1).numpy()

    def predict(self, X, groups=None):
        """Predict the class of each epoch.

        Parameters
        ----------
        X, groups : object
            As in `decision_function`.

        Returns
        -------
        ndarray of shape (n_epochs,)
            Members of ``classes_``.
        """
        logits = self._logits(X, groups)
        return self.classes_[logits.argmax(axis=1)]

    def score(self, X, y, sample_weight=None, groups=None):
        """Compute the accuracy.

        Parameters
        ----------
        X, groups : object
            As in `decision_function`.
        y : array-like of shape (n_epochs,)
            True labels.
        sample_weight : array-like of shape (n_epochs,) or None, default=None
            What each epoch counts.

        Returns
        -------
        float
            Share of right predictions.
        """
        predicted = self.predict(X, groups)
        weights = validate_weights(sample_weight, len(predicted))
        return accuracy_score(y, predicted, sample_weight=weights)

    def _logits(self, X, groups=None):
        if not hasattr(self, "net_"):  # in no time, unlike what follows
            check_is_fitted(self, "net_")
        eeg = validate_eeg(self, X, reset=False, lazy=True)
        with usual_torch():
            return self._logits_of(eeg.data, self._subjects_of(eeg, groups))

    def _subjects_of(self, eeg, groups):
        """Find whom epochs come from, where that counts."""
        if not self._uses_subjects:
            return None
        return validate_groups(eeg.subjects if groups is None else groups, len(eeg.data))

    @torch.no_grad()
    def _logits_of(self, data, subjects):
        # Not by skorch's loader, which takes as long for one epoch as the network does.
        network, device = self.net_.module_, self.net_.device
        if network.training:  # asked for first: it takes its time
            network.eval()
        logits = []
        for x in batches_of(data, self.net_.batch_size):
            signal = torch.as_tensor(x).contiguous()  # else the last bits depend on the layout
            logits.append(network(signal.to(device)).cpu())
        return check_finite(torch.cat(logits).numpy())
