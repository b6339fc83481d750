-- BYTES in functions of text: a byte is a character. https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions

SELECT INSTR(b'banana', b'an', 3);
--> f0_ INT64
--> 4

SELECT LOWER(b'ABC\xc9') AS l, UPPER(b'abc\xe9') AS u;
--> l BYTES | u BYTES
--> b"abc\xc9" | b"ABC\xe9"

SELECT LPAD(b'abc', 5) AS a, LPAD(b'abc', 8, b'\xab') AS b, RPAD(b'abc', 5, b'-') AS c, LPAD(b'abcdef', 3) AS d;
--> a BYTES | b BYTES | c BYTES | d BYTES
--> b"  abc" | b"\xab\xab\xab\xab\xababc" | b"abc--" | b"abc"

SELECT TRIM(b'xxapplexx', b'x') AS a, LTRIM(b'*a*', b'*') AS b, RTRIM(b'*a*', b'*') AS c, TRIM(CAST(NULL AS BYTES), b'x') AS d;
--> a BYTES | b BYTES | c BYTES | d BYTES
--> b"apple" | b"a*" | b"*a" | NULL

SELECT REGEXP_CONTAINS(b'\xff\x00a', b'\xff.a') AS a, REGEXP_CONTAINS(b'abc', rb'^b') AS b;
--> a BOOL | b BOOL
--> true | false

SELECT REGEXP_EXTRACT(b'foo@example.com', rb'^[a-z]+') AS a, REGEXP_EXTRACT(b'abc', b'x') AS b, REGEXP_SUBSTR(b'abcabd', b'ab.', 1, 2) AS c;
--> a BYTES | b BYTES | c BYTES
--> b"foo" | NULL | b"abd"

SELECT REGEXP_EXTRACT_ALL(b'a1b2c3', br'\d') AS a;
--> a ARRAY<BYTES>
--> [b"1", b"2", b"3"]

SELECT REGEXP_INSTR(b'ab@cd-ef', b'@[^-]*') AS a, REGEXP_REPLACE(b'# Heading', rb'^# ([a-zA-Z0-9\s]+$)', rb'<h1>\1</h1>') AS b;
--> a INT64 | b BYTES
--> 3 | b"<h1>Heading</h1>"

SELECT REPLACE(b'\x00a\x00', b'\x00', b'zz') AS a, TRANSLATE(b'This is', b'sT', b'zt') AS b, STRPOS(b'foo', b'o') AS c;
--> a BYTES | b BYTES | c INT64
--> b"zzazz" | b"thiz iz" | 2

SELECT SPLIT(b'a|b||c', b'|') AS a, ARRAY_TO_STRING([b'a', NULL, b'c'], b'--', b'*') AS b, ARRAY_TO_STRING([b'a', b'\xff'], b',') AS c;
--> a ARRAY<BYTES> | b BYTES | c BYTES
--> [b"a", b"b", b"", b"c"] | b"a--*--c" | b"a,\xff"

SELECT STRING_AGG(x, b'/' ORDER BY x DESC) AS a, STRING_AGG(x) AS b FROM UNNEST([b'a', b'\xfe']) AS x;
--> a BYTES | b BYTES
--> b"\xfe/a" | b"a,\xfe"

SELECT BIT_COUNT(b'\xff\x01') AS a, BIT_COUNT(b'') AS b;
--> a INT64 | b INT64
--> 9 | 0

SELECT LPAD(b'abc', -1);
--> error: LPAD needs a length of 0 or more and a pattern that is not empty

SELECT SAFE.LPAD(b'abc', -1);
--> f0_ BYTES
--> NULL

SELECT TRIM(b'abc');
--> error: No matching signature for function TRIM for argument types: BYTES. Supported signatures: TRIM(STRING, [STRING]); TRIM(BYTES, BYTES) at [1:8]

SELECT x, REGEXP_REPLACE(x, b'.', b'-') AS y FROM UNNEST([b'a\n', b'\xe9', NULL]) AS x;
--> x BYTES | y BYTES
--> b"a\n" | b"-\n"
--> b"\xe9" | b"-"
--> NULL | NULL

SELECT rb'a\n' AS a, br"a\t" AS b, b'''x
y''' AS c;
--> a BYTES | b BYTES | c BYTES
--> b"a\\n" | b"a\\t" | b"x\ny"

-- A character of the text is its UTF-8, an escape is one byte.
SELECT b'é\xe9' AS a, b'\'é\n\101' AS b, RB'\101' AS c;
--> a BYTES | b BYTES | c BYTES
--> b"\xc3\xa9\xe9" | b""\xc3\xa9\nA" | b"\\101"


-- Literals keep their bytes inside of functions of the user.
CREATE TEMP FUNCTION f() AS (CONCAT(b'\xffé', rb'\n'));
SELECT f() AS a;
--> a BYTES
--> b"\xff\xc3\xa9\\n"

SELECT b'abc' LIKE b'a%' AS a, b'a\xff' LIKE b'a_' AS b, b'a%' LIKE b'a\\%' AS c, b'ab' NOT LIKE b'a' AS d, CAST(NULL AS BYTES) LIKE b'a' AS e, x LIKE b'%\x00%' AS f FROM UNNEST([b'a\x00b']) AS x;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL | f BOOL
--> true | true | true | true | NULL | true

SELECT b'a' LIKE 'a';
--> error: No matching signature for operator LIKE for argument types: BYTES, STRING. at [1:18]

-- Operators of bits
SELECT TO_HEX(b'\xf0\x0f' & b'\x3c\x3c') AS a, TO_HEX(b'\xf0\x0f' | b'\x3c\x3c') AS b, TO_HEX(b'\xf0\x0f' ^ b'\x3c\x3c') AS c, TO_HEX(~b'\xf0\x0f') AS d, TO_HEX(b'\xff\xff' << 4) AS e, TO_HEX(b'\xff\xff' >> 9) AS f, TO_HEX(b'\xff' >> 64) AS g, b'' & b'' AS h, CAST(NULL AS BYTES) & b'a' AS i;
--> a STRING | b STRING | c STRING | d STRING | e STRING | f STRING | g STRING | h BYTES | i BYTES
--> "300c" | "fc3f" | "cc33" | "0ff0" | "fff0" | "007f" | "00" | b"" | NULL

SELECT b'ab' & b'a';
--> error: Bitwise binary operator for BYTES requires equal length of the inputs. Got 2 bytes on the left hand side and 1 bytes on the right hand side.

SELECT b'ab' << -1;
--> error: Bitwise shift by negative offset

SELECT b'ab' & 1;
--> error: No matching signature for operator & for argument types: BYTES, INT64. at [1:16]

SELECT 1 << b'a';
--> error: No matching signature for operator << for argument types: INT64, BYTES. at [1:8]
