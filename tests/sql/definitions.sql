-- https://cloud.google.com/bigquery/docs/reference/standard-sql/data-control-language
-- https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language

-- setup
CREATE TABLE d.a (x INT64, y STRING);

GRANT `roles/bigquery.dataViewer`, `roles/bigquery.dataEditor` ON TABLE d.a TO 'user:ann@example.com', "group:g@example.com";
--> rows: 0

REVOKE `roles/bigquery.dataEditor` ON TABLE d.a FROM 'group:g@example.com';
--> rows: 0

GRANT `roles/bigquery.dataViewer` ON SCHEMA definitions TO 'user:ann@example.com';
--> rows: 0

REVOKE `roles/bigquery.dataViewer` ON SCHEMA definitions FROM 'user:ann@example.com';
--> rows: 0

GRANT `dataViewer` ON SCHEMA definitions TO 'user:ann@example.com';
--> error: A role must be written as `roles/bigquery.dataViewer`; given: dataViewer

GRANT `roles/bigquery.dataViewer` ON SCHEMA definitions TO 'ann';
--> error: A member must be written as user:EMAIL, group:EMAIL, domain:NAME or the like; given: 'ann'

GRANT `roles/bigquery.dataViewer` ON SCHEMA nothing TO 'user:ann@example.com';
--> error: Not found: Dataset test-project:nothing

GRANT `roles/bigquery.dataViewer` ON TABLE d.nothing TO 'user:ann@example.com';
--> error: Not found: Table test-project:definitions.nothing

GRANT `roles/x` ON PROJECT d TO 'a';
--> error: Syntax error: Expected keyword SCHEMA, TABLE, VIEW or EXTERNAL TABLE but got identifier "PROJECT" at [1:20]

GRANT `roles/bigquery.dataViewer` ON TABLE d.a TO ann;
--> error: Syntax error: Expected string literal at [1:61]

CREATE TABLE d.c COPY d.a OPTIONS (description = 'copied');
--> rows: 0

SELECT option_name, option_value FROM definitions.INFORMATION_SCHEMA.TABLE_OPTIONS WHERE table_name = 'c';
--> option_name STRING | option_value STRING
--> "description" | "\"copied\""

CREATE TABLE d.c COPY d.a AS SELECT 1;
--> error: Syntax error: Expected end of input but got keyword AS at [1:47]

ALTER TABLE d.c ADD COLUMN n1 INT64 OPTIONS (description = 'n'), ADD COLUMN IF NOT EXISTS n2 STRUCT<a INT64, b ARRAY<STRING>>, ADD COLUMN n3 ARRAY<STRUCT<x INT64, y INT64>>;
--> rows: 0

SELECT column_name, data_type FROM definitions.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'c' ORDER BY ordinal_position;
--> column_name STRING | data_type STRING
--> "x" | "INT64"
--> "y" | "STRING"
--> "n1" | "INT64"
--> "n2" | "STRUCT<a INT64, b ARRAY<STRING>>"
--> "n3" | "ARRAY<STRUCT<x INT64, y INT64>>"

ALTER SCHEMA definitions ADD REPLICA `eu` OPTIONS (location = 'EU');
--> error: ALTER SCHEMA ADD REPLICA is not executed by Tule. Next: leave it out: there is one location

CREATE EXTERNAL SCHEMA s2 WITH CONNECTION `c` OPTIONS (external_source = 'x');
--> error: CREATE EXTERNAL SCHEMA is not executed by Tule. Next: make a dataset and external tables in it

CREATE TABLE d.b (x INT64) WITH CONNECTION `us.c` OPTIONS (storage_uri = 'gs://b/x', file_format = 'PARQUET', table_format = 'ICEBERG');
--> error: Tule does not do CREATE TABLE WITH CONNECTION. Next: make a table of the server's own

CREATE TABLE d.b (x INT64, y INT64 GENERATED ALWAYS AS (x + 1) STORED);
--> error: Tule does not do generated columns. Next: compute them in a view

CREATE DATA_POLICY `p.us.d` OPTIONS (data_policy_type = 'x');
--> error: CREATE DATA_POLICY is not executed by Tule. Next: leave it out: there is no data masking

CREATE PROPERTY GRAPH g NODE TABLES (t);
--> error: CREATE PROPERTY GRAPH is not executed by Tule. Next: join the tables: there are no property graphs

CREATE CONNECTION c OPTIONS (x = 1);
--> error: CREATE CONNECTION is not executed by Tule. Next: make connections by the Connection API

-- An option of the reference that is not done is refused by name; one that is of no reference is a mistake
CREATE TABLE d.b (x INT64) OPTIONS (kms_key_name = 'projects/p/locations/us/keyRings/r/cryptoKeys/k');
--> error: The option kms_key_name is not executed by Tule. Next: leave it out; done are description, friendly_name, labels, expiration_timestamp, partition_expiration_days, require_partition_filter, enable_change_history

CREATE TABLE d.b (x INT64) OPTIONS (nonsense = 1);
--> error: Unknown option: nonsense

ALTER TABLE d.a SET OPTIONS (default_rounding_mode = 'ROUND_HALF_EVEN');
--> error: The option default_rounding_mode is not executed by Tule. Next: leave it out; done are description, friendly_name, labels, expiration_timestamp, partition_expiration_days, require_partition_filter, enable_change_history

ALTER TABLE d.a SET OPTIONS (default_rounding_mode = 'ROUND_HALF_AWAY_FROM_ZERO', tags = [], kms_key_name = NULL);
--> rows: 0

ALTER SCHEMA definitions SET OPTIONS (is_case_insensitive = TRUE);
--> error: The option is_case_insensitive is not executed by Tule. Next: leave it out; done are description, friendly_name, labels, location, default_table_expiration_days, default_partition_expiration_days, max_time_travel_hours, storage_billing_model
