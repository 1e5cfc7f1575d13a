-- Facts of incident.events, the newest row of each case, and counts per minute and hour.
-- Every target keeps `_blk`, the number of the sink's block: a restart repairs each target by itself.
-- The inlets hold plain strings: the engine reads Avro into them three times faster than into dictionaries, which the facts keep.
-- `_month` is the month (yyyymm, UTC) of the newest record time in the block: one block is one part, always.
CREATE TABLE incident_events_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    event_id String,
    case_id String,
    case_seq Int64,
    type String,
    kind String,
    division String,
    level String,
    realm String,
    actor_person String,
    actor_org String,
    actor_role String,
    actor_level String,
    occurred_at DateTime64(3, 'UTC'),
    occurred_offset Int32,
    received_at DateTime64(3, 'UTC'),
    policy_version String,
    calendar_version String,
    cause String,
    src_topic String,
    src_partition Int32,
    src_offset Int64,
    src_position Int32,
    home_cluster String,
    ownership_epoch Int32,
    command_id String,
    case_number String,
    incident_type String,
    type_from String,
    county String,
    county_from String,
    state String,
    state_from String,
    holder String,
    holder_level String,
    grade Int32,
    round Int32,
    reassignments Int32,
    reopens Int32,
    mirrored Bool,
    producer String,
    title String,
    reason String,
    rule String,
    cell String,
    sealed_ref String,
    opened_at DateTime64(3, 'UTC')
)
ENGINE = Null;

CREATE TABLE incident_events
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    event_id String,
    case_id String,
    case_seq Int64,
    type LowCardinality(String),
    kind LowCardinality(String),
    division String,
    level LowCardinality(String),
    realm LowCardinality(String),
    actor_person String,
    actor_org LowCardinality(String),
    actor_role LowCardinality(String),
    actor_level LowCardinality(String),
    occurred_at DateTime64(3, 'UTC'),
    occurred_offset Int32,
    received_at DateTime64(3, 'UTC'),
    policy_version LowCardinality(String),
    calendar_version LowCardinality(String),
    cause LowCardinality(String),
    src_topic LowCardinality(String),
    src_partition Int32,
    src_offset Int64,
    src_position Int32,
    home_cluster LowCardinality(String),
    ownership_epoch Int32,
    command_id String,
    case_number String,
    incident_type LowCardinality(String),
    type_from LowCardinality(String),
    county LowCardinality(String),
    county_from LowCardinality(String),
    state LowCardinality(String),
    state_from LowCardinality(String),
    holder LowCardinality(String),
    holder_level LowCardinality(String),
    grade Int32,
    round Int32,
    reassignments Int32,
    reopens Int32,
    mirrored Bool,
    producer LowCardinality(String),
    title String,
    reason LowCardinality(String),
    rule LowCardinality(String),
    cell String,
    sealed_ref String,
    opened_at DateTime64(3, 'UTC'),
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, case_id, case_seq)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW incident_events_mv TO incident_events AS
SELECT *
FROM incident_events_in;

CREATE TABLE case_now
(
    realm LowCardinality(String),
    case_id String,
    case_seq Int64,
    case_number String,
    division String,
    county LowCardinality(String),
    level LowCardinality(String),
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
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    _blk UInt64
)
ENGINE = {engine:ReplacingMergeTree(case_seq)}
ORDER BY (realm, case_id)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW case_now_mv TO case_now AS
SELECT realm, case_id, case_seq, case_number, division, county, level, incident_type, state, holder, holder_level, grade, round, reassignments,
    reopens, mirrored, producer, title, opened_at, occurred_at, received_at, _ts AS updated_at, _blk
FROM incident_events_in;

CREATE TABLE incident_events_by_minute
(
    realm LowCardinality(String),
    minute DateTime('UTC'),
    county LowCardinality(String),
    incident_type LowCardinality(String),
    type LowCardinality(String),
    events SimpleAggregateFunction(sum, UInt64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (realm, minute, county, incident_type, type);

CREATE MATERIALIZED VIEW incident_events_by_minute_mv TO incident_events_by_minute AS
SELECT realm, toStartOfMinute(toDateTime(received_at)) AS minute, county, incident_type, type, count() AS events, max(_blk) AS _blk
FROM incident_events_in
GROUP BY realm, minute, county, incident_type, type;

CREATE TABLE incident_events_by_hour
(
    realm LowCardinality(String),
    hour DateTime('UTC'),
    county LowCardinality(String),
    incident_type LowCardinality(String),
    type LowCardinality(String),
    events SimpleAggregateFunction(sum, UInt64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (realm, hour, county, incident_type, type);

CREATE MATERIALIZED VIEW incident_events_by_hour_mv TO incident_events_by_hour AS
SELECT realm, toStartOfHour(toDateTime(received_at)) AS hour, county, incident_type, type, count() AS events, max(_blk) AS _blk
FROM incident_events_in
GROUP BY realm, hour, county, incident_type, type;
