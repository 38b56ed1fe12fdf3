"""Recordings of EEGMMI, prepared as in the table of cross-subject scores, for other benchmarks."""

SUBJECTS = (1, 2, 3, 4, 5, 6, 7, 8, 56, 58, 60, 62)


def prepared(task, subjects, start=0.0):
    """Load a task, filter, resample and crop it: epochs, labels, the subject of each epoch."""
    from skeegformer.baselines import benchmark_pipelines
    from skeegformer.evaluation.tasks import load_benchmark_task

    X, y, metadata = load_benchmark_task(task, subjects)
    preparation = benchmark_pipelines("strict", task=task)["chance"][:2]
    return preparation.fit_transform(X).crop(start), y, metadata["subject"].to_numpy()


def in_band(task, band, start=0.0):
    """Load a task of those subjects, in one band, for maps: epochs, labels, subjects."""
    from skeegformer import load_eegmmi

    X, y, metadata = load_eegmmi(task, subjects=SUBJECTS)
    X = X.filter(*band, method="iir", verbose="ERROR").resample(80.0, verbose="ERROR").crop(start)
    return X, y, metadata["subject"].to_numpy()


def unprepared(pipeline):
    """Take the steps of a pipeline of the table that come after that preparation."""
    return pipeline[2:]


def unprepared_pipelines(information, task, names):
    """Make pipelines of the table by name, of the steps that come after that preparation."""
    from skeegformer.baselines import benchmark_pipelines

    pipelines = benchmark_pipelines(information, task=task)
    return {name: unprepared(pipelines[name]) for name in names}
