-- Dead letters of a realm by reason and lane.
SELECT reason, lane, count() AS letters
FROM dead_letters
WHERE realm = {realm:String}
GROUP BY reason, lane
ORDER BY letters DESC, reason, lane
