-- One list of a desk: danger first, then the time that is left. Keyset: after (danger, due, opened, case_id); due 0 comes last.
-- danger: life and safety before all else, then the grade, then the response in force; the smaller, the graver.
SELECT case_id, case_number, case_seq AS seq, division, incident_type AS type, title, state, holder, holder_level, grade, round, mirrored,
    reassignments, light, toUnixTimestamp64Milli(due_at) AS due_at, upstream_state, upstream_level, suspended_reason,
    toUnixTimestamp64Milli(suspension_ends_at) AS suspension_ends_at, toUnixTimestamp64Milli(review_at) AS review_at, supervised_rung,
    toUnixTimestamp64Milli(reply_due_at) AS reply_due_at, response_level, open_tasks, merged_count,
    toUnixTimestamp64Milli(updated_at) AS updated_at, toUnixTimestamp64Milli(opened_at) AS opened,
    if(match(incident_type, '^[ALR]'), 0, 100) + if(grade = 0, 5, grade) * 10 + if(response_level = 0, 5, response_level) AS danger,
    toUnixTimestamp64Milli(multiIf({list:String} = 'paused', d.suspension_ends_at, {list:String} = 'shelved', d.review_at,
        {list:String} = 'replies', d.reply_due_at, d.due_at)) AS ends,
    if(ends = 0, 9000000000000000, ends) AS due
FROM desk_now AS d FINAL
WHERE realm = {realm:String} AND desk_level = {level:String} AND startsWith(county, {county:String})
    AND startsWith(division, {prefix:String})
    AND state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn')
    AND part = if({list:String} = 'offered', 'offered', 'held')
    AND multiIf({list:String} = 'work', suspended_reason = '' AND toUnixTimestamp64Milli(d.review_at) = 0,
        {list:String} = 'paused', suspended_reason != '', {list:String} = 'shelved', toUnixTimestamp64Milli(d.review_at) > 0,
        {list:String} = 'replies', toUnixTimestamp64Milli(d.reply_due_at) > 0, 1)
    AND ({state:String} = '' OR state = {state:String}) AND startsWith(incident_type, {type:String})
    AND ({light:String} = '' OR light = {light:String}) AND ({holder:String} = '' OR holder = {holder:String})
    AND (danger, due, opened, case_id) > ({danger:Int32}, {due:Int64}, {opened:Int64}, {case_id:String})
ORDER BY danger, due, opened, case_id
LIMIT {limit:UInt32}
