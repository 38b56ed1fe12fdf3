"""Print one of the two commands of the README: ``demo`` or ``test``."""

import re
import sys
from pathlib import Path

readme = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
commands = re.findall(r"```(?:bash|shell)\n(pip install .*?)\n```", readme, re.DOTALL)
wanted = {"demo": "skeegformer demo", "test": "pytest"}[sys.argv[1]]
print(next(command for command in commands if wanted in command))
