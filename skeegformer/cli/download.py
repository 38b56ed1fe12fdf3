"""``skeegformer download``: recordings from PhysioNet, cut into one memory-mapped file."""

from pathlib import Path

from skeegformer.cli._arguments import count, expanded, number_list

HELP = "download recordings and write their epochs to a memory-mapped file"
DESCRIPTION = """\
Download missing recordings of PhysioNet's EEG Motor Movement/Imagery Dataset, cut all recordings
into epochs of equal length, and write these to a memory-mapped file, which can be larger than
memory when a classifier is trained on it.
"""
EPILOG = """\
tasks: baseline-eyes (open or closed, at rest), fist-motion, fist-imagination (left or right),
fist_feet-motion, fist_feet-imagination (both fists or both feet), or all of them: all

Output files are raw-....dat (float32: epochs x samples x channels, in volts), label-....csv
(subject, condition, session, run and task of each epoch) and head-....json (channels, rate, unit,
filters and counts), for `skeegformer train --data` and, in Python,
`skeegformer.load_memmap`. The first two have the format of eeg-transformer's download_data.py.

examples:
  skeegformer download --task baseline-eyes --subjects 1-10
  skeegformer download --task fist-imagination fist_feet-imagination --subjects 1-20 \\
      --window 3 --h-freq 40 --output imagery

The recordings of all 109 subjects take 3.4 GB. They are stored in the folder MNE_DATA, or in
~/mne_data. Output files are written atomically. Exit codes: 0 for success, 2 for invalid
input.
"""


def _subjects(text):
    """Read a list of subjects; None is for all."""
    return None if text == "all" else number_list(text)


def add_options(parser):
    """Add the options of this command."""
    add = parser.add_argument
    add("--task", nargs="+", default=["all"], help="see below (default: all)")
    add("--subjects", type=_subjects, help="such as 1-8 or 1,2,5-9 (default: all 109)")
    folder = Path("skeegformer-data")
    add("--output", type=expanded, default=folder, help="folder (default: %(default)s)")
    add("--name", help="last part of the file names (default: the tasks)")
    add("--window", type=float, default=2.0, help="epoch length in s (default: %(default)s)")
    add("--l-freq", type=float, help="lower cutoff in Hz, applied before epoching")
    add("--h-freq", type=float, help="upper cutoff in Hz, applied before epoching")
    add("--resample", type=float, help="new sampling rate in Hz (default: 160, as recorded)")
    add("--zscore", action="store_true", help="standardise each channel of each epoch")
    add("--overwrite", action="store_true", help="replace an export of the same name and length")


def run(args):
    """Run the command."""
    from skeegformer import export_memmap, load_memmap

    names = ("name", "window", "l_freq", "h_freq", "resample", "zscore", "overwrite")
    options = {name: getattr(args, name) for name in names}
    task = "all" if args.task == ["all"] else args.task
    try:
        path = export_memmap(task, args.output, args.subjects, verbose=True, **options)
    except FileExistsError as error:
        raise FileExistsError(str(error).replace("overwrite=True", "--overwrite")) from error
    X, _, metadata = load_memmap(path)
    n_epochs, n_chans, n_times = X.shape
    print(
        f"\n{n_epochs} epochs of {count(metadata['subject'].nunique(), 'subject')}, {n_chans} "
        f"channels x {n_times} samples at {X.sfreq:g} Hz ({n_times / X.sfreq:g} s), in "
        f"{'volts' if X.unit == 'V' else X.unit + 's'}, {X.nbytes / 1e6:.1f} MB"
    )
    for task, rows in metadata.groupby("task", sort=False):
        counts = rows["condition"].value_counts(sort=False)
        print(f"  {task}: " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    print(f"Wrote {path}, and its labels and header beside it.")
    print(f'Read it with skeegformer.load_memmap("{path}")')
    return 0
