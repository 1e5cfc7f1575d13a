-- Who held one case, at which level and in which condition, after each of its events.
SELECT case_seq AS seq, type, state, holder, holder_level AS level, round, mirrored, command_id, upstream_state, suspended_reason,
    toUnixTimestamp64Milli(review_at) AS review_at, toUnixTimestamp64Milli(opened_at) AS opened_at,
    toUnixTimestamp64Milli(occurred_at) AS occurred_at, toUnixTimestamp64Milli(received_at) AS received_at
FROM incident_events
WHERE realm = {realm:String} AND case_id = {case_id:String}
ORDER BY case_seq
