-- https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_functions

SELECT CAST(3.7 AS INT64);
--> f0_ INT64
--> 4

SELECT CAST(2.5 AS INT64);
--> f0_ INT64
--> 3

SELECT CAST(-2.5 AS INT64);
--> f0_ INT64
--> -3

SELECT CAST(NUMERIC '2.5' AS INT64);
--> f0_ INT64
--> 3

SELECT CAST('123' AS INT64);
--> f0_ INT64
--> 123

SELECT CAST('-0x1F' AS INT64);
--> f0_ INT64
--> -31

SELECT CAST('1.5' AS INT64);
--> error: Bad int64 value: 1.5

SELECT CAST('abc' AS INT64);
--> error: Bad int64 value: abc

SELECT CAST('9223372036854775808' AS INT64);
--> error: Bad int64 value: 9223372036854775808

SELECT CAST(CAST('nan' AS FLOAT64) AS INT64);
--> error: Illegal conversion of non-finite floating point number to an integer: NaN

SELECT CAST(1e20 AS INT64);
--> error: Illegal conversion of non-finite floating point number to an integer: 1e+20

SELECT CAST(TRUE AS INT64);
--> f0_ INT64
--> 1

SELECT CAST(5 AS BOOL);
--> f0_ BOOL
--> true

SELECT CAST('true' AS BOOL);
--> f0_ BOOL
--> true

SELECT CAST('FALSE' AS BOOL);
--> f0_ BOOL
--> false

SELECT CAST('yes' AS BOOL);
--> error: Bad bool value: yes

SELECT CAST('1.5' AS FLOAT64);
--> f0_ FLOAT64
--> 1.5

SELECT CAST('-inf' AS FLOAT64);
--> f0_ FLOAT64
--> -Infinity

SELECT CAST('NaN' AS FLOAT64);
--> f0_ FLOAT64
--> NaN

SELECT CAST('x' AS FLOAT64);
--> error: Bad double value: x

SELECT CAST(1 AS FLOAT64);
--> f0_ FLOAT64
--> 1.0

SELECT CAST('1.23' AS NUMERIC);
--> f0_ NUMERIC
--> 1.23

SELECT CAST(1.5 AS NUMERIC);
--> f0_ NUMERIC
--> 1.5

SELECT CAST(1.23456789012 AS NUMERIC);
--> f0_ NUMERIC
--> 1.23456789

SELECT CAST('abc' AS NUMERIC);
--> error: Invalid NUMERIC value: abc

SELECT CAST('99999999999999999999999999999.999999999' AS NUMERIC);
--> f0_ NUMERIC
--> 99999999999999999999999999999.999999999

SELECT CAST(123.456 AS NUMERIC(5, 1));
--> f0_ NUMERIC
--> 123.5

SELECT CAST(1 AS STRING);
--> f0_ STRING
--> "1"

SELECT CAST(1.0 AS STRING);
--> f0_ STRING
--> "1"

SELECT CAST(1.5 AS STRING);
--> f0_ STRING
--> "1.5"

SELECT CAST(1e20 AS STRING);
--> f0_ STRING
--> "1e+20"

SELECT CAST(CAST('inf' AS FLOAT64) AS STRING);
--> f0_ STRING
--> "Infinity"

SELECT CAST(NUMERIC '1.50' AS STRING);
--> f0_ STRING
--> "1.5"

SELECT CAST(NUMERIC '100' AS STRING);
--> f0_ STRING
--> "100"

SELECT CAST(TRUE AS STRING);
--> f0_ STRING
--> "true"

SELECT CAST(b'abc' AS STRING);
--> f0_ STRING
--> "abc"

SELECT CAST(b'\xff' AS STRING);
--> error: Invalid UTF-8 bytes in a cast from BYTES to STRING

SELECT CAST('abc' AS BYTES);
--> f0_ BYTES
--> b"abc"

SELECT CAST(DATE '2020-01-05' AS STRING);
--> f0_ STRING
--> "2020-01-05"

SELECT CAST(TIMESTAMP '2020-01-05 10:00:00.5+00' AS STRING);
--> f0_ STRING
--> "2020-01-05 10:00:00.500+00"

SELECT CAST(DATETIME '2020-01-05 10:00:00' AS STRING);
--> f0_ STRING
--> "2020-01-05 10:00:00"

SELECT CAST(TIME '10:00:00.123456' AS STRING);
--> f0_ STRING
--> "10:00:00.123456"

SELECT CAST(INTERVAL 1 DAY AS STRING);
--> f0_ STRING
--> "0-0 1 0:0:0"

SELECT CAST('2020-01-05' AS DATE);
--> f0_ DATE
--> 2020-01-05

SELECT CAST('2020-1-5' AS DATE);
--> f0_ DATE
--> 2020-01-05

SELECT CAST('2020/01/05' AS DATE);
--> error: Invalid date: '2020/01/05'

SELECT CAST('2020-13-01' AS DATE);
--> error: Invalid date: '2020-13-01'

SELECT CAST(TIMESTAMP '2020-01-05 23:00:00-02' AS DATE);
--> f0_ DATE
--> 2020-01-06

SELECT CAST(DATE '2020-01-05' AS DATETIME);
--> f0_ DATETIME
--> 2020-01-05T00:00:00

SELECT CAST(DATE '2020-01-05' AS TIMESTAMP);
--> f0_ TIMESTAMP
--> 2020-01-05 00:00:00+00

SELECT CAST('2020-01-05 10:20:30' AS DATETIME);
--> f0_ DATETIME
--> 2020-01-05T10:20:30

SELECT CAST('2020-01-05T10:20:30.5' AS DATETIME);
--> f0_ DATETIME
--> 2020-01-05T10:20:30.500000

SELECT CAST('2020-01-05' AS DATETIME);
--> f0_ DATETIME
--> 2020-01-05T00:00:00

SELECT CAST('10:20:30' AS TIME);
--> f0_ TIME
--> 10:20:30

SELECT CAST('25:00:00' AS TIME);
--> error: Invalid time: '25:00:00'

SELECT CAST('2020-06-02 17:00:53.110+00:00' AS TIMESTAMP);
--> f0_ TIMESTAMP
--> 2020-06-02 17:00:53.110000+00

SELECT CAST('2020-06-02 17:00:53 America/Los_Angeles' AS TIMESTAMP);
--> f0_ TIMESTAMP
--> 2020-06-03 00:00:53+00

SELECT CAST('2020-06-02T17:00:53Z' AS TIMESTAMP);
--> f0_ TIMESTAMP
--> 2020-06-02 17:00:53+00

SELECT CAST('2020-06-02 17:00:53+05:30' AS TIMESTAMP);
--> f0_ TIMESTAMP
--> 2020-06-02 11:30:53+00

SELECT CAST('2020-06-02 17:00:53-8' AS TIMESTAMP);
--> f0_ TIMESTAMP
--> 2020-06-03 01:00:53+00

SELECT CAST('2020-06-02' AS TIMESTAMP);
--> f0_ TIMESTAMP
--> 2020-06-02 00:00:00+00

SELECT CAST('nonsense' AS TIMESTAMP);
--> error: Invalid timestamp: 'nonsense'

SELECT CAST('1-2 3 4:5:6' AS INTERVAL);
--> f0_ INTERVAL
--> 1-2 3 4:5:6

SELECT CAST(NULL AS STRING);
--> f0_ STRING
--> NULL

SELECT CAST([1, 2] AS ARRAY<FLOAT64>);
--> f0_ ARRAY<FLOAT64>
--> [1.0, 2.0]

SELECT CAST(STRUCT(1, 'a') AS STRUCT<x INT64, y STRING>);
--> f0_ STRUCT<x INT64, y STRING>
--> {x: 1, y: "a"}

SELECT CAST(1 AS DATE);
--> error: Invalid cast from INT64 to DATE at [1:13]

SELECT CAST(DATE '2020-01-01' AS INT64);
--> error: Invalid cast from DATE to INT64 at [1:18]

SELECT CAST(JSON '1' AS STRING);
--> error: Invalid cast from JSON to STRING at [1:18]

SELECT CAST('abc' AS STRING(2));
--> error: maximum length 2 required for 'abc'

SELECT SAFE_CAST('apple' AS INT64);
--> f0_ INT64
--> NULL

SELECT SAFE_CAST('2.5' AS INT64);
--> f0_ INT64
--> NULL

SELECT SAFE_CAST('7' AS INT64);
--> f0_ INT64
--> 7

SELECT SAFE_CAST('x' AS DATE);
--> f0_ DATE
--> NULL

SELECT SAFE_CAST(b'\xff' AS STRING);
--> f0_ STRING
--> NULL

SELECT SAFE_CAST(1 / 0 AS STRING);
--> error: division by zero: 1 / 0

SELECT SAFE_CAST('x' AS TIMESTAMP);
--> f0_ TIMESTAMP
--> NULL

SELECT PARSE_NUMERIC('123.45');
--> f0_ NUMERIC
--> 123.45

SELECT PARSE_NUMERIC('12.34E27');
--> f0_ NUMERIC
--> 12340000000000000000000000000

SELECT PARSE_NUMERIC('1,234');
--> f0_ NUMERIC
--> 1234

SELECT PARSE_NUMERIC(' - 0.2');
--> f0_ NUMERIC
--> -0.2

SELECT PARSE_NUMERIC('0.2 -');
--> f0_ NUMERIC
--> -0.2

SELECT PARSE_NUMERIC('x');
--> error: Invalid NUMERIC value: x

-- Literals. https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical

SELECT 1;
--> f0_ INT64
--> 1

SELECT 0xABC;
--> f0_ INT64
--> 2748

SELECT 1.5;
--> f0_ FLOAT64
--> 1.5

SELECT .5;
--> f0_ FLOAT64
--> 0.5

SELECT 5.;
--> f0_ FLOAT64
--> 5.0

SELECT 1e10;
--> f0_ FLOAT64
--> 10000000000.0

SELECT 1.5e-3;
--> f0_ FLOAT64
--> 0.0015

SELECT NUMERIC '1.5';
--> f0_ NUMERIC
--> 1.5

SELECT TRUE;
--> f0_ BOOL
--> true

SELECT NULL;
--> f0_ INT64
--> NULL

SELECT 'it\'s';
--> f0_ STRING
--> "it's"

SELECT "double";
--> f0_ STRING
--> "double"

SELECT '''three 'quotes' ''';
--> f0_ STRING
--> "three 'quotes' "

SELECT r'\n';
--> f0_ STRING
--> "\\n"

SELECT 'a\tb\u00e9\x41';
--> f0_ STRING
--> "a\tbéA"

SELECT b'\x00\xff';
--> f0_ BYTES
--> b"\x00\xff"

SELECT DATE '2014-09-27';
--> f0_ DATE
--> 2014-09-27

SELECT TIME '12:30:00.45';
--> f0_ TIME
--> 12:30:00.450000

SELECT DATETIME '2014-09-27 12:30:00.45';
--> f0_ DATETIME
--> 2014-09-27T12:30:00.450000

SELECT TIMESTAMP '2014-09-27 12:30:00.45-08';
--> f0_ TIMESTAMP
--> 2014-09-27 20:30:00.450000+00

SELECT TIMESTAMP '2014-09-27 12:30:00 America/Los_Angeles';
--> f0_ TIMESTAMP
--> 2014-09-27 19:30:00+00

SELECT DATE 'x';
--> error: Invalid date: 'x'

SELECT INTERVAL 1 YEAR;
--> f0_ INTERVAL
--> 1-0 0 0:0:0

SELECT INTERVAL '1-2' YEAR TO MONTH;
--> f0_ INTERVAL
--> 1-2 0 0:0:0

SELECT INTERVAL '1-2 3 4:5:6.5' YEAR TO SECOND;
--> f0_ INTERVAL
--> 1-2 3 4:5:6.5

SELECT INTERVAL '-20 4:30' DAY TO MINUTE;
--> f0_ INTERVAL
--> 0-0 -20 4:30:0

SELECT INTERVAL 'x' YEAR TO MONTH;
--> error: Invalid INTERVAL value 'x' at [1:17]

SELECT JSON '{"a": [1, 2]}';
--> f0_ JSON
--> {"a":[1,2]}

SELECT JSON '{a';
--> error: Invalid input to PARSE_JSON: syntax error while parsing value

SELECT [1, 2, 3];
--> f0_ ARRAY<INT64>
--> [1, 2, 3]

SELECT [1, 2.5];
--> f0_ ARRAY<FLOAT64>
--> [1.0, 2.5]

SELECT ['a', NULL];
--> error: Array cannot have a null element; error in writing field f0_

SELECT [1, 'a'];
--> error: Array elements of types {INT64, STRING} do not have a common supertype at [1:9]

SELECT [[1]];
--> error: Cannot construct array with element type ARRAY<INT64> because nested arrays are not supported at [1:10]

SELECT [DATE '2020-01-01', '2020-01-02'];
--> f0_ ARRAY<DATE>
--> [2020-01-01, 2020-01-02]

SELECT ARRAY<FLOAT64>[1, 2];
--> f0_ ARRAY<FLOAT64>
--> [1.0, 2.0]

SELECT ARRAY<STRING>[];
--> f0_ ARRAY<STRING>
--> []

SELECT STRUCT(1 AS a, 'x' AS b, [1] AS c);
--> f0_ STRUCT<a INT64, b STRING, c ARRAY<INT64>>
--> {a: 1, b: "x", c: [1]}

SELECT STRUCT(1, 2);
--> f0_ STRUCT<_field_1 INT64, _field_2 INT64>
--> {_field_1: 1, _field_2: 2}

SELECT STRUCT<a INT64, b FLOAT64>(1, 2);
--> f0_ STRUCT<a INT64, b FLOAT64>
--> {a: 1, b: 2.0}

SELECT ARRAY<STRUCT<a INT64, b STRING>>[(1, 'x'), (2, 'y')];
--> f0_ ARRAY<STRUCT<a INT64, b STRING>>
--> [{a: 1, b: "x"}, {a: 2, b: "y"}]
