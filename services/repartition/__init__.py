"""A platform moved to topics with another number of partitions, by re-producing every record by key. Nothing is lost, nothing doubled.

The old platform is stopped and only read; the new one is a data directory of its own, so the way back is to start the old one again.

Two logs. Offsets of the new log start anew, so every number that names a place must say in which log. A place of the old log is written
with the old cluster's id before the topic: "<cluster>/incident.events:3:120". That is done in three places and nowhere else:
- Headers. `src` of a copy is the place it was copied from: readers' marks of the new log are under other names than those of the old one,
  so no new record can lie below an old mark (it would be dropped as a repeat: a loss). `liandong-copied` is the same place: by it copying
  goes on after a kill -9 exactly where the new topic ends. `liandong-origin` is where a record was first written (as `liandong-copied`
  unless it was copied before), `liandong-src` the source it had; reconciliation compares places by these two.
- `src_topic` inside a payload (and `topic` in a dead letter), by splicing the text into the Avro datum. Facts hold those columns and the
  sink takes its marks from facts when commits are lost, so they must not read as places of the new log. No other byte of a value changes,
  and verification takes the label off again and compares the bytes of before. What is not one whole datum is copied as it is.
- The ledger of acknowledgements: acks/<cluster>/.

Keys. murmur2 of the key, modulo the new count, as the gateway, the relay, the engine and Kafka's own clients do
(tests/unit/test_repartition.py). A record without a key keeps its partition's number, modulo the new count. All records of one key in one
old partition go to one new partition in their order, so: each new partition holds the offsets of each old one in ascending order, every
record stands where its key belongs, and the sums of hashes over (old place, key, value, time, headers) are equal. Verification checks just
that; it needs no memory per key.

Tables (compacted changelogs) are not copied record by record: each key's winner is taken by the engine's rule (highest version, then last).
- Version of a state: the copied end of its input minus one. Below every new offset, so new writes win and no new input is taken for one
  that was answered before; not below a copied input, so even a group whose offsets are lost answers no copied command anew.
- Marks: those of the old log are not taken along. Instead each table is told that all that is copied has been seen: of each source the
  highest copied place, by the old name and by the new one (the source's end minus one). That is true because nothing waited.
- LOOSE, the outbox of records without state, and all outboxes are left out: they are needed only while an input is not committed.

Group offsets. Lanes and the notifier are committed at the copied ends: their inputs are answered. The sink's groups are not committed at
all: it fills an empty warehouse from the copied topics, so `_topic`, `_part` and `_off` are places of the new log. Rows whose records
Kafka no longer has (outcomes after 30 days, deltas after 7) are carried over with labelled places. A copied record that the sink cannot
read gets no second letter: its letter was copied.

It begins only when nothing waits (lag 0 of every group, the sink's included) and fails when the old log grew meanwhile. Record times are
kept: the new topics take the producer's time and keep everything until all is verified, then get their own configuration.
"""
