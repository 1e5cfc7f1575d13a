-- Open cases of one type in one part of the register that were opened in a stretch of time: who may have told of the same matter.
SELECT case_id, case_number, case_seq AS seq, division, incident_type AS type, title, state, holder, holder_level, grade, round, mirrored,
    merged_count, producer, toUnixTimestamp64Milli(s.opened_at) AS opened_at, toUnixTimestamp64Milli(s.updated_at) AS updated_at
FROM desk_now AS s FINAL
WHERE realm = {realm:String} AND startsWith(county, {county:String}) AND part = 'held' AND incident_type = {type:String}
    AND case_id != {case_id:String} AND NOT mirrored
    AND state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
    AND s.opened_at >= fromUnixTimestamp64Milli({since:Int64}) AND s.opened_at <= fromUnixTimestamp64Milli({until:Int64})
ORDER BY abs(toUnixTimestamp64Milli(s.opened_at) - {at:Int64}), case_id
LIMIT {limit:UInt32}
