"""Makes a Kafka cluster ready for Liandong's processes: every topic of schemas/topics.py, and the default keys in the data directory.

`python deploy/prepare.py`, with the settings of the processes (LIANDONG_BOOTSTRAP, LIANDONG_DATA_DIR, LIANDONG_REPLICATION_FACTOR, …).
`liandong up` does the same by itself. May be run again.
"""

from __future__ import annotations

import asyncio
import sys

from services.embedded.topics import TopicError, ensure_topics
from services.keys import ensure_default_keys
from services.settings import load


def main() -> None:
    settings = load()
    if not settings.bootstrap:
        sys.exit("LIANDONG_BOOTSTRAP names no broker")
    try:
        asyncio.run(
            ensure_topics(
                settings.bootstrap, settings.realm_list, settings.partitions, settings.department_list,
                replication_factor=settings.replication_factor,
            )
        )  # fmt: skip
    except TopicError as error:
        sys.exit(str(error))
    ensure_default_keys(settings.keys_file, settings.secrets_file, settings.realm_list)
    print(f"topics are on {settings.bootstrap}; keys are in {settings.secrets_file}")


if __name__ == "__main__":
    main()
