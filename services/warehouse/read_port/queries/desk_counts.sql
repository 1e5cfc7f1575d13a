-- How many cases each list of a desk has, and of those in work how many show which light; the filters hold, but not that of the light.
SELECT countIf(in_work) AS work, countIf(held AND suspended_reason != '') AS paused, countIf(held AND shelved) AS shelved,
    countIf(NOT held) AS offered, countIf(held AND owes) AS replies, countIf(in_work AND light = 'green') AS green,
    countIf(in_work AND light = 'yellow') AS yellow, countIf(in_work AND light = 'red') AS red,
    countIf(in_work AND light = 'deep_red') AS deep_red, countIf(in_work AND light = '') AS dark
FROM
(
    SELECT part = 'held' AS held, toUnixTimestamp64Milli(review_at) > 0 AS shelved, toUnixTimestamp64Milli(reply_due_at) > 0 AS owes, light,
        suspended_reason, held AND suspended_reason = '' AND NOT shelved AS in_work
    FROM desk_now FINAL
    WHERE realm = {realm:String} AND desk_level = {level:String} AND startsWith(county, {county:String})
        AND startsWith(division, {prefix:String})
        AND state NOT IN ('closed', 'evaluated', 'archived', 'declined', 'merged', 'withdrawn') AND part != ''
        AND ({state:String} = '' OR state = {state:String}) AND startsWith(incident_type, {type:String})
        AND ({holder:String} = '' OR holder = {holder:String})
)
