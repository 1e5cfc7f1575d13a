-- Work lists: each case at the levels that see it now, as the newest event left it. A case has a row where it is held and, while it is offered
-- to a level above, one there; when it leaves a level or a county, its row there is overwritten by one whose `part` is empty. So a desk's
-- list is one range of the key, whatever else there is, and needs only what one event says.
ALTER TABLE incident_events_in
    ADD COLUMN IF NOT EXISTS holder_level_from String,
    ADD COLUMN IF NOT EXISTS offered_level_from String;

ALTER TABLE incident_events
    ADD COLUMN IF NOT EXISTS holder_level_from LowCardinality(String),
    ADD COLUMN IF NOT EXISTS offered_level_from LowCardinality(String);

ALTER TABLE incident_events_mv MODIFY QUERY
SELECT *
FROM incident_events_in;

CREATE TABLE desk_now
(
    realm LowCardinality(String),
    desk_level LowCardinality(String),
    county LowCardinality(String),
    case_id String,
    case_seq Int64,
    part LowCardinality(String),
    case_number String,
    division String,
    incident_type LowCardinality(String),
    state LowCardinality(String),
    holder LowCardinality(String),
    holder_level LowCardinality(String),
    grade Int32,
    round Int32,
    reassignments Int32,
    reopens Int32,
    mirrored Bool,
    producer LowCardinality(String),
    title String,
    opened_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    light LowCardinality(String),
    due_at DateTime64(3, 'UTC'),
    upstream_state LowCardinality(String),
    upstream_level LowCardinality(String),
    suspended_reason LowCardinality(String),
    suspension_ends_at DateTime64(3, 'UTC'),
    review_at DateTime64(3, 'UTC'),
    supervised_rung LowCardinality(String),
    reply_due_at DateTime64(3, 'UTC'),
    response_level Int32,
    open_tasks Int32,
    merged_count Int32,
    _blk UInt64
)
ENGINE = {engine:ReplacingMergeTree(case_seq)}
ORDER BY (realm, desk_level, county, case_id)
SETTINGS index_granularity = 1024;

CREATE MATERIALIZED VIEW desk_now_mv TO desk_now AS
SELECT realm, place.1 AS desk_level, place.2 AS county, case_id, case_seq, place.3 AS part, case_number, division, incident_type, state, holder,
    holder_level, grade, round, reassignments, reopens, mirrored, producer, title, opened_at, _ts AS updated_at, light, due_at, upstream_state,
    upstream_level, suspended_reason, suspension_ends_at, review_at, supervised_rung, reply_due_at, response_level, open_tasks, merged_count,
    _blk
FROM incident_events_in AS e
ARRAY JOIN arrayConcat(
    [(toString(e.holder_level), toString(e.county), 'held')],
    arrayFilter(at -> e.upstream_state = 'offered' AND at.1 != e.holder_level, [(toString(e.upstream_level), toString(e.county), 'offered')]),
    arrayFilter(
        at -> at.1 != '' AND NOT (at.2 = e.county AND (at.1 = e.holder_level OR (e.upstream_state = 'offered' AND at.1 = e.upstream_level))),
        [(toString(e.holder_level_from), toString(e.county_from), ''), (toString(e.offered_level_from), toString(e.county_from), '')]
    )
) AS place;
