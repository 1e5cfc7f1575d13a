-- What became of each notification (topic pages), and what the notifier found or did of its own accord (topic duty.events, at least once:
-- rows of one duty_event_id are one). Notifications name the clock that runs late since their second version.
ALTER TABLE notifications_in
    ADD COLUMN IF NOT EXISTS clock String,
    ADD COLUMN IF NOT EXISTS clock_holder String,
    ADD COLUMN IF NOT EXISTS clock_due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS ack_by DateTime64(3, 'UTC');

ALTER TABLE notifications
    ADD COLUMN IF NOT EXISTS clock LowCardinality(String),
    ADD COLUMN IF NOT EXISTS clock_holder LowCardinality(String),
    ADD COLUMN IF NOT EXISTS clock_due_at DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS ack_by DateTime64(3, 'UTC');

ALTER TABLE notifications_mv MODIFY QUERY
SELECT *
FROM notifications_in;

CREATE TABLE pages_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    page_id String,
    notification_id String,
    case_id String,
    kind String,
    realm String,
    cause String,
    target_kind String,
    target String,
    target_level String,
    step Int32,
    urgency Int32,
    division String,
    county String,
    case_number String,
    title String,
    case_seq Int64,
    round Int32,
    clock String,
    status String,
    reason String,
    persons Array(String),
    channels Array(String),
    results Array(String),
    told Int32,
    notified_at DateTime64(3, 'UTC'),
    at DateTime64(3, 'UTC'),
    src_topic String,
    src_partition Int32,
    src_offset Int64,
    src_position Int32
)
ENGINE = Null;

CREATE TABLE pages
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    page_id String,
    notification_id String,
    case_id String,
    kind LowCardinality(String),
    realm LowCardinality(String),
    cause LowCardinality(String),
    target_kind LowCardinality(String),
    target LowCardinality(String),
    target_level LowCardinality(String),
    step Int32,
    urgency Int32,
    division String,
    county LowCardinality(String),
    case_number String,
    title String,
    case_seq Int64,
    round Int32,
    clock LowCardinality(String),
    status LowCardinality(String),
    reason LowCardinality(String),
    persons Array(String),
    channels Array(LowCardinality(String)),
    results Array(LowCardinality(String)),
    told Int32,
    notified_at DateTime64(3, 'UTC'),
    at DateTime64(3, 'UTC'),
    src_topic LowCardinality(String),
    src_partition Int32,
    src_offset Int64,
    src_position Int32,
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, target, at, page_id)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW pages_mv TO pages AS
SELECT *
FROM pages_in;

CREATE TABLE duty_events_in
(
    _blk UInt64,
    _month UInt32,
    _topic String,
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    duty_event_id String,
    type String,
    realm String,
    desk String,
    person String,
    channel String,
    starts_at DateTime64(3, 'UTC'),
    ends_at DateTime64(3, 'UTC'),
    count Int32,
    case_number String,
    at DateTime64(3, 'UTC')
)
ENGINE = Null;

CREATE TABLE duty_events
(
    _blk UInt64,
    _month UInt32,
    _topic LowCardinality(String),
    _part Int32,
    _off Int64,
    _ts DateTime64(3, 'UTC'),
    duty_event_id String,
    type LowCardinality(String),
    realm LowCardinality(String),
    desk LowCardinality(String),
    person String,
    channel LowCardinality(String),
    starts_at DateTime64(3, 'UTC'),
    ends_at DateTime64(3, 'UTC'),
    count Int32,
    case_number String,
    at DateTime64(3, 'UTC'),
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = {engine:MergeTree}
PARTITION BY _month
ORDER BY (realm, desk, starts_at, duty_event_id)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW duty_events_mv TO duty_events AS
SELECT *
FROM duty_events_in;

-- One row for each realm, duty day (08:00 to 08:00, Asia/Shanghai), desk and half of it: night is 20:00 to 08:00. `messages`: to persons,
-- each channel for itself, without the bundles sent later.
CREATE VIEW bi_pages_by_desk AS
SELECT realm, toDate(at - toIntervalHour(8), 'Asia/Shanghai') AS duty_day, target AS desk, target_level AS level,
    toHour(at, 'Asia/Shanghai') NOT BETWEEN 8 AND 19 AS night, count() AS notifications, countIf(status = 'sent') AS sent,
    countIf(status = 'bundled') AS bundled, countIf(status = 'throttled') AS throttled, countIf(status = 'suppressed') AS suppressed,
    countIf(status = 'no_one_notified') AS no_one_notified,
    sum(arrayCount(result -> result IN ('sent', 'bundled'), results)) AS messages
FROM pages
GROUP BY realm, duty_day, desk, level, night;

-- One row for each page that told somebody: when the case was acknowledged for the first time after it in the same round, and how many
-- seconds that took; empty where nobody did.
CREATE VIEW bi_page_acknowledgements AS
SELECT p.realm AS realm, p.page_id AS page_id, any(p.kind) AS kind, any(p.target) AS desk, any(p.case_number) AS case_number,
    any(p.urgency) AS urgency, any(p.at) AS told_at, minOrNullIf(a.received_at, a.received_at >= p.at) AS acknowledged_at,
    dateDiff('second', told_at, acknowledged_at) AS seconds
FROM pages AS p
LEFT JOIN
(
    SELECT realm, case_id, round, received_at
    FROM alarm_events
    WHERE type = 'alarm.acknowledged'
    UNION ALL
    SELECT realm, case_id, round, received_at
    FROM incident_events
    WHERE type = 'incident.acknowledged'
) AS a ON a.realm = p.realm AND a.case_id = p.case_id AND a.round = p.round
WHERE p.status IN ('sent', 'bundled')
GROUP BY realm, page_id;

-- One row for each gap of a roster: found, filled in time, or come true.
CREATE VIEW bi_roster_gaps AS
SELECT realm, desk, starts_at, max(ends_at) AS ends_at, min(at) AS found_at, countIf(type = 'gap_filled') > 0 AS filled,
    countIf(type = 'nobody_on_duty') > 0 AS came_true
FROM duty_events
WHERE desk != ''
GROUP BY realm, desk, starts_at;
