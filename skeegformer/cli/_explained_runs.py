"""The runs that ``skeegformer explain`` is given, ours or eeg-transformer's: models and epochs."""

import glob
import re
from pathlib import Path

import numpy as np

from skeegformer.cli import _lightning as lightning
from skeegformer.cli import _run_folder as folder
from skeegformer.cli._train_options import check_options, resolve
from skeegformer.cli._training_data import check_data_options, in_file, load_data

FILES = (".ckpt", ".pt")  # of eeg-transformer


def find_runs(patterns):
    """List the runs that are meant; a shell resolves patterns itself, unless quoted."""
    paths = []
    for pattern in (str(Path(pattern).expanduser()) for pattern in patterns):
        # Path.glob takes no pattern that begins at the root.
        matches = sorted(glob.glob(pattern)) if re.search(r"[*?\[]", pattern) else [pattern]  # noqa: PTH207
        runs = [Path(match) for match in matches]
        runs = [run for run in runs if run.is_dir() or (run.is_file() and run.suffix in FILES)]
        if not runs:
            raise ValueError(f"There is no run {pattern}: no such folder.")
        paths += runs
    return list(dict.fromkeys(paths))


def load_run(run, args):
    """Load the model of a run, ours or eeg-transformer's, or what eeg-transformer explained."""
    from skeegformer.io import load_model

    if run.suffix == ".pt":
        for name in ("data", "part", "evaluate"):
            if getattr(args, name):
                raise ValueError(
                    f"--{name} needs the model, which {run} does not hold; explain the folder "
                    f"{lightning.run_of(run)} in its place."
                )
        if args.method != "rollout":
            raise ValueError(
                f"{run} holds rollout; for --method {args.method} explain the folder "
                f"{lightning.run_of(run)}."
            )
        return lightning.load_saved_attention(run, args.ch_names, args.sfreq)
    checkpoint = None if (run / folder.CONFIG).is_file() else lightning.find_checkpoint(run)
    if checkpoint is not None:
        return load_model(checkpoint)
    folder.open_run(run)
    if not (run / folder.MODEL).is_file():
        raise ValueError(
            f"{run} has no model yet; finish it first: skeegformer train --resume {run}"
        )
    return load_model(run / folder.MODEL)


def _classifier(model):
    return model[-1] if hasattr(model, "steps") else model


def refuse_different(models):
    """Refuse runs whose explanations cannot be joined, before anything is computed."""
    first = None
    for run, model in models.items():
        kind = _kind(model)
        first = first or (run, kind)
        for name, value in kind.items():
            if value != first[1][name]:
                raise ValueError(
                    f"{first[0]} and {run} have different {name}, and cannot be joined; explain "
                    "them one by one."
                )


def _kind(model):
    """Tell what has to be the same in runs that are joined."""
    if hasattr(model, "token_values"):
        shape = model.token_values.shape
        kind = {"channels": model.ch_names or shape[1], "numbers of temporal tokens": shape[2]}
        return {"networks": type(model).__name__, "classes": model.classes.tolist(), **kind}
    classifier = _classifier(model)
    return {
        "networks": type(classifier).__name__,
        "channels": classifier.ch_names_ or (classifier.n_chans_, kept_places(model)),
        "classes": classifier.classes_.tolist(),
        "numbers of temporal tokens": getattr(classifier, "n_time_tokens", None),
        "numbers of samples": classifier.n_times_,
    }


def kept_places(model):
    """List the places of the channels that a model keeps of those in an export; None for all."""
    if hasattr(model, "original_"):
        theirs = model.original_
        return np.setdiff1d(np.arange(theirs["num_channels"]), theirs["ignore_channels"]).tolist()
    return model["drop"].kept_channels_ if "drop" in getattr(model, "named_steps", ()) else None


def read_epochs(run, model, args):
    """Load the epochs of a run, or others, and find out the channels of its network."""
    import mne

    if hasattr(model, "original_"):
        if len(args.data or ()) > 1:
            raise ValueError(f"--data names {len(args.data)} files; {run} takes one export.")
        path = args.data and args.data[0]
        return lightning.load_original_data(model, path, args.ch_names, args.sfreq)
    config = folder.open_run(run)
    options = check_options(config["options"], run / folder.CONFIG)
    options = resolve({}, options, config.get("preset", "default"))
    names = ("ch_names", "sfreq", "groups")
    given = {name: getattr(args, name) for name in names if getattr(args, name)}
    if args.data:
        given |= {"data": args.data, "task": None, "labels": None, "subjects": None}
        check_data_options(dict.fromkeys(options) | given)
    options |= given
    X, y, metadata = load_data(options)
    if not in_file(X):
        return X.__getitem__, y, metadata, None
    if X.info is not None and _classifier(model).ch_names_ is not None:

        def read(rows):
            return X[rows].to_epochs(metadata.iloc[rows].reset_index(drop=True))

        return read, y, metadata, None
    # Names that the training did not know are those of the channels that were kept.
    kept = kept_places(model)
    info = X.info if X.info is None or kept is None else mne.pick_info(X.info, kept)
    return lambda rows: X[rows].load(), y, metadata, info


def find_trained_on(run, model, subjects, args):
    """Tell which epochs are of subjects that the run was trained on; None where it is not known.

    They are known by their names, which people of other data can have as well.
    """
    is_original = hasattr(model, "original_")
    names = (lightning if is_original else folder).training_subjects(lightning.run_of(run))
    if names is None:
        return None
    trained_on = np.isin(subjects.astype(str), list(names))
    known = np.unique(subjects[trained_on].astype(str)).tolist()
    n_subjects = len(np.unique(subjects))
    if known:
        shown = ", ".join([*known[:10], "..."] if len(known) > 10 else known)
        what, same = "these subjects", ""
        if args.data:  # of which only names tell
            what, same = "subjects with these names", "if they are the same people, "
        print(
            f"{run} was trained on {what}: {shown} ({len(known)} of {n_subjects}); {same}their "
            "scores and maps show what was memorised.",
            flush=True,
        )
    return trained_on


def choose_epochs(run, model, y, metadata, args):
    """Choose the epochs to explain."""
    part = args.part
    if part == "all" or (part is None and args.data):
        return np.arange(len(y))
    if hasattr(model, "original_"):
        subjects = metadata["subject"].to_numpy()
        held_out = lightning.read_held_out(lightning.run_of(run), subjects)
    else:
        held_out = folder.read_split(run, y, metadata)
    if part is None and not held_out.any():
        return np.arange(len(y))
    chosen = np.flatnonzero(held_out == (part != "training"))
    if not len(chosen):
        raise ValueError(f"{run} held out no epochs; pass --part all.")
    return chosen
