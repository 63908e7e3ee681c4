"""The posterior of a run as an interactive figure in notebooks."""

from __future__ import annotations

import subprocess
import tempfile
from os import PathLike
from pathlib import Path

from . import Run, RunError

_HERE = Path(__file__).parent


def show(
    run: Run | str | PathLike[str],
    lap: int | None = None,
    *,
    examples: int = 16,
    draws: int = 16,
    elements: str | PathLike[str] | None = None,
):
    """A widget that samples the posterior of a run of images, in the notebook's own browser.

    ``run`` is a run or its directory, ``lap`` the lap to show (by default the best one, or that of a :class:`Run`),
    ``examples`` the number of its observations to choose from and ``draws`` the number of draws. ``elements`` is the
    directory of the built figures, ``web/site/dist/diffem`` in the sources; released wheels contain it. Raises
    :class:`RunError` if the figures or anywidget are missing or if the run cannot be exported.
    """
    path, lap = (run.path, run.lap if lap is None else lap) if isinstance(run, Run) else (Path(run), lap)
    files = _files(Path(elements) if elements is not None else _HERE / "elements")
    figure = _figure_class()
    return figure(files=files, checkpoint=_exported(path, lap, examples), draws=draws)


def _files(elements: Path) -> dict[str, bytes]:
    if not (elements / "diffem-elements.js").is_file():
        raise RunError(
            f"{elements}: expected the built figures; run `npm run build` in web/site and pass elements='web/site/dist/diffem'"
        )
    return {file.name: file.read_bytes() for file in elements.iterdir() if file.suffix in (".js", ".wasm")}


def _exported(path: Path, lap: int | None, examples: int) -> bytes:
    """The bytes of the checkpoint that ``diffem export --web`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "checkpoint.safetensors"
        words = ["diffem", "export", path, "--web", "--examples", examples, "--out", out]
        words += [] if lap is None else ["--lap", lap]
        try:
            subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise RunError(error.stderr.strip()) from error
        return out.read_bytes()


def _figure_class():
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise RunError("a figure in a notebook needs anywidget: pip install anywidget") from error

    class Figure(anywidget.AnyWidget):
        _esm = _HERE / "widget.js"
        files = traitlets.Dict().tag(sync=True)
        checkpoint = traitlets.Bytes().tag(sync=True)
        draws = traitlets.Int().tag(sync=True)

    return Figure
