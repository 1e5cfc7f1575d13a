"""`python -m tests.chaos.unguarded run warehouse …` with LIANDONG_TEST_UNGUARDED=repair or marks: the process without that guard."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from services.sink.loop import Options
from services.warehouse import main as warehouse

off: dict[str, Any] = {os.environ["LIANDONG_TEST_UNGUARDED"]: False}
setattr(warehouse, "Options", partial(Options, **off))  # noqa: B010

if __name__ == "__main__":
    from services.cli import main

    main()
