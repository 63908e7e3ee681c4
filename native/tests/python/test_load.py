"""Tests the Python module on a small run of the installed command. native/python/check.sh runs this file."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

import diffem
import numpy as np
from small_run import command, train

# Few steps and signals of length 1, so that a lap takes one second.
SETTINGS = ["em.laps=2", "m_step.steps=20", "data.n=256"]


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.path = train(cls, "gaussian", SETTINGS)
        cls.dir = cls.path.parent
        cls.run_ = diffem.load(cls.path)

    def copy(self) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.dir)) / "run"
        shutil.copytree(self.path, path)
        return path

    def refused(self, *words: str):
        return self.assertRaisesRegex(diffem.RunError, ".*".join(words))

    def test_reconstructions_are_those_of_the_lap_that_the_command_chooses(self):
        summary = json.loads((self.path / "summary.json").read_text())
        self.assertEqual(self.run_.lap, summary["best_lap"])
        self.assertEqual(self.run_.laps, [0, 1, 2])
        self.assertEqual(self.run_.reconstructions.shape, (256, 1))
        self.assertEqual(self.run_.reconstructions.dtype, np.float32)

    def test_another_lap_has_other_reconstructions(self):
        start = diffem.load(self.path, lap=0).reconstructions
        self.assertEqual(start.shape, (256, 1))
        self.assertFalse(np.array_equal(start, diffem.load(self.path, lap=2).reconstructions))
        with self.refused("lap 7 is not finished", "laps 0 to 2"):
            diffem.load(self.path, lap=7)

    def test_laps_that_are_significantly_worse_are_not_chosen(self):
        path = self.copy()
        lines = [{"event": "lap", "lap": lap, "monitor": {"excess": excess}} for lap, excess in [(1, 0.5), (2, 2.5)]]
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.assertEqual(diffem.load(path).lap, 1)

    def test_observations_truth_config_and_metrics(self):
        run = self.run_
        self.assertEqual(run.observations["y"].shape, (256, 1))
        self.assertEqual(run.truth["x"].shape, (256, 1))
        self.assertEqual(run.config["name"], "gaussian")
        self.assertEqual([line["lap"] for line in run.metrics if line["event"] == "lap"], [0, 1, 2])

    def test_draws_of_both_formats_are_the_same(self):
        arrays = []
        for name in ["draws.npz", "draws.safetensors"]:
            command("sample", self.path, "--draws", 3, "--out", self.dir / name)
            arrays.append(self.run_.draws(self.dir / name))
        self.assertEqual(arrays[0].shape, (256, 3, 1))
        np.testing.assert_array_equal(*arrays)

    def test_without_the_truth_there_is_none(self):
        path = self.copy()
        (path / "truth.safetensors").unlink()
        self.assertIsNone(diffem.load(path).truth)

    def test_errors_name_the_file_and_say_what_to_do(self):
        path = self.copy()
        with self.refused("is not a run directory", "diffem train"):
            diffem.load(self.dir)
        with self.refused("nothing.npz is missing", "diffem sample"):
            self.run_.draws(self.dir / "nothing.npz")
        (path / "observations.safetensors").write_bytes(b"torn")
        with self.refused("observations.safetensors: expected"):
            diffem.load(path).observations
        with self.refused("observations.safetensors: expected an array `x`", "diffem sample"):
            self.run_.draws(self.path / "observations.safetensors")
        with (path / "metrics.jsonl").open("a") as file:
            file.write("no JSON\n")
        with self.refused("metrics.jsonl: line", "delete that line"):
            diffem.load(path)

    def test_a_torn_last_line_of_the_metrics_is_passed_over(self):
        path = self.copy()
        with (path / "metrics.jsonl").open("a") as file:
            file.write('{"event":"m-st')
        self.assertEqual(diffem.load(path).metrics, self.run_.metrics)


if __name__ == "__main__":
    unittest.main()
