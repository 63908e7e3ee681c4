"""Runs of the ``diffem`` command as NumPy arrays."""

from __future__ import annotations

import json
import tomllib
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

__all__ = ["Run", "RunError", "load", "show"]

# Standard errors by which a lap may be worse than the best one and still be chosen, as in the command.
_TOLERANCE = 2.0


class RunError(ValueError):
    """A file of a run is missing or holds something else; the message names it and says what to do."""


def load(path: str | PathLike[str], lap: int | None = None) -> Run:
    """Opens the run in the directory ``path`` at its best lap, or at ``lap`` (0 is the start).

    The best lap is the one that ``diffem sample`` uses: the last lap whose held-out energy score is not
    significantly worse than the best one before it. Raises :class:`RunError` if there is no run or no such
    finished lap.
    """
    return Run(Path(path), lap)


class Run:
    """A run. Each file is read when its attribute is first used."""

    def __init__(self, path: Path, lap: int | None = None) -> None:
        if not (path / "config.toml").is_file():
            raise RunError(f"{path} is not a run directory: it has no config.toml; make one with `diffem train`")
        #: Directory of the run.
        self.path = path
        #: Finished laps in ascending order; 0 is the start.
        self.laps = _finished(path)
        #: Lap of :attr:`reconstructions`.
        self.lap = self._chosen() if lap is None else self._checked(lap)

    def __repr__(self) -> str:
        return f"<diffem run {self.path}, lap {self.lap} of {self.laps[-1]}>"

    @cached_property
    def config(self) -> dict:
        """The resolved configuration from ``config.toml``."""
        path = self.path / "config.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: expected TOML ({error}); restore the file") from error

    @cached_property
    def metrics(self) -> list[dict]:
        """The events of ``metrics.jsonl``, one dict per line; empty before the first event."""
        return _lines(self.path / "metrics.jsonl")

    @cached_property
    def reconstructions(self) -> np.ndarray:
        """Reconstructions of lap :attr:`lap`, ``[n, d]``, one row per observation."""
        return _array(self.path / f"lap-{self.lap:03}" / "reconstructions.safetensors", "x", 2)

    @cached_property
    def observations(self) -> dict[str, np.ndarray]:
        """``y`` ``[n, m]`` and, where the channel has parameters, ``a`` ``[n, ...]``."""
        arrays = _arrays(self.path / "observations.safetensors")
        if "y" not in arrays:
            raise RunError(f"{self.path / 'observations.safetensors'}: expected an array `y`; restore the file")
        return arrays

    @cached_property
    def names(self) -> list[str] | None:
        """The file of each observation in the order of the rows; ``None`` if they have no files of their own."""
        path = self.path / "names.txt"
        return path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else None

    @cached_property
    def truth(self) -> dict[str, np.ndarray] | None:
        """The clean signals by name (``x``, ``test_x``, ...); ``None`` if they are unknown."""
        path = self.path / "truth.safetensors"
        return _arrays(path) if path.exists() else None

    def draws(self, path: str | PathLike[str]) -> np.ndarray:
        """Draws ``[n, draws, d]``, or ``[draws, d]`` of a prior, from a file that ``diffem sample`` wrote."""
        advice = f"write it with `diffem sample {self.path} --out {path}`"
        return _array(Path(path), "x", (2, 3), advice)

    def _checked(self, lap: int) -> int:
        if lap not in self.laps:
            raise RunError(f"lap {lap} is not finished: {self.path} has laps {self.laps[0]} to {self.laps[-1]}")
        return lap

    def _chosen(self) -> int:
        laps = [line for line in self.metrics if line["event"] == "lap" and line["lap"] > 0]
        excess = [line["monitor"]["excess"] if line["monitor"] else 0.0 for line in laps]
        good = [line["lap"] for line, more in zip(laps, excess) if more <= _TOLERANCE]
        least = laps[excess.index(min(excess))]["lap"] if laps else None
        best = good[-1] if good else least
        return best if best in self.laps else self.laps[-1]


def _finished(path: Path) -> list[int]:
    """Finished laps of the run in ``path``."""
    found = (done.parent.name.removeprefix("lap-") for done in path.glob("lap-*/DONE"))
    laps = sorted(int(number) for number in found if number.isdecimal())
    if not laps:
        raise RunError(f"{path} has no finished lap yet: continue it with `diffem resume {path}`")
    return laps


def _lines(path: Path) -> list[dict]:
    """The lines of ``path``. An incomplete last line, which a killed process leaves, is skipped."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    lines, whole = [], text.splitlines()
    for number, line in enumerate(whole, 1):
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(whole) or text.endswith("\n"):
                raise RunError(f"{path}: line {number}: expected JSON; restore or delete that line") from error
    return lines


def _arrays(path: Path, advice: str = "restore the file") -> dict[str, np.ndarray]:
    """All arrays of a ``.safetensors`` or ``.npz`` file."""
    if not path.is_file():
        raise RunError(f"{path} is missing; {advice}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (SafetensorError, ValueError, OSError, EOFError, AttributeError) as error:
        raise RunError(f"{path}: expected a .safetensors or .npz file ({error}); {advice}") from error


def _array(path: Path, name: str, axes: int | tuple[int, ...], advice: str = "restore the file") -> np.ndarray:
    """Array ``name`` of ``path``, whose number of axes must be one of ``axes``."""
    array = _arrays(path, advice).get(name)
    expected = (axes,) if isinstance(axes, int) else axes
    if array is None or array.ndim not in expected:
        found = "no such array" if array is None else f"one with {array.ndim}"
        wanted = " or ".join(map(str, expected))
        raise RunError(f"{path}: expected an array `{name}` with {wanted} axes, found {found}; {advice}")
    return array


# At the end, because it needs the names above.
from .widget import show  # noqa: E402
