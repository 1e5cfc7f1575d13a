-- The contract for BI tools: one time column, documented grain, no personal data. Count realm = 'live' only.

-- One row for each realm, day (Asia/Shanghai) and county.
CREATE VIEW bi_incidents_daily AS
SELECT realm, toDate(hour, 'Asia/Shanghai') AS day, county, sum(f.opened) AS opened, sum(f.closed) AS closed, sum(f.events) AS events
FROM flow_by_hour AS f
GROUP BY realm, day, county;

-- One row for each case, as it stands.
CREATE VIEW bi_case_now AS
SELECT realm, case_number, division, county, level, incident_type, state, holder_level, grade, round, reassignments, reopens, mirrored, opened_at
FROM case_now FINAL;
