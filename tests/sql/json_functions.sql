-- https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions

SELECT BOOL(JSON 'true');
--> f0_ BOOL
--> true

SELECT BOOL(JSON '"x"');
--> error: The provided JSON input is not a boolean

SELECT INT64(JSON '2005');
--> f0_ INT64
--> 2005

SELECT INT64(JSON '10.0');
--> f0_ INT64
--> 10

SELECT INT64(JSON '10.1');
--> error: The provided JSON input is not an integer

SELECT SAFE.INT64(JSON '10.1');
--> f0_ INT64
--> NULL

SELECT FLOAT64(JSON '9.8');
--> f0_ FLOAT64
--> 9.8

SELECT FLOAT64(JSON '"9.8"');
--> error: The provided JSON input is not a number

SELECT STRING(JSON '"purple"');
--> f0_ STRING
--> "purple"

SELECT STRING(JSON '1');
--> error: The provided JSON input is not a string

SELECT BOOL_ARRAY(JSON '[true, false]');
--> f0_ ARRAY<BOOL>
--> [true, false]

SELECT INT64_ARRAY(JSON '[1, 2]');
--> f0_ ARRAY<INT64>
--> [1, 2]

SELECT FLOAT64_ARRAY(JSON '[1, 2.5]');
--> f0_ ARRAY<FLOAT64>
--> [1.0, 2.5]

SELECT STRING_ARRAY(JSON '["a", "b"]');
--> f0_ ARRAY<STRING>
--> ["a", "b"]

SELECT STRING_ARRAY(JSON '["a", 1]');
--> error: The provided JSON input is not a string

SELECT JSON_ARRAY();
--> f0_ JSON
--> []

SELECT JSON_ARRAY(10, 'a', NULL, [1, 2], STRUCT(1 AS x));
--> f0_ JSON
--> [10,"a",null,[1,2],{"x":1}]

SELECT JSON_ARRAY_APPEND(JSON '["a", "b", "c"]', '$', 1);
--> f0_ JSON
--> ["a","b","c",1]

SELECT JSON_ARRAY_APPEND(JSON '{"a": [1]}', '$.a', 2);
--> f0_ JSON
--> {"a":[1,2]}

SELECT JSON_ARRAY_APPEND(JSON '{"a": null}', '$.a', 2);
--> f0_ JSON
--> {"a":[2]}

SELECT JSON_ARRAY_INSERT(JSON '["a", ["b", "c"], "d"]', '$[1]', 1);
--> f0_ JSON
--> ["a",1,["b","c"],"d"]

SELECT JSON_ARRAY_INSERT(JSON '[]', '$[2]', 'x');
--> f0_ JSON
--> [null,null,"x"]

SELECT JSON_EXTRACT(JSON '{"class": {"students": [{"id": 5}, {"id": 12}]}}', '$.class');
--> f0_ JSON
--> {"students":[{"id":5},{"id":12}]}

SELECT JSON_EXTRACT('{"a": {"b": [1, 2]}}', '$.a.b');
--> f0_ STRING
--> "[1,2]"

SELECT JSON_EXTRACT('{"a": null}', '$.a');
--> f0_ STRING
--> NULL

SELECT JSON_EXTRACT("{'a.b': 1}", "$['a.b']");
--> f0_ STRING
--> NULL

SELECT JSON_EXTRACT('{"a.b": {"c": "world"}}', "$['a.b'].c");
--> f0_ STRING
--> "\"world\""

SELECT JSON_EXTRACT('{"a": 1}', 'a');
--> error: Invalid JSONPath: a path must start with '$'; given: 'a' at [1:8]

SELECT JSON_EXTRACT_ARRAY('[1,2,3]');
--> f0_ ARRAY<STRING>
--> ["1", "2", "3"]

SELECT JSON_EXTRACT_ARRAY(JSON '{"fruits": ["apples", "oranges"]}', '$.fruits');
--> f0_ ARRAY<JSON>
--> ["apples", "oranges"]

SELECT JSON_EXTRACT_SCALAR('{"name": "Jakob", "age": "6"}', '$.age');
--> f0_ STRING
--> "6"

SELECT JSON_EXTRACT_SCALAR('{"a": [1]}', '$.a');
--> f0_ STRING
--> NULL

SELECT JSON_EXTRACT_STRING_ARRAY('["apples", "oranges"]');
--> f0_ ARRAY<STRING>
--> ["apples", "oranges"]

SELECT JSON_FLATTEN(JSON '[1, [2, [3]], 4]');
--> f0_ ARRAY<JSON>
--> [1, 2, 3, 4]

SELECT JSON_KEYS(JSON '{"a": {"b": 1}, "c d": 2}');
--> f0_ ARRAY<STRING>
--> ["\"c d\"", "a", "a.b"]

SELECT JSON_KEYS(JSON '{"a": {"b": 1}}', 1);
--> f0_ ARRAY<STRING>
--> ["a"]

SELECT JSON_OBJECT();
--> f0_ JSON
--> {}

SELECT JSON_OBJECT('foo', 10, 'bar', TRUE);
--> f0_ JSON
--> {"foo":10,"bar":true}

SELECT JSON_OBJECT('foo', JSON '{"a": [1]}', 'd', DATE '2020-01-02');
--> f0_ JSON
--> {"foo":{"a":[1]},"d":"2020-01-02"}

SELECT JSON_OBJECT('foo');
--> error: JSON_OBJECT takes pairs of a key and a value at [1:8]

SELECT JSON_QUERY(JSON '{"a": {"b": 1}}', '$.a');
--> f0_ JSON
--> {"b":1}

SELECT JSON_QUERY(JSON '{"a": null}', '$.a');
--> f0_ JSON
--> null

SELECT JSON_QUERY('{"a": {"b": 1}}', '$.a');
--> f0_ STRING
--> "{\"b\":1}"

SELECT JSON_QUERY('{"a": {"b": 1}}', '$.x');
--> f0_ STRING
--> NULL

SELECT JSON_QUERY('not json', '$');
--> f0_ STRING
--> NULL

SELECT JSON_QUERY_ARRAY('{"a": [{"b": 1}]}', '$.a');
--> f0_ ARRAY<STRING>
--> ["{\"b\":1}"]

SELECT JSON_REMOVE(JSON '["a", ["b", "c"], "d"]', '$[1]');
--> f0_ JSON
--> ["a","d"]

SELECT JSON_REMOVE(JSON '{"a": 1, "b": 2}', '$.a', '$.x');
--> f0_ JSON
--> {"b":2}

SELECT JSON_SET(JSON '{"a": 1}', '$.a', 2);
--> f0_ JSON
--> {"a":2}

SELECT JSON_SET(JSON '{"a": 1}', '$.b', 'x', '$.c[1]', TRUE);
--> f0_ JSON
--> {"a":1,"b":"x","c":[null,true]}

SELECT JSON_STRIP_NULLS(JSON '{"a": null, "b": {"c": null}, "d": [1, null]}');
--> f0_ JSON
--> {"b":{},"d":[1]}

SELECT JSON_TYPE(JSON '{"a": 1}');
--> f0_ STRING
--> "object"

SELECT JSON_TYPE(JSON '[]');
--> f0_ STRING
--> "array"

SELECT JSON_TYPE(JSON '"x"');
--> f0_ STRING
--> "string"

SELECT JSON_TYPE(JSON '-1.5');
--> f0_ STRING
--> "number"

SELECT JSON_TYPE(JSON 'true');
--> f0_ STRING
--> "boolean"

SELECT JSON_TYPE(JSON 'null');
--> f0_ STRING
--> "null"

SELECT JSON_VALUE(JSON '{"name": "Jakob", "age": 6}', '$.age');
--> f0_ STRING
--> "6"

SELECT JSON_VALUE('{"name": "Jakob"}', '$.name');
--> f0_ STRING
--> "Jakob"

SELECT JSON_VALUE('{"a": {"b": 1}}', '$.a');
--> f0_ STRING
--> NULL

SELECT JSON_VALUE('"world"');
--> f0_ STRING
--> "world"

SELECT JSON_VALUE('{"a": true}', '$.a');
--> f0_ STRING
--> "true"

SELECT JSON_VALUE('{"a": null}', '$.a');
--> f0_ STRING
--> NULL

SELECT JSON_VALUE('not json', '$.a');
--> f0_ STRING
--> NULL

SELECT JSON_VALUE('{"a.b": {"c": "world"}}', '$."a.b".c');
--> f0_ STRING
--> "world"

SELECT JSON_VALUE('{"a": [10, 20]}', '$.a[1]');
--> f0_ STRING
--> "20"

SELECT JSON_VALUE_ARRAY('["apples", "oranges", null]');
--> error: Array cannot have a null element; error in writing field f0_

SELECT JSON_VALUE_ARRAY('["apples", "oranges"]');
--> f0_ ARRAY<STRING>
--> ["apples", "oranges"]

SELECT JSON_VALUE_ARRAY('{"a": [1, 2]}', '$.a');
--> f0_ ARRAY<STRING>
--> ["1", "2"]

SELECT JSON_VALUE_ARRAY('{"a": [[1]]}', '$.a') IS NULL;
--> f0_ BOOL
--> true

SELECT LAX_BOOL(JSON '"true"');
--> f0_ BOOL
--> true

SELECT LAX_BOOL(JSON '1.1');
--> f0_ BOOL
--> true

SELECT LAX_BOOL(JSON '"foo"');
--> f0_ BOOL
--> NULL

SELECT LAX_FLOAT64(JSON '"9.8"');
--> f0_ FLOAT64
--> 9.8

SELECT LAX_FLOAT64(JSON 'true');
--> f0_ FLOAT64
--> NULL

SELECT LAX_INT64(JSON '"10"');
--> f0_ INT64
--> 10

SELECT LAX_INT64(JSON '10.6');
--> f0_ INT64
--> 11

SELECT LAX_INT64(JSON 'true');
--> f0_ INT64
--> 1

SELECT LAX_INT64(JSON '"foo"');
--> f0_ INT64
--> NULL

SELECT LAX_STRING(JSON '10');
--> f0_ STRING
--> "10"

SELECT LAX_STRING(JSON '{}');
--> f0_ STRING
--> NULL

SELECT PARSE_JSON('{"coordinates": [10, 20], "id": 1}');
--> f0_ JSON
--> {"coordinates":[10,20],"id":1}

SELECT PARSE_JSON('{"id":}');
--> error: Invalid input to PARSE_JSON: syntax error while parsing value

SELECT SAFE.PARSE_JSON('{"id":}');
--> f0_ JSON
--> NULL

SELECT TO_JSON(STRUCT(1 AS id, [10, 20] AS coordinates));
--> f0_ JSON
--> {"id":1,"coordinates":[10,20]}

SELECT TO_JSON(9007199254740993);
--> f0_ JSON
--> 9007199254740993

SELECT TO_JSON(9007199254740993, stringify_wide_numbers => TRUE);
--> f0_ JSON
--> "9007199254740993"

SELECT TO_JSON('x');
--> f0_ JSON
--> "x"

SELECT TO_JSON(NULL);
--> f0_ JSON
--> null

SELECT TO_JSON_STRING(STRUCT(1 AS id, 'a"b' AS s, NULL AS n));
--> f0_ STRING
--> "{\"id\":1,\"s\":\"a\\\"b\",\"n\":null}"

SELECT TO_JSON_STRING(9007199254740993);
--> f0_ STRING
--> "\"9007199254740993\""

SELECT TO_JSON_STRING([1.5, 2.0]);
--> f0_ STRING
--> "[1.5,2]"

SELECT TO_JSON_STRING(b'\xff');
--> f0_ STRING
--> "\"/w==\""

SELECT TO_JSON_STRING(TIMESTAMP '2017-01-01 00:00:00+00');
--> f0_ STRING
--> "\"2017-01-01T00:00:00Z\""

SELECT TO_JSON_STRING(DATETIME '2017-01-01 00:00:00.5');
--> f0_ STRING
--> "\"2017-01-01T00:00:00.500\""

SELECT TO_JSON_STRING(DATE '2017-01-01');
--> f0_ STRING
--> "\"2017-01-01\""

SELECT TO_JSON_STRING(CAST('nan' AS FLOAT64));
--> f0_ STRING
--> "\"NaN\""

SELECT TO_JSON_STRING([STRUCT(1 AS a), STRUCT(2)]);
--> f0_ STRING
--> "[{\"a\":1},{\"a\":2}]"

SELECT TO_JSON_STRING(STRUCT(1 AS a), TRUE);
--> f0_ STRING
--> "{\n  \"a\": 1\n}"

SELECT TO_JSON_STRING(JSON '{"a": [1,  2]}');
--> f0_ STRING
--> "{\"a\":[1,2]}"

-- Fields and subscripts of JSON values

SELECT JSON '{"a": {"b": [1, 2]}}'.a.b;
--> b JSON
--> [1,2]

SELECT JSON '{"a": {"b": [1, 2]}}'['a']['b'][1];
--> f0_ JSON
--> 2

SELECT JSON '{"a b": 1}'['a b'];
--> f0_ JSON
--> 1

SELECT JSON '{"a": 1}'.x;
--> x JSON
--> NULL

SELECT INT64(j.a) + 1 AS n FROM (SELECT JSON '{"a": 1}' AS j);
--> n INT64
--> 2

SELECT j = j FROM (SELECT JSON '1' AS j);
--> error: Equality is not defined for arguments of type JSON at [1:8]
