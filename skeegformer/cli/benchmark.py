"""``skeegformer benchmark``: all pipelines on unseen subjects, resumed where it was stopped."""

import json
import sys
import warnings
from pathlib import Path

from skeegformer._utils.files import replacing
from skeegformer.cli._arguments import expanded, n_processes, number_list, recorded
from skeegformer.cli._files import claim_folder, write_table
from skeegformer.datasets._tasks import BENCHMARK_TASKS, STANDARD_TASKS

HELP = "score pipelines on held-out subjects of a dataset, or resume a benchmark"
DESCRIPTION = """\
Score pipelines on held-out subjects of PhysioNet's EEG Motor Movement/Imagery Dataset. Every
finished fit is saved immediately: after an interruption, the same command continues where it
stopped, and repeats fits that failed.
"""
EPILOG = """\
tasks: baseline-eyes (eyes open or closed, at rest), fist-imagination (left or right),
fist_feet-imagination (both fists or both feet), four-class-imagination (all four movements), and,
with executed movements, fist-motion and fist_feet-motion. "all" stands for the first four.

protocols:
  leave-one-subject-out   each subject is tested with a model trained on all others
  4-fold                  cross-validation over subjects, with any number of folds
  fixed-split             trained on subjects 1-70, tested on 90-109; 71-89 are not used

information about the test subjects:
  strict                  none
  transductive            their unlabelled epochs, for Euclidean alignment or adaptation
  calibrated              the first few labelled epochs of each, which are added to training and
                          are the only ones used for alignment

files in the folder --output: scores.csv, with a row for each pipeline, seed and test subject;
table.md, as printed; settings.json; and fits.jsonl, the finished fits

examples:
  skeegformer benchmark --task baseline-eyes --jobs 4
  skeegformer benchmark --task all --information strict transductive --seeds 0-2 --output results
  skeegformer benchmark --task four-class-imagination --protocol fixed-split --subjects all

Recordings are in the folder MNE_DATA, or in ~/mne_data. Exit codes: 0 for success, 1 if fits
failed, 2 for invalid input.
"""


def _subjects(text):
    return text if text in ("all", "recorded") else number_list(text)


def add_options(parser):
    """Add the options of this command."""
    add = parser.add_argument
    tasks = (*BENCHMARK_TASKS, "all")
    add("--task", nargs="+", choices=tasks, default=["all"], help="see below (default: all)")
    add("--protocol", default="leave-one-subject-out", help="see below (default: %(default)s)")
    kinds = ("strict", "transductive", "calibrated")
    add("--information", nargs="+", choices=kinds, default=["strict"], help="default: strict")
    add("--pipelines", nargs="+", help="what to compare (default: all; 'list' prints the names)")
    add(
        "--subjects",
        type=_subjects,
        default="recorded",
        help="such as 1-8 or 1,2,5-9, or all; missing recordings are downloaded (default: "
        "recorded, for those on this machine)",
    )
    add("--seeds", type=number_list, default="0", help="random seeds, such as 0-2 (default: 0)")
    add("--calibration-epochs", type=int, default=5, help="per class (default: %(default)s)")
    add("--jobs", type=n_processes, default=-1, help="processes (default: -1, one per core)")
    folder = Path("skeegformer-benchmark")
    add("--output", type=expanded, default=folder, help="folder for results (default: %(default)s)")


def run(args):
    """Run the command."""
    from skeegformer.baselines import BENCHMARK_PIPELINES, benchmark_pipelines
    from skeegformer.evaluation import load_benchmark_task, run_benchmark

    if args.pipelines == ["list"]:
        print("\n".join(BENCHMARK_PIPELINES))
        return 0
    tasks = list(STANDARD_TASKS) if "all" in args.task else list(dict.fromkeys(args.task))
    cv = _splitter(args.protocol)
    names = _pipeline_names(args.pipelines)
    kinds = list(dict.fromkeys(args.information))
    subjects = {task: _subjects_of(task, args.subjects, cv) for task in tasks}
    settings = {
        "--task": tasks,
        "--protocol": args.protocol,
        "--information": kinds,
        "--pipelines": names,
        "--subjects": subjects,
        "--seeds": list(args.seeds),
        "--calibration-epochs": args.calibration_epochs,
    }
    _begin(args.output, settings)

    def load(task):
        X, y, metadata = load_benchmark_task(task, subjects[task])
        print(f"{task}: {len(y)} epochs of {len(subjects[task])} subjects", flush=True)
        return X, y, metadata

    def make(kind, task):
        made = benchmark_pipelines(kind, task=task)
        return {name: made[name] for name in names}

    try:
        result = run_benchmark(
            make,
            load,
            tasks,
            cv=cv,
            information=kinds,
            seeds=args.seeds,
            n_calibration=args.calibration_epochs,
            store=args.output,
            n_jobs=args.jobs,
            verbose=1,
        )
    except RuntimeError as error:
        print(f"skeegformer: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nFinished fits are kept in {args.output}; the same command goes on there.")
        raise
    if len(result.scores):
        _report(result, args.output)
    return 1 if len(result.failures) else 0


def _splitter(name):
    """Make a splitter by its name."""
    from sklearn.model_selection import LeaveOneGroupOut

    from skeegformer.evaluation import FixedSplit

    if name in ("leave-one-subject-out", "fixed-split"):
        return FixedSplit() if name == "fixed-split" else LeaveOneGroupOut()
    number = name.removesuffix("-fold")
    if number != name and number.isdecimal() and int(number) >= 2:
        return int(number)
    raise ValueError(
        f"--protocol {name} is unknown: take leave-one-subject-out, fixed-split, or a number of "
        "folds of at least 2 such as 4-fold."
    )


def _pipeline_names(names):
    """Check the names of pipelines, and leave out those of braindecode where it is missing."""
    from skeegformer.baselines import BENCHMARK_PIPELINES
    from skeegformer.baselines.benchmark import of_braindecode

    unknown = set(names or ()) - set(BENCHMARK_PIPELINES)
    if unknown:
        raise ValueError(
            f"--pipelines {unknown.pop()!r} is unknown; there are "
            f"{', '.join(map(repr, BENCHMARK_PIPELINES))}."
        )
    chosen = [name for name in BENCHMARK_PIPELINES if not names or name in names]
    borrowed = [name for name in chosen if of_braindecode(name)]
    try:
        import braindecode.models  # noqa: F401
    except Exception:  # not installed; a mismatch of torch and torchaudio raises all kinds
        what = f"braindecode: pip install 'skeegformer[braindecode]' for {', '.join(borrowed)}"
        if names and borrowed:
            raise ValueError(f"There is no usable {what}.") from None
        if borrowed:
            print(f"Without {what}.")
        return [name for name in chosen if name not in borrowed]
    return chosen


def _subjects_of(task, subjects, cv):
    """Tell which subjects of a task to load, and refuse those that cannot be split."""
    import numpy as np

    from skeegformer.datasets._tasks import check_subjects
    from skeegformer.evaluation._splitting import split_subjects

    if subjects == "recorded":
        subjects = recorded([task])
    else:
        subjects = check_subjects(None if subjects == "all" else subjects)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said once, where it is scored
        split_subjects(cv, np.zeros(len(subjects)), np.array(subjects))
    return subjects


def _begin(folder, settings):
    """Begin a folder, or continue one that was begun with the same settings."""
    path = folder / "settings.json"
    claim_folder(folder)
    if any((folder / name).exists() for name in ("scores.csv", "table.md", "fits.jsonl")):
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            before = {}
        differ = [name for name in settings if before.get(name) != settings[name]]
        if differ:
            raise ValueError(
                f"--output {folder} has results of another benchmark ({', '.join(differ)}; see "
                f"{path.name}); repeat its settings to go on, or name another folder."
            )
    with replacing(path) as file:
        file.write_text(json.dumps(settings, indent=1))


def _report(result, folder):
    """Print the tables and write the files."""
    from skeegformer.evaluation import scores_table
    from skeegformer.evaluation._subjects import describe_failures

    print("\n" + scores_table(result.scores, format="text"))
    table = scores_table(result.scores)
    if len(result.failures):
        lines = [f"- {' '.join(line.split())}\n" for line in describe_failures(result.failures)]
        table += "\nNot in the table, since these fits failed:\n\n" + "".join(lines)
    csv, markdown = folder / "scores.csv", folder / "table.md"
    write_table(csv, result.scores)
    with replacing(markdown) as path:
        path.write_text(table, encoding="utf-8")
    print(f"Wrote {csv} and {markdown}")
