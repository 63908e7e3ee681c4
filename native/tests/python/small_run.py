"""Small runs of the installed command, on which the tests beside this file work."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path


def command(*args: object) -> str:
    return subprocess.run(["diffem", *map(str, args)], check=True, capture_output=True, text=True).stdout


def train(case: type[unittest.TestCase], preset: str, settings: list[str]) -> Path:
    """Trains `preset` with `settings` in a directory that goes with the test case, and returns the run directory."""
    path = Path(tempfile.mkdtemp()) / "run"
    case.addClassCleanup(shutil.rmtree, path.parent)
    words = [word for setting in settings for word in ("--set", setting)]
    command("train", preset, *words, "--out", path, "--progress", "quiet")
    return path
