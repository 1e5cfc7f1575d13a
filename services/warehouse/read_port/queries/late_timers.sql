-- Cases whose next deadline is long past as far as their events say: nobody has settled it. `since`: the oldest, 0 for none.
SELECT toUInt32(count()) AS late, if(count() = 0, 0, toUnixTimestamp64Milli(min(wakes_at))) AS since
FROM case_now FINAL
WHERE realm = {realm:String} AND wakes_at > toDateTime64(1, 3, 'UTC')
    AND toUnixTimestamp64Milli(wakes_at) < toUnixTimestamp64Milli(now64(3)) - {grace:Int64}
