"""Run a command; print its seconds, CPU and peak memory as JSON, the last line on stdout.

    python stopwatch.py COMMAND ...

Linux counts what a process was before it became another program: the peak memory of one that a
large process starts is at least that process's own. So this small one stands between.
"""

import json
import os
import sys
import time


def main(command: list[str]) -> int:
    """Run a command that inherits all; return its exit status."""
    started = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    figures = {
        "wall_s": time.perf_counter() - started,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * 1024 / 1e6,  # in KiB, as Linux has it
    }
    print(json.dumps(figures))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
