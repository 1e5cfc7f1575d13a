-- Events stored, of every kind of case: as many as commands were applied.
SELECT sum(e.events) AS facts
FROM
(
    SELECT sum(i.events) AS events
    FROM incident_events_by_hour AS i
    WHERE realm = {realm:String} AND startsWith(county, {prefix:String})
    UNION ALL
    SELECT sum(a.events) AS events
    FROM alarm_events_by_hour AS a
    WHERE realm = {realm:String} AND startsWith(county, {prefix:String})
) AS e
