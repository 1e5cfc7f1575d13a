-- Open tasks of an organisation in joint handlings, in the order of their due times: asked of it, and neither done nor waived since.
SELECT h.case_id AS case_id, n.case_number AS case_number, n.case_seq AS seq, n.division AS division, n.incident_type AS type, n.title AS title,
    n.state AS state, n.holder AS holder, n.holder_level AS holder_level, n.grade AS grade, n.round AS round, n.mirrored AS mirrored,
    n.reassignments AS reassignments, n.light AS light, toUnixTimestamp64Milli(n.due_at) AS due_at, n.response_level AS response_level,
    n.open_tasks AS open_tasks, h.asked_by AS asked_by, h.asked_at AS asked_at, toUnixTimestamp64Milli(n.updated_at) AS updated_at,
    toUnixTimestamp64Milli(n.opened_at) AS opened, h.due AS ends,
    if(match(n.incident_type, '^[ALR]'), 0, 100) + if(n.grade = 0, 5, n.grade) * 10
        + if(n.response_level = 0, 5, n.response_level) AS danger
FROM
(
    SELECT case_id, max(case_seq) AS asked, argMax(from_desk, case_seq) AS asked_by,
        toUnixTimestamp64Milli(argMax(occurred_at, case_seq)) AS asked_at, toUnixTimestamp64Milli(argMax(handovers.due_at, case_seq)) AS due
    FROM handovers
    WHERE realm = {realm:String} AND to_level = {level:String} AND kind = 'task' AND task = 'open' AND to_org = {org:String}
    GROUP BY case_id
) AS h
INNER JOIN
(
    SELECT *
    FROM case_now FINAL
    WHERE realm = {realm:String} AND case_id IN (
        SELECT case_id FROM handovers
        WHERE realm = {realm:String} AND to_level = {level:String} AND kind = 'task' AND task = 'open' AND to_org = {org:String}
    )
) AS n ON n.case_id = h.case_id
LEFT JOIN
(
    SELECT case_id, max(case_seq) AS ended
    FROM incident_events
    WHERE realm = {realm:String} AND type IN ('incident.task_done', 'incident.task_waived') AND target = {org:String} AND case_id IN (
        SELECT case_id FROM handovers
        WHERE realm = {realm:String} AND to_level = {level:String} AND kind = 'task' AND task = 'open' AND to_org = {org:String}
    )
    GROUP BY case_id
) AS e ON e.case_id = h.case_id
WHERE n.open_tasks > 0 AND e.ended < h.asked
    AND n.state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
ORDER BY ends = 0, ends, asked_at, case_id
LIMIT {limit:UInt32}
