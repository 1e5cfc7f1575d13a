-- Answers to commands, and their counts (the completeness line of every screen).
CREATE TABLE outcomes_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    command_id String,
    case_id String,
    realm String,
    outcome String,
    reason String,
    rule String,
    case_seq Int64,
    name String,
    producer String,
    division String,
    received_at DateTime64(3, 'UTC'),
    src_topic String,
    src_partition Int32,
    src_offset Int64,
    src_position Int32
)
ENGINE = Null;

CREATE TABLE outcomes
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    command_id String,
    case_id String,
    realm LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    rule LowCardinality(String),
    case_seq Int64,
    name LowCardinality(String),
    producer LowCardinality(String),
    division String,
    received_at DateTime64(3, 'UTC'),
    src_topic LowCardinality(String),
    src_partition Int32,
    src_offset Int64,
    src_position Int32,
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, command_id, src_offset)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW outcomes_mv TO outcomes AS
SELECT *
FROM outcomes_in;

CREATE TABLE outcome_counts
(
    realm LowCardinality(String),
    county LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    outcomes SimpleAggregateFunction(sum, UInt64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (realm, county, outcome, reason);

CREATE MATERIALIZED VIEW outcome_counts_mv TO outcome_counts AS
SELECT realm, substring(division, 1, 6) AS county, outcome, reason, count() AS outcomes, max(_blk) AS _blk
FROM outcomes_in
GROUP BY realm, county, outcome, reason;
