#!/usr/bin/env python3
"""Breaks runs in every way that a machine can, and checks that nothing is lost: the files of a run that was killed, or
that met a full disk, a read-only directory or a failing fsync, end with the same bytes as those of an undisturbed run.

    native/tests/soak/soak.py [--kills 1000] [--seed 0] [DIFFEM]

Needs Python 3.9 or later and nothing else. The full disk needs root (a small tmpfs is mounted), the failing fsync a C
compiler; what cannot be done is named. 1000 kills take about ten minutes on two cores.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """name = "soak"
data = { kind = "gaussian", n = 512, std = [1.0, 0.5], correlation = 0.3 }
channel = [{ kind = "projection", rows = 1 }, { kind = "noise", std = 0.3 }]
em = { laps = 4 }
network = { kind = "mlp", width = 16, depth = 1, embedding = 8 }
m_step = { steps = 60, batch = 64, micro_batch = 32 }
e_step = { shard = 32, sampler = { kind = "ddpm", steps = 20 } }
monitor = { points = 64 }
report = { points = 64, save_every = 0.0, draws = 4 }
"""

# fsync and fdatasync fail from call number FAIL_FROM on.
SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <dlfcn.h>
static int failing(void) {
  static int calls = 0;
  const char *from = getenv("FAIL_FROM");
  return from && ++calls >= atoi(from);
}
int fsync(int fd) {
  static int (*real)(int);
  if (failing()) { errno = EIO; return -1; }
  if (!real) real = dlsym(RTLD_NEXT, "fsync");
  return real(fd);
}
int fdatasync(int fd) {
  static int (*real)(int);
  if (failing()) { errno = EIO; return -1; }
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  return real(fd);
}
"""


def files(run):
    """Digests of the files that a run's settings determine; times and pictures of times are left out."""
    kept = [p for p in Path(run).rglob("*") if p.suffix in (".safetensors", ".toml") and p.is_file()]
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(kept)}


class Soak:
    def __init__(self, diffem, work):
        self.diffem, self.work = str(diffem), Path(work)
        (self.work / "c.toml").write_text(CONFIG)
        self.expected = self.finished(self.work / "whole")

    def command(self, run):
        """`train`, or `resume` once the run exists."""
        begun = (run / "config.toml").exists()
        verb = ["resume", str(run)] if begun else ["train", str(self.work / "c.toml"), "--out", str(run)]
        return [self.diffem, *verb, "--progress", "quiet"]

    def run(self, run, **more):
        return subprocess.run(self.command(run), capture_output=True, text=True, check=False, **more)

    def finished(self, run):
        """Runs to the end and returns the digests."""
        done = self.run(run)
        if done.returncode != 0:
            sys.exit(f"{run}: exit code {done.returncode}\n{done.stderr}")
        return files(run)

    def same(self, run, what):
        found = self.finished(run)
        differing = sorted(k for k in self.expected.keys() | found.keys() if self.expected.get(k) != found.get(k))
        if differing:
            sys.exit(f"{what}: these files differ from those of an undisturbed run: {', '.join(differing)}")
        leftovers = [str(p) for p in run.rglob(".tmp-*")]
        if leftovers:
            sys.exit(f"{what}: left over: {', '.join(leftovers)}")
        shutil.rmtree(run)

    def refused(self, done, what):
        """A failure must be an error of the program with a message, and never a panic."""
        if done.returncode != 2 or not done.stderr.startswith("error: ") or "panicked" in done.stderr:
            sys.exit(f"{what}: exit code {done.returncode}, expected 2 and a message\n{done.stderr}")

    def kills(self, count, rng):
        """Kills runs at random moments, `count` times in all."""
        killed, runs = 0, 0
        while killed < count:
            run = self.work / f"killed-{runs}"
            runs += 1
            while killed < count:
                child = subprocess.Popen(self.command(run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(rng.uniform(0.0, 0.35))
                child.send_signal(signal.SIGKILL)
                if child.wait() == 0:
                    break
                killed += 1
            self.same(run, f"kill {killed}")
        return f"{killed} kills in {runs} runs: the same bytes, nothing left over"

    def full_disk(self):
        """Trains on ever larger tmpfs; each run ends with an error, and ends as undisturbed once there is room."""
        if os.geteuid() != 0:
            return "full disk: not run, needs root"
        at, met = self.work / "disk", 0
        at.mkdir()
        for kilobytes in range(64, 1100, 60):
            mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(at)]
            if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
                return "full disk: not run, tmpfs cannot be mounted here"
            try:
                done = self.run(at / "run")
                if done.returncode != 0:
                    self.refused(done, f"full disk of {kilobytes} kB")
                    met += 1
                subprocess.run(["mount", "-o", "remount,size=64m", str(at)], check=True)
                self.same(at / "run", f"full disk of {kilobytes} kB")
            finally:
                subprocess.run(["umount", str(at)], check=True)
        return f"full disk: met {met} times, then the same bytes"

    def read_only(self):
        run = self.work / "read-only"
        self.finished(run)
        (run / "lap-004" / "state.safetensors").unlink()
        if os.geteuid() == 0:
            if subprocess.run(["mount", "--bind", str(run), str(run)], capture_output=True, check=False).returncode != 0:
                return "read-only directory: not run, nothing can be mounted here"
            subprocess.run(["mount", "-o", "remount,ro,bind", str(run)], check=True)
            undo = ["umount", str(run)]
        else:
            undo = ["chmod", "-R", "u+w", str(run)]
            subprocess.run(["chmod", "-R", "a-w", str(run)], check=True)
        try:
            self.refused(self.run(run), "read-only directory")
        finally:
            subprocess.run(undo, check=True)
        shutil.rmtree(run / "lap-004")
        self.same(run, "read-only directory")
        return "read-only directory: refused, then the same bytes"

    def failing_fsync(self):
        source, shim = self.work / "shim.c", self.work / "shim.so"
        source.write_text(SHIM)
        built = shutil.which("cc") and subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=False)
        if not built or built.returncode != 0:
            return "failing fsync: not run, needs a C compiler"
        met = 0
        for call in range(1, 80, 3):
            run = self.work / f"fsync-{call}"
            environment = {**os.environ, "LD_PRELOAD": str(shim), "FAIL_FROM": str(call)}
            done = self.run(run, env=environment)
            if done.returncode != 0:
                self.refused(done, f"fsync fails from call {call} on")
                met += 1
            self.same(run, f"fsync fails from call {call} on")
        return f"failing fsync: met {met} times, then the same bytes"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("diffem", nargs="?", default="target/release/diffem")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as work:
        soak = Soak(Path(args.diffem).resolve(), work)
        for part in (soak.failing_fsync, soak.read_only, soak.full_disk, lambda: soak.kills(args.kills, rng)):
            began = time.monotonic()
            print(f"{part()} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
