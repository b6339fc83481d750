"""A model trained in SQL and one of uploaded files, behind one endpoint; prints its id and the files."""

from __future__ import annotations

import samples
from google.cloud import aiplatform, bigquery
from sklearn.linear_model import LinearRegression

samples.start()
client = bigquery.Client()
client.create_dataset("story")
client.query_and_wait("CREATE TABLE story.points AS SELECT x, 2.0 * x AS y FROM UNNEST(GENERATE_ARRAY(1, 50)) AS x")
client.query_and_wait("CREATE VIEW story.seen AS SELECT * FROM story.points")
client.query_and_wait(
    "CREATE MODEL story.line OPTIONS (MODEL_TYPE = 'LINEAR_REG', INPUT_LABEL_COLS = ['y'], MODEL_REGISTRY = 'VERTEX_AI', "
    "VERTEX_AI_MODEL_ID = 'story_line') AS SELECT x, y FROM story.seen"
)
files = samples.put("story", {"model.joblib": samples.dumped(LinearRegression().fit(samples.ROWS, samples.LABELS))})
uploaded = aiplatform.Model.upload(
    display_name="uploaded", artifact_uri=files, serving_container_image_uri=samples.SKLEARN, model_id="story_uploaded"
)
endpoint = aiplatform.Endpoint.create(display_name="story")
for model in (aiplatform.Model("story_line"), uploaded):
    endpoint.deploy(model, traffic_percentage=100)
found = aiplatform.Artifact.list(
    filter=f'schema_title="google.VertexEndpoint" AND display_name="endpoint {endpoint.name}"'
)
assert [each.metadata["resourceName"] for each in found] == [endpoint.resource_name]
print("\n" + endpoint.name, files)
