-- Who read sealed data, or erased it, and why.
CREATE TABLE audit_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    entry_id String,
    case_id String,
    realm String,
    action String,
    principal String,
    person String,
    org String,
    role String,
    division String,
    reason String,
    at DateTime64(3, 'UTC')
)
ENGINE = Null;

CREATE TABLE audit
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    entry_id String,
    case_id String,
    realm LowCardinality(String),
    action LowCardinality(String),
    principal String,
    person String,
    org LowCardinality(String),
    role LowCardinality(String),
    division String,
    reason LowCardinality(String),
    at DateTime64(3, 'UTC'),
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, case_id, at);

CREATE MATERIALIZED VIEW audit_mv TO audit AS
SELECT *
FROM audit_in;
