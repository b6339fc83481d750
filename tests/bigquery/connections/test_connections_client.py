"""The Connection API by its stock client, over both transports."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tule.testing.process import ServerProcess

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_connections(
    tule_exec: Callable[..., subprocess.CompletedProcess[str]], server: ServerProcess, transport: str
) -> None:
    done = tule_exec(
        """
from google.api_core import exceptions
from google.cloud import bigquery, bigquery_connection_v1 as connection
from google.iam.v1 import iam_policy_pb2, policy_pb2
client = connection.ConnectionServiceClient(transport="TRANSPORT")
parent = client.common_location_path("test-project", "us")
credential = connection.CloudSqlCredential(username="reader", password="hidden-TRANSPORT")
sql = connection.CloudSqlProperties(instance_id="test-project:us:none", database="shop",
    type_=connection.CloudSqlProperties.DatabaseType.POSTGRES, credential=credential)
made = client.create_connection(parent=parent, connection_id="c_TRANSPORT",
    connection=connection.Connection(friendly_name="Shop", description="orders", cloud_sql=sql))
print(made.name, made.has_credential, repr(made.cloud_sql.credential.password), made.creation_time > 0)
print(made.cloud_sql.service_account_id.endswith("@gcp-sa-bigqueryconnection.iam.gserviceaccount.com"))
resource = client.create_connection(parent=parent, connection=connection.Connection(
    cloud_resource=connection.CloudResourceProperties()))
print(len(resource.name.split("/")[-1]) > 8, "@gcp-sa-bigquery-condel" in resource.cloud_resource.service_account_id)
spanner = client.create_connection(parent=parent, connection_id="s_TRANSPORT", connection=connection.Connection(
    cloud_spanner=connection.CloudSpannerProperties(database="projects/p/instances/i/databases/d", use_parallelism=True)))
print(spanner.cloud_spanner.database, spanner.has_credential)
found = client.get_connection(name=made.name)
print(found.friendly_name, found.cloud_sql.database, repr(found.cloud_sql.credential.username))
print(made.name in [each.name for each in client.list_connections(request={"parent": parent, "page_size": 1})])
found.description = "changed"
found.cloud_sql.database = "other"
changed = client.update_connection(name=made.name, connection=found,
    update_mask={"paths": ["description", "cloud_sql.database"]})
print(changed.description, changed.cloud_sql.database, changed.friendly_name, changed.has_credential)
changed.cloud_sql.credential = connection.CloudSqlCredential(username="reader", password="again-TRANSPORT")
print(client.update_connection(name=made.name, connection=changed,
    update_mask={"paths": ["cloud_sql.credential"]}).has_credential)
policy = policy_pb2.Policy(bindings=[policy_pb2.Binding(role="roles/bigquery.connectionUser", members=["user:a@b.c"])])
print(client.set_iam_policy(request=iam_policy_pb2.SetIamPolicyRequest(resource=made.name, policy=policy)).bindings[0].role)
print(client.get_iam_policy(request=iam_policy_pb2.GetIamPolicyRequest(resource=made.name)).bindings[0].members[0])
print(client.test_iam_permissions(request=iam_policy_pb2.TestIamPermissionsRequest(
    resource=made.name, permissions=["bigquery.connections.use"])).permissions)
def fails(call, **arguments):
    try:
        call(**arguments)
    except exceptions.GoogleAPICallError as error:
        print(type(error).__name__, error.message)
fails(client.create_connection, parent=parent, connection_id="c_TRANSPORT", connection=connection.Connection(cloud_sql=sql))
bare = connection.CloudSqlProperties(instance_id="test-project:us:none", database="shop", type_=1)
fails(client.create_connection, parent=parent, connection=connection.Connection(cloud_sql=bare))
fails(client.create_connection, parent=parent, connection=connection.Connection())
fails(client.create_connection, parent=parent, connection=connection.Connection(
    aws=connection.AwsProperties(access_role=connection.AwsAccessRole(iam_role_id="x"))))
fails(client.update_connection, name=made.name, connection=found, update_mask={"paths": ["cloud_spanner"]})
fails(client.get_connection, name=made.name + "x")
try:
    list(bigquery.Client().query_and_wait("SELECT * FROM EXTERNAL_QUERY('us.c_TRANSPORT', 'SELECT 1 AS a')"))
except exceptions.GoogleAPICallError as error:
    print(error.message)
client.delete_connection(name=made.name)
fails(client.get_connection, name=made.name)
""".replace("TRANSPORT", transport)
    )
    name = f"projects/test-project/locations/us/connections/c_{transport}"
    lines = done.stdout.splitlines()
    assert lines[:12] == [
        f"{name} True '' True",
        "True",
        "True True",
        "projects/p/instances/i/databases/d False",
        "Shop shop ''",
        "True",
        "changed other Shop True",
        "True",
        "roles/bigquery.connectionUser",
        "user:a@b.c",
        "['bigquery.connections.use']",
        lines[11],
    ]
    expected = [
        f"{name}",
        "cloud_sql.credential must have a username and a password",
        "A connection must have one of cloudSql, cloudSpanner, cloudResource",
        "connection.aws",
        "update_mask must name fields of the connection that can change",
        f"Not found: Connection {name}x",
        "TULE_CLOUD_SQL=test-project:us:none=HOST:PORT",
        f"Not found: Connection {name}",
    ]
    assert len(lines) == 11 + len(expected), lines
    for line, words in zip(lines[11:], expected, strict=True):
        assert words in line
    # A credential is in a file of its own, and nowhere else.
    secrets = server.home / "credentials" / "connections"
    assert secrets.stat().st_mode & 0o777 == 0o700
    for word in (f"hidden-{transport}".encode(), f"again-{transport}".encode()):
        assert [path for path in server.home.rglob("*") if path.is_file() and word in path.read_bytes()] == []


def test_a_credential_is_a_file_for_the_owner_alone(fresh_server: ServerProcess) -> None:
    code = """
from google.cloud import bigquery_connection_v1 as connection
client = connection.ConnectionServiceClient()
credential = connection.CloudSqlCredential(username="reader", password="only-here")
sql = connection.CloudSqlProperties(instance_id="p:us:none", database="d", type_=1, credential=credential)
parent = client.common_location_path("test-project", "us")
client.create_connection(parent=parent, connection_id="c", connection=connection.Connection(cloud_sql=sql))
"""
    fresh_server.exec(code)
    fresh_server.kill9()
    stray = fresh_server.home / "credentials" / "connections" / ("0" * 32 + ".json")
    stray.write_text("{}")
    holders = [path for path in fresh_server.home.rglob("*") if path.is_file() and b"only-here" in path.read_bytes()]
    assert [path.parent.name for path in holders] == ["connections"]
    assert holders[0].stat().st_mode & 0o777 == 0o600
    fresh_server.start()
    done = fresh_server.exec(
        """
from google.cloud import bigquery, bigquery_connection_v1 as connection
bigquery.Client().create_dataset("d")
print(connection.ConnectionServiceClient().get_connection(
    name="projects/test-project/locations/us/connections/c").has_credential)
"""
    )
    assert done.stdout.split() == ["True"]
    assert holders[0].exists() and not stray.exists()
