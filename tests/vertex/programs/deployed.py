"""Deploys one model that is answered in the server and one that needs a process; prints where and what they answer."""

from __future__ import annotations

import pandas
import samples
from google.cloud import aiplatform
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier

samples.start()
rows = samples.ROWS[:, :3].copy()
# Not copied by pandas, so that it lies in memory as the rows of a request do: linear models round by that.
frame = pandas.DataFrame(rows, columns=["radius", "texture", "perimeter"], copy=False)
estimators = {
    "arrays": LinearRegression().fit(frame, samples.LABELS),
    "process": KNeighborsClassifier().fit(frame, samples.LABELS),
}
found = {}
for name, estimator in estimators.items():
    address = samples.put(f"deployed-{name}", {"model.joblib": samples.dumped(estimator)})
    model = aiplatform.Model.upload(
        display_name=name, artifact_uri=address, serving_container_image_uri=samples.SKLEARN
    )
    endpoint = model.deploy(deployed_model_display_name=name)
    found[name] = {
        "endpoint": endpoint.resource_name,
        "model": model.resource_name,
        "deployed": endpoint.list_models()[0].id,
        "instances": frame[:5].to_dict("records"),
        "predictions": estimator.predict(frame[:5]).tolist(),
    }
samples.show(**found)
