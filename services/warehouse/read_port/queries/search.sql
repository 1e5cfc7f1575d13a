-- Cases of a part of the register, newest opening first. `tail`: what the case number ends with. Keyset: before (opened, case_id).
-- Every case has one row that is held, at whatever level; only the columns of what was found are read in full.
SELECT case_id, case_number, case_seq AS seq, division, incident_type AS type, title, state, holder, holder_level, grade, round, mirrored,
    light, toUnixTimestamp64Milli(s.due_at) AS due_at, suspended_reason, toUnixTimestamp64Milli(s.review_at) AS review_at, supervised_rung,
    response_level, toUnixTimestamp64Milli(s.opened_at) AS opened_at, toUnixTimestamp64Milli(s.updated_at) AS updated_at
FROM desk_now AS s FINAL
WHERE realm = {realm:String} AND startsWith(county, {county:String}) AND startsWith(division, {prefix:String}) AND part = 'held'
    AND ({tail:String} = '' OR endsWith(case_number, {tail:String})) AND startsWith(incident_type, {type:String})
    AND s.opened_at >= fromUnixTimestamp64Milli({since:Int64}) AND s.opened_at < fromUnixTimestamp64Milli({until:Int64})
    AND ({light:String} = '' OR light = {light:String}) AND ({state:String} = '' OR state = {state:String})
    AND ({open:Bool} = 0 OR state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn'))
    AND (toUnixTimestamp64Milli(s.opened_at), case_id) < ({opened:Int64}, {case_id:String})
ORDER BY opened_at DESC, case_id DESC
LIMIT {limit:UInt32}
