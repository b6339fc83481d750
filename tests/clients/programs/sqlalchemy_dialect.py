"""SQLAlchemy on sqlalchemy-bigquery, and the DB-API below it."""

import os

from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery import dbapi
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, func, insert, inspect, select, text

client = bigquery.Client()
client.create_dataset("alchemy", exists_ok=True)
engine = create_engine(f"bigquery://{os.environ['GOOGLE_CLOUD_PROJECT']}/alchemy")
metadata = MetaData()
people = Table("people", metadata, Column("id", Integer), Column("name", String), schema="alchemy")
metadata.create_all(engine)
with engine.begin() as connection:
    assert connection.execute(text("SELECT :x + 1"), {"x": 41}).scalar() == 42
    connection.execute(insert(people), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "a"}])
    assert connection.execute(select(func.count()).select_from(people)).scalar() == 3
    grouped = select(people.c.name, func.max(people.c.id)).group_by(people.c.name).order_by(people.c.name)
    assert connection.execute(grouped).fetchall() == [("a", 3), ("b", 2)]
    connection.execute(people.update().where(people.c.id == 2).values(name="c"))
    assert connection.execute(select(people.c.name).where(people.c.id == 2)).scalar() == "c"
    assert connection.execute(people.delete().where(people.c.id == 1)).rowcount == 1
found = inspect(engine)
assert "alchemy" in found.get_schema_names() and found.get_table_names("alchemy") == ["people"]
assert [(each["name"], str(each["type"])) for each in found.get_columns("people", schema="alchemy")] == [
    ("id", "INTEGER"), ("name", "VARCHAR"),
]  # fmt: skip
assert Table("people", MetaData(), autoload_with=engine, schema="alchemy").columns.keys() == ["id", "name"]
with engine.connect() as connection:
    try:
        connection.execute(text("SELECT nobody FROM alchemy.people"))
    except Exception as error:
        assert "Unrecognized name: nobody" in str(error), error
    else:
        raise AssertionError("an unknown column is read")

cursor = dbapi.connect(client).cursor()
cursor.execute("SELECT id, name FROM alchemy.people WHERE id > %(least)s ORDER BY id", {"least": 1})
assert [tuple(row.values()) for row in cursor.fetchall()] == [(2, "c"), (3, "a")]
assert cursor.description[0].name == "id"
cursor.executemany("INSERT INTO alchemy.people (id, name) VALUES (%(id)s, %(name)s)", [{"id": 8, "name": "x"}])
assert cursor.rowcount == 1
try:
    dbapi.connect(client).cursor().execute("SELEC 1")
except (dbapi.DatabaseError, exceptions.BadRequest) as error:
    assert "Syntax error" in str(error)
else:
    raise AssertionError("nonsense is executed")
metadata.drop_all(engine)
print("ok")
