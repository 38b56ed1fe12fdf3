"""Run ``python -m skeegformer``."""

import sys

from skeegformer.cli import main

if __name__ == "__main__":
    sys.exit(main())
