-- The newest openings as they stand now, from the same rows as the totals.
SELECT case_id, argMax(d.case_number, d.case_seq) AS case_number, argMax(d.incident_type, d.case_seq) AS type, argMax(d.title, d.case_seq) AS title,
    argMax(d.division, d.case_seq) AS division, argMax(d.state, d.case_seq) AS state,
    toUnixTimestamp64Milli(argMin(d.occurred_at, d.case_seq)) AS occurred_at, toUnixTimestamp64Milli(min(d.received_at)) AS received_at,
    max(d.case_seq) AS seq
FROM live_deltas AS d
WHERE realm = {realm:String} AND case_id IN (
    SELECT case_id FROM openings
    WHERE realm = {realm:String} AND startsWith(county, {prefix:String})
    ORDER BY realm DESC, received_at DESC, case_id DESC
    LIMIT {looked_at:UInt32}
)
GROUP BY case_id
HAVING NOT startsWith(type, {unseen:String})
ORDER BY received_at DESC, case_id DESC
LIMIT {limit:UInt32}
