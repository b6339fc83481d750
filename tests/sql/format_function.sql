-- FORMAT. https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions#format_string

SELECT FORMAT('%*d|%-*d|%.*f|%5.1f', 6, 12, 6, 12, 2, 3.14159, 2.25) AS a, FORMAT('%*s|%*t', 5, 'ab', -5, 'cd') AS b;
--> a STRING | b STRING
--> "    12|12    |3.14|  2.2" | "   ab|cd   "

SELECT FORMAT('%x %X %o %#x %#o', 255, 255, 8, 255, 8) AS a, FORMAT('%x %o', -255, -8) AS b, FORMAT('%u', 7) AS c, FORMAT('% d %+d %05d', 5, 5, -5) AS d;
--> a STRING | b STRING | c STRING | d STRING
--> "ff FF 10 0xff 010" | "-ff -10" | "7" | " 5 +5 -0005"

SELECT FORMAT('%u', -1);
--> error: FORMAT: %u takes no negative number: -1

SELECT FORMAT('%f %F %e %G', CAST('inf' AS FLOAT64), CAST('-inf' AS FLOAT64), CAST('nan' AS FLOAT64), CAST('nan' AS FLOAT64)) AS a, FORMAT('%g %G %g', 1e10, 1e-10, 0.5) AS b, FORMAT("%'.2f", 1234567.891) AS c, FORMAT('%.f|%.0f', 2.5, 3.5) AS d;
--> a STRING | b STRING | c STRING | d STRING
--> "inf -INF nan NAN" | "1e+10 1E-10 0.5" | "1,234,567.89" | "2|4"

SELECT FORMAT('%p', JSON '{"month":10, "year":2019}') AS a, FORMAT('%P', JSON '{"month": 10}') AS b, FORMAT('%p', [1, 2]) AS c;
--> a STRING | b STRING | c STRING
--> "{\"month\":10,\"year\":2019}" | "{\n  \"month\": 10\n}" | "[1,2]"

SELECT FORMAT('%t %T', b'a"\xff', b'a"\xff') AS a, FORMAT('%T', CAST('nan' AS FLOAT64)) AS b, FORMAT('%T %T', 1.0, NUMERIC '1.5') AS c, FORMAT('%.2s', 'abc') AS d, FORMAT('%t', [b'x']) AS e;
--> a STRING | b STRING | c STRING | d STRING | e STRING
--> "a\"\\xff b\"a\\\"\\xff\"" | "CAST(\"nan\" AS FLOAT64)" | "1.0 NUMERIC \"1.5\"" | "ab" | "[b\"x\"]"

SELECT FORMAT('%T', STRUCT(TRUE AS a, 'it\'s' AS b, NULL AS c)) AS a, FORMAT('%T', TIMESTAMP '2020-01-01 00:00:00+00') AS b, FORMAT('%t', CAST(NULL AS STRING)) AS c, FORMAT('%d', CAST(NULL AS INT64)) AS d;
--> a STRING | b STRING | c STRING | d STRING
--> "(true, \"it's\", NULL)" | "TIMESTAMP \"2020-01-01 00:00:00+00\"" | "NULL" | NULL

SELECT FORMAT('%q', 1);
--> error: Invalid format specifier in FORMAT string: %q at [1:8]

SELECT FORMAT('%*d', 'a', 1);
--> error: Invalid type for argument in FORMAT; Expected INT64; Got STRING at [1:8]

SELECT FORMAT('%*d', 1);
--> error: Too few arguments to FORMAT for pattern '%*d'; Expected 2; Got 1 at [1:8]


-- Decimals with all of their digits, ranges and intervals
SELECT FORMAT('%t|%T', BIGNUMERIC '1.5', BIGNUMERIC '1.5') AS a, FORMAT('%t|%T', RANGE<DATE> '[2024-07-24, UNBOUNDED)', RANGE<DATE> '[2024-07-24, 2024-07-25)') AS b, FORMAT('%T', INTERVAL 1 DAY) AS c, FORMAT("%.40f|%f|%'.2f|%+.1f|%12.3f", BIGNUMERIC '0.12345678901234567890123456789012345678', BIGNUMERIC '1.5', NUMERIC '1234567.895', BIGNUMERIC '2', NUMERIC '-1.0005') AS d, FORMAT('%.0f|%e', NUMERIC '2.5', BIGNUMERIC '12345') AS e, FORMAT('%T', [BIGNUMERIC '1']) AS f;
--> a STRING | b STRING | c STRING | d STRING | e STRING | f STRING
--> "1.5|BIGNUMERIC \"1.5\"" | "[2024-07-24, UNBOUNDED)|RANGE<DATE> \"[2024-07-24, 2024-07-25)\"" | "INTERVAL \"0-0 1 0:0:0\" YEAR TO SECOND" | "0.1234567890123456789012345678901234567800|1.500000|1,234,567.90|+2.0|      -1.001" | "3|1.234500e+04" | "[BIGNUMERIC \"1\"]"
