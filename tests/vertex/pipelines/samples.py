"""Pipelines after the samples of the KFP documentation, written with the stock KFP SDK.

``.venv-clients/bin/python tests/vertex/pipelines/samples.py tests/vertex/pipelines/compiled`` compiles them; tests run
what is committed there, and compile anew in the environment of the clients.
"""

# No annotations from the future: the SDK reads them.
# ruff: noqa

import sys
from functools import partial
from typing import List, NamedTuple

from kfp import compiler, dsl
from kfp.dsl import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Input,
    Markdown,
    Metrics,
    Model,
    Output,
    PipelineTaskFinalStatus,
)

component = partial(dsl.component, base_image="python:3.11")


@component
def hello(text: str) -> str:
    print("Hello,", text)
    return f"Hello, {text}"


@component
def add(a: float, b: float) -> float:
    return a + b


@component
def double(n: int) -> int:
    return 2 * n


@component
def total(ns: List[int]) -> int:
    return sum(ns)


@component
def say(msg: str) -> str:
    print(msg)
    return msg


@component
def fail(msg: str):
    raise ValueError(msg)


@dsl.pipeline(name="hello-world")
def hello_world(recipient: str = "World") -> str:
    return hello(text=recipient).output


@dsl.pipeline(name="add-pipeline")
def add_pipeline(a: float = 1.0, b: float = 7.0) -> float:
    first = add(a=a, b=4.0)
    return add(a=first.output, b=b).output


@component
def types(
    i: int,
    f: float,
    s: str,
    b: bool,
    l: list,
    d: dict,
    o: str = "x",
) -> NamedTuple("Outputs", [("i", int), ("f", float), ("s", str), ("b", bool), ("l", list), ("d", dict)]):
    from typing import NamedTuple

    Outputs = NamedTuple("Outputs", [("i", int), ("f", float), ("s", str), ("b", bool), ("l", list), ("d", dict)])
    for value, kind in ((i, int), (f, float), (s, str), (b, bool), (l, list), (d, dict)):
        assert isinstance(value, kind), (value, kind)
    return Outputs(i + 1, f / 2, s + o, not b, [*l, 1], {**d, "k": {"n": 1}})


@dsl.pipeline(name="types")
def types_pipeline(
    i: int = 3,
    f: float = 1.0,
    s: str = "a",
    b: bool = True,
    l: list = [1, "x", 2.5],
    d: dict = {"a": 1},
):
    first = types(i=i, f=f, s=s, b=b, l=l, d=d)
    types(**{name: first.outputs[name] for name in "ifsbld"})


@component
def make(n: int, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write("\n".join(map(str, range(n))))
    data.metadata["rows"] = n


@component
def train(
    data: Input[Dataset],
    model: Output[Model],
    metrics: Output[Metrics],
    report: Output[Markdown],
    page: Output[HTML],
    cm: Output[ClassificationMetrics],
):
    import os

    rows = open(data.path).read().split()
    assert int(data.metadata["rows"]) == len(rows), (data.metadata, rows)
    os.makedirs(model.path)
    with open(os.path.join(model.path, "weights"), "w") as file:
        file.write(str(sum(map(int, rows))))
    model.metadata["framework"] = "own"
    metrics.log_metric("accuracy", 0.5)
    metrics.log_metric("rows", len(rows))
    for artifact, text in ((report, "# report"), (page, "<p>")):
        with open(artifact.path, "w") as file:
            file.write(text)
    cm.log_confusion_matrix(["a", "b"], [[1, 2], [3, 4]])


@component
def use(model: Input[Model]) -> int:
    import os

    return int(open(os.path.join(model.path, "weights")).read())


@dsl.pipeline(name="artifacts")
def artifacts(n: int = 5) -> int:
    trained = train(data=make(n=n).outputs["data"])
    return use(model=trained.outputs["model"]).output


@component
def flip(side: str) -> str:
    return side


@dsl.pipeline(name="conditions")
def conditions(side: str = "tails", n: int = 7) -> str:
    coin = flip(side=side)
    with dsl.If(coin.output == "heads"):
        heads = say(msg="it was heads")
    with dsl.Elif(coin.output == "tails"):
        tails = say(msg="it was tails")
    with dsl.Else():
        neither = say(msg="it was neither")
    with dsl.If(n > 5):
        say(msg="big")
    return say(msg=dsl.OneOf(heads.output, tails.output, neither.output)).output


@dsl.pipeline(name="loops")
def loops(ns: List[int] = [1, 2, 3]) -> int:
    with dsl.ParallelFor(ns, parallelism=2) as n:
        doubled = double(n=n)
    with dsl.ParallelFor([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]) as item:
        double(n=item.a)
    return total(ns=dsl.Collected(doubled.output)).output


@component
def notify(status: PipelineTaskFinalStatus, who: str) -> str:
    told = f"{who}: {status.state} {status.pipeline_task_name} {status.error_code} {status.error_message}"
    print(told)
    return told


@dsl.pipeline(name="exit-handler")
def exit_handler(msg: str = "no luck"):
    with dsl.ExitHandler(notify(who="me"), name="guarded"):
        fail(msg=msg)


@dsl.pipeline(name="inner")
def inner(x: float, y: float = 2.0) -> float:
    return add(a=x, b=y).output


@dsl.pipeline(name="nested")
def nested(x: float = 1.0) -> float:
    return inner(x=inner(x=x).output, y=10.0).output


@component
def read(text: Input[Artifact]) -> str:
    print(text.metadata)
    return open(text.path).read()


@dsl.pipeline(name="importer")
def importer(uri: str = "gs://samples/text.txt") -> str:
    anew = dsl.importer(
        artifact_uri=uri, artifact_class=dsl.Dataset, reimport=True, metadata={"key": "value", "from": uri}
    )
    known = dsl.importer(artifact_uri="gs://samples/text.txt", artifact_class=dsl.Artifact, reimport=False)
    read(text=known.output)
    return read(text=anew.output).output


@component
def one(name: str, out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write(name)


@component
def join(parts: Input[List[Dataset]]) -> str:
    return ",".join(open(each.path).read() for each in parts)


@dsl.pipeline(name="collected-artifacts")
def collected_artifacts() -> str:
    with dsl.ParallelFor(["a", "b", "c"]) as name:
        made = one(name=name)
    return join(parts=dsl.Collected(made.outputs["out"])).output


@dsl.container_component
def shell(text: str, out: dsl.OutputPath(str), made: Output[Artifact], extra: str = ""):
    script = 'mkdir -p $(dirname $1) $(dirname $2) && printf "%s" "$0$3" > $1 && echo $0 > $2 && echo $VAR'
    joined = dsl.IfPresentPlaceholder("extra", then=[dsl.ConcatPlaceholder(["+", extra])], else_=["none"])
    return dsl.ContainerSpec(image="alpine", command=["sh", "-c", script], args=[text, out, made.path, joined])


@component
def placeholders(name: str, resource: str, uuid: str, task: str, mixed: str) -> str:
    return " ".join([name, resource, uuid, task, mixed])


@dsl.pipeline(name="containers")
def containers(t: str = "hi"):
    first = shell(text=t)
    first.set_env_variable("VAR", "seen").set_display_name("The shell").set_caching_options(False)
    first.set_cpu_limit("1").set_memory_limit("512Mi")
    shell(text=first.outputs["out"], extra="more").after(first)
    placeholders(
        name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        resource=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
        uuid=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        task=dsl.PIPELINE_TASK_NAME_PLACEHOLDER,
        mixed=f"{t}-{first.outputs['out']}",
    )


@component
def flaky(marker: str) -> str:
    import os

    tries = int(open(marker).read()) if os.path.exists(marker) else 0
    with open(marker, "w") as file:
        file.write(str(tries + 1))
    if tries < 2:
        raise RuntimeError(f"try {tries}")
    return f"after {tries}"


@dsl.pipeline(name="retries")
def retries(marker: str) -> str:
    return flaky(marker=marker).set_retry(num_retries=3, backoff_duration="0s").output


@dsl.pipeline(name="ignoring")
def ignoring():
    failed = fail(msg="gone wrong")
    hello(text="anyway").after(failed).ignore_upstream_failure()
    hello(text="never").after(failed)


@component
def both(bucket: str) -> str:
    from pathlib import Path

    # Files of buckets are there without an artifact that names them.
    copy = Path(f"/gcs/{bucket}/direct/copy.txt")
    copy.parent.mkdir()
    copy.write_text(Path(f"/gcs/{bucket}/text.txt").read_text())
    return copy.read_text()


@dsl.pipeline(name="direct-files")
def direct_files(bucket: str) -> str:
    return both(bucket=bucket).output


PIPELINES = (
    hello_world, add_pipeline, types_pipeline, artifacts, conditions, loops, exit_handler, nested, importer,
    collected_artifacts, containers, retries, ignoring, direct_files,
)  # fmt: skip

if __name__ == "__main__":
    for each in PIPELINES:
        compiler.Compiler().compile(each, f"{sys.argv[1]}/{each.name}.yaml")
