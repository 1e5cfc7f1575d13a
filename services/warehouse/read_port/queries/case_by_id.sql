-- One case as it stands. The prefix of a case id is all a case number tells.
SELECT realm, case_id, case_seq AS seq, case_number, division, county, level, incident_type AS type, state, holder, holder_level, grade, round,
    reassignments, reopens, mirrored, supervised_rung, producer, title, toUnixTimestamp64Milli(opened_at) AS opened_at,
    toUnixTimestamp64Milli(occurred_at) AS occurred_at, toUnixTimestamp64Milli(received_at) AS received_at,
    toUnixTimestamp64Milli(updated_at) AS updated_at
FROM case_now FINAL
WHERE realm = {realm:String} AND case_id >= {low:String} AND case_id <= {high:String}
    AND ({number:String} = '' OR case_number = {number:String})
LIMIT 1
