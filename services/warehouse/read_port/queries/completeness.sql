-- How every command ended, by reason.
SELECT outcome, reason, sum(c.outcomes) AS outcomes
FROM outcome_counts AS c
WHERE realm = {realm:String} AND startsWith(county, {prefix:String})
GROUP BY outcome, reason
