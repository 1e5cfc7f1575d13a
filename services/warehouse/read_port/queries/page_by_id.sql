-- What became of a page, and when its case was acknowledged for the first time after it.
SELECT p.page_id AS page_id, p.case_id AS case_id, p.case_number AS case_number, p.kind AS kind, p.title AS title, p.target AS desk,
    p.target_kind AS target_kind, p.urgency AS urgency, p.clock AS clock, p.status AS status, p.reason AS reason, p.persons AS persons,
    p.channels AS channels, p.results AS results, p.told AS told, p.division AS division,
    toUnixTimestamp64Milli(p.notified_at) AS notified_at, toUnixTimestamp64Milli(p.at) AS at,
    ifNull(toUnixTimestamp64Milli(a.acknowledged_at), 0) AS acknowledged_at
FROM
(
    SELECT *
    FROM pages
    WHERE realm = {realm:String} AND page_id = {page:String}
    LIMIT 1
) AS p
LEFT JOIN
(
    SELECT page_id, acknowledged_at
    FROM bi_page_acknowledgements
    WHERE realm = {realm:String} AND page_id = {page:String}
) AS a ON a.page_id = p.page_id
