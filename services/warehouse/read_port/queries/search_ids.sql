-- These cases as they stand, newest opening first: what a search by person found among the gateway's tokens.
SELECT case_id, case_number, case_seq AS seq, division, incident_type AS type, title, state, holder, holder_level, grade, round, mirrored,
    light, toUnixTimestamp64Milli(due_at) AS due_at, suspended_reason, toUnixTimestamp64Milli(review_at) AS review_at, supervised_rung,
    response_level, toUnixTimestamp64Milli(opened_at) AS opened_at, toUnixTimestamp64Milli(updated_at) AS updated_at
FROM case_now FINAL
WHERE realm = {realm:String} AND case_id IN splitByChar(',', {case_ids:String})
ORDER BY opened_at DESC, case_id DESC
LIMIT {limit:UInt32}
