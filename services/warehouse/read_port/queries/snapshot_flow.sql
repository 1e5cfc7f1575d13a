-- Cases opened and closed per hour and county since a moment (UTC seconds).
SELECT toUnixTimestamp(hour) AS at, county, sum(f.opened) AS opened, sum(f.closed) AS closed
FROM flow_by_hour AS f
WHERE realm = {realm:String} AND hour >= toDateTime({since:UInt32}, 'UTC') AND startsWith(county, {prefix:String})
GROUP BY at, county
