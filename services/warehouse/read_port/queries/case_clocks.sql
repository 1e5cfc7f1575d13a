-- The events of one case that changed its clocks or ruled on a breach, in order; clocks as arrays in the order of schemas.state.clock.
SELECT case_seq AS seq, type, policy_version, clock, clock_holder, toUnixTimestamp64Milli(clock_due_at) AS clock_due_at, actor_org, reason,
    command_id, toUnixTimestamp64Milli(opened_at) AS opened_at, toUnixTimestamp64Milli(occurred_at) AS occurred_at,
    toUnixTimestamp64Milli(received_at) AS received_at,
    toJSONString(arrayMap(c -> (
        c.purpose, c.round, c.holder, c.level, c.unit, c.until, c.budget, c.extended, c.calendar, c.policy,
        toUnixTimestamp64Milli(c.started_at), toUnixTimestamp64Milli(c.due_at), toUnixTimestamp64Milli(c.stopped_at),
        arrayMap(p -> (p.reason, toUnixTimestamp64Milli(p.since), toUnixTimestamp64Milli(p.until), p.approver), c.pauses),
        c.told, toUnixTimestamp64Milli(c.breached_at), c.retracted, c.epoch
    ), clocks)) AS clocks
FROM incident_events
WHERE realm = {realm:String} AND case_id = {case_id:String}
    AND (notEmpty(clocks) OR type IN ('incident.contested', 'incident.breach_upheld', 'incident.breach_withdrawn'))
ORDER BY case_seq
