-- keysets of the compliance tests of google/googlesql
-- setup
CREATE TABLE d.k AS SELECT
  FROM_BASE64('CJmMp4UJEmQKWAowdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbmsuQWVzR2NtS2V5EiIaIP7Xj33VJoXuk9KMRwXsjkuDmo5P40WUSaVtJAzyve80GAEQARiZjKeFCSAB') AS gcm,
  FROM_BASE64('CIGYpMkDEoQBCngKMHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLmNyeXB0by50aW5rLkFlc1NpdktleRJCEkBKAovGAOp+siYkuWvTYKXRW6V/3Z5en87KNgswc+8TKZUzumbh/qVtCYQ8qHo7li/fYDx43MoBYwbfUPhv3//xGAEQARiBmKTJAyAB') AS siv,
  FROM_BASE64('CKGMgekFEmQKWAowdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbmsuQWVzR2NtS2V5EiIaIE4Tia+cXn5OC3blTmI6KkPOAeE9zg0LxpD96L92bWG2GAEQARihjIHpBSABEmQKWAowdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbmsuQWVzR2NtS2V5EiIaIDEyMzQxMjM0MTIzNDEyMzQxMjM0MTIzNDEyMzQxMjM0GAEQARirptH5DSAD') AS two;

SELECT KEYS.KEYSET_LENGTH(gcm) AS a, KEYS.KEYSET_LENGTH(two) AS b, KEYS.KEYSET_TO_JSON(gcm) AS c,
  KEYS.KEYSET_FROM_JSON(KEYS.KEYSET_TO_JSON(two)) = two AS d FROM d.k;
--> a INT64 | b INT64 | c STRING | d BOOL
--> 1 | 2 | "{\"key\":[{\"keyData\":{\"keyMaterialType\":\"SYMMETRIC\",\"typeUrl\":\"type.googleapis.com/google.crypto.tink.AesGcmKey\",\"value\":\"GiD+14991SaF7pPSjEcF7I5Lg5qOT+NFlEmlbSQM8r3vNA==\"},\"keyId\":2427045401,\"outputPrefixType\":\"TINK\",\"status\":\"ENABLED\"}],\"primaryKeyId\":2427045401}" | true

SELECT p, AEAD.DECRYPT_STRING(gcm, AEAD.ENCRYPT(gcm, p, 'abc'), 'abc') = p AS a,
  AEAD.DECRYPT_BYTES(gcm, AEAD.ENCRYPT(gcm, CAST(p AS BYTES), b'\x00\x01'), b'\x00\x01') = CAST(p AS BYTES) AS b,
  DETERMINISTIC_DECRYPT_STRING(siv, DETERMINISTIC_ENCRYPT(siv, p, ''), '') = p AS c,
  BYTE_LENGTH(AEAD.ENCRYPT(gcm, p, '')) - BYTE_LENGTH(p) AS d, BYTE_LENGTH(DETERMINISTIC_ENCRYPT(siv, p, '')) - BYTE_LENGTH(p) AS e
FROM d.k, UNNEST(['plaintext', 'жэчыщчыщя', '', NULL]) AS p;
--> p STRING | a BOOL | b BOOL | c BOOL | d INT64 | e INT64
--> "plaintext" | true | true | true | 33 | 21
--> "жэчыщчыщя" | true | true | true | 33 | 21
--> "" | true | true | true | 33 | 21
--> NULL | NULL | NULL | NULL | NULL | NULL

-- a ciphertext begins with 1 and the id of its key; each is another, but those of a deterministic key
SELECT TO_HEX(SUBSTR(AEAD.ENCRYPT(gcm, 'x', ''), 1, 5)) AS a, TO_HEX(SUBSTR(DETERMINISTIC_ENCRYPT(siv, 'x', ''), 1, 5)) AS b,
  AEAD.ENCRYPT(gcm, 'x', '') = AEAD.ENCRYPT(gcm, 'x', '') AS c,
  DETERMINISTIC_ENCRYPT(siv, 'x', '') = DETERMINISTIC_ENCRYPT(siv, 'x', '') AS d FROM d.k;
--> a STRING | b STRING | c BOOL | d BOOL
--> "0190a9c619" | "0139290c01" | false | true

SELECT COUNT(DISTINCT KEYS.NEW_KEYSET('AEAD_AES_GCM_256')) AS a, COUNT(DISTINCT AEAD.ENCRYPT(gcm, 'x', '')) AS b,
  COUNT(DISTINCT DETERMINISTIC_ENCRYPT(siv, 'x', '')) AS c FROM d.k, UNNEST([1, 2, 3]);
--> a INT64 | b INT64 | c INT64
--> 3 | 3 | 1

-- old ciphertexts are read with a rotated keyset, and those of a raw key without an id
WITH r AS (SELECT gcm, KEYS.ROTATE_KEYSET(gcm, 'AEAD_AES_GCM_256') AS rotated,
  KEYS.ADD_KEY_FROM_RAW_BYTES(gcm, 'AES_GCM', b'0123456789012345') AS raw, AEAD.ENCRYPT(gcm, 'old', '') AS old FROM d.k)
SELECT KEYS.KEYSET_LENGTH(rotated) AS a, AEAD.DECRYPT_STRING(rotated, old, '') AS b,
  SUBSTR(AEAD.ENCRYPT(rotated, 'x', ''), 2, 4) != SUBSTR(old, 2, 4) AS c, KEYS.KEYSET_LENGTH(raw) AS d,
  AEAD.DECRYPT_STRING(raw, old, '') AS e FROM r;
--> a INT64 | b STRING | c BOOL | d INT64 | e STRING
--> 2 | "old" | true | 2 | "old"

SELECT AEAD.DECRYPT_STRING(b'', b'1', '');
--> error: AEAD.DECRYPT_STRING failed: Creation of AEAD primitive failed: A valid keyset must contain at least one key.

SELECT AEAD.DECRYPT_STRING(gcm, b'123', 'x') FROM d.k;
--> error: AEAD.DECRYPT_STRING failed: decryption failed

SELECT AEAD.DECRYPT_BYTES(gcm, AEAD.ENCRYPT(gcm, b'x', b'a'), b'b') FROM d.k;
--> error: AEAD.DECRYPT_BYTES failed: decryption failed

SELECT DETERMINISTIC_DECRYPT_STRING(siv, DETERMINISTIC_ENCRYPT(siv, b'\xff\xfe', b''), '') FROM d.k;
--> error: DETERMINISTIC_DECRYPT_STRING failed: Decrypted plaintext is not a valid UTF-8 string. To decrypt to BYTES, use DETERMINISTIC_DECRYPT_BYTES

SELECT KEYS.NEW_KEYSET('AES');
--> error: KEYS.NEW_KEYSET failed: Unsupported key type: AES; it is one of AEAD_AES_GCM_256, DETERMINISTIC_AEAD_AES_SIV_CMAC_256

SELECT KEYS.ADD_KEY_FROM_RAW_BYTES(gcm, 'AES_GCM', b'123') FROM d.k;
--> error: KEYS.ADD_KEY_FROM_RAW_BYTES failed: the raw bytes of a key of type AES_GCM must be 16 or 32; given: 3

SELECT AEAD.ENCRYPT(siv, 'x', '') FROM d.k;
--> error: AEAD.ENCRYPT failed: the primary key is of type type.googleapis.com/google.crypto.tink.AesSivKey, not type.googleapis.com/google.crypto.tink.AesGcmKey

SELECT KEYS.KEYSET_FROM_JSON('{}');
--> error: KEYS.KEYSET_FROM_JSON failed: not a valid JSON keyset

SELECT SAFE.KEYS.KEYSET_LENGTH(b'x') AS a, SAFE.AEAD.ENCRYPT(b'', b'', b'') AS b, SAFE.AEAD.DECRYPT_BYTES(gcm, b'', b'') AS c
FROM d.k;
--> a INT64 | b BYTES | c BYTES
--> NULL | NULL | NULL

SELECT KEYS.KEYSET_CHAIN('gcp-kms://x', b'x');
--> error: Function not supported in Tule: KEYS.KEYSET_CHAIN; given: there is no key management service in Tule. Next: see docs/bigquery-sql.md for the functions it has

-- the vector of RFC 5297, appendix A.1, with a raw key
SELECT TO_HEX(DETERMINISTIC_ENCRYPT(KEYS.KEYSET_FROM_JSON('{"key":[{"keyData":{"keyMaterialType":"SYMMETRIC","typeUrl":"type.googleapis.com/google.crypto.tink.AesSivKey","value":"EiD//v38+/r5+Pf29fTz8vHw8PHy8/T19vf4+fr7/P3+/w=="},"keyId":1,"outputPrefixType":"RAW","status":"ENABLED"}],"primaryKeyId":1}'),
  FROM_HEX('112233445566778899aabbccddee'), FROM_HEX('101112131415161718191a1b1c1d1e1f2021222324252627'))) AS a;
--> a STRING
--> "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
