"""Times a workload by the wall clock."""

import statistics
import time


def median_s(work, repeats: int, warm_up: int) -> float:
    """Median wall seconds of `work()` over `repeats` calls."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
