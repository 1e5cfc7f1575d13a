-- Sealed persons and free text: ciphertext only.
CREATE TABLE sealed_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    sealed_id String,
    case_id String,
    realm String,
    division String,
    nonce String,
    ciphertext String,
    received_at DateTime64(3, 'UTC')
)
ENGINE = Null;

CREATE TABLE sealed
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    sealed_id String,
    case_id String,
    realm LowCardinality(String),
    division String,
    nonce String,
    ciphertext String,
    received_at DateTime64(3, 'UTC'),
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, case_id);

CREATE MATERIALIZED VIEW sealed_mv TO sealed AS
SELECT *
FROM sealed_in;
