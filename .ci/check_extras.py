"""Install every extra in an environment of its own, import what it brings, and fit a classifier.

``--if-changed``: only where pyproject.toml asks for something else than at the last check that
passed, of which ``extras-checked`` is the record. Names of extras: only those, without a record.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

root = Path(__file__).resolve().parent.parent
record = root / ".ci" / "extras-checked"
project = tomllib.loads(root.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
documentation = root.joinpath("docs", "install.rst").read_text(encoding="utf-8")
install = re.search(r'pip install .*"\.\[\w+\]"', documentation)[0]

# A CPU build of torch, where one lies at hand, saves the download of several GB of CUDA.
CPU_TORCH = 'pip install --quiet "torch==2.13.0" 2>/dev/null || true'
IMPORTED_AS = {"pytest-xdist": "xdist"}  # others: by their name, with underscores
USE = """
import importlib, importlib.metadata, skeegformer
for name in {packages}:
    importlib.import_module({imported_as}.get(name, name.replace("-", "_")))
    print(" ", name, importlib.metadata.version(name))
X, y, *_ = skeegformer.make_simulated_eeg(n_subjects=2, random_state=0)
classifier = skeegformer.{classifier}
assert len(classifier.fit(X, y).predict(X)) == len(y)
"""


def packages(extra):
    """List what an extra, and the extras that it includes, bring."""
    found = []
    for requirement in extras[extra]:
        name, included = re.match(r"([\w.-]+)(?:\[(.*?)\])?", requirement).groups()
        if name == project["name"]:
            found += [package for other in included.split(",") for package in packages(other)]
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def check(extra, folder):
    """Install, import and fit, or end with a line that names the extra."""
    python = folder / "venv" / "bin"
    environment = os.environ | {"PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}

    def run(what, command, cwd=folder):
        if subprocess.run(command, shell=True, cwd=cwd, env=environment).returncode:
            sys.exit(f"extra {extra!r}: {what} failed")

    classifier = "EEGTransformerClassifier(max_epochs=2, random_state=0)"
    run("making an environment", "python3 -m venv venv")
    if extra == "braindecode":  # has a torch of its own
        classifier = 'make_baseline("eegnet", max_epochs=2, random_state=0)'
    else:
        run("installing torch", CPU_TORCH)
    run("installing", re.sub(r"\[\w+\]", f"[{extra}]", install) + " -qq", cwd=root)
    code = USE.format(packages=packages(extra), imported_as=IMPORTED_AS, classifier=classifier)
    folder.joinpath("use.py").write_text(code, encoding="utf-8")
    run("importing or fitting", "python use.py")


asked = json.dumps([project["dependencies"], extras])
digest = hashlib.sha256(asked.encode()).hexdigest() + "\n"
arguments = sys.argv[1:]
if arguments == ["--if-changed"]:
    if record.exists() and record.read_text(encoding="utf-8") == digest:
        sys.exit()
    arguments = []
for extra in arguments or extras:
    print(f"extra {extra}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        check(extra, Path(folder))
    print(f"  {time.monotonic() - start:.0f} s", flush=True)
if not arguments:
    record.write_text(digest, encoding="utf-8")
