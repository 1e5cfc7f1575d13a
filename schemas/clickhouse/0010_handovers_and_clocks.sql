-- Work between levels (topics desk.*), and what an incident's event says since its second version of its clocks, of a step of a ladder
-- and of a file of a report. A case's clocks at a past moment: the last of each (purpose, holder, started_at) over its events till then.
-- A view's query is changed in place, so that no block is stored half.
CREATE TABLE handovers_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    handover_id String,
    case_id String,
    case_number String,
    case_seq Int64,
    case_kind String,
    realm String,
    kind String,
    to_desk String,
    to_level String,
    to_org String,
    from_desk String,
    from_level String,
    due_at DateTime64(3, 'UTC'),
    reason String,
    rule String,
    rung String,
    paper String,
    task String,
    division String,
    county String,
    incident_type String,
    grade Int32,
    title String,
    state String,
    holder String,
    holder_level String,
    round Int32,
    policy_version String,
    command_id String,
    opened_at DateTime64(3, 'UTC'),
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    home_cluster String,
    ownership_epoch Int32,
    src_topic String,
    src_partition Int32,
    src_offset Int64,
    src_position Int32
)
ENGINE = Null;

CREATE TABLE handovers
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    handover_id String,
    case_id String,
    case_number String,
    case_seq Int64,
    case_kind LowCardinality(String),
    realm LowCardinality(String),
    kind LowCardinality(String),
    to_desk LowCardinality(String),
    to_level LowCardinality(String),
    to_org LowCardinality(String),
    from_desk LowCardinality(String),
    from_level LowCardinality(String),
    due_at DateTime64(3, 'UTC'),
    reason LowCardinality(String),
    rule LowCardinality(String),
    rung LowCardinality(String),
    paper String,
    task LowCardinality(String),
    division String,
    county LowCardinality(String),
    incident_type LowCardinality(String),
    grade Int32,
    title String,
    state LowCardinality(String),
    holder LowCardinality(String),
    holder_level LowCardinality(String),
    round Int32,
    policy_version LowCardinality(String),
    command_id String,
    opened_at DateTime64(3, 'UTC'),
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    home_cluster LowCardinality(String),
    ownership_epoch Int32,
    src_topic LowCardinality(String),
    src_partition Int32,
    src_offset Int64,
    src_position Int32,
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, to_level, to_desk, case_id, src_offset, src_position)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW handovers_mv TO handovers AS
SELECT *
FROM handovers_in;

ALTER TABLE incident_events_in
    ADD COLUMN IF NOT EXISTS clocks Array(Tuple(
        purpose String, round Int32, holder String, level String,
        unit String, until String, budget Int64, extended Int64,
        calendar String, policy String, started_at DateTime64(3, 'UTC'),
        due_at DateTime64(3, 'UTC'), stopped_at DateTime64(3, 'UTC'),
        pauses Array(Tuple(reason String, since DateTime64(3, 'UTC'), until DateTime64(3, 'UTC'), approver String)),
        told Int32, breached_at DateTime64(3, 'UTC'), retracted Bool, epoch Int32)),
    ADD COLUMN IF NOT EXISTS step Int32,
    ADD COLUMN IF NOT EXISTS ack_by DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS stage String,
    ADD COLUMN IF NOT EXISTS source_due_at DateTime64(3, 'UTC');

ALTER TABLE incident_events
    ADD COLUMN IF NOT EXISTS clocks Array(Tuple(
        purpose LowCardinality(String), round Int32, holder LowCardinality(String), level LowCardinality(String),
        unit LowCardinality(String), until LowCardinality(String), budget Int64, extended Int64,
        calendar LowCardinality(String), policy LowCardinality(String), started_at DateTime64(3, 'UTC'),
        due_at DateTime64(3, 'UTC'), stopped_at DateTime64(3, 'UTC'),
        pauses Array(Tuple(reason LowCardinality(String), since DateTime64(3, 'UTC'), until DateTime64(3, 'UTC'), approver String)),
        told Int32, breached_at DateTime64(3, 'UTC'), retracted Bool, epoch Int32)),
    ADD COLUMN IF NOT EXISTS step Int32,
    ADD COLUMN IF NOT EXISTS ack_by DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS stage LowCardinality(String),
    ADD COLUMN IF NOT EXISTS source_due_at DateTime64(3, 'UTC');

ALTER TABLE incident_events_mv MODIFY QUERY
SELECT *
FROM incident_events_in;
