-- The events of one case, in order, after a case_seq.
SELECT event_id, case_seq AS seq, type, state, state_from, division, incident_type, holder, holder_level, grade, round, reassignments, reopens,
    actor_org, actor_role, actor_level, cause, reason, rule, command_id, sealed_ref != '' AS sealed,
    toUnixTimestamp64Milli(occurred_at) AS occurred_at, toUnixTimestamp64Milli(received_at) AS received_at,
    toUnixTimestamp64Milli(_ts) AS recorded_at
FROM incident_events
WHERE realm = {realm:String} AND case_id = {case_id:String} AND case_seq > {after:Int64}
ORDER BY case_seq
LIMIT {limit:UInt32}
