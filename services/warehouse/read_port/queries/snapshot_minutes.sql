-- Cases opened and closed per minute since a moment (UTC seconds).
SELECT toUnixTimestamp(minute) AS at, sum(f.opened) AS opened, sum(f.closed) AS closed
FROM flow_by_minute AS f
WHERE realm = {realm:String} AND minute >= toDateTime({since:UInt32}, 'UTC') AND startsWith(county, {prefix:String})
GROUP BY at
ORDER BY at
