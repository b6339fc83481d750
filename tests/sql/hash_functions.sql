-- https://cloud.google.com/bigquery/docs/reference/standard-sql/hash_functions

SELECT FARM_FINGERPRINT('2applefalse');
--> f0_ INT64
--> 2794438866806483259

SELECT FARM_FINGERPRINT(CONCAT(CAST(1 AS STRING), 'foo', CAST(TRUE AS STRING)));
--> f0_ INT64
--> -1541654101129638711

SELECT FARM_FINGERPRINT('3true');
--> f0_ INT64
--> -4880158226897771312

SELECT FARM_FINGERPRINT('hello') = FARM_FINGERPRINT(b'hello');
--> f0_ BOOL
--> true

SELECT FARM_FINGERPRINT(NULL);
--> f0_ INT64
--> NULL

SELECT TO_HEX(MD5('Hello World'));
--> f0_ STRING
--> "b10a8db164e0754105b7a99be72e3fe5"

SELECT TO_BASE64(MD5('Hello World'));
--> f0_ STRING
--> "sQqNsWTgdUEFt6mb5y4/5Q=="

SELECT TO_HEX(MD5(b'Hello World'));
--> f0_ STRING
--> "b10a8db164e0754105b7a99be72e3fe5"

SELECT TO_HEX(SHA1('Hello World'));
--> f0_ STRING
--> "0a4d55a8d778e5022fab701977c5d840bbc486d0"

SELECT TO_HEX(SHA256('Hello World'));
--> f0_ STRING
--> "a591a6d40bf420404a011733cfb7b190d62c65bf0bcda32b57b277d9ad9f146e"

SELECT SUBSTR(TO_HEX(SHA512('Hello World')), 1, 16);
--> f0_ STRING
--> "2c74fd17edafd80e"

SELECT MD5(1);
--> error: No matching signature for function MD5 for argument types: INT64. Supported signatures: MD5(STRING); MD5(BYTES) at [1:8]

SELECT BIT_COUNT(0);
--> f0_ INT64
--> 0

SELECT BIT_COUNT(-1);
--> f0_ INT64
--> 64

SELECT BIT_COUNT(0x8);
--> f0_ INT64
--> 1

-- https://cloud.google.com/bigquery/docs/reference/standard-sql/net_functions

SELECT NET.HOST('http://abc.xyz');
--> f0_ STRING
--> "abc.xyz"

SELECT NET.HOST('//user:password@a.b:80/path?query');
--> f0_ STRING
--> "a.b"

SELECT NET.HOST('https://[::1]:80');
--> f0_ STRING
--> "[::1]"

SELECT NET.HOST('http://例子.卷筒纸.中国');
--> f0_ STRING
--> "例子.卷筒纸.中国"

SELECT NET.IP_FROM_STRING('48.49.50.51');
--> f0_ BYTES
--> b"0123"

SELECT TO_HEX(NET.IP_FROM_STRING('::1'));
--> f0_ STRING
--> "00000000000000000000000000000001"

SELECT NET.IP_FROM_STRING('1.2.3');
--> error: NET.IP_FROM_STRING() encountered an unparseable IP-address: 1.2.3

SELECT NET.SAFE_IP_FROM_STRING('1.2.3');
--> f0_ BYTES
--> NULL

SELECT NET.IP_TO_STRING(b'0123');
--> f0_ STRING
--> "48.49.50.51"

SELECT NET.IP_NET_MASK(4, 20);
--> f0_ BYTES
--> b"\xff\xff\xf0\x00"

SELECT NET.IP_TRUNC(b'\xAA\xBB\xCC\xDD', 11);
--> f0_ BYTES
--> b"\xaa\xa0\x00\x00"

SELECT TO_HEX(NET.IPV4_FROM_INT64(0x11223344));
--> f0_ STRING
--> "11223344"

SELECT NET.IPV4_TO_INT64(b'\x00\x00\x00\x01');
--> f0_ INT64
--> 1

SELECT NET.IPV4_TO_INT64(b'\xff\xff\xff\xff');
--> f0_ INT64
--> 4294967295
