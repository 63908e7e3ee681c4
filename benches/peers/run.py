"""Runs the Rust bench and its PyTorch peers in turn on one machine and prints them side by side.

    python run.py --rust "target/release/bench-mlp --threads {threads}"

The Rust command runs without a shell, with `{threads}` replaced by each value of --threads. It prints one
JSON object with the keys of KEYS, which mean the same as in mlp_torch.py, and `threads`. One round runs every
peer once at every number of threads (A B A B), so that slow drifts of the machine affect all peers alike.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

from options import positive

KEYS = ("mlp_train_ms", "mlp_full_step_ms", "mlp_forward_ms", "e_step_s")
TORCH = [sys.executable, str(Path(__file__).with_name("mlp_torch.py"))]


def commands(args, threads: int) -> dict[str, list[str]]:
    """Returns the command of every peer by name, Rust first."""
    torch = [*TORCH, "--threads", str(threads), *shlex.split(args.torch_options)]
    rust = {"rust": shlex.split(args.rust.replace("{threads}", str(threads)))} if args.rust else {}
    return rust | {"torch-eager": torch} | ({"torch-compile": [*torch, "--compile"]} if args.compile else {})


def measure(peer: str, command: list[str], threads: int) -> dict:
    """Runs one peer and returns its report, checked."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        report = json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{peer}: {shlex.join(command)} failed: {error}") from None
    except json.JSONDecodeError:
        raise SystemExit(f"{peer}: expected one JSON object on standard output, found {done.stdout[:200]!r}") from None
    missing = [key for key in (*KEYS, "threads") if not isinstance(report.get(key), (int, float))]
    if missing:
        raise SystemExit(f"{peer}: expected numbers under {', '.join(missing)}; found keys {', '.join(report)}")
    if report["threads"] != threads:
        raise SystemExit(f"{peer}: asked for {threads} threads, ran with {report['threads']}; pass {{threads}} on")
    return report


def warn_if_loaded():
    """Warns of a busy machine: with one core taken, PyTorch on all cores slows many times over."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: load is {load:.1f} before the first run; wait for a quiet machine", file=sys.stderr)


def rounds(args) -> list[dict]:
    """Returns all reports in the order of the runs, each with the name of its peer and its round."""
    reports = []
    for number in range(1, args.rounds + 1):
        for threads in args.threads:
            for peer, command in commands(args, threads).items():
                print(f"round {number}/{args.rounds}: {peer}, {threads} thread(s)", file=sys.stderr)
                reports.append(measure(peer, command, threads) | {"peer": peer, "round": number})
    return reports


def values(reports: list[dict], peer: str, threads: int, key: str) -> list[float]:
    return [r[key] for r in reports if r["peer"] == peer and r["threads"] == threads]


def cell(found: list[float]) -> str:
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def row(reports: list[dict], peers: list[str], threads: int, key: str) -> list[str]:
    """One measure: every peer's median and range, then Rust's median over each other peer's."""
    found = {peer: values(reports, peer, threads, key) for peer in peers}
    median = {peer: statistics.median(found[peer]) for peer in peers}
    ratios = [f"{median['rust'] / median[peer]:.2f}" for peer in peers if peer != "rust"] if "rust" in peers else []
    return [key, str(threads), *map(cell, found.values()), *ratios]


def table(reports: list[dict]) -> str:
    """Markdown."""
    peers = list(dict.fromkeys(r["peer"] for r in reports))
    ratios = [f"rust / {peer}" for peer in peers if peer != "rust"] if "rust" in peers else []
    lines = [["measure", "threads", *peers, *ratios]]
    lines.append(["---"] * len(lines[0]))
    for threads in sorted({r["threads"] for r in reports}):
        lines += [row(reports, peers, threads, key) for key in KEYS]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rust", metavar="CMD", help="the Rust bench; without it only the peers run")
    parser.add_argument("--threads", type=positive, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile as a further peer")
    parser.add_argument("--torch-options", metavar="ARGS", default="", help='for mlp_torch.py, e.g. "--repeats 30"')
    parser.add_argument("--out", metavar="FILE", type=Path, help="writes every report as JSON lines")
    return parser.parse_args()


def main():
    args = parse_arguments()
    warn_if_loaded()
    reports = rounds(args)
    if args.out:
        args.out.write_text("".join(json.dumps(report) + "\n" for report in reports))
    print(table(reports))


if __name__ == "__main__":
    main()
