"""docs/bigquery-sql.md: what of GoogleSQL there is, from the tables that the compiler works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tule.bigquery.sql.functions import Function


def page(note: str) -> str:
    from tule.bigquery.sql.functions import FUNCTIONS
    from tule.bigquery.sql.preprocessing import ANALYTIC, SCALAR
    from tule.bigquery.sql.rules.refuse import REFUSED

    done = [each for each in FUNCTIONS.values() if not each.refused]
    refused = [each for each in FUNCTIONS.values() if each.refused]
    parts = [
        "# GoogleSQL",
        note,
        f"Of the {len(FUNCTIONS)} functions of the public reference, {len(done)} are done and {len(refused)} are refused by "
        "name (`Function not supported in Tule: ...`). A function that is done has the answers of the reference's examples: "
        "pairs of statements and answers in `tests/sql`.",
        "## Statements\n\n" + _statements(),
        "## Options\n\n" + _options(),
        "Refused by name, because they would be lost or mean something else: "
        + ", ".join(f"`{name}`" for _, name in REFUSED)
        + ", `SELECT WITH DIFFERENTIAL_PRIVACY`.",
        "## Types\n\n`INT64`, `FLOAT64`, `NUMERIC`, `BOOL`, `STRING`, `BYTES`, `DATE`, `TIME`, `DATETIME`, `TIMESTAMP`, "
        "`INTERVAL`, `JSON`, `GEOGRAPHY`, `BIGNUMERIC`, `RANGE`, `ARRAY`, `STRUCT`.",
        "## Differences\n\n" + "\n".join(f"- {each}" for each in _DIFFERENCES),
        "## Functions\n\n`[x]` may be left out, `x, ...` may be repeated, `name => x` may be given by name, `T` is any one "
        "type.",
        *(_family(name, each) for name, each in _families(FUNCTIONS).items()),
        "### BigQuery ML preprocessing functions\n\n"
        + ", ".join(f"`ML.{name}`" for name in SCALAR)
        + "; with an empty `OVER ()`: "
        + ", ".join(f"`ML.{name}`" for name in ANALYTIC)
        + ".",
    ]
    return "\n\n".join(parts)


# A statement of each kind of the reference: whether it is done is found out by reading it.
_SAMPLES: Mapping[str, str] = {
    "SELECT": "SELECT 1",
    "FROM |> (pipe syntax)": "FROM d.t |> WHERE TRUE",
    "INSERT": "INSERT INTO d.t VALUES (1)",
    "UPDATE": "UPDATE d.t SET a = 1 WHERE TRUE",
    "DELETE": "DELETE FROM d.t WHERE TRUE",
    "MERGE": "MERGE d.t USING d.s ON FALSE WHEN NOT MATCHED THEN INSERT ROW",
    "TRUNCATE TABLE": "TRUNCATE TABLE d.t",
    "CREATE TABLE": "CREATE TABLE d.t (a INT64)",
    "CREATE TABLE AS SELECT": "CREATE TABLE d.t AS SELECT 1 AS a",
    "CREATE TABLE LIKE": "CREATE TABLE d.t LIKE d.s",
    "CREATE TABLE COPY": "CREATE TABLE d.t COPY d.s",
    "CREATE TABLE CLONE": "CREATE TABLE d.t CLONE d.s",
    "CREATE SNAPSHOT TABLE": "CREATE SNAPSHOT TABLE d.t CLONE d.s",
    "CREATE EXTERNAL TABLE": "CREATE EXTERNAL TABLE d.t OPTIONS (format = 'CSV')",
    "CREATE VIEW": "CREATE VIEW d.v AS SELECT 1 AS a",
    "CREATE MATERIALIZED VIEW": "CREATE MATERIALIZED VIEW d.v AS SELECT 1 AS a",
    "CREATE SCHEMA": "CREATE SCHEMA d",
    "CREATE FUNCTION": "CREATE FUNCTION d.f(a INT64) AS (a)",
    "CREATE AGGREGATE FUNCTION": "CREATE AGGREGATE FUNCTION d.f(a INT64) AS (SUM(a))",
    "CREATE TABLE FUNCTION": "CREATE TABLE FUNCTION d.f(a INT64) AS SELECT a AS b",
    "CREATE PROCEDURE": "CREATE PROCEDURE d.p() BEGIN SELECT 1; END",
    "CREATE MODEL": "CREATE MODEL d.m OPTIONS (model_type = 'LINEAR_REG') AS SELECT 1 AS label",
    "CREATE SEARCH INDEX": "CREATE SEARCH INDEX i ON d.t(ALL COLUMNS)",
    "CREATE VECTOR INDEX": "CREATE VECTOR INDEX i ON d.t(a) OPTIONS (index_type = 'IVF')",
    "DROP VECTOR INDEX": "DROP VECTOR INDEX i ON d.t",
    "CREATE ROW ACCESS POLICY": "CREATE ROW ACCESS POLICY p ON d.t GRANT TO ('user:a@example.com') FILTER USING (TRUE)",
    "ALTER TABLE": "ALTER TABLE d.t ADD COLUMN b INT64",
    "ALTER SCHEMA": "ALTER SCHEMA d SET OPTIONS (description = 'x')",
    "ALTER VIEW": "ALTER VIEW d.v SET OPTIONS (description = 'x')",
    "ALTER MODEL": "ALTER MODEL d.m SET OPTIONS (description = 'x')",
    "CREATE TABLE WITH CONNECTION": "CREATE TABLE d.t (a INT64) WITH CONNECTION `us.c` OPTIONS (table_format = 'ICEBERG')",
    "CREATE EXTERNAL SCHEMA": "CREATE EXTERNAL SCHEMA s WITH CONNECTION `c`",
    "CREATE PROPERTY GRAPH": "CREATE PROPERTY GRAPH g NODE TABLES (t)",
    "CREATE DATA_POLICY": "CREATE DATA_POLICY `p.us.d` OPTIONS (data_policy_type = 'x')",
    "CREATE CONNECTION": "CREATE CONNECTION c OPTIONS (x = 1)",
    "CREATE CAPACITY": "CREATE CAPACITY `p.us.c` OPTIONS (slot_count = 100)",
    "CREATE RESERVATION": "CREATE RESERVATION `p.us.r` OPTIONS (slot_capacity = 100)",
    "CREATE ASSIGNMENT": "CREATE ASSIGNMENT `p.us.r.a` OPTIONS (assignee = 'projects/x')",
    "ALTER TABLE RENAME TO": "ALTER TABLE d.t RENAME TO u",
    "ALTER TABLE ADD, DROP, RENAME, ALTER COLUMN": "ALTER TABLE d.t RENAME COLUMN a TO b",
    "ALTER TABLE ADD, DROP PRIMARY KEY, FOREIGN KEY": "ALTER TABLE d.t ADD PRIMARY KEY (a) NOT ENFORCED",
    "ALTER MATERIALIZED VIEW": "ALTER MATERIALIZED VIEW d.v SET OPTIONS (description = 'x')",
    "ALTER VECTOR INDEX REBUILD": "ALTER VECTOR INDEX i ON d.t REBUILD",
    "ALTER ORGANIZATION": "ALTER ORGANIZATION SET OPTIONS (default_time_zone = 'UTC')",
    "ALTER PROJECT": "ALTER PROJECT p SET OPTIONS (default_time_zone = 'UTC')",
    "ALTER BI_CAPACITY": "ALTER BI_CAPACITY `p.us.default` SET OPTIONS (size_gb = 1)",
    "ALTER CAPACITY": "ALTER CAPACITY `p.us.c` SET OPTIONS (x = 1)",
    "ALTER RESERVATION": "ALTER RESERVATION `p.us.r` SET OPTIONS (x = 1)",
    "ALTER SCHEMA ADD REPLICA": "ALTER SCHEMA d ADD REPLICA `eu` OPTIONS (location = 'EU')",
    "DROP EXTERNAL TABLE": "DROP EXTERNAL TABLE d.t",
    "DROP SNAPSHOT TABLE": "DROP SNAPSHOT TABLE d.t",
    "DROP MATERIALIZED VIEW": "DROP MATERIALIZED VIEW d.v",
    "DROP SEARCH INDEX": "DROP SEARCH INDEX i ON d.t",
    "DROP ROW ACCESS POLICY": "DROP ROW ACCESS POLICY p ON d.t",
    "DROP ALL ROW ACCESS POLICIES": "DROP ALL ROW ACCESS POLICIES ON d.t",
    "DROP CAPACITY": "DROP CAPACITY `p.us.c`",
    "DROP RESERVATION": "DROP RESERVATION `p.us.r`",
    "DROP ASSIGNMENT": "DROP ASSIGNMENT `p.us.r.a`",
    "DROP TABLE": "DROP TABLE d.t",
    "DROP VIEW": "DROP VIEW d.v",
    "DROP SCHEMA": "DROP SCHEMA d",
    "DROP FUNCTION": "DROP FUNCTION d.f",
    "DROP TABLE FUNCTION": "DROP TABLE FUNCTION d.f",
    "DROP PROCEDURE": "DROP PROCEDURE d.p",
    "DROP MODEL": "DROP MODEL d.m",
    "UNDROP SCHEMA": "UNDROP SCHEMA d",
    "EXPORT DATA": "EXPORT DATA OPTIONS (uri = 'gs://b/*', format = 'CSV') AS SELECT 1 AS a",
    "EXPORT MODEL": "EXPORT MODEL d.m OPTIONS (uri = 'gs://b/m')",
    "LOAD DATA": "LOAD DATA INTO d.t FROM FILES (format = 'CSV', uris = ['gs://b/a'])",
    "GRANT": "GRANT `roles/bigquery.dataViewer` ON SCHEMA d TO 'user:a@example.com'",
    "REVOKE": "REVOKE `roles/bigquery.dataViewer` ON SCHEMA d FROM 'user:a@example.com'",
    "DECLARE, SET": "DECLARE x INT64; SET x = 1",
    "BEGIN ... EXCEPTION ... END": "BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END",
    "IF, CASE": "IF TRUE THEN SELECT 1; END IF",
    "LOOP, WHILE, REPEAT, FOR": "LOOP BREAK; END LOOP",
    "CALL": "CALL d.p()",
    "EXECUTE IMMEDIATE": "EXECUTE IMMEDIATE 'SELECT 1'",
    "BEGIN TRANSACTION": "BEGIN TRANSACTION; COMMIT TRANSACTION",
    "RAISE": "RAISE USING MESSAGE = 'x'",
    "ASSERT": "ASSERT TRUE AS 'x'",
}


def _statements() -> str:
    done: list[str] = []
    refused: list[str] = []
    for name, sample in _SAMPLES.items():
        (done if _is_done(sample) else refused).append(f"`{name}`")
    return f"Done: {', '.join(done)}.\n\nRefused by name: {', '.join(refused)}."


def _options() -> str:
    """What `OPTIONS (...)` of a statement may have."""
    from tule.bigquery import options

    kinds = {
        "TABLE": options.TABLE,
        "VIEW": options.VIEW,
        "MATERIALIZED VIEW": options.MATERIALIZED_VIEW,
        "SCHEMA": options.SCHEMA,
    }
    lines = [f"| {kind} | {', '.join(f'`{each}`' for each in known)} |" for kind, known in kinds.items()]
    nothing = (f"`{name}` of {' or '.join(map(_literal, values))}" for name, values in options.NOTHING.items())
    return "\n".join(
        (
            "| of | done |",
            "| --- | --- |",
            *lines,
            "",
            f"Accepted where they change nothing: {', '.join(nothing)}, and any with NULL.",
            "",
            f"Refused by name otherwise: {', '.join(f'`{each}`' for each in options.REFUSED)}. "
            "Any other name is an error (`Unknown option: ...`), as in BigQuery.",
        )
    )


def _literal(value: object) -> str:
    return f"`'{value}'`" if isinstance(value, str) else f"`{str(value).upper()}`"


def _is_done(sample: str) -> bool:
    from tule.bigquery.sql.script import Sql, parse_script
    from tule.bigquery.sql.statements import statement
    from tule.kernel.errors import TuleError

    try:
        for node in parse_script(sample).statements:
            if isinstance(node, Sql):
                statement(node.tree, "p", None)
    except TuleError:
        return False
    return True


_DIFFERENCES = (
    "`NaN` is equal to itself and larger than any number where rows are joined with `USING`, sorted or looked up with `IN` "
    "of a subquery of structs.",
    "`STRUCT`s in an array or a subquery behind `IN` are looked up as a whole: a NULL field is equal to a NULL field there.",
    "`SUM` and `AVG` of FLOAT64 as window functions answer infinity where they overflow.",
    "A result of `AEAD.ENCRYPT` or `KEYS.*` is in Tink's own format; keys of `AES_CBC_PKCS` and keysets wrapped by a key "
    "management service are refused.",
    "`GAP_FILL` refuses rows of one time with different values; its columns are the time, the partition and the values.",
    "A product of two NUMERICs with more than 20 digits before the point fails, though it would fit.",
    "Approximate functions are exact. Sketches of `HLL_COUNT` and `KLL_QUANTILES` are approximate, in bytes of a format of "
    "their own that BigQuery does not read.",
    "`GEOGRAPHY` needs the extra `tule[geography]` (S2, as in BigQuery) for all but points. Shapes that are not valid are "
    "refused, `ST_SIMPLIFY` keeps other vertices, and points where lines meet are not snapped.",
    "`NET.PUBLIC_SUFFIX` and `NET.REG_DOMAIN` go by the list of publicsuffix.org of the day that the package was made.",
    "Formats, regular expressions for extraction, JSON paths and date parts must be constants or query parameters.",
    "A capturing group of `REGEXP_EXTRACT` that may be left out (`(x)?`) and matched nothing gives NULL.",
)


def _families(functions: Mapping[str, Function]) -> dict[str, list[Function]]:
    found: dict[str, list[Function]] = {}
    for each in functions.values():
        found.setdefault(each.family, []).append(each)
    return found


def _family(name: str, functions: Iterable[Function]) -> str:
    lines: list[str] = []
    refused: dict[str, list[str]] = {}
    for each in functions:
        if each.refused:
            refused.setdefault(each.refused, []).append(each.name)
        else:
            forms = (str(form) for form in each.signatures if not form.engine.startswith("@not_"))
            lines.append("- " + " · ".join(f"`{form}`" for form in forms))
    text = f"### {name}"
    if lines:
        text += "\n\n" + "\n".join(lines)
    for reason, names in refused.items():
        text += f"\n\nRefused ({reason}): " + ", ".join(f"`{each}`" for each in names) + "."
    return text
