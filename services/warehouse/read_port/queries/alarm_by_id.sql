-- One alarm as it stands. The prefix of a case id is what a case number tells; its day may be that of any press, so only the county counts.
SELECT realm, case_id, case_seq AS seq, case_number, round, division, county, level, alarm_class AS class, state, holder, holder_level,
    press_count, acknowledged_by, device, subject, producer, title, toUnixTimestamp64Milli(opened_at) AS opened_at,
    toUnixTimestamp64Milli(occurred_at) AS occurred_at, toUnixTimestamp64Milli(received_at) AS received_at,
    toUnixTimestamp64Milli(updated_at) AS updated_at
FROM alarm_now FINAL
WHERE realm = {realm:String} AND case_id >= {low:String} AND case_id <= {high:String}
    AND ({number:String} = '' OR startsWith(case_number, substring({number:String}, 1, 7)))
LIMIT 1
