"""`make mutants`, or `python -m tests.mutants [NAME ...]`: changes the core in thousands of small ways, and tells which of them no test
notices.

An interrupted run goes on where it stopped; only functions that have changed since are asked anew. NAME chooses mutants, as
`streams.domain.clocks*`. Writes tests/mutants/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.conftest import commit
from tests.mutants.results import BY_CODE, FOLDER, NOTICED, RAN, ROOT, SOURCE, STATUSES, read, render

TOOL = ROOT / ".cache" / "mutmut"
LOCK = ROOT / "deploy" / "requirements" / "mutants.txt"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="mutants to ask, also those that were asked before; all that are open without one"
    )
    parser.add_argument("--children", type=int, default=2, help="tests at a time (2)")
    parser.add_argument("--again", action="store_true", help="ask also those once more that no test noticed: after tests were written")
    parser.add_argument("--show", action="store_true", help="run nothing: tell how they stand")
    parser.add_argument("--json", action="store_true", help="all figures and every survivor as JSON")
    asked = parser.parse_args()
    if asked.again:
        forget()
    if not asked.show:
        code = mutate(asked.names, asked.children)
        if code:
            sys.exit(code)
    if not (RAN / SOURCE).is_dir():
        sys.exit("nothing has been run yet")
    run = read()
    (FOLDER / "RESULTS.md").write_text(render(run, "make mutants", commit(), f"{datetime.now(UTC):%Y-%m-%d %H:%M}"), encoding="utf-8")
    if asked.json:
        print(json.dumps(run.as_json(), ensure_ascii=False, indent=1))
        return
    for part in (*run.parts, run.whole):
        counts = ", ".join(f"{part.counts[status]} {status}" for status in STATUSES if part.counts.get(status))
        print(f"{part.path:<42} {part.share:5.1f} % of {part.asked:<5} {counts}")
    equivalent = sum(1 for one in run.survivors if one.equivalent)
    print(f"{len(run.survivors)} not noticed, {equivalent} of them equivalent: {FOLDER.relative_to(ROOT)}/RESULTS.md lists them")
    for one in run.unknown:
        print(f"equivalent.toml names what does not survive: {one}")


def mutate(names: list[str], children: int) -> int:
    """Runs mutmut; its exit code. Thousands of runs of pytest tidy a folder of their own, and no one else's."""
    folder = RAN / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["nice", "-n", "19", tool(), "run", "--max-children", str(children), *names]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTEST_DEBUG_TEMPROOT": str(folder)}, stdout=sys.stderr, check=False
    ).returncode


def tool() -> str:
    """mutmut, in an environment of its own before ours: it wants a newer click than Faust allows."""
    mutmut = TOOL / "bin" / "mutmut"
    if not mutmut.exists():
        subprocess.run([sys.executable, "-m", "venv", str(TOOL)], check=True)
        python = TOOL / "bin" / "python"
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCK)], check=True, stdout=sys.stderr)
        where = subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
        )
        Path(where.stdout.strip(), "ours.pth").write_text(sysconfig.get_path("purelib") + os.linesep, encoding="utf-8")
    return str(mutmut)


def forget() -> None:
    """Opens every mutant again that was not noticed, and what mutmut knows of the tests: they may reach further now."""
    for meta in (RAN / SOURCE).rglob("*.py.meta"):
        kept = json.loads(meta.read_text(encoding="utf-8"))
        kept["exit_code_by_key"] = {name: code if BY_CODE.get(code) in NOTICED else None for name, code in kept["exit_code_by_key"].items()}
        meta.write_text(json.dumps(kept, indent=4), encoding="utf-8")
    (RAN / "mutmut-stats.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
