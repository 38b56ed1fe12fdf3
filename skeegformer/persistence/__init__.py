"""Models on the disk, without pickle, and those of eeg-transformer."""

from skeegformer.persistence.models import load_model, save_model

__all__ = ["load_model", "save_model"]
