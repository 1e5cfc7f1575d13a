-- Records nobody could read or decide, with their original bytes.
CREATE TABLE dead_letters_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    topic String,
    partition Int32,
    offset Int64,
    realm String,
    key Nullable(String),
    value Nullable(String),
    reason String,
    detail String,
    code_version String,
    lane String,
    received_at DateTime64(3, 'UTC'),
    src_topic String,
    src_partition Int32,
    src_offset Int64,
    src_position Int32
)
ENGINE = Null;

CREATE TABLE dead_letters
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    realm LowCardinality(String),
    key Nullable(String),
    value Nullable(String),
    reason LowCardinality(String),
    detail String,
    code_version LowCardinality(String),
    lane LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    src_topic LowCardinality(String),
    src_partition Int32,
    src_offset Int64,
    src_position Int32,
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, _topic, _part, _off);

CREATE MATERIALIZED VIEW dead_letters_mv TO dead_letters AS
SELECT *
FROM dead_letters_in;
