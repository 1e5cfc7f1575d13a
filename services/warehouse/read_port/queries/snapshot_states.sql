-- Cases by county, type and state, now; without those that no wall counts.
SELECT county, incident_type, state, sum(t.cases) AS cases
FROM state_totals AS t
WHERE realm = {realm:String} AND startsWith(county, {prefix:String}) AND NOT startsWith(incident_type, {unseen:String})
GROUP BY county, incident_type, state
HAVING cases != 0
