"""`make bench` (all benchmarks) or `make bench ARGS="sink gateway"`: each in a process of its own, what it prints kept in results/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def benchmarks() -> list[str]:
    """Every module here that can be run."""
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8") and path != Path(__file__)
    )


def main() -> None:
    known = benchmarks()
    wanted = sys.argv[1:] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for number, name in enumerate(wanted, 1):
        print(f"==> [{number}/{len(wanted)}] {name}", flush=True)
        with (RESULTS / f"{name}.txt").open("w", encoding="utf-8") as kept:
            process = subprocess.Popen([sys.executable, "-m", f"tests.bench.{name}"], stdout=subprocess.PIPE, text=True)
            for line in process.stdout or ():
                print(line, end="", flush=True)
                kept.write(line)
            if process.wait():
                failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
