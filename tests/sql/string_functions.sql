-- https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions

SELECT ASCII('abcd');
--> f0_ INT64
--> 97

SELECT ASCII('a');
--> f0_ INT64
--> 97

SELECT ASCII('');
--> f0_ INT64
--> 0

SELECT ASCII(NULL);
--> f0_ INT64
--> NULL

SELECT ASCII('é');
--> error: Non-ASCII character at the start of ASCII argument

SELECT BYTE_LENGTH('абвгд');
--> f0_ INT64
--> 10

SELECT BYTE_LENGTH(b'абвгд');
--> f0_ INT64
--> 10

SELECT CHAR_LENGTH('абвгд');
--> f0_ INT64
--> 5

SELECT CHARACTER_LENGTH('абвгд');
--> f0_ INT64
--> 5

SELECT OCTET_LENGTH('абвгд');
--> f0_ INT64
--> 10

SELECT LENGTH('абвгд');
--> f0_ INT64
--> 5

SELECT LENGTH(CAST('абвгд' AS BYTES));
--> f0_ INT64
--> 10

SELECT CHR(65);
--> f0_ STRING
--> "A"

SELECT CHR(255);
--> f0_ STRING
--> "ÿ"

SELECT CHR(513);
--> f0_ STRING
--> "ȁ"

SELECT CHR(1024);
--> f0_ STRING
--> "Ѐ"

SELECT TO_CODE_POINTS(CHR(97) || CHR(0xF9B5));
--> f0_ ARRAY<INT64>
--> [97, 63925]

SELECT CHR(NULL);
--> f0_ STRING
--> NULL

SELECT CHR(-1);
--> error: Invalid codepoint -1

SELECT CODE_POINTS_TO_BYTES([65, 98, 67, 100]);
--> f0_ BYTES
--> b"AbCd"

SELECT CODE_POINTS_TO_BYTES([256]);
--> error: Invalid extended ASCII code points used in CODE_POINTS_TO_BYTES

SELECT CODE_POINTS_TO_STRING([65, 255, 513, 1024]);
--> f0_ STRING
--> "AÿȁЀ"

SELECT CODE_POINTS_TO_STRING([97, 0, 0xF9B5]) IS NULL;
--> f0_ BOOL
--> false

SELECT CODE_POINTS_TO_STRING([65, 255, NULL, 1024]);
--> f0_ STRING
--> NULL

SELECT CONCAT('T.P.', ' ', 'Bar');
--> f0_ STRING
--> "T.P. Bar"

SELECT CONCAT('Summer', ' ', 1923);
--> f0_ STRING
--> "Summer 1923"

SELECT CONCAT('a', NULL);
--> f0_ STRING
--> NULL

SELECT CONCAT(b'a', b'\xff');
--> f0_ BYTES
--> b"a\xff"

SELECT 'a' || NULL;
--> f0_ STRING
--> NULL

SELECT b'a' || b'b';
--> f0_ BYTES
--> b"ab"

SELECT 'a' || 1;
--> error: No matching signature for operator || for argument types: STRING, INT64. at [1:8]

SELECT CONTAINS_SUBSTR('the blue house', 'Blue house');
--> f0_ BOOL
--> true

SELECT CONTAINS_SUBSTR('the red house', 'blue');
--> f0_ BOOL
--> false

SELECT CONTAINS_SUBSTR('Ⅸ day', 'IX');
--> f0_ BOOL
--> true

SELECT CONTAINS_SUBSTR(23, '2');
--> f0_ BOOL
--> true

SELECT EDIT_DISTANCE('a', 'b');
--> f0_ INT64
--> 1

SELECT EDIT_DISTANCE('aa', 'b');
--> f0_ INT64
--> 2

SELECT EDIT_DISTANCE('aa', 'ba');
--> f0_ INT64
--> 1

SELECT EDIT_DISTANCE('abcdefg', 'a', max_distance => 2);
--> f0_ INT64
--> 2

SELECT EDIT_DISTANCE('é', 'e');
--> f0_ INT64
--> 1

SELECT ENDS_WITH('apple', 'e');
--> f0_ BOOL
--> true

SELECT ENDS_WITH(b'apple', b'x');
--> f0_ BOOL
--> false

SELECT FORMAT('%d', 10);
--> f0_ STRING
--> "10"

SELECT FORMAT('|%10d|', 11);
--> f0_ STRING
--> "|        11|"

SELECT FORMAT('+%010d+', 12);
--> f0_ STRING
--> "+0000000012+"

SELECT FORMAT("%'d", 123456789);
--> f0_ STRING
--> "123,456,789"

SELECT FORMAT('-%s-', 'abcd efg');
--> f0_ STRING
--> "-abcd efg-"

SELECT FORMAT('%f %E', 1.1, 2.2);
--> f0_ STRING
--> "1.100000 2.200000E+00"

SELECT FORMAT('%t', DATE '2015-09-01');
--> f0_ STRING
--> "2015-09-01"

SELECT FORMAT('%t', TIMESTAMP '2015-09-01 12:34:56 America/Los_Angeles');
--> f0_ STRING
--> "2015-09-01 19:34:56+00"

SELECT FORMAT('%T', DATE '2015-09-01');
--> f0_ STRING
--> "DATE \"2015-09-01\""

SELECT FORMAT('%T', [1, 2, 3]);
--> f0_ STRING
--> "[1, 2, 3]"

SELECT FORMAT('%t', STRUCT(1 AS a, 'x' AS b));
--> f0_ STRING
--> "(1, \"x\")"

SELECT FORMAT('%05.2f|%-6s|%6s|%x|%o|%+d', 3.14159, 'ab', 'cd', 255, 8, 5);
--> f0_ STRING
--> "03.14|ab    |    cd|ff|10|+5"

SELECT FORMAT('%s', NULL);
--> f0_ STRING
--> NULL

SELECT FORMAT('%t', NULL);
--> f0_ STRING
--> "NULL"

SELECT FORMAT('100%%');
--> f0_ STRING
--> "100%"

SELECT FORMAT('%d', 'a');
--> error: Invalid type for argument in FORMAT; Expected INT64; Got STRING at [1:8]

SELECT FORMAT('%d');
--> error: Too few arguments to FORMAT for pattern '%d'; Expected 1; Got 0 at [1:8]

SELECT FORMAT('%d', 1, 2);
--> error: Too many arguments to FORMAT for pattern '%d'; Expected 1; Got 2 at [1:8]

SELECT FROM_BASE32('MFRGGZDF74======');
--> f0_ BYTES
--> b"abcde\xff"

SELECT FROM_BASE64('/+A=');
--> f0_ BYTES
--> b"\xff\xe0"

SELECT FROM_BASE64('!');
--> error: Failed to decode invalid base64 string

SELECT FROM_HEX('00010203aaeeefff');
--> f0_ BYTES
--> b"\x00\x01\x02\x03\xaa\xee\xef\xff"

SELECT FROM_HEX('0AF');
--> f0_ BYTES
--> b"\x00\xaf"

SELECT FROM_HEX('666f6f626172');
--> f0_ BYTES
--> b"foobar"

SELECT FROM_HEX('xyz');
--> error: Failed to decode invalid hexadecimal string: xyz

SELECT INITCAP('Hello World-everyone!');
--> f0_ STRING
--> "Hello World-Everyone!"

SELECT INITCAP('tHe dog BARKS loudly+friendly');
--> f0_ STRING
--> "The Dog Barks Loudly+Friendly"

SELECT INITCAP('apples&oranges&pears', '&');
--> f0_ STRING
--> "Apples&Oranges&Pears"

SELECT INSTR('banana', 'an');
--> f0_ INT64
--> 2

SELECT INSTR('banana', 'an', 1, 1);
--> f0_ INT64
--> 2

SELECT INSTR('banana', 'an', 1, 2);
--> f0_ INT64
--> 4

SELECT INSTR('banana', 'an', 1, 3);
--> f0_ INT64
--> 0

SELECT INSTR('banana', 'an', 3, 1);
--> f0_ INT64
--> 4

SELECT INSTR('banana', 'an', -1, 1);
--> f0_ INT64
--> 4

SELECT INSTR('banana', 'an', -3, 1);
--> f0_ INT64
--> 4

SELECT INSTR('banana', 'ann', 1, 1);
--> f0_ INT64
--> 0

SELECT INSTR('helloooo', 'oo', 1, 1);
--> f0_ INT64
--> 5

SELECT INSTR('helloooo', 'oo', 1, 2);
--> f0_ INT64
--> 6

SELECT LEFT('banana', 3);
--> f0_ STRING
--> "ban"

SELECT LEFT(b'\xab\xcd\xef\xaa\xbb', 3);
--> f0_ BYTES
--> b"\xab\xcd\xef"

SELECT LEFT('a', -1);
--> error: Length must be greater than or equal to 0

SELECT LOWER('FOO BAR BAZ');
--> f0_ STRING
--> "foo bar baz"

SELECT LPAD('abc', 5);
--> f0_ STRING
--> "  abc"

SELECT LPAD('abc', 2);
--> f0_ STRING
--> "ab"

SELECT LPAD('例子', 4);
--> f0_ STRING
--> "  例子"

SELECT LPAD('abc', 8, 'def');
--> f0_ STRING
--> "defdeabc"

SELECT LPAD('abc', 5, '-');
--> f0_ STRING
--> "--abc"

SELECT LTRIM('   apple   ');
--> f0_ STRING
--> "apple   "

SELECT LTRIM('***apple***', '*');
--> f0_ STRING
--> "apple***"

SELECT NORMALIZE('ê', NFC) = NORMALIZE('ê', NFC);
--> f0_ BOOL
--> true

SELECT NORMALIZE('\u2168', NFKC);
--> f0_ STRING
--> "IX"

SELECT NORMALIZE_AND_CASEFOLD('The red barn') = NORMALIZE_AND_CASEFOLD('The Red Barn');
--> f0_ BOOL
--> true

SELECT NORMALIZE('a', NFX);
--> error: Invalid normalization mode: NFX at [1:8]

SELECT REGEXP_CONTAINS('foo@example.com', r'@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+');
--> f0_ BOOL
--> true

SELECT REGEXP_CONTAINS('www.example.net', r'@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+');
--> f0_ BOOL
--> false

SELECT REGEXP_EXTRACT('foo@example.com', r'^[a-zA-Z0-9_.+-]+');
--> f0_ STRING
--> "foo"

SELECT REGEXP_EXTRACT('foo@example.com', r'^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.([a-zA-Z0-9-.]+$)');
--> f0_ STRING
--> "com"

SELECT REGEXP_EXTRACT('ab', '.b');
--> f0_ STRING
--> "ab"

SELECT REGEXP_EXTRACT('ab', '(.)b');
--> f0_ STRING
--> "a"

SELECT REGEXP_EXTRACT('xyztb', '(.)+b');
--> f0_ STRING
--> "t"

SELECT REGEXP_EXTRACT('ab', '(z)?b');
--> f0_ STRING
--> NULL

SELECT REGEXP_EXTRACT('abc', 'z');
--> f0_ STRING
--> NULL

SELECT REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 1, 2);
--> f0_ STRING
--> "Helloo"

SELECT REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 3, 1);
--> f0_ STRING
--> "Helloo"

SELECT REGEXP_EXTRACT('Hello Helloo and Hellooo', 'H?ello+', 1, 4);
--> f0_ STRING
--> NULL

SELECT REGEXP_EXTRACT('ab', '(a)(b)');
--> error: Regular expressions passed into extraction functions must not have more than 1 capturing group: (a)(b) at [1:8]

SELECT REGEXP_EXTRACT('ab', '(');
--> error: Cannot parse regular expression: missing ): (

SELECT REGEXP_EXTRACT_ALL('Try `func(x)` or `func(y)`', '`(.+?)`');
--> f0_ ARRAY<STRING>
--> ["func(x)", "func(y)"]

SELECT REGEXP_EXTRACT_ALL('abc', 'z');
--> f0_ ARRAY<STRING>
--> []

SELECT REGEXP_INSTR('ab@cd-ef', '@[^-]*');
--> f0_ INT64
--> 3

SELECT REGEXP_INSTR('abc', 'z');
--> f0_ INT64
--> 0

SELECT REGEXP_INSTR('a@cd-ef', '@[^-]*', 1, 1, 0);
--> f0_ INT64
--> 2

SELECT REGEXP_INSTR('a@cd-ef', '@[^-]*', 1, 1, 1);
--> f0_ INT64
--> 5

SELECT REGEXP_INSTR('a@b a@c', '@', 1, 2);
--> f0_ INT64
--> 6

SELECT REGEXP_REPLACE('# Heading', r'^# ([a-zA-Z0-9\s]+$)', '<h1>\\1</h1>');
--> f0_ STRING
--> "<h1>Heading</h1>"

SELECT REGEXP_REPLACE('abab', 'b', '');
--> f0_ STRING
--> "aa"

SELECT REGEXP_SUBSTR('Hello World Helloo', 'H?ello+', 1, 2);
--> f0_ STRING
--> "Helloo"

SELECT REPEAT('abc', 3);
--> f0_ STRING
--> "abcabcabc"

SELECT REPEAT('abc', NULL);
--> f0_ STRING
--> NULL

SELECT REPEAT('abc', -1);
--> error: Repetitions must be greater than or equal to 0

SELECT REPLACE('apple pie', 'pie', 'cobbler');
--> f0_ STRING
--> "apple cobbler"

SELECT REPLACE('apple', '', 'x');
--> f0_ STRING
--> "apple"

SELECT REVERSE('foo');
--> f0_ STRING
--> "oof"

SELECT REVERSE('абв');
--> f0_ STRING
--> "вба"

SELECT REVERSE(b'abc');
--> f0_ BYTES
--> b"cba"

SELECT RIGHT('apple', 3);
--> f0_ STRING
--> "ple"

SELECT RIGHT(b'\xab\xcd\xef\xaa\xbb', 3);
--> f0_ BYTES
--> b"\xef\xaa\xbb"

SELECT RPAD('abc', 5);
--> f0_ STRING
--> "abc  "

SELECT RPAD('例子', 4, '!');
--> f0_ STRING
--> "例子!!"

SELECT RTRIM('***apple***', '*');
--> f0_ STRING
--> "***apple"

SELECT SAFE_CONVERT_BYTES_TO_STRING(b'\xc2');
--> f0_ STRING
--> "�"

SELECT SOUNDEX('Ashcraft');
--> f0_ STRING
--> "A261"

SELECT SOUNDEX('Robert') || SOUNDEX('Rupert') || SOUNDEX('Tymczak') || SOUNDEX('Pfister') || SOUNDEX('Honeyman');
--> f0_ STRING
--> "R163R163T522P236H555"

SELECT SPLIT('a,b', ',');
--> f0_ ARRAY<STRING>
--> ["a", "b"]

SELECT SPLIT('b c d', ' ');
--> f0_ ARRAY<STRING>
--> ["b", "c", "d"]

SELECT SPLIT('');
--> f0_ ARRAY<STRING>
--> [""]

SELECT SPLIT('abc', '');
--> f0_ ARRAY<STRING>
--> ["a", "b", "c"]

SELECT STARTS_WITH('bar', 'b');
--> f0_ BOOL
--> true

SELECT STARTS_WITH(b'\xff\x00', b'\xff');
--> f0_ BOOL
--> true

SELECT STRPOS('foo@example.com', '@');
--> f0_ INT64
--> 4

SELECT STRPOS('foobar', '@');
--> f0_ INT64
--> 0

SELECT SUBSTR('apple', 2);
--> f0_ STRING
--> "pple"

SELECT SUBSTR('apple', 2, 2);
--> f0_ STRING
--> "pp"

SELECT SUBSTR('apple', -2);
--> f0_ STRING
--> "le"

SELECT SUBSTR('apple', 1, 123);
--> f0_ STRING
--> "apple"

SELECT SUBSTR('apple', 123);
--> f0_ STRING
--> ""

SELECT SUBSTR('apple', 0, 3);
--> f0_ STRING
--> "app"

SELECT SUBSTR('apple', -100, 2);
--> f0_ STRING
--> "ap"

SELECT SUBSTR('apple', 1, -1);
--> error: Third argument in SUBSTR() cannot be negative

SELECT SUBSTR(b'apple', 2, 2);
--> f0_ BYTES
--> b"pp"

SELECT SUBSTRING('apple', 2);
--> f0_ STRING
--> "pple"

SELECT TO_BASE32(b'abcde\xff');
--> f0_ STRING
--> "MFRGGZDF74======"

SELECT TO_BASE64(b'\377\340');
--> f0_ STRING
--> "/+A="

SELECT TO_CODE_POINTS('foo');
--> f0_ ARRAY<INT64>
--> [102, 111, 111]

SELECT TO_CODE_POINTS('Ā');
--> f0_ ARRAY<INT64>
--> [256]

SELECT TO_CODE_POINTS(b'\x00\x01\x10\xff');
--> f0_ ARRAY<INT64>
--> [0, 1, 16, 255]

SELECT TO_HEX(b'\x00\x01\x02\x03\xAA\xEE\xEF\xFF');
--> f0_ STRING
--> "00010203aaeeefff"

SELECT TRANSLATE('This is a cookie', 'sco', 'zku');
--> f0_ STRING
--> "Thiz iz a kuukie"

SELECT TRANSLATE('abc', 'ab', 'x');
--> f0_ STRING
--> "xc"

SELECT TRIM('   apple   ');
--> f0_ STRING
--> "apple"

SELECT TRIM('\t\n apple\u3000');
--> f0_ STRING
--> "apple"

SELECT TRIM('***apple***', '*');
--> f0_ STRING
--> "apple"

SELECT UNICODE('âbcd');
--> f0_ INT64
--> 226

SELECT UNICODE('');
--> f0_ INT64
--> 0

SELECT UPPER('foo bar baz');
--> f0_ STRING
--> "FOO BAR BAZ"

SELECT LOWER(1);
--> error: No matching signature for function LOWER for argument types: INT64. Supported signatures: LOWER(STRING); LOWER(BYTES) at [1:8]

SELECT LOWER();
--> error: Number of arguments does not match for function LOWER. Supported signatures: LOWER(STRING); LOWER(BYTES) at [1:8]


SELECT LOWR('a');
--> error: Function not found: LOWR; Did you mean lower? at [1:8]

-- LIKE takes the backslash as its escape.
SELECT 'a%c' LIKE 'a\\%c';
--> f0_ BOOL
--> true

SELECT 'abc' LIKE 'a\\%c';
--> f0_ BOOL
--> false

SELECT 'abc' LIKE 'a_c';
--> f0_ BOOL
--> true

SELECT 'abc' NOT LIKE 'a%';
--> f0_ BOOL
--> false

SELECT 'abc' LIKE NULL;
--> f0_ BOOL
--> NULL

SELECT 'abc' LIKE ANY ('x%', 'a%');
--> f0_ BOOL
--> true

SELECT 'abc' LIKE ALL ('%b%', 'x%');
--> f0_ BOOL
--> false

SELECT 'abc' NOT LIKE ANY ('x%', 'a%');
--> f0_ BOOL
--> true
