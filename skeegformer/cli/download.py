"""``skeegformer download``: recordings from PhysioNet, cut into one memory-mapped file."""

import argparse
import os
from pathlib import Path

from skeegformer.cli._arguments import count, number_list

_DESCRIPTION = """\
Download recordings of PhysioNet's EEG Motor Movement/Imagery Dataset that are not on this machine
yet, cut them into epochs of equal length, and write these to one file that is read piece by piece,
so that a classifier can be trained on more than fits into memory.
"""
_EPILOG = """\
tasks:
  baseline-eyes           eyes open or closed, at rest; windows that do not overlap
  fist-motion             left or right fist, moved; an epoch from each cue on
  fist-imagination        left or right fist, imagined
  fist_feet-motion        both fists or both feet, moved
  fist_feet-imagination   both fists or both feet, imagined
  all                     all of them

files in DIR, where N is the number of epochs, L of samples in each, and NAME the tasks or --name:
  raw-nsamp_N-eplen_L-NAME.dat     float32, little-endian: epochs x samples x channels, in volts;
                                   with --zscore it is called raw-nsamp_N-eplen_L-norm-NAME.dat
  label-nsamp_N-eplen_L-NAME.csv   subject, stage (always -1), condition, session, run and task of
                                   each epoch
  head-nsamp_N-eplen_L-NAME.json   names and positions of the channels, rate, unit, filters, counts
                                   and checksums of both other files
The first two are laid out as those of eeg-transformer's download_data.py. To read them in Python:
  X, y, metadata = skeegformer.load_memmap("DIR/raw-nsamp_N-eplen_L-NAME.dat")

examples:
  skeegformer download --task baseline-eyes --subjects 1-10
  skeegformer download --task fist-imagination fist_feet-imagination --subjects 1-20 \\
      --window 3 --h-freq 40 --output imagery
  skeegformer download --task all --zscore --output everything

All 109 subjects take 3.4 GB of recordings, which are kept where MNE_DATA points, or in
~/mne_data. Files in DIR are there as a whole or not at all, also after an interruption. Exit code:
0 when all went well, 2 when the input was at fault.
"""

# What the functions call their parameters, in the words of the command line.
_IN_OTHER_WORDS = {
    "overwrite=True": "--overwrite",
    "or another name.": "or another --name.",
    "give as `path` the folder that contains": "let MNE_DATA name the folder that contains",
}


def add_parser(commands):
    """Describe the command's arguments.

    Parameters
    ----------
    commands : argparse subparsers
        Where to add them.
    """
    parser = commands.add_parser(
        "download",
        help="download recordings and write their epochs to a memory-mapped file",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--task", nargs="+", default=["all"], metavar="TASK", help="see below (default: all)"
    )
    parser.add_argument(
        "--subjects",
        type=_subjects,
        default="all",
        metavar="LIST",
        help="subjects such as 1-8 or 1,2,5-9, or all 109 of them (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("skeegformer-data"),
        metavar="DIR",
        help="folder for the files; made if it is missing (default: %(default)s)",
    )
    parser.add_argument(
        "--name", help="last part of the files' names (default: the tasks that were asked for)"
    )
    parser.add_argument(
        "--window",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="length of an epoch, for every task (default: %(default)s)",
    )
    parser.add_argument(
        "--l-freq",
        type=float,
        metavar="HZ",
        help="lower limit of the pass band; recordings are filtered before they are cut "
        "(default: none)",
    )
    parser.add_argument(
        "--h-freq", type=float, metavar="HZ", help="upper limit of the pass band (default: none)"
    )
    parser.add_argument(
        "--resample", type=float, metavar="HZ", help="new sampling rate (default: 160, as recorded)"
    )
    parser.add_argument(
        "--zscore",
        action="store_true",
        help="give every channel of every epoch mean 0 and standard deviation 1",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an export of the same name and epoch length that is in DIR already",
    )
    parser.set_defaults(run=_run)


def _run(args):
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    from skeegformer import export_memmap, load_memmap
    from skeegformer.cli._files import claim_folder

    if args.output.exists():
        claim_folder(args.output)
    task = args.task if len(args.task) > 1 or args.task != ["all"] else "all"
    try:
        path = export_memmap(
            task,
            args.output,
            None if args.subjects == "all" else args.subjects,
            window=args.window,
            l_freq=args.l_freq,
            h_freq=args.h_freq,
            resample=args.resample,
            zscore=args.zscore,
            name=args.name,
            overwrite=args.overwrite,
            verbose=True,
        )
    except (FileExistsError, FileNotFoundError) as error:
        text = str(error)
        for python, option in _IN_OTHER_WORDS.items():
            text = text.replace(python, option)
        raise type(error)(text) from error
    X, y, metadata = load_memmap(path)
    _report(path, X, y, metadata)
    return 0


def _subjects(text):
    """Read a list of subjects, or "all"."""
    return text if text == "all" else number_list(text)


def _report(path, X, y, metadata):
    """Say what was written."""
    from skeegformer.datasets._memmap_files import sister

    n_epochs, n_chans, n_times = X.shape
    n_subjects = metadata["subject"].nunique()
    print(
        f"\n{n_epochs} epochs of {count(n_subjects, 'subject')}, {n_chans} channels "
        f"x {n_times} samples at {X.sfreq:g} Hz ({n_times / X.sfreq:g} s), in "
        f"{'volts' if X.unit == 'V' else X.unit + 's'}, {_size(X.nbytes)}"
    )
    width = metadata["task"].str.len().max()
    for task, rows in metadata.groupby("task", sort=False):
        counts = rows["condition"].value_counts(sort=False)
        print(f"  {task:{width}}  " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    print("Wrote")
    for file in (path, sister(path, "label"), sister(path, "head")):
        print(f"  {file}")
    print(f'Read it with skeegformer.load_memmap("{path}")')


def _size(n_bytes):
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
