-- Dead letters of a realm after a place, oldest first. Bytes in base64, only when asked for.
SELECT concat(toString(_part), '-', toString(_off)) AS id, topic, partition, offset, reason, detail, lane, code_version,
    toUnixTimestamp64Milli(received_at) AS received_at, toUnixTimestamp64Milli(_ts) AS recorded_at, length(value) AS bytes,
    if({bytes:Bool}, base64Encode(key), NULL) AS key, if({bytes:Bool}, base64Encode(value), NULL) AS value
FROM dead_letters
WHERE realm = {realm:String} AND ({reason:String} = '' OR reason = {reason:String})
    AND ({part:Int32} = -1 OR (_part = {part:Int32} AND _off = {off:Int64})) AND (_part, _off) > ({after_part:Int32}, {after_off:Int64})
ORDER BY _part, _off
LIMIT {limit:UInt32}
