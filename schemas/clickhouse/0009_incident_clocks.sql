-- What an incident's event says since version 2: its clocks, what lies over its state, and the clock that an event is about. Rows of
-- version 1 have these columns empty. A view's query is changed in place, so that no block is stored half.
ALTER TABLE incident_events_in
    ADD COLUMN IF NOT EXISTS wakes_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS light String,
    ADD COLUMN IF NOT EXISTS light_from String,
    ADD COLUMN IF NOT EXISTS clock String,
    ADD COLUMN IF NOT EXISTS clock_holder String,
    ADD COLUMN IF NOT EXISTS clock_due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS clock_breached_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS upstream_state String,
    ADD COLUMN IF NOT EXISTS upstream_level String,
    ADD COLUMN IF NOT EXISTS suspended_reason String,
    ADD COLUMN IF NOT EXISTS suspension_ends_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS review_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS supervised_rung String,
    ADD COLUMN IF NOT EXISTS reply_due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS response_level Int32,
    ADD COLUMN IF NOT EXISTS lead String,
    ADD COLUMN IF NOT EXISTS open_tasks Int32,
    ADD COLUMN IF NOT EXISTS target String,
    ADD COLUMN IF NOT EXISTS merged_into String,
    ADD COLUMN IF NOT EXISTS merged_count Int32,
    ADD COLUMN IF NOT EXISTS earliest_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS paper String,
    ADD COLUMN IF NOT EXISTS score Int32,
    ADD COLUMN IF NOT EXISTS person String,
    ADD COLUMN IF NOT EXISTS tell String,
    ADD COLUMN IF NOT EXISTS tell_level String,
    ADD COLUMN IF NOT EXISTS held_ms Int64;

ALTER TABLE incident_events
    ADD COLUMN IF NOT EXISTS wakes_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS light LowCardinality(String),
    ADD COLUMN IF NOT EXISTS light_from LowCardinality(String),
    ADD COLUMN IF NOT EXISTS clock LowCardinality(String),
    ADD COLUMN IF NOT EXISTS clock_holder LowCardinality(String),
    ADD COLUMN IF NOT EXISTS clock_due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS clock_breached_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS upstream_state LowCardinality(String),
    ADD COLUMN IF NOT EXISTS upstream_level LowCardinality(String),
    ADD COLUMN IF NOT EXISTS suspended_reason LowCardinality(String),
    ADD COLUMN IF NOT EXISTS suspension_ends_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS review_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS supervised_rung LowCardinality(String),
    ADD COLUMN IF NOT EXISTS reply_due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS response_level Int32,
    ADD COLUMN IF NOT EXISTS lead LowCardinality(String),
    ADD COLUMN IF NOT EXISTS open_tasks Int32,
    ADD COLUMN IF NOT EXISTS target String,
    ADD COLUMN IF NOT EXISTS merged_into String,
    ADD COLUMN IF NOT EXISTS merged_count Int32,
    ADD COLUMN IF NOT EXISTS earliest_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS paper String,
    ADD COLUMN IF NOT EXISTS score Int32,
    ADD COLUMN IF NOT EXISTS person String,
    ADD COLUMN IF NOT EXISTS tell LowCardinality(String),
    ADD COLUMN IF NOT EXISTS tell_level LowCardinality(String),
    ADD COLUMN IF NOT EXISTS held_ms Int64;

ALTER TABLE incident_events_mv MODIFY QUERY
SELECT *
FROM incident_events_in;

ALTER TABLE case_now
    ADD COLUMN IF NOT EXISTS wakes_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS light LowCardinality(String),
    ADD COLUMN IF NOT EXISTS due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS upstream_state LowCardinality(String),
    ADD COLUMN IF NOT EXISTS upstream_level LowCardinality(String),
    ADD COLUMN IF NOT EXISTS suspended_reason LowCardinality(String),
    ADD COLUMN IF NOT EXISTS suspension_ends_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS review_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS supervised_rung LowCardinality(String),
    ADD COLUMN IF NOT EXISTS reply_due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS response_level Int32,
    ADD COLUMN IF NOT EXISTS lead LowCardinality(String),
    ADD COLUMN IF NOT EXISTS open_tasks Int32,
    ADD COLUMN IF NOT EXISTS merged_into String,
    ADD COLUMN IF NOT EXISTS merged_count Int32,
    ADD COLUMN IF NOT EXISTS earliest_at DateTime64(3, 'UTC');

ALTER TABLE case_now_mv MODIFY QUERY
SELECT realm, case_id, case_seq, case_number, division, county, level, incident_type, state, holder, holder_level, grade, round, reassignments,
    reopens, mirrored, producer, title, opened_at, occurred_at, received_at, _ts AS updated_at, _blk,
    wakes_at, light, due_at, upstream_state, upstream_level, suspended_reason, suspension_ends_at, review_at, supervised_rung,
    reply_due_at, response_level, lead, open_tasks, merged_into, merged_count, earliest_at
FROM incident_events_in;
