-- Where cases were last said to be, as cells of six characters; those that nobody placed are left out.
SELECT case_id, argMax(e.cell, e.case_seq) AS cell
FROM incident_events AS e
WHERE realm = {realm:String} AND case_id IN splitByChar(',', {case_ids:String}) AND e.cell != ''
GROUP BY case_id
