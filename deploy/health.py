"""`python deploy/health.py NAME`: exit code 0 when this process of the data directory says that it is well, else 1 and why."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request

from services.settings import load


def main() -> None:
    note = load().run_dir / f"{sys.argv[1]}.json"
    if not note.exists():
        sys.exit(f"{sys.argv[1]} is not ready")
    port = json.loads(note.read_text(encoding="utf-8"))["metrics_port"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=4) as answer:
            print(answer.read().decode())
    except urllib.error.HTTPError as error:
        sys.exit(error.read().decode())
    except OSError as error:
        sys.exit(f"no answer on port {port}: {error}")


if __name__ == "__main__":
    main()
