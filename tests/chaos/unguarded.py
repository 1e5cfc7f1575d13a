"""`python -m tests.chaos.unguarded run warehouse …` with LIANDONG_TEST_UNGUARDED=repair or marks: the process without that guard."""

from __future__ import annotations

import os
from functools import partial

from services.sink.loop import Options
from services.warehouse import main as warehouse

warehouse.Options = partial(Options, **{os.environ["LIANDONG_TEST_UNGUARDED"]: False})  # type: ignore[misc,assignment]

if __name__ == "__main__":
    from services.cli import main

    main()
