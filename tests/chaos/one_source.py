"""`python -m tests.chaos.one_source run warehouse …`: the sink whose letters all name one source, as it once was."""

from __future__ import annotations

from services.sink import letters, loop

vars(loop)["AT_INSERT"] = letters.AT_CUT

if __name__ == "__main__":
    from services.cli import main

    main()
