-- https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax

-- setup
CREATE TABLE d.stock (product STRING, quantity INT64, price NUMERIC, tags ARRAY<STRING>, added DATE);

INSERT INTO d.stock (product, quantity) VALUES ('top load washer', 10), ('front load washer', 20);
--> rows: 2

SELECT product, quantity, price, tags FROM d.stock ORDER BY quantity;
--> product STRING | quantity INT64 | price NUMERIC | tags ARRAY<STRING>
--> "top load washer" | 10 | NULL | []
--> "front load washer" | 20 | NULL | []

INSERT d.stock VALUES ('dryer', 30, 9.99, ['a', 'b'], '2020-01-01');
--> rows: 1

SELECT price, tags, added FROM d.stock WHERE product = 'dryer';
--> price NUMERIC | tags ARRAY<STRING> | added DATE
--> 9.99 | ["a", "b"] | 2020-01-01

INSERT INTO d.stock (product, quantity, added) SELECT 'oven', 5, DATE '2020-02-02';
--> rows: 1

INSERT INTO d.stock (product, quantity) VALUES ('x', 'many');
--> error: Value has type STRING which cannot be inserted into column quantity, which has type INT64 at [1:55]

INSERT INTO d.stock (product, nothing) VALUES ('x', 1);
--> error: Column nothing is not present in the target table at [1:37]

INSERT INTO d.stock (product, quantity) VALUES ('x');
--> error: Inserted row has wrong column count; Has 1, expected 2 at [1:55]

INSERT INTO d.stock (product) SELECT 1;
--> error: Value has type INT64 which cannot be inserted into column product, which has type STRING at [1:44]

INSERT INTO d.nothing VALUES (1);
--> error: Not found: Table test-project:changes.nothing was not found in location US

UPDATE d.stock SET quantity = quantity - 10, product = UPPER(product) WHERE product LIKE '%washer%';
--> rows: 2

SELECT product, quantity FROM d.stock ORDER BY quantity, product;
--> product STRING | quantity INT64
--> "TOP LOAD WASHER" | 0
--> "oven" | 5
--> "FRONT LOAD WASHER" | 10
--> "dryer" | 30

UPDATE d.stock SET quantity = 1;
--> error: UPDATE must have a WHERE clause

UPDATE d.stock SET nothing = 1 WHERE TRUE;
--> error: Unrecognized name: nothing at [1:26]

UPDATE d.stock SET quantity = 'x' WHERE TRUE;
--> error: Value has type STRING which cannot be inserted into column quantity, which has type INT64 at [1:26]

UPDATE d.stock SET quantity = 1 / 0 WHERE product = 'oven';
--> error: Value has type FLOAT64 which cannot be inserted into column quantity, which has type INT64 at [1:26]

UPDATE d.stock SET quantity = DIV(quantity, 0) WHERE product = 'oven';
--> error: division by zero: DIV(5, 0)

UPDATE d.stock AS s SET quantity = s.quantity + n.more FROM (SELECT 'oven' AS product, 100 AS more) AS n WHERE s.product = n.product;
--> rows: 1

UPDATE d.stock AS s SET quantity = n.more FROM (SELECT 'oven' AS product, 1 AS more UNION ALL SELECT 'oven', 2) AS n WHERE s.product = n.product;
--> error: UPDATE/MERGE must match at most one source row for each target row

UPDATE d.stock SET quantity = quantity + more - less FROM (SELECT 'oven' AS product, 100 AS more) AS n JOIN (SELECT 'oven' AS item, 100 AS less) AS m ON n.product = m.item WHERE stock.product = item;
--> rows: 1

UPDATE d.stock SET price = NULL, tags = ['c'] WHERE product = 'dryer';
--> rows: 1

SELECT product, quantity, price, tags FROM d.stock WHERE product IN ('oven', 'dryer') ORDER BY product;
--> product STRING | quantity INT64 | price NUMERIC | tags ARRAY<STRING>
--> "dryer" | 30 | NULL | ["c"]
--> "oven" | 105 | NULL | []

DELETE FROM d.stock;
--> error: DELETE must have a WHERE clause

DELETE FROM d.stock WHERE quantity = 0;
--> rows: 1

DELETE d.stock AS s WHERE s.product NOT IN (SELECT product FROM d.stock WHERE quantity > 20);
--> rows: 1

SELECT product FROM d.stock ORDER BY product;
--> product STRING
--> "dryer"
--> "oven"

-- MERGE

-- setup
CREATE TABLE d.arrivals AS SELECT 'dryer' AS product, 70 AS quantity, CAST(NULL AS NUMERIC) AS price, ['z'] AS tags, DATE '2021-01-01' AS added UNION ALL SELECT 'fridge', 7, 1.5, ['y'], NULL;

MERGE d.stock AS t USING d.arrivals AS s ON t.product = s.product WHEN MATCHED THEN UPDATE SET quantity = t.quantity + s.quantity WHEN NOT MATCHED THEN INSERT (product, quantity) VALUES (product, quantity);
--> rows: 2

SELECT product, quantity FROM d.stock ORDER BY product;
--> product STRING | quantity INT64
--> "dryer" | 100
--> "fridge" | 7
--> "oven" | 105

MERGE d.stock AS t USING (SELECT 'pan' AS product, 1 AS quantity, NUMERIC '2' AS price, ['p'] AS tags, DATE '2022-02-02' AS added) AS s ON FALSE WHEN NOT MATCHED AND s.quantity > 0 THEN INSERT ROW WHEN NOT MATCHED BY SOURCE AND t.quantity > 100 THEN DELETE;
--> rows: 2

SELECT product, quantity, price, added FROM d.stock ORDER BY product;
--> product STRING | quantity INT64 | price NUMERIC | added DATE
--> "dryer" | 100 | NULL | 2020-01-01
--> "fridge" | 7 | NULL | NULL
--> "pan" | 1 | 2 | 2022-02-02

MERGE d.stock AS t USING (SELECT 'pan' AS product) AS s ON t.product = s.product WHEN MATCHED AND t.quantity = 1 THEN DELETE WHEN NOT MATCHED BY SOURCE THEN UPDATE SET quantity = 0;
--> rows: 3

SELECT product, quantity FROM d.stock ORDER BY product;
--> product STRING | quantity INT64
--> "dryer" | 0
--> "fridge" | 0

MERGE d.stock AS t USING (SELECT 'cup' AS name, 5 AS n) AS s ON t.product = s.name WHEN NOT MATCHED THEN INSERT VALUES (name, n, NULL, [], NULL);
--> rows: 1

DELETE FROM d.stock WHERE product = 'cup';
--> rows: 1

MERGE d.stock AS t USING (SELECT 'fridge' AS product, 1 AS n UNION ALL SELECT 'fridge', 2) AS s ON t.product = s.product WHEN MATCHED THEN UPDATE SET quantity = s.n;
--> error: UPDATE/MERGE must match at most one source row for each target row

TRUNCATE TABLE d.stock;
--> rows: 2

SELECT COUNT(*) AS n FROM d.stock;
--> n INT64
--> 0
