-- Open cases a desk holds: the most serious first, then the oldest; not graded comes last. Keyset: after (rank, opened_at, case_id).
SELECT case_id, case_number, case_seq AS seq, division, incident_type AS type, title, state, holder, holder_level, grade, round, mirrored,
    if(grade = 0, 5, grade) AS rank, toUnixTimestamp64Milli(opened_at) AS opened, toUnixTimestamp64Milli(updated_at) AS updated_at
FROM case_now FINAL
WHERE realm = {realm:String} AND startsWith(division, {prefix:String}) AND holder_level = {level:String}
    AND state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
    AND (rank, opened, case_id) > ({rank:Int32}, {opened:Int64}, {case_id:String})
ORDER BY rank, opened, case_id
LIMIT {limit:UInt32}
