-- Cases by county, type and state, now.
SELECT county, incident_type, state, sum(t.cases) AS cases
FROM state_totals AS t
WHERE realm = {realm:String} AND startsWith(county, {prefix:String})
GROUP BY county, incident_type, state
HAVING cases != 0
