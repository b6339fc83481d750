-- Changes of JSON, keys and what holds what. https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions

SELECT JSON_ARRAY_APPEND(JSON '["a", "b", "c"]', '$', [1, 2]) AS a, JSON_ARRAY_APPEND(JSON '["a", "b", "c"]', '$', [1, 2], append_each_element=>FALSE) AS b, JSON_ARRAY_APPEND(JSON '["a", ["b"], "c"]', '$[1]', [1, 2], '$[1][1]', [3, 4], append_each_element=>FALSE) AS c;
--> a JSON | b JSON | c JSON
--> ["a","b","c",1,2] | ["a","b","c",[1,2]] | ["a",["b",[1,2,[3,4]]],"c"]

SELECT JSON_ARRAY_APPEND(JSON '["a", ["b"], "c"]', '$[1]', [1, 2], '$[1][1]', [3, 4]) AS a, JSON_ARRAY_APPEND(JSON '{"a": null}', '$.a', 10) AS b, JSON_ARRAY_APPEND(JSON '{"a": 1}', '$.a', 2) AS c, JSON_ARRAY_APPEND(JSON '{"a": 1}', '$.b', 2) AS d, JSON_ARRAY_APPEND(JSON '[1]', NULL, 2, '$', 3) AS e, JSON_ARRAY_APPEND(JSON '[1]', '$', 2, append_each_element => NULL) AS f;
--> a JSON | b JSON | c JSON | d JSON | e JSON | f JSON
--> ["a",["b",1,2],"c"] | {"a":[10]} | {"a":1} | {"a":1} | [1,3] | [1]

SELECT JSON_ARRAY_INSERT(JSON '["a", ["b", "c"], "d"]', '$[1][0]', 1) AS a, JSON_ARRAY_INSERT(JSON '["a", "b", "c"]', '$[1]', [1, 2]) AS b, JSON_ARRAY_INSERT(JSON '["a", "b", "c"]', '$[1]', [1, 2], insert_each_element=>FALSE) AS c, JSON_ARRAY_INSERT(JSON '["a", "b", "c", "d"]', '$[7]', 'e') AS d;
--> a JSON | b JSON | c JSON | d JSON
--> ["a",[1,"b","c"],"d"] | ["a",1,2,"b","c"] | ["a",[1,2],"b","c"] | ["a","b","c","d",null,null,null,"e"]

SELECT JSON_ARRAY_INSERT(JSON '{"a": {}}', '$.a[0]', 2) AS a, JSON_ARRAY_INSERT(JSON '[1, 2]', '$', 3) AS b, JSON_ARRAY_INSERT(JSON '{"a": null}', '$.a[2]', 10) AS c, JSON_ARRAY_INSERT(JSON '1', '$[0]', 'r1') AS d, JSON_ARRAY_INSERT(CAST(NULL AS JSON), '$[0]', 1) AS e;
--> a JSON | b JSON | c JSON | d JSON | e JSON
--> {"a":{}} | [1,2] | {"a":[null,null,10]} | 1 | NULL

SELECT JSON_CONTAINS(JSON '"a"', JSON '"a"') AS a, JSON_CONTAINS(JSON '{"a": {"b": 1}, "c": 2}', JSON '{"b": 1}') AS b, JSON_CONTAINS(JSON '{"a": {"b": 1, "d": 3}, "c": 2}', JSON '{"a": {"b": 1}}') AS c, JSON_CONTAINS(JSON '[1, 2, 3]', JSON '[2]') AS d, JSON_CONTAINS(JSON '[1, 2, 3]', JSON '2') AS e, JSON_CONTAINS(JSON '[[1, 2, 3]]', JSON '2') AS f, JSON_CONTAINS(JSON '[[1, 2, 3]]', JSON '[2]') AS g, JSON_CONTAINS(JSON '[[1, 2, 3]]', JSON '[[2]]') AS h, JSON_CONTAINS(JSON '[{"a":0}, {"b":1, "c":2}]', JSON '{"b":1}') AS i, JSON_CONTAINS(JSON 'true', JSON '1') AS j, JSON_CONTAINS(NULL, JSON '1') AS k;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL | f BOOL | g BOOL | h BOOL | i BOOL | j BOOL | k BOOL
--> true | false | true | true | true | false | false | true | false | false | NULL

SELECT JSON_KEYS(JSON '{"a":[{"b":1}, {"c":2}], "d":3}') AS a, JSON_KEYS(JSON '{"a":[{"b":1}, {"c":2}], "d":3}', mode => 'lax') AS b, JSON_KEYS(JSON '{"a":[[{"b":1}]]}', mode => 'lax') AS c, JSON_KEYS(JSON '{"a":[[{"b":1}]]}', mode => 'lax recursive') AS d, JSON_KEYS(JSON '{"a":[{"b":[{"c":1}]}]}', mode => 'lax') AS e, JSON_KEYS(JSON '{"a":[{"b":[[{"c":1}]]}]}', mode => 'lax') AS f, JSON_KEYS(JSON '{"a": {"b": 1}}', NULL) AS g;
--> a ARRAY<STRING> | b ARRAY<STRING> | c ARRAY<STRING> | d ARRAY<STRING> | e ARRAY<STRING> | f ARRAY<STRING> | g ARRAY<STRING>
--> ["a", "d"] | ["a", "a.b", "a.c", "d"] | ["a"] | ["a", "a.b"] | ["a", "a.b", "a.b.c"] | ["a", "a.b"] | ["a", "a.b"]

SELECT JSON_KEYS(JSON '{}', 0);
--> error: max_depth of JSON_KEYS must be positive

SELECT JSON_KEYS(JSON '{}', mode => 'loose');
--> error: Invalid mode of JSON_KEYS: loose

SELECT JSON_OBJECT(['a', 'b'], [10, NULL]) AS a, JSON_OBJECT(CAST([] AS ARRAY<STRING>), []) AS b, JSON_OBJECT(['a', 'a'], ['x', 'y']) AS c;
--> a JSON | b JSON | c JSON
--> {"a":10,"b":null} | {} | {"a":"x"}

SELECT JSON_OBJECT(['a', 'b'], [10]);
--> error: Invalid input to JSON_OBJECT: The number of keys and values must match

SELECT JSON_OBJECT(NULL, [10]);
--> error: A key of JSON_OBJECT must be a STRING; given: NULL at [1:8]

SELECT JSON_QUERY(JSON '{"a": [{"b": 1}, {"b": 2}]}', 'lax $.a.b') AS a, JSON_QUERY(JSON '{"a": {"b": 1}}', 'lax $.a[0].b') AS b, JSON_QUERY(JSON '{"a": [[{"b": 1}]]}', 'lax $.a.b') AS c, JSON_QUERY(JSON '{"a": [[{"b": 1}]]}', 'lax recursive $.a.b') AS d;
--> a JSON | b JSON | c JSON | d JSON
--> [1,2] | [1] | [] | [1]

SELECT JSON_VALUE(JSON '{}', 'lax $.a');
--> error: JSONPath in lax mode is not supported in JSON_VALUE at [1:8]

SELECT JSON_REMOVE(JSON '{"a": [1, 2, 3]}', '$.a[0]', '$.a.b', '$.b', '$.a[0]') AS a, JSON_REMOVE(JSON 'null', '$.a.b') AS b, JSON_REMOVE(JSON '{"a": {"b": {"c": "d"}}}', '$.a.b.c') AS c, JSON_REMOVE(JSON '{"a": 1}', NULL) AS d;
--> a JSON | b JSON | c JSON | d JSON
--> {"a":[3]} | null | {"a":{"b":{}}} | {"a":1}

SELECT JSON_REMOVE(JSON '{}', '$');
--> error: The JSONPath cannot be '$' at [1:8]

SELECT JSON_SET(JSON '{"a": 1}', '$.b', 999, create_if_missing => FALSE) AS a, JSON_SET(JSON '{"a": 1}', '$.a', 999, create_if_missing => FALSE) AS b, JSON_SET(JSON 'null', '$.a.b', 100) AS c, JSON_SET(JSON '{"a": 1}', '$.b', 2, '$.a.c', 100, '$.d', 3) AS d, JSON_SET(JSON '{"a": 1}', '$.a[2]', 100, '$.b', 2) AS e, JSON_SET(JSON 'null', '$[0][3]', 'foo') AS f, JSON_SET(JSON '["a", ["b", "c"], "d"]', '$[1][2][1]', 'foo') AS g, JSON_SET(JSON '{}', '$.b[2].d', 100) AS h;
--> a JSON | b JSON | c JSON | d JSON | e JSON | f JSON | g JSON | h JSON
--> {"a":1} | {"a":999} | {"a":{"b":100}} | {"a":1,"b":2,"d":3} | {"a":1,"b":2} | [[null,null,null,"foo"]] | ["a",["b","c",[null,"foo"]],"d"] | {"b":[null,null,{"d":100}]}

SELECT JSON_SET(JSON '{"a": 1}', '$.b');
--> error: JSON_SET takes pairs of a path and a value at [1:8]

SELECT JSON_STRIP_NULLS(JSON '[1, null, 2, null]', include_arrays=>FALSE) AS a, JSON_STRIP_NULLS(JSON '[1, null, 2, null, [null]]') AS b, JSON_STRIP_NULLS(JSON '[1, null, 2, null, [null]]', remove_empty=>TRUE) AS c, JSON_STRIP_NULLS(JSON '{"a": [null]}', remove_empty=>TRUE) AS d, JSON_STRIP_NULLS(JSON '{"a": {"b": {"c": null}}, "d": [null], "e": [], "f": 1}', include_arrays=>FALSE, remove_empty=>TRUE) AS e, JSON_STRIP_NULLS(JSON 'null') AS f, JSON_STRIP_NULLS(JSON '{"a": {"b": null}, "c": null}', '$.a') AS g;
--> a JSON | b JSON | c JSON | d JSON | e JSON | f JSON | g JSON
--> [1,null,2,null] | [1,2,[]] | [1,2] | null | {"d":[null],"e":[],"f":1} | null | {"a":{},"c":null}

SELECT LAX_BOOL_ARRAY(JSON '["true", 0, null, "x"]') IS NULL AS a, ARRAY_LENGTH(LAX_INT64_ARRAY(JSON '["1", 2.4, true]')) AS b, LAX_FLOAT64_ARRAY(JSON '["1.5", 2]') AS c, LAX_STRING_ARRAY(JSON '[1, "a", true]') AS d, LAX_STRING_ARRAY(JSON '1') AS e;
--> a BOOL | b INT64 | c ARRAY<FLOAT64> | d ARRAY<STRING> | e ARRAY<STRING>
--> false | 3 | [1.5, 2.0] | ["1", "a", "true"] | []

SELECT PARSE_JSON('{"id": 922337203685477580701}', wide_number_mode => 'round') AS a;
--> a JSON
--> {"id":9.223372036854776e+20}

SELECT PARSE_JSON('{"id": 922337203685477580701}');
--> error: Invalid input to PARSE_JSON: Input number: 922337203685477580701 cannot round-trip through string representation

SELECT PARSE_JSON('{"a":') AS a;
--> error: Invalid input to PARSE_JSON: syntax error while parsing value

SELECT SAFE.PARSE_JSON('{"a":') AS a, PARSE_JSON('{"b": 1.5, "a": [1, 2]}') AS b;
--> a JSON | b JSON
--> NULL | {"b":1.5,"a":[1,2]}

SELECT FLOAT64(JSON '9.8') AS a, FLOAT64(JSON '18446744073709551615', wide_number_mode => 'round') AS b;
--> a FLOAT64 | b FLOAT64
--> 9.8 | 1.8446744073709552e+19

SELECT FLOAT64(JSON '18446744073709551615', wide_number_mode => 'exact');
--> error: JSON number: 18446744073709551615 cannot be converted to DOUBLE without loss of precision

SELECT CONTAINS_SUBSTR(STRUCT('the blue house', 'red'), 'BLUE') AS a, CONTAINS_SUBSTR(['a', 'b'], 'c') AS b, CONTAINS_SUBSTR(('x', NULL), 'y') AS c, CONTAINS_SUBSTR(('x', NULL), 'x') AS d, CONTAINS_SUBSTR(JSON '{"lunch": "soup"}', 'lunch') AS e, CONTAINS_SUBSTR(JSON '{"lunch": "soup"}', 'lunch', json_scope => 'JSON_KEYS') AS f, CONTAINS_SUBSTR(JSON '{"lunch": "soup"}', 'soup', json_scope => 'JSON_KEYS_AND_VALUES') AS g, CONTAINS_SUBSTR(23, '2') AS h;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL | f BOOL | g BOOL | h BOOL
--> true | false | NULL | true | false | true | true | true

