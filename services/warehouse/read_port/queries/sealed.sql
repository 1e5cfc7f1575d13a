-- Ciphertexts of one case.
SELECT sealed_id, base64Encode(nonce) AS nonce, base64Encode(ciphertext) AS ciphertext, toUnixTimestamp64Milli(received_at) AS received_at
FROM sealed
WHERE realm = {realm:String} AND case_id = {case_id:String}
ORDER BY received_at, sealed_id
