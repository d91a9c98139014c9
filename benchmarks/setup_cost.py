"""What setup costs beside a container of the same image that only starts Python: wall time and peak memory, in pairs.

`python3 benchmarks/setup_cost.py [PAIRS]`, with the image salespider-setup:latest built. Both containers are alike but for
their command; the order within a pair alternates.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

IMAGE = "salespider-setup:latest"
# Peak memory is the kernel's own figure for the process, printed at its end.
MEASURE = "import resource, sys; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
SETUP = f"import atexit, runpy; atexit.register(lambda: exec({MEASURE!r})); runpy.run_module('setup', run_name='__main__')"
EMPTY = MEASURE


def run(program: str, run_name: str) -> tuple[float, float]:
    """Return wall seconds of `docker run` and peak memory in MiB."""
    mounts = (
        "--volume",
        f"{run_name}-config:/pgbackrest-config",
        "--volume",
        f"{run_name}-secrets:/var/lib/salespider/secrets",
    )
    options = (
        "--rm",
        "--network",
        "none",
        "--cap-drop",
        "ALL",
        "--cap-add",
        "CHOWN",
        "--env",
        "PGBACKREST_REPO1_TYPE=posix",
    )
    command = ("docker", "run", *options, *mounts, "--entrypoint", "python3", IMAGE, "-c", program)
    began = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.monotonic() - began, int(done.stderr.split()[-1]) / 1024


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    name = "salespider-bench-setup"
    run(SETUP, name)  # the first run creates the passphrase; what is measured is an ordinary start
    measured: dict[str, list[tuple[float, float]]] = {"setup": [], "python": []}
    for pair in range(pairs):
        order = (("setup", SETUP), ("python", EMPTY)) if pair % 2 else (("python", EMPTY), ("setup", SETUP))
        for which, program in order:
            measured[which].append(run(program, name))
    subprocess.run(["docker", "volume", "rm", f"{name}-config", f"{name}-secrets"], check=True, capture_output=True)
    print(f"| median of {pairs} pairs | setup | only Python | ratio |\n| --- | --- | --- | --- |")
    for index, (what, unit) in enumerate((("wall time", "s"), ("peak memory", "MiB"))):
        setup, python = ([values[index] for values in measured[which]] for which in ("setup", "python"))
        ratio = statistics.median(a / b for a, b in zip(setup, python, strict=True))
        print(f"| {what}, {unit} | {statistics.median(setup):.2f} | {statistics.median(python):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
