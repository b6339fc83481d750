"""Starts an upload or a deployment and does not wait for it; prints the operation's name. For servers that are killed."""

from __future__ import annotations

import sys

import samples
from google.cloud import aiplatform_v1
from sklearn.linear_model import LinearRegression

samples.start()
what = sys.argv[2]
parent = f"projects/test-project/locations/{samples.LOCATION}"
options = {"api_endpoint": f"{samples.LOCATION}-aiplatform.googleapis.com"}
models = aiplatform_v1.ModelServiceClient(client_options=options)
good = samples.dumped(LinearRegression().fit(samples.ROWS, samples.LABELS))


def upload(files: dict[str, bytes]) -> object:
    address = samples.put(f"cut-off-{what}", files)
    message = {"display_name": what, "artifact_uri": address, "container_spec": {"image_uri": samples.SKLEARN}}
    return models.upload_model(parent=parent, model=message)


if what == "upload":
    # Every file is synced to the disk, so many small ones take their time.
    operation = upload({"model.joblib": good, **{f"part-{n:03d}.txt": bytes([n % 256]) * 1000 for n in range(300)}})
else:
    slow = samples.pickled(samples.Calls("__import__('time').sleep(100)"))
    model = upload({"model.pkl": slow}).result().model
    operation = aiplatform_v1.EndpointServiceClient(client_options=options).deploy_model(
        endpoint=sys.argv[3],
        deployed_model={"model": model, "dedicated_resources": {"min_replica_count": 1}},
        traffic_split={"0": 50, sys.argv[4]: 50},
    )
samples.show(operation=operation.operation.name)
