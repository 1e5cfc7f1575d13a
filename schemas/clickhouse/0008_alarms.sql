-- Facts of alarm.events, the newest row of each alarm line, counts per hour; page records as the lanes wrote them: whom they reached is
-- another table's.
CREATE TABLE alarm_events_in
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
    round Int32,
    alarm_class String,
    class_from String,
    county String,
    county_from String,
    state String,
    state_from String,
    holder String,
    holder_level String,
    press_count Int32,
    pages Int32,
    acknowledged_by String,
    device String,
    subject String,
    producer String,
    title String,
    reason String,
    rule String,
    mended String,
    cell String,
    sealed_ref String,
    opened_at DateTime64(3, 'UTC')
)
ENGINE = Null;

CREATE TABLE alarm_events
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
    round Int32,
    alarm_class LowCardinality(String),
    class_from LowCardinality(String),
    county LowCardinality(String),
    county_from LowCardinality(String),
    state LowCardinality(String),
    state_from LowCardinality(String),
    holder LowCardinality(String),
    holder_level LowCardinality(String),
    press_count Int32,
    pages Int32,
    acknowledged_by String,
    device String,
    subject String,
    producer LowCardinality(String),
    title String,
    reason LowCardinality(String),
    rule LowCardinality(String),
    mended LowCardinality(String),
    cell String,
    sealed_ref String,
    opened_at DateTime64(3, 'UTC'),
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, case_id, case_seq)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW alarm_events_mv TO alarm_events AS
SELECT *
FROM alarm_events_in;

CREATE TABLE alarm_now
(
    realm LowCardinality(String),
    case_id String,
    case_seq Int64,
    case_number String,
    round Int32,
    division String,
    county LowCardinality(String),
    level LowCardinality(String),
    alarm_class LowCardinality(String),
    state LowCardinality(String),
    holder LowCardinality(String),
    holder_level LowCardinality(String),
    press_count Int32,
    acknowledged_by String,
    device String,
    subject String,
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

CREATE MATERIALIZED VIEW alarm_now_mv TO alarm_now AS
SELECT realm, case_id, case_seq, case_number, round, division, county, level, alarm_class, state, holder, holder_level, press_count,
    acknowledged_by, device, subject, producer, title, opened_at, occurred_at, received_at, _ts AS updated_at, _blk
FROM alarm_events_in;

CREATE TABLE alarm_events_by_hour
(
    realm LowCardinality(String),
    hour DateTime('UTC'),
    county LowCardinality(String),
    alarm_class LowCardinality(String),
    type LowCardinality(String),
    events SimpleAggregateFunction(sum, UInt64),
    pages SimpleAggregateFunction(sum, UInt64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = {engine:AggregatingMergeTree}
ORDER BY (realm, hour, county, alarm_class, type);

CREATE MATERIALIZED VIEW alarm_events_by_hour_mv TO alarm_events_by_hour AS
SELECT realm, toStartOfHour(toDateTime(received_at)) AS hour, county, alarm_class, type, count() AS events, toUInt64(sum(pages)) AS pages,
    max(_blk) AS _blk
FROM alarm_events_in
GROUP BY realm, hour, county, alarm_class, type;

CREATE TABLE notifications_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    notification_id String,
    case_id String,
    kind String,
    realm String,
    type String,
    cause String,
    target_kind String,
    target String,
    target_level String,
    step Int32,
    urgency Int32,
    category String,
    division String,
    county String,
    case_number String,
    case_seq Int64,
    round Int32,
    press_count Int32,
    title String,
    reason String,
    command_id String,
    policy_version String,
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    src_topic String,
    src_partition Int32,
    src_offset Int64,
    src_position Int32
)
ENGINE = Null;

CREATE TABLE notifications
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    notification_id String,
    case_id String,
    kind LowCardinality(String),
    realm LowCardinality(String),
    type LowCardinality(String),
    cause LowCardinality(String),
    target_kind LowCardinality(String),
    target LowCardinality(String),
    target_level LowCardinality(String),
    step Int32,
    urgency Int32,
    category LowCardinality(String),
    division String,
    county LowCardinality(String),
    case_number String,
    case_seq Int64,
    round Int32,
    press_count Int32,
    title String,
    reason LowCardinality(String),
    command_id String,
    policy_version LowCardinality(String),
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    src_topic LowCardinality(String),
    src_partition Int32,
    src_offset Int64,
    src_position Int32,
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, case_id, src_offset, src_position)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW notifications_mv TO notifications AS
SELECT *
FROM notifications_in;
