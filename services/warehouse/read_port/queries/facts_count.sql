-- Events stored.
SELECT sum(e.events) AS facts
FROM incident_events_by_hour AS e
WHERE realm = {realm:String} AND startsWith(county, {prefix:String})
