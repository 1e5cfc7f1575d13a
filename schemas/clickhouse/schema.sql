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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, case_id, case_seq)
SETTINGS index_granularity = 2048;

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
ENGINE = AggregatingMergeTree
ORDER BY (realm, hour, county, alarm_class, type)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW alarm_events_by_hour_mv TO alarm_events_by_hour
(
    realm String,
    hour DateTime('UTC'),
    county String,
    alarm_class String,
    type String,
    events UInt64,
    pages UInt64,
    _blk UInt64
)
AS SELECT realm, toStartOfHour(toDateTime(received_at)) AS hour, county, alarm_class, type, count() AS events, toUInt64(sum(pages)) AS pages, max(_blk) AS _blk
FROM alarm_events_in
GROUP BY realm, hour, county, alarm_class, type;

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

CREATE MATERIALIZED VIEW alarm_events_mv TO alarm_events
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
AS SELECT *
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
ENGINE = ReplacingMergeTree(case_seq)
ORDER BY (realm, case_id)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW alarm_now_mv TO alarm_now
(
    realm String,
    case_id String,
    case_seq Int64,
    case_number String,
    round Int32,
    division String,
    county String,
    level String,
    alarm_class String,
    state String,
    holder String,
    holder_level String,
    press_count Int32,
    acknowledged_by String,
    device String,
    subject String,
    producer String,
    title String,
    opened_at DateTime64(3, 'UTC'),
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    _blk UInt64
)
AS SELECT realm, case_id, case_seq, case_number, round, division, county, level, alarm_class, state, holder, holder_level, press_count, acknowledged_by, device, subject, producer, title, opened_at, occurred_at, received_at, _ts AS updated_at, _blk
FROM alarm_events_in;

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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, case_id, at)
SETTINGS index_granularity = 8192;

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

CREATE MATERIALIZED VIEW audit_mv TO audit
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
AS SELECT *
FROM audit_in;

CREATE VIEW bi_case_now
(
    realm LowCardinality(String),
    case_number String,
    division String,
    county LowCardinality(String),
    level LowCardinality(String),
    incident_type LowCardinality(String),
    state LowCardinality(String),
    holder_level LowCardinality(String),
    grade Int32,
    round Int32,
    reassignments Int32,
    reopens Int32,
    mirrored Bool,
    opened_at DateTime64(3, 'UTC')
)
AS SELECT realm, case_number, division, county, level, incident_type, state, holder_level, grade, round, reassignments, reopens, mirrored, opened_at
FROM case_now FINAL;

CREATE VIEW bi_incidents_daily
(
    realm LowCardinality(String),
    day Date,
    county LowCardinality(String),
    opened UInt64,
    closed UInt64,
    events UInt64
)
AS SELECT realm, toDate(hour, 'Asia/Shanghai') AS day, county, sum(f.opened) AS opened, sum(f.closed) AS closed, sum(f.events) AS events
FROM flow_by_hour AS f
GROUP BY realm, day, county;

CREATE VIEW bi_page_acknowledgements
(
    realm LowCardinality(String),
    page_id String,
    kind String,
    desk String,
    case_number String,
    urgency Int32,
    told_at DateTime64(3, 'UTC'),
    acknowledged_at Nullable(DateTime64(3, 'UTC')),
    seconds Nullable(Int64)
)
AS SELECT p.realm AS realm, p.page_id AS page_id, any(p.kind) AS kind, any(p.target) AS desk, any(p.case_number) AS case_number, any(p.urgency) AS urgency, any(p.at) AS told_at, minOrNullIf(a.received_at, a.received_at >= p.at) AS acknowledged_at, dateDiff('second', told_at, acknowledged_at) AS seconds
FROM pages AS p LEFT JOIN (SELECT realm, case_id, round, received_at
FROM alarm_events
WHERE type = 'alarm.acknowledged' UNION ALL SELECT realm, case_id, round, received_at
FROM incident_events
WHERE type = 'incident.acknowledged') AS a ON (a.realm = p.realm) AND (a.case_id = p.case_id) AND (a.round = p.round)
WHERE p.status IN ('sent', 'bundled')
GROUP BY realm, page_id;

CREATE VIEW bi_pages_by_desk
(
    realm LowCardinality(String),
    duty_day Date,
    desk LowCardinality(String),
    level LowCardinality(String),
    night UInt8,
    notifications UInt64,
    sent UInt64,
    bundled UInt64,
    throttled UInt64,
    suppressed UInt64,
    no_one_notified UInt64,
    messages UInt64
)
AS SELECT realm, toDate(at - toIntervalHour(8), 'Asia/Shanghai') AS duty_day, target AS desk, target_level AS level, (toHour(at, 'Asia/Shanghai') < 8) OR (toHour(at, 'Asia/Shanghai') > 19) AS night, count() AS notifications, countIf(status = 'sent') AS sent, countIf(status = 'bundled') AS bundled, countIf(status = 'throttled') AS throttled, countIf(status = 'suppressed') AS suppressed, countIf(status = 'no_one_notified') AS no_one_notified, sum(arrayCount(result -> (result IN ('sent', 'bundled')), results)) AS messages
FROM pages
GROUP BY realm, duty_day, desk, level, night;

CREATE VIEW bi_roster_gaps
(
    realm LowCardinality(String),
    desk LowCardinality(String),
    starts_at DateTime64(3, 'UTC'),
    ends_at DateTime64(3, 'UTC'),
    found_at DateTime64(3, 'UTC'),
    filled UInt8,
    came_true UInt8
)
AS SELECT realm, desk, starts_at, max(ends_at) AS ends_at, min(at) AS found_at, countIf(type = 'gap_filled') > 0 AS filled, countIf(type = 'nobody_on_duty') > 0 AS came_true
FROM duty_events
WHERE desk != ''
GROUP BY realm, desk, starts_at;

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
    _blk UInt64,
    wakes_at DateTime64(3, 'UTC'),
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
    lead LowCardinality(String),
    open_tasks Int32,
    merged_into String,
    merged_count Int32,
    earliest_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(case_seq)
ORDER BY (realm, case_id)
SETTINGS index_granularity = 2048;

CREATE MATERIALIZED VIEW case_now_mv TO case_now
(
    realm String,
    case_id String,
    case_seq Int64,
    case_number String,
    division String,
    county String,
    level String,
    incident_type String,
    state String,
    holder String,
    holder_level String,
    grade Int32,
    round Int32,
    reassignments Int32,
    reopens Int32,
    mirrored Bool,
    producer String,
    title String,
    opened_at DateTime64(3, 'UTC'),
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    _blk UInt64,
    wakes_at DateTime64(3, 'UTC'),
    light String,
    due_at DateTime64(3, 'UTC'),
    upstream_state String,
    upstream_level String,
    suspended_reason String,
    suspension_ends_at DateTime64(3, 'UTC'),
    review_at DateTime64(3, 'UTC'),
    supervised_rung String,
    reply_due_at DateTime64(3, 'UTC'),
    response_level Int32,
    lead String,
    open_tasks Int32,
    merged_into String,
    merged_count Int32,
    earliest_at DateTime64(3, 'UTC')
)
AS SELECT realm, case_id, case_seq, case_number, division, county, level, incident_type, state, holder, holder_level, grade, round, reassignments, reopens, mirrored, producer, title, opened_at, occurred_at, received_at, _ts AS updated_at, _blk, wakes_at, light, due_at, upstream_state, upstream_level, suspended_reason, suspension_ends_at, review_at, supervised_rung, reply_due_at, response_level, lead, open_tasks, merged_into, merged_count, earliest_at
FROM incident_events_in;

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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, _topic, _part, _off)
SETTINGS index_granularity = 8192;

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

CREATE MATERIALIZED VIEW dead_letters_mv TO dead_letters
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
AS SELECT *
FROM dead_letters_in;

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
ENGINE = ReplacingMergeTree(case_seq)
ORDER BY (realm, desk_level, county, case_id)
SETTINGS index_granularity = 1024;

CREATE MATERIALIZED VIEW desk_now_mv TO desk_now
(
    realm String,
    desk_level String,
    county String,
    case_id String,
    case_seq Int64,
    part String,
    case_number String,
    division String,
    incident_type String,
    state String,
    holder String,
    holder_level String,
    grade Int32,
    round Int32,
    reassignments Int32,
    reopens Int32,
    mirrored Bool,
    producer String,
    title String,
    opened_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    light String,
    due_at DateTime64(3, 'UTC'),
    upstream_state String,
    upstream_level String,
    suspended_reason String,
    suspension_ends_at DateTime64(3, 'UTC'),
    review_at DateTime64(3, 'UTC'),
    supervised_rung String,
    reply_due_at DateTime64(3, 'UTC'),
    response_level Int32,
    open_tasks Int32,
    merged_count Int32,
    _blk UInt64
)
AS SELECT realm, place.1 AS desk_level, place.2 AS county, case_id, case_seq, place.3 AS part, case_number, division, incident_type, state, holder, holder_level, grade, round, reassignments, reopens, mirrored, producer, title, opened_at, _ts AS updated_at, light, due_at, upstream_state, upstream_level, suspended_reason, suspension_ends_at, review_at, supervised_rung, reply_due_at, response_level, open_tasks, merged_count, _blk
FROM incident_events_in AS e
ARRAY JOIN arrayConcat([(toString(e.holder_level), toString(e.county), 'held')], arrayFilter(at -> ((e.upstream_state = 'offered') AND ((at.1) != e.holder_level)), [(toString(e.upstream_level), toString(e.county), 'offered')]), arrayFilter(at -> (((at.1) != '') AND (NOT (((at.2) = e.county) AND (((at.1) = e.holder_level) OR ((e.upstream_state = 'offered') AND ((at.1) = e.upstream_level)))))), [(toString(e.holder_level_from), toString(e.county_from), ''), (toString(e.offered_level_from), toString(e.county_from), '')])) AS place;

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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, desk, starts_at, duty_event_id)
SETTINGS index_granularity = 2048;

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

CREATE MATERIALIZED VIEW duty_events_mv TO duty_events
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
AS SELECT *
FROM duty_events_in;

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
ENGINE = AggregatingMergeTree
ORDER BY (realm, hour, county)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW flow_by_hour_mv TO flow_by_hour
(
    realm String,
    hour DateTime('UTC'),
    county String,
    opened UInt64,
    closed UInt64,
    events UInt64,
    _blk UInt64
)
AS SELECT realm, toStartOfHour(toDateTime(received_at)) AS hour, county, countIf((state_from = '') OR ((state_from IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')) AND (state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')))) AS opened, countIf((state IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')) AND (state_from NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn'))) AS closed, count() AS events, max(_blk) AS _blk
FROM live_deltas_in
WHERE NOT startsWith(incident_type, 'X')
GROUP BY realm, hour, county;

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
ENGINE = AggregatingMergeTree
ORDER BY (realm, minute, county)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW flow_by_minute_mv TO flow_by_minute
(
    realm String,
    minute DateTime('UTC'),
    county String,
    opened UInt64,
    closed UInt64,
    events UInt64,
    _blk UInt64
)
AS SELECT realm, toStartOfMinute(toDateTime(received_at)) AS minute, county, countIf((state_from = '') OR ((state_from IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')) AND (state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')))) AS opened, countIf((state IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')) AND (state_from NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn'))) AS closed, count() AS events, max(_blk) AS _blk
FROM live_deltas_in
WHERE NOT startsWith(incident_type, 'X')
GROUP BY realm, minute, county;

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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, to_level, to_desk, case_id, src_offset, src_position)
SETTINGS index_granularity = 2048;

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

CREATE MATERIALIZED VIEW handovers_mv TO handovers
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
AS SELECT *
FROM handovers_in;

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
    wakes_at DateTime64(3, 'UTC'),
    light LowCardinality(String),
    light_from LowCardinality(String),
    clock LowCardinality(String),
    clock_holder LowCardinality(String),
    clock_due_at DateTime64(3, 'UTC'),
    clock_breached_at DateTime64(3, 'UTC'),
    due_at DateTime64(3, 'UTC'),
    upstream_state LowCardinality(String),
    upstream_level LowCardinality(String),
    suspended_reason LowCardinality(String),
    suspension_ends_at DateTime64(3, 'UTC'),
    review_at DateTime64(3, 'UTC'),
    supervised_rung LowCardinality(String),
    reply_due_at DateTime64(3, 'UTC'),
    response_level Int32,
    lead LowCardinality(String),
    open_tasks Int32,
    target String,
    merged_into String,
    merged_count Int32,
    earliest_at DateTime64(3, 'UTC'),
    paper String,
    score Int32,
    person String,
    tell LowCardinality(String),
    tell_level LowCardinality(String),
    held_ms Int64,
    clocks Array(Tuple(purpose LowCardinality(String), round Int32, holder LowCardinality(String), level LowCardinality(String), unit LowCardinality(String), until LowCardinality(String), budget Int64, extended Int64, calendar LowCardinality(String), policy LowCardinality(String), started_at DateTime64(3, 'UTC'), due_at DateTime64(3, 'UTC'), stopped_at DateTime64(3, 'UTC'), pauses Array(Tuple(reason LowCardinality(String), since DateTime64(3, 'UTC'), until DateTime64(3, 'UTC'), approver String)), told Int32, breached_at DateTime64(3, 'UTC'), retracted Bool, epoch Int32)),
    step Int32,
    ack_by DateTime64(3, 'UTC'),
    stage LowCardinality(String),
    source_due_at DateTime64(3, 'UTC'),
    holder_level_from LowCardinality(String),
    offered_level_from LowCardinality(String),
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, case_id, case_seq)
SETTINGS index_granularity = 2048;

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
ENGINE = AggregatingMergeTree
ORDER BY (realm, hour, county, incident_type, type)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW incident_events_by_hour_mv TO incident_events_by_hour
(
    realm String,
    hour DateTime('UTC'),
    county String,
    incident_type String,
    type String,
    events UInt64,
    _blk UInt64
)
AS SELECT realm, toStartOfHour(toDateTime(received_at)) AS hour, county, incident_type, type, count() AS events, max(_blk) AS _blk
FROM incident_events_in
GROUP BY realm, hour, county, incident_type, type;

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
ENGINE = AggregatingMergeTree
ORDER BY (realm, minute, county, incident_type, type)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW incident_events_by_minute_mv TO incident_events_by_minute
(
    realm String,
    minute DateTime('UTC'),
    county String,
    incident_type String,
    type String,
    events UInt64,
    _blk UInt64
)
AS SELECT realm, toStartOfMinute(toDateTime(received_at)) AS minute, county, incident_type, type, count() AS events, max(_blk) AS _blk
FROM incident_events_in
GROUP BY realm, minute, county, incident_type, type;

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
    opened_at DateTime64(3, 'UTC'),
    wakes_at DateTime64(3, 'UTC'),
    light String,
    light_from String,
    clock String,
    clock_holder String,
    clock_due_at DateTime64(3, 'UTC'),
    clock_breached_at DateTime64(3, 'UTC'),
    due_at DateTime64(3, 'UTC'),
    upstream_state String,
    upstream_level String,
    suspended_reason String,
    suspension_ends_at DateTime64(3, 'UTC'),
    review_at DateTime64(3, 'UTC'),
    supervised_rung String,
    reply_due_at DateTime64(3, 'UTC'),
    response_level Int32,
    lead String,
    open_tasks Int32,
    target String,
    merged_into String,
    merged_count Int32,
    earliest_at DateTime64(3, 'UTC'),
    paper String,
    score Int32,
    person String,
    tell String,
    tell_level String,
    held_ms Int64,
    clocks Array(Tuple(purpose String, round Int32, holder String, level String, unit String, until String, budget Int64, extended Int64, calendar String, policy String, started_at DateTime64(3, 'UTC'), due_at DateTime64(3, 'UTC'), stopped_at DateTime64(3, 'UTC'), pauses Array(Tuple(reason String, since DateTime64(3, 'UTC'), until DateTime64(3, 'UTC'), approver String)), told Int32, breached_at DateTime64(3, 'UTC'), retracted Bool, epoch Int32)),
    step Int32,
    ack_by DateTime64(3, 'UTC'),
    stage String,
    source_due_at DateTime64(3, 'UTC'),
    holder_level_from String,
    offered_level_from String
)
ENGINE = Null;

CREATE MATERIALIZED VIEW incident_events_mv TO incident_events
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
    opened_at DateTime64(3, 'UTC'),
    wakes_at DateTime64(3, 'UTC'),
    light String,
    light_from String,
    clock String,
    clock_holder String,
    clock_due_at DateTime64(3, 'UTC'),
    clock_breached_at DateTime64(3, 'UTC'),
    due_at DateTime64(3, 'UTC'),
    upstream_state String,
    upstream_level String,
    suspended_reason String,
    suspension_ends_at DateTime64(3, 'UTC'),
    review_at DateTime64(3, 'UTC'),
    supervised_rung String,
    reply_due_at DateTime64(3, 'UTC'),
    response_level Int32,
    lead String,
    open_tasks Int32,
    target String,
    merged_into String,
    merged_count Int32,
    earliest_at DateTime64(3, 'UTC'),
    paper String,
    score Int32,
    person String,
    tell String,
    tell_level String,
    held_ms Int64,
    clocks Array(Tuple(purpose String, round Int32, holder String, level String, unit String, until String, budget Int64, extended Int64, calendar String, policy String, started_at DateTime64(3, 'UTC'), due_at DateTime64(3, 'UTC'), stopped_at DateTime64(3, 'UTC'), pauses Array(Tuple(reason String, since DateTime64(3, 'UTC'), until DateTime64(3, 'UTC'), approver String)), told Int32, breached_at DateTime64(3, 'UTC'), retracted Bool, epoch Int32)),
    step Int32,
    ack_by DateTime64(3, 'UTC'),
    stage String,
    source_due_at DateTime64(3, 'UTC'),
    holder_level_from String,
    offered_level_from String
)
AS SELECT *
FROM incident_events_in;

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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, case_id, case_seq)
SETTINGS index_granularity = 2048;

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

CREATE MATERIALIZED VIEW live_deltas_mv TO live_deltas
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
AS SELECT *
FROM live_deltas_in;

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
    clock LowCardinality(String),
    clock_holder LowCardinality(String),
    clock_due_at DateTime64(3, 'UTC'),
    ack_by DateTime64(3, 'UTC'),
    INDEX blocks _blk TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, case_id, src_offset, src_position)
SETTINGS index_granularity = 2048;

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
    src_position Int32,
    clock String,
    clock_holder String,
    clock_due_at DateTime64(3, 'UTC'),
    ack_by DateTime64(3, 'UTC')
)
ENGINE = Null;

CREATE MATERIALIZED VIEW notifications_mv TO notifications
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
    src_position Int32,
    clock String,
    clock_holder String,
    clock_due_at DateTime64(3, 'UTC'),
    ack_by DateTime64(3, 'UTC')
)
AS SELECT *
FROM notifications_in;

CREATE TABLE openings
(
    realm LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    county LowCardinality(String),
    case_id String,
    _blk UInt64
)
ENGINE = MergeTree
ORDER BY (realm, received_at, case_id)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW openings_mv TO openings
(
    realm String,
    received_at DateTime64(3, 'UTC'),
    county String,
    case_id String,
    _blk UInt64
)
AS SELECT realm, received_at, county, case_id, _blk
FROM live_deltas_in
WHERE state_from = '';

CREATE TABLE outcome_counts
(
    realm LowCardinality(String),
    county LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    outcomes SimpleAggregateFunction(sum, UInt64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (realm, county, outcome, reason)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW outcome_counts_mv TO outcome_counts
(
    realm String,
    county String,
    outcome String,
    reason String,
    outcomes UInt64,
    _blk UInt64
)
AS SELECT realm, substring(division, 1, 6) AS county, outcome, reason, count() AS outcomes, max(_blk) AS _blk
FROM outcomes_in
GROUP BY realm, county, outcome, reason;

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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, command_id, src_offset)
SETTINGS index_granularity = 2048;

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

CREATE MATERIALIZED VIEW outcomes_mv TO outcomes
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
AS SELECT *
FROM outcomes_in;

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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, target, at, page_id)
SETTINGS index_granularity = 2048;

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

CREATE MATERIALIZED VIEW pages_mv TO pages
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
AS SELECT *
FROM pages_in;

CREATE TABLE schema_migrations
(
    version UInt32,
    name String,
    sha256 String,
    statement UInt32
)
ENGINE = MergeTree
ORDER BY (version, statement)
SETTINGS index_granularity = 8192;

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
ENGINE = MergeTree
PARTITION BY _month
ORDER BY (realm, case_id)
SETTINGS index_granularity = 8192;

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

CREATE MATERIALIZED VIEW sealed_mv TO sealed
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
AS SELECT *
FROM sealed_in;

CREATE TABLE state_totals
(
    realm LowCardinality(String),
    county LowCardinality(String),
    incident_type LowCardinality(String),
    state LowCardinality(String),
    cases SimpleAggregateFunction(sum, Int64),
    _blk SimpleAggregateFunction(max, UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (realm, county, incident_type, state)
SETTINGS index_granularity = 8192;

CREATE MATERIALIZED VIEW state_totals_mv TO state_totals
(
    realm String,
    county String,
    incident_type String,
    state String,
    cases Int64,
    _blk UInt64
)
AS SELECT realm, change.1 AS county, change.2 AS incident_type, change.3 AS state, sum(change.4) AS cases, max(_blk) AS _blk
FROM live_deltas_in AS d
ARRAY JOIN [(toString(d.county), toString(d.incident_type), toString(d.state), toInt64(1)), (toString(d.county_from), toString(d.type_from), toString(d.state_from), toInt64(-1))] AS change
WHERE (change.3) != ''
GROUP BY realm, county, incident_type, state;


