-- The answers to one command: the first is the answer, later ones are repeats.
SELECT command_id, case_id, outcome, reason, rule, case_seq, name, producer, division, toUnixTimestamp64Milli(received_at) AS received_at
FROM outcomes
WHERE realm = {realm:String} AND command_id = {command_id:String}
ORDER BY outcome = 'repeated', src_offset
