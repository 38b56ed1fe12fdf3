"""``skeegformer benchmark``: all pipelines on unseen subjects, resumed where it was stopped."""

import argparse
import json
import os
import sys
import textwrap
import warnings
from contextlib import contextmanager
from pathlib import Path

from skeegformer._utils.files import replacing
from skeegformer.cli._arguments import check_jobs, number_list, recorded
from skeegformer.cli._files import claim_folder

_DESCRIPTION = """\
Score classifiers on subjects of PhysioNet's EEG Motor Movement/Imagery Dataset that they were not
trained on. Every finished fit is kept in DIR at once: after an interruption the same command goes
on where it was, and fits that failed are tried again.
"""
_TASKS = """\
tasks:
  baseline-eyes           eyes open or closed, at rest
  fist-imagination        left or right fist, imagined
  fist_feet-imagination   both fists or both feet, imagined
  four-class-imagination  left fist, right fist, both fists or both feet, imagined
  fist-motion             left or right fist, moved
  fist_feet-motion        both fists or both feet, moved
  all                     the first four

protocols:
  leave-one-subject-out   each subject is tested by a model of all others
  4-fold                  the subjects in four parts, each tested by the others; any number
  fixed-split             trained on subjects 1-70, tested on 90-109; 71-89, set apart for
                          validation, are not used

information about the test subjects:
  strict                  none
  transductive            their unlabelled epochs, which are aligned (Euclidean alignment)
  calibrated              the first few labelled epochs of each, which join the training and
                          alone decide on the alignment

files in DIR:
  scores.csv              a row for each pipeline, seed and test subject
  table.md                the table that is printed as well
  settings.json           what DIR was started with; other settings need another DIR
  fits/                   finished fits

pipelines:
"""
_EXAMPLES = """
examples:
  skeegformer benchmark --task baseline-eyes --jobs 4
  skeegformer benchmark --task all --information strict transductive --seeds 0-2 --output results
  skeegformer benchmark --task four-class-imagination --protocol fixed-split --subjects all

Recordings lie where MNE_DATA points, or in ~/mne_data. Exit code: 0 when all went well, 1 when
fits failed, 2 when the input was at fault.
"""


def add_parser(commands):
    """Describe the command's arguments.

    Parameters
    ----------
    commands : argparse subparsers
        Where to add them.
    """
    parser = commands.add_parser(
        "benchmark",
        help="score all pipelines on unseen subjects of recorded data, and resume",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action=_Help, help="show this help and exit")
    parser.add_argument(
        "--task", nargs="+", default=["all"], metavar="TASK", help="see below (default: all)"
    )
    parser.add_argument(
        "--protocol",
        default="leave-one-subject-out",
        help="who is trained on and who is tested, see below (default: %(default)s)",
    )
    parser.add_argument(
        "--information",
        nargs="+",
        choices=("strict", "transductive", "calibrated"),
        default=["strict"],
        metavar="KIND",
        help="strict, transductive, calibrated, or several of them; each has its own table "
        "(default: strict)",
    )
    parser.add_argument(
        "--pipelines",
        nargs="+",
        metavar="NAME",
        help="pipelines to compare, see below (default: all of them)",
    )
    parser.add_argument(
        "--subjects",
        type=_subjects,
        default="recorded",
        metavar="LIST",
        help="subjects such as 1-8 or 1,2,5-9, or all; missing recordings are downloaded. "
        "'recorded' takes those on this machine (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds",
        type=number_list,
        default="0",
        metavar="LIST",
        help="seeds such as 0-2; each repeats the pipelines that are random (default: %(default)s)",
    )
    parser.add_argument(
        "--calibration-epochs",
        type=int,
        default=5,
        metavar="N",
        help="for calibrated: epochs of each class to train on (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=-1,
        metavar="N",
        help="processes to train in, each with one thread; -1, the default, for one per core",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("skeegformer-benchmark"),
        metavar="DIR",
        help="folder for the results; one that was begun with the same settings is continued "
        "(default: %(default)s)",
    )
    parser.set_defaults(run=_run)


class _Help(argparse.Action):
    """Print the help with the names of the pipelines, which take a while to import."""

    def __init__(self, option_strings, dest, help=None):
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser, namespace, values, option_string=None):
        from skeegformer.baselines import BENCHMARK_PIPELINES

        quoted = [f"'{name}'" if " " in name else name for name in BENCHMARK_PIPELINES]
        names = textwrap.fill(
            "  ".join(name.replace(" ", "\0") for name in quoted),
            96,
            initial_indent="  ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        parser.epilog = _TASKS + names.replace("\0", " ") + "\n" + _EXAMPLES
        parser.print_help()
        parser.exit()


def _run(args):
    from skeegformer.evaluation import load_benchmark_task, run_benchmark
    from skeegformer.evaluation.protocols import make_protocol

    check_jobs(args.jobs)
    tasks = _tasks(args.task)
    names = _pipeline_names(args.pipelines, tasks[0])
    # In the environment, because it has to reach the processes that train as well.
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    subjects = {task: _subjects_of(task, args.subjects) for task in tasks}
    expected = range(1, 110) if isinstance(args.subjects, str) else args.subjects
    protocol = make_protocol(args.protocol, expected)
    for task in tasks:
        protocol.folds(subjects[task])  # refuses what cannot be split before anything is loaded
    _begin(
        args.output,
        {
            "--task": tasks,
            "--protocol": args.protocol,
            "--information": list(dict.fromkeys(args.information)),
            "--pipelines": names,
            "--subjects": subjects,
            "--seeds": list(args.seeds),
            "--calibration-epochs": args.calibration_epochs,
        },
    )

    def load(task):
        X, y, metadata = load_benchmark_task(task, subjects[task])
        print(f"{task}: {len(y)} epochs of {len(subjects[task])} subjects", flush=True)
        return X, y, metadata

    def make(kind, task):
        from skeegformer.baselines import benchmark_pipelines

        made = benchmark_pipelines(kind, task=task)
        return {name: made[name] for name in names}

    try:
        with _plain_warnings():
            result = run_benchmark(
                make,
                load,
                tasks,
                protocol=protocol,
                information=list(dict.fromkeys(args.information)),
                seeds=args.seeds,
                n_calibration=args.calibration_epochs,
                store=args.output / "fits",
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


def _tasks(names):
    """Check the tasks; "all" stands for four."""
    from skeegformer.evaluation.tasks import BENCHMARK_TASKS, STANDARD_TASKS

    if names == ["all"]:
        return list(STANDARD_TASKS)
    for name in names:
        if name not in BENCHMARK_TASKS:
            raise ValueError(
                f"--task {name} is unknown; the tasks are {', '.join(BENCHMARK_TASKS)}, or all on "
                "its own."
            )
    return list(dict.fromkeys(names))


def _pipeline_names(names, task):
    """Check the names of pipelines, in the order of the benchmark."""
    from skeegformer.baselines import BENCHMARK_PIPELINES, benchmark_pipelines
    from skeegformer.baselines.braindecode import BraindecodeClassifier

    for name in names or ():
        if name not in BENCHMARK_PIPELINES:
            raise ValueError(
                f"--pipelines {name!r} is unknown; there are "
                f"{', '.join(map(repr, BENCHMARK_PIPELINES))}."
            )
    chosen = [name for name in BENCHMARK_PIPELINES if not names or name in names]
    made = benchmark_pipelines("strict", task=task)
    borrowed = [
        name
        for name in chosen
        if any(isinstance(part, BraindecodeClassifier) for part in made[name].get_params().values())
    ]
    if not borrowed or _has_braindecode():
        return chosen
    what = f"braindecode: pip install 'skeegformer[braindecode]' for {', '.join(borrowed)}"
    if names:
        raise ValueError(f"There is no usable {what}.")
    print(f"Without {what}.")
    return [name for name in chosen if name not in borrowed]


def _has_braindecode():
    """Tell whether braindecode is installed, and with a torch that it can be imported with."""
    try:
        import braindecode.models  # noqa: F401
    except Exception:  # a mismatch of torch and torchaudio raises all kinds
        return False
    return True


def _subjects(text):
    """Read a list of subjects, "all" or "recorded"."""
    return text if text in ("all", "recorded") else number_list(text)


def _subjects_of(task, subjects):
    """Tell which subjects of a task to load."""
    from skeegformer.datasets._tasks import check_subjects

    if subjects == "recorded":
        return recorded([task])
    return check_subjects(None if subjects == "all" else subjects)


def _begin(folder, settings):
    """Begin a folder, or continue one that was begun with the same settings."""
    path = folder / "settings.json"
    claim_folder(folder)

    def begin():
        with replacing(path) as file:
            file.write_text(json.dumps(settings, indent=1))

    if not path.exists():
        taken = [str(folder / name) for name in ("scores.csv", "table.md", "fits")]
        taken = [name for name in taken if Path(name).exists()]
        if taken:
            raise ValueError(
                f"{' and '.join(taken)} exist already, and not from a benchmark; name another "
                "--output."
            )
        return begin()
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise ValueError(f"{path} cannot be read; name another --output.")
    if before.keys() == settings.keys() and not any((folder / "fits").glob("*.json")):
        return begin()  # stopped before anything was finished that other settings could spoil
    for option, value in settings.items():
        if before.get(option) != value:
            raise ValueError(
                f"--output {folder} was begun with {option} {_short(before.get(option))}, not "
                f"{_short(value)}; repeat its settings to go on, or name another folder."
            )


def _short(value):
    """Write a setting in a few words."""
    from skeegformer.evaluation._subjects import name_subjects

    if isinstance(value, dict):
        return "; ".join(f"{name_subjects(part)} ({task})" for task, part in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _report(result, folder):
    """Print the tables and write the files."""
    from skeegformer.evaluation.benchmark import describe_failures
    from skeegformer.evaluation.protocols import describe_missing
    from skeegformer.evaluation.tables import scores_table

    absent = "".join(f"{task}: {describe_missing(m)}\n" for task, m in result.missing.items())
    print("\n" + scores_table(result.scores, format="text") + ("\n" + absent if absent else ""))
    table = scores_table(result.scores, format="markdown")
    table += "".join(f"\n{line}\n" for line in absent.splitlines())
    if len(result.failures):
        lines = "".join(
            f"\n- {' '.join(line.split())}" for line in describe_failures(result.failures)
        )
        table += f"\nNot in the table, since these fits failed:\n{lines}\n"
    csv, markdown = folder / "scores.csv", folder / "table.md"
    with replacing(csv) as path:
        result.scores.to_csv(path, index=False)
    with replacing(markdown) as path:
        path.write_text(table, encoding="utf-8")
    print(f"Wrote {csv} and {markdown}")


@contextmanager
def _plain_warnings():
    """Show our own warnings as sentences, without the line of code that they come from."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(message, category, filename, lineno, file=None, line=None):
            if category is UserWarning:
                print(f"skeegformer: warning: {message}", file=sys.stderr)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = tell
        yield
