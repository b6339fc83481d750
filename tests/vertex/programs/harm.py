"""Models that loop, allocate without end, are slow or die: each is stopped at its limit, and the others go on.

Runs against a server whose models have 1 GiB, 8 s to open and 2 s to predict.
"""

from __future__ import annotations

import samples
from google.cloud import aiplatform
from sklearn.linear_model import LinearRegression

samples.start()
endpoint = aiplatform.Endpoint.create(display_name="harm")


def upload(name: str, content: bytes) -> aiplatform.Model:
    address = samples.put(f"harm-{name}", {"model.pkl": content})
    return aiplatform.Model.upload(display_name=name, artifact_uri=address, serving_container_image_uri=samples.SKLEARN)


def model(name: str, code: str) -> aiplatform.Model:
    return upload(name, samples.pickled(samples.Calls(code)))


good = LinearRegression().fit(samples.ROWS[:, :2], samples.LABELS)
endpoint.deploy(upload("good", samples.pickled(good)))
split = endpoint.traffic_split

spins = model("spins", "all(True for _ in iter(int, 1))")
samples.refused(lambda: endpoint.deploy(spins), "The model must open within 8 s", "was killed")
hoards = model("hoards", "[bytearray(1 << 28) for _ in range(99)]")
samples.refused(lambda: endpoint.deploy(hoards), "model.pkl raised MemoryError", "a worker has 1024 MiB")
exits = model("exits", "__import__('os')._exit(3)")
samples.refused(lambda: endpoint.deploy(exits), "its process ended with 3 during load")
threads = model("threads", "__import__('subprocess').run(['id'])")
samples.refused(lambda: endpoint.deploy(threads), "without trying to start a process", "subprocess.Popen('id'")
endpoint = aiplatform.Endpoint(endpoint.name)
assert endpoint.traffic_split == split and len(endpoint.list_models()) == 1
assert endpoint.predict([[1.0, 2.0]]).predictions == good.predict([[1.0, 2.0]]).tolist()

# One that behaves as its instances say.
moody = aiplatform.Endpoint.create(display_name="moody")
moody.deploy(
    model(
        "moody",
        "type('Moody', (), {'predict': lambda self, rows: [__import__('os')._exit(9) if row[0] < 0 else "
        "__import__('socket').socket() if row[0] == 7 else "
        "[0] * (1 << 40) if row[0] == 8 else __import__('time').sleep(row[0]) or 1 for row in rows]})()",
    )
)
assert moody.predict([[0.0]]).predictions == [1]
samples.refused(lambda: moody.predict([[60.0]]), "A prediction must take at most 2 s", "it is restarted")
assert moody.predict([[0.0], [0.0]]).predictions == [1, 1]
samples.refused(lambda: moody.predict([[-1.0]]), "its process ended with 9 during predict", "it is restarted")
assert moody.predict([[0.0]]).predictions == [1]
samples.refused(lambda: moody.predict([[7.0]]), "its predict raised PermissionError", "socket.__new__")
samples.refused(lambda: moody.predict([[8.0]]), "its predict raised MemoryError")
assert moody.predict([[0.0]]).predictions == [1]
moody.delete(force=True)
endpoint.delete(force=True)
