"""String, hash, network and bit functions."""

from __future__ import annotations

from tule.bigquery.sql.functions.signatures import Function, read

FUNCTIONS: dict[str, Function] = {
    **read(
        "String functions",
        """
        ASCII(STRING) INT64
        BYTE_LENGTH(STRING) INT64 = strlen
        BYTE_LENGTH(BYTES) INT64 = octet_length
        CHAR_LENGTH(STRING) INT64 = length
        CHARACTER_LENGTH(STRING) INT64 = length
        CHR(INT64) STRING
        CODE_POINTS_TO_BYTES(ARRAY<INT64>) BYTES
        CODE_POINTS_TO_STRING(ARRAY<INT64>) STRING
        COLLATE(STRING, CONST) STRING = @collate
        CONCAT(STRING...) STRING = @concat
        CONCAT(BYTES...) BYTES = @concat
        CONCAT(ANY...) STRING = @concat_any
        CONTAINS_SUBSTR(ANY, STRING, [json_scope => STRING]) BOOL = @contains_substr
        EDIT_DISTANCE(STRING, STRING, [max_distance => INT64]) INT64
        ENDS_WITH(STRING, STRING) BOOL = ends_with
        ENDS_WITH(BYTES, BYTES) BOOL = tule_ends_with_bytes
        FORMAT(STRING, [ANY...]) STRING = @format
        FROM_BASE32(STRING) BYTES
        FROM_BASE64(STRING) BYTES
        FROM_HEX(STRING) BYTES
        INITCAP(STRING, [STRING]) STRING = @initcap
        INSTR(STRING, STRING, [INT64], [INT64]) INT64 = @instr
        INSTR(BYTES, BYTES, [INT64], [INT64]) INT64 = @on_bytes
        LEFT(STRING, INT64) STRING
        LEFT(BYTES, INT64) BYTES = tule_left_bytes
        LENGTH(STRING) INT64 = length
        LENGTH(BYTES) INT64 = octet_length
        LOWER(STRING) STRING = lower
        LOWER(BYTES) BYTES = tule_lower_bytes
        LPAD(STRING, INT64, [STRING]) STRING = @pad
        LPAD(BYTES, INT64, [BYTES]) BYTES = @on_bytes
        LTRIM(STRING, [STRING]) STRING = @trim
        LTRIM(BYTES, BYTES) BYTES = @on_bytes
        NORMALIZE(STRING, [PART]) STRING = @normalize
        NORMALIZE_AND_CASEFOLD(STRING, [PART]) STRING = @normalize_and_casefold
        OCTET_LENGTH(STRING) INT64 = strlen
        OCTET_LENGTH(BYTES) INT64 = octet_length
        REGEXP_CONTAINS(STRING, STRING) BOOL = regexp_matches
        REGEXP_CONTAINS(BYTES, BYTES) BOOL = @on_bytes
        REGEXP_EXTRACT(STRING, STRING, [INT64], [INT64]) STRING = @regexp_extract
        REGEXP_EXTRACT(BYTES, BYTES, [INT64], [INT64]) BYTES = @on_bytes
        REGEXP_EXTRACT_ALL(STRING, STRING) ARRAY<STRING> = @regexp_extract_all
        REGEXP_EXTRACT_ALL(BYTES, BYTES) ARRAY<BYTES> = @on_bytes
        REGEXP_INSTR(STRING, STRING, [INT64], [INT64], [INT64]) INT64 = @regexp_instr
        REGEXP_INSTR(BYTES, BYTES, [INT64], [INT64], [INT64]) INT64 = @on_bytes
        REGEXP_REPLACE(STRING, STRING, STRING) STRING
        REGEXP_REPLACE(BYTES, BYTES, BYTES) BYTES = @on_bytes
        REGEXP_SUBSTR(STRING, STRING, [INT64], [INT64]) STRING = @regexp_extract
        REGEXP_SUBSTR(BYTES, BYTES, [INT64], [INT64]) BYTES = @on_bytes
        REPEAT(STRING, INT64) STRING
        REPEAT(BYTES, INT64) BYTES = tule_repeat_bytes
        REPLACE(STRING, STRING, STRING) STRING
        REPLACE(BYTES, BYTES, BYTES) BYTES = @on_bytes
        REVERSE(STRING) STRING = reverse
        REVERSE(BYTES) BYTES = tule_reverse_bytes
        RIGHT(STRING, INT64) STRING
        RIGHT(BYTES, INT64) BYTES = tule_right_bytes
        RPAD(STRING, INT64, [STRING]) STRING = @pad
        RPAD(BYTES, INT64, [BYTES]) BYTES = @on_bytes
        RTRIM(STRING, [STRING]) STRING = @trim
        RTRIM(BYTES, BYTES) BYTES = @on_bytes
        SAFE_CONVERT_BYTES_TO_STRING(BYTES) STRING
        SOUNDEX(STRING) STRING
        SPLIT(STRING, [STRING]) ARRAY<STRING> = @split
        SPLIT(BYTES, BYTES) ARRAY<BYTES> = @on_bytes
        STARTS_WITH(STRING, STRING) BOOL = starts_with
        STARTS_WITH(BYTES, BYTES) BOOL = tule_starts_with_bytes
        STRPOS(STRING, STRING) INT64 = strpos
        STRPOS(BYTES, BYTES) INT64 = @on_bytes
        SUBSTR(STRING, INT64, [INT64]) STRING = @substr
        SUBSTR(BYTES, INT64, [INT64]) BYTES = @substr_bytes
        SUBSTRING(STRING, INT64, [INT64]) STRING = @substr
        SUBSTRING(BYTES, INT64, [INT64]) BYTES = @substr_bytes
        TO_BASE32(BYTES) STRING
        TO_BASE64(BYTES) STRING = to_base64
        TO_CODE_POINTS(STRING) ARRAY<INT64>
        TO_CODE_POINTS(BYTES) ARRAY<INT64> = tule_to_code_points_bytes
        TO_HEX(BYTES) STRING
        TRANSLATE(STRING, STRING, STRING) STRING = translate
        TRANSLATE(BYTES, BYTES, BYTES) BYTES = @on_bytes
        TRIM(STRING, [STRING]) STRING = @trim
        TRIM(BYTES, BYTES) BYTES = @on_bytes
        UNICODE(STRING) INT64
        UPPER(STRING) STRING = upper
        UPPER(BYTES) BYTES = tule_upper_bytes
        """,
    ),
    **read(
        "Hash functions",
        """
        FARM_FINGERPRINT(STRING) INT64
        FARM_FINGERPRINT(BYTES) INT64 = tule_farm_fingerprint_bytes
        MD5(STRING) BYTES
        MD5(BYTES) BYTES
        SHA1(STRING) BYTES
        SHA1(BYTES) BYTES
        SHA256(STRING) BYTES
        SHA256(BYTES) BYTES
        SHA512(STRING) BYTES = tule_sha512_text
        SHA512(BYTES) BYTES = tule_sha512
        """,
    ),
    **read("Bit functions", "BIT_COUNT(INT64) INT64\nBIT_COUNT(BYTES) INT64 = tule_bit_count_bytes"),
    **read(
        "Network functions",
        """
        NET.HOST(STRING) STRING
        NET.IP_FROM_STRING(STRING) BYTES
        NET.IP_NET_MASK(INT64, INT64) BYTES
        NET.IP_TO_STRING(BYTES) STRING
        NET.IP_TRUNC(BYTES, INT64) BYTES
        NET.IPV4_FROM_INT64(INT64) BYTES
        NET.IPV4_TO_INT64(BYTES) INT64
        NET.PUBLIC_SUFFIX(STRING) STRING
        NET.REG_DOMAIN(STRING) STRING
        NET.SAFE_IP_FROM_STRING(STRING) BYTES
        """,
    ),
}
