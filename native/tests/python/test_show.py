"""Tests the widget of notebooks on a small run of the installed command. native/python/check.sh runs this file."""

import importlib.util
import unittest

import diffem
from small_run import command, train

SETTINGS = ["em.laps=1", "m_step.steps=5", "network.channels=[4,8]", "data.n=64"]
ANYWIDGET = importlib.util.find_spec("anywidget") is not None


class Show(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.path = train(cls, "digits", SETTINGS)
        cls.dir = cls.path.parent
        cls.elements = cls.dir / "elements"
        cls.elements.mkdir()
        (cls.elements / "diffem-elements.js").write_text("export {}")
        (cls.elements / "notes.txt").write_text("not a part of the figure")

    def test_figures_that_are_not_built_are_named(self):
        with self.assertRaisesRegex(diffem.RunError, "nowhere: expected the built figures; run `npm run build`"):
            diffem.show(self.path, elements="nowhere")

    @unittest.skipIf(ANYWIDGET, "anywidget is installed")
    def test_a_missing_anywidget_is_named(self):
        with self.assertRaisesRegex(diffem.RunError, "pip install anywidget"):
            diffem.show(self.path, elements=self.elements)

    @unittest.skipUnless(ANYWIDGET, "anywidget is not installed")
    def test_the_widget_holds_the_figure_and_the_exported_lap(self):
        figure = diffem.show(diffem.load(self.path, lap=1), examples=3, draws=8, elements=self.elements)
        self.assertEqual(figure.files, {"diffem-elements.js": b"export {}"})
        out = self.dir / "checkpoint.safetensors"
        command("export", self.path, "--web", "--examples", 3, "--lap", 1, "--out", out)
        self.assertEqual(figure.checkpoint, out.read_bytes())
        self.assertEqual(figure.draws, 8)
        self.assertIn("diffem-posterior", str(figure._esm))

    @unittest.skipUnless(ANYWIDGET, "anywidget is not installed")
    def test_a_failed_export_says_why(self):
        with self.assertRaisesRegex(diffem.RunError, "lap 7"):
            diffem.show(self.path, lap=7, elements=self.elements)
