"""What ``import skeegformer`` costs and offers."""

import subprocess
import sys

import pytest

import skeegformer


def _run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "imported, heavy",
    [
        ("skeegformer", {"torch", "mne", "moabb", "matplotlib", "skorch", "sklearn"}),
        ("skeegformer.datasets", {"torch", "moabb", "matplotlib"}),
        ("skeegformer.cli; skeegformer.cli._parser()", {"torch", "mne", "moabb", "sklearn"}),
    ],
)
def test_import_is_light(imported, heavy):
    assert _run(f"import sys, {imported}; print(*{heavy} & set(sys.modules))") == ""


def test_import_is_fast():
    code = (
        "import time; t = time.perf_counter(); import skeegformer; print(time.perf_counter() - t)"
    )
    assert min(float(_run(code)) for _ in range(3)) < 0.3


def test_every_public_name_exists_and_no_other():
    for name in skeegformer.__all__:
        assert getattr(skeegformer, name) is not None
        assert name in dir(skeegformer)
    assert not hasattr(skeegformer, "no_such_name")
