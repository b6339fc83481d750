-- Tokens and searches. https://cloud.google.com/bigquery/docs/reference/standard-sql/search_functions

SELECT TEXT_ANALYZE('I like pie, you like-pie, they like 2 PIEs.') AS a, TEXT_ANALYZE('I like pie', analyzer => 'NO_OP_ANALYZER') AS b, TEXT_ANALYZE('I like pie, you like 2', analyzer => 'PATTERN_ANALYZER') AS c;
--> a ARRAY<STRING> | b ARRAY<STRING> | c ARRAY<STRING>
--> ["i", "like", "pie", "you", "like", "pie", "they", "like", "2", "pies"] | ["I like pie"] | ["like", "pie", "you", "like"]

SELECT TEXT_ANALYZE('I like pie, you like-pie, they like 2 PIEs.', analyzer => 'PATTERN_ANALYZER', analyzer_options => '{"patterns": ["[a-zA-Z]+"]}') AS a, TEXT_ANALYZE('Naïve Façade the', analyzer_options => '{"token_filters": [{"normalizer": {"mode": "ICU_FOLDING"}}, {"stop_words": ["the"]}]}') AS b, TEXT_ANALYZE(NULL) AS c;
--> a ARRAY<STRING> | b ARRAY<STRING> | c ARRAY<STRING>
--> ["i", "like", "pie", "you", "like", "pie", "they", "like", "pies"] | ["naive", "facade"] | []

SELECT TEXT_ANALYZE('a', analyzer => 'MINE');
--> error: Invalid analyzer of TEXT_ANALYZE: MINE at [1:8]

SELECT TEXT_ANALYZE('a', analyzer_options => '{"x": 1}');
--> error: Unknown analyzer_options: x

SELECT SEARCH('foobarexample', 'bar') AS a, SEARCH('foobar-example', 'foobar') AS b, SEARCH('foobar-example', 'EXAMPLE') AS c, SEARCH('192.0.2.1 GET', '192.0.2') AS d, SEARCH('a-b c', '`a-b`') AS e, SEARCH('b a', '`a b`') AS f, SEARCH('b a', 'a b') AS g;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL | f BOOL | g BOOL
--> false | true | true | true | true | false | true

SELECT SEARCH(['foo', 'bar baz'], 'baz') AS a, SEARCH(JSON '{"a": "foo bar"}', 'bar') AS b, SEARCH(JSON '{"a": "foo bar"}', 'a') AS c, SEARCH(JSON '{"a": "foo bar"}', 'a', json_scope => 'JSON_KEYS') AS d, SEARCH(t, 'red blue') AS e FROM (SELECT 'red' AS x, 1 AS y, 'blue' AS z) AS t;
--> a BOOL | b BOOL | c BOOL | d BOOL | e BOOL
--> true | true | false | true | true

SELECT SEARCH('foobar', 'foobar', analyzer => 'NO_OP_ANALYZER') AS a, SEARCH('foo bar', 'foo', analyzer => 'NO_OP_ANALYZER') AS b;
--> a BOOL | b BOOL
--> true | false

SELECT SEARCH('foo', '');
--> error: SEARCH: the query has no tokens

SELECT SEARCH(1, 'a');
--> error: SEARCH is not defined for arguments of type INT64 at [1:8]

SELECT BAG_OF_WORDS(['I', 'like', 'pie', 'pie', 'pie', NULL]) AS a;
--> a ARRAY<STRUCT<term STRING, count INT64>>
--> [{term: NULL, count: 1}, {term: "I", count: 1}, {term: "like", count: 1}, {term: "pie", count: 3}]

-- Lambdas

SELECT ARRAY_FILTER([1, 2, 3], e -> e > 1) AS a, ARRAY_FILTER([0, 2, 3], (e, i) -> e > i) AS b, ARRAY_FILTER([1, NULL], e -> e IS NOT NULL) AS c, ARRAY_FILTER(CAST(NULL AS ARRAY<INT64>), e -> e > 1) IS NULL AS d;
--> a ARRAY<INT64> | b ARRAY<INT64> | c ARRAY<INT64> | d BOOL
--> [2, 3] | [2, 3] | [1] | true

SELECT ARRAY_TRANSFORM([1, 4, 3], e -> e + 1) AS a, ARRAY_TRANSFORM([1, 4, 3], (e, i) -> e + i) AS b, ARRAY_TRANSFORM(['a', 'b'], s -> CONCAT(s, '!')) AS c;
--> a ARRAY<INT64> | b ARRAY<INT64> | c ARRAY<STRING>
--> [2, 5, 4] | [1, 5, 5] | ["a!", "b!"]

SELECT x, ARRAY_TRANSFORM([1, 2], e -> e * x) AS a, ARRAY_TRANSFORM([STRUCT(1 AS k)], s -> s.k) AS b FROM UNNEST([10, 20]) AS x;
--> x INT64 | a ARRAY<INT64> | b ARRAY<INT64>
--> 10 | [10, 20] | [1]
--> 20 | [20, 40] | [1]

SELECT ARRAY_FILTER([1], e -> e + 1);
--> error: Lambda of ARRAY_FILTER must return BOOL; given: INT64 at [1:8]

SELECT ARRAY_TRANSFORM([1], 2);
--> error: ARRAY_TRANSFORM takes a lambda, such as e -> e > 1, as its second argument at [1:8]


SELECT TEXT_ANALYZE('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', analyzer => 'PATTERN_ANALYZER', analyzer_options => '{"patterns": ["(a+)+$"]}') AS none, TEXT_ANALYZE('Ab, Cd12', analyzer => 'PATTERN_ANALYZER', analyzer_options => '{"patterns": ["([A-Z])[a-z]"]}') AS two;
--> none ARRAY<STRING> | two ARRAY<STRING>
--> [] | ["ab", "cd"]

SELECT TEXT_ANALYZE('a', analyzer => 'PATTERN_ANALYZER', analyzer_options => '{"patterns": ["(a"]}');
--> error: Invalid pattern of PATTERN_ANALYZER: (a

-- Terms by their weight
SELECT id, TF_IDF(f, 3, 1) OVER () AS r FROM UNNEST([STRUCT(1 AS id, ['I', 'like', 'pie', 'pie', 'pie', NULL] AS f), (2, ['yum', 'yum', 'pie', NULL]), (3, ['I', 'yum', 'pie', NULL]), (4, ['you', 'like', 'pie', NULL])]) ORDER BY id;
--> id INT64 | r ARRAY<STRUCT<term STRING, tf_idf FLOAT64>>
--> 1 | [{term: NULL, tf_idf: 0.12679902142647365}, {term: "I", tf_idf: 0.1412163100645339}, {term: "like", tf_idf: 0.1412163100645339}, {term: "pie", tf_idf: 0.29389333245105953}]
--> 2 | [{term: NULL, tf_idf: 0.5705955964191315}, {term: "pie", tf_idf: 0.14694666622552977}]
--> 3 | [{term: NULL, tf_idf: 0.380397064279421}, {term: "I", tf_idf: 0.21182446509680086}, {term: "pie", tf_idf: 0.14694666622552977}]
--> 4 | [{term: NULL, tf_idf: 0.380397064279421}, {term: "like", tf_idf: 0.21182446509680086}, {term: "pie", tf_idf: 0.14694666622552977}]

SELECT TF_IDF(['a']);
--> error: Analytic function tf_idf cannot be called without an OVER clause at [1:8]
