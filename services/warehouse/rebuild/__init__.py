"""Building all ClickHouse tables anew from Kafka, while everything but reads goes on: deploy/runbooks/planned/RebuildWarehouse.md.

The order is a file in the data directory. The warehouse process sees it, ends, and does it at its next start, before its streams
begin; each step is written down in ClickHouse itself (`book`), and each can be done again, so a kill at any place is continued.

begun    → old tables are put aside (renamed), new ones made                                                  (`aside`)
aside    → where each partition is cut is decided once: rows below come from the old tables, all else from Kafka   (`cuts`)
cut      → rows that Kafka no longer has are carried over, block by block                                     (`carry`)
carried  → the streams' commits are moved back to the cuts
filling  → the streams run as ever; deltas that nobody has any more are made from the events                  (`derive`)
done     → the old tables are dropped
"""
