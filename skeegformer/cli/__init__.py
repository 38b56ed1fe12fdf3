"""The command ``skeegformer``."""

import argparse
import os
import sys

from skeegformer.cli import benchmark, demo, download, explain, train


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str or None, default=None
        Arguments; None takes those of the process.

    Returns
    -------
    int
        Exit code: 0 for success, 2 for invalid input.
    """
    args = _parser().parse_args(argv)
    args.words = sys.argv[1:] if argv is None else argv
    # In the environment, because it has to reach the processes that train as well.
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    os.environ["MPLBACKEND"] = "Agg"  # figures go into files, windows are not opened
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"skeegformer: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("skeegformer: interrupted.", file=sys.stderr)
        return 130


def _parser():
    from skeegformer import __version__

    parser = argparse.ArgumentParser(
        prog="skeegformer", description="Transformer classifiers for EEG, with explanations."
    )
    parser.add_argument("--version", action="version", version=f"skeegformer {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (demo, download, train, explain, benchmark):
        command = commands.add_parser(
            module.__name__.rpartition(".")[-1],
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    return parser
