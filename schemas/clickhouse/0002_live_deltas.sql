-- Signed deltas and what the tiles read: totals by state, cases opened and closed per minute and hour, newest openings.
-- Not open: closed, evaluated, archived, declined, merged, withdrawn. A first event opens; entering these closes; leaving them opens again.
-- Petitions (types X…) are counted on no wall, so the flows, which know no types, leave them out (schemas/event_types.py).
CREATE TABLE live_deltas_in
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
    case_number String,
    realm String,
    type String,
    title String,
    county String,
    county_from String,
    incident_type String,
    type_from String,
    state String,
    state_from String,
    division String,
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    mirrored Bool,
    src_topic String,
    src_partition Int32,
    src_offset Int64,
    src_position Int32
)
ENGINE = Null;

CREATE TABLE live_deltas
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
    case_number String,
    realm LowCardinality(String),
    type LowCardinality(String),
    title String,
    county LowCardinality(String),
    county_from LowCardinality(String),
    incident_type LowCardinality(String),
    type_from LowCardinality(String),
    state LowCardinality(String),
    state_from LowCardinality(String),
    division String,
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    mirrored Bool,
    src_topic LowCardinality(String),
    src_partition Int32,
    src_offset Int64,
    src_position Int32,
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, case_id, case_seq)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW live_deltas_mv TO live_deltas AS
SELECT *
FROM live_deltas_in;

CREATE TABLE state_totals
(
    realm LowCardinality(String),
    county LowCardinality(String),
    incident_type LowCardinality(String),
    state LowCardinality(String),
    cases SimpleAggregateFunction(sum, Int64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (realm, county, incident_type, state);

CREATE MATERIALIZED VIEW state_totals_mv TO state_totals AS
SELECT realm, change.1 AS county, change.2 AS incident_type, change.3 AS state, sum(change.4) AS cases, max(_blk) AS _blk
FROM live_deltas_in AS d
ARRAY JOIN [
    (toString(d.county), toString(d.incident_type), toString(d.state), toInt64(1)),
    (toString(d.county_from), toString(d.type_from), toString(d.state_from), toInt64(-1))
] AS change
WHERE change.3 != ''
GROUP BY realm, county, incident_type, state;

CREATE TABLE flow_by_minute
(
    realm LowCardinality(String),
    minute DateTime('UTC'),
    county LowCardinality(String),
    opened SimpleAggregateFunction(sum, UInt64),
    closed SimpleAggregateFunction(sum, UInt64),
    events SimpleAggregateFunction(sum, UInt64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (realm, minute, county);

CREATE MATERIALIZED VIEW flow_by_minute_mv TO flow_by_minute AS
SELECT realm, toStartOfMinute(toDateTime(received_at)) AS minute, county,
    countIf(state_from = '' OR (
        state_from IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
        AND state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
    )) AS opened,
    countIf(
        state IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
        AND state_from NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
    ) AS closed,
    count() AS events, max(_blk) AS _blk
FROM live_deltas_in
WHERE NOT startsWith(incident_type, 'X')
GROUP BY realm, minute, county;

CREATE TABLE flow_by_hour
(
    realm LowCardinality(String),
    hour DateTime('UTC'),
    county LowCardinality(String),
    opened SimpleAggregateFunction(sum, UInt64),
    closed SimpleAggregateFunction(sum, UInt64),
    events SimpleAggregateFunction(sum, UInt64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (realm, hour, county);

CREATE MATERIALIZED VIEW flow_by_hour_mv TO flow_by_hour AS
SELECT realm, toStartOfHour(toDateTime(received_at)) AS hour, county,
    countIf(state_from = '' OR (
        state_from IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
        AND state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
    )) AS opened,
    countIf(
        state IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
        AND state_from NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
    ) AS closed,
    count() AS events, max(_blk) AS _blk
FROM live_deltas_in
WHERE NOT startsWith(incident_type, 'X')
GROUP BY realm, hour, county;

CREATE TABLE openings
(
    realm LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    county LowCardinality(String),
    case_id String,
    _blk UInt64
)
ENGINE = {engine:MergeTree}
ORDER BY (realm, received_at, case_id);

CREATE MATERIALIZED VIEW openings_mv TO openings AS
SELECT realm, received_at, county, case_id, _blk
FROM live_deltas_in
WHERE state_from = '';
