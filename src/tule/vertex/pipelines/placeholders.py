"""Placeholders: what stands for values in the commands, arguments, variables and constants of a pipeline.

    {{$}}                                      the whole executor input, as JSON
    {{$.inputs.parameters['x']}}               a parameter; {{$.inputs.parameters['x'].key}} a part of a structure
    {{$.inputs.artifacts['m'].uri}}            uri, path, name, metadata, metadata['accuracy']
    {{$.outputs.parameters['y'].output_file}}  where a container writes an output
    {{$.json_escape[1]}}                       the executor input as JSON inside a JSON string
    {{$.pipeline_job_name}}                    what the run is called, and its like

An argument that is an object in JSON joins texts (``Concat``) or depends on an input (``IfPresent``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tule.kernel.errors import InvalidArgument, Unimplemented
from tule.vertex.pipelines.ir import text_of

_PLACEHOLDER = re.compile(r"\{\{\$(?P<path>(?:\.[A-Za-z_]\w*|\[(?:'[^']*'|\"[^\"]*\"|\d+)\])*)\}\}")
_STEP = re.compile(r"\.(?P<word>[A-Za-z_]\w*)|\[(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<number>\d+))\]")
_STRUCTURES = ("Concat", "IfPresent")
_ENDS = {"outputFile": "output_file", "parameterValues": "parameters"}


class Placeholders:
    """The values of one task. ``about``: the run and the task, ``pipeline_job_name`` and its like."""

    def __init__(self, executor_input: Mapping[str, Any], about: Mapping[str, str], mount: str = "/gcs/") -> None:
        self._input = executor_input
        self._about = about
        self._mount = mount

    def texts(self, templates: tuple[str, ...]) -> list[str]:
        """A command with its placeholders filled in; an argument that is absent gives nothing."""
        return [each for template in templates for each in self._expanded(template)]

    def text(self, template: str) -> str:
        """A text with its placeholders filled in."""
        return _PLACEHOLDER.sub(lambda found: text_of(self._value(found["path"])), template)

    def value(self, constant: Any) -> Any:
        """A constant with its placeholders filled in; one that is a placeholder alone has the value's own type."""
        if isinstance(constant, str):
            found = _PLACEHOLDER.fullmatch(constant)
            return self._value(found["path"]) if found else self.text(constant)
        if isinstance(constant, list):
            return [self.value(each) for each in constant]
        if isinstance(constant, dict):
            return {key: self.value(each) for key, each in constant.items()}
        return constant

    # -- structures

    def _expanded(self, template: str) -> Iterator[str]:
        stripped = template.lstrip()
        if stripped.startswith("{") and any(f'"{word}"' in stripped for word in _STRUCTURES):
            try:
                structure = json.loads(template)
            except json.JSONDecodeError:
                structure = None
            if isinstance(structure, dict) and len(structure) == 1 and next(iter(structure)) in _STRUCTURES:
                yield from self._structure(structure)
                return
        yield self.text(template)

    def _structure(self, given: Any) -> list[str]:
        if isinstance(given, str):
            return list(self._expanded(given))
        if isinstance(given, list):
            return [each for item in given for each in self._structure(item)]
        if isinstance(given, dict) and "Concat" in given:
            return ["".join(each for item in given["Concat"] for each in self._structure(item))]
        if isinstance(given, dict) and "IfPresent" in given:
            about = given["IfPresent"]
            branch = about.get("Then") if self._present(about.get("InputName", "")) else about.get("Else")
            return self._structure(branch if branch is not None else [])
        raise InvalidArgument("An argument must be a text, a Concat or an IfPresent", given=json.dumps(given)[:200])

    def _present(self, name: str) -> bool:
        inputs = self._input["inputs"]
        return inputs["parameterValues"].get(name) is not None or bool(inputs["artifacts"].get(name))

    # -- paths

    def _value(self, path: str) -> Any:
        steps = [
            found["word"] or found["single"] or found["double"] or int(found["number"] or 0)
            for found in _STEP.finditer(path)
        ]
        if not steps:
            return json.dumps(self._input)
        head, rest = str(steps[0]), steps[1:]
        try:
            if head == "json_escape":
                return _escaped(json.dumps(self._input), int(rest[0]) if rest else 1)
            if head == "inputs":
                return self._input_value(str(rest[0]), str(rest[1]), rest[2:])
            if head == "outputs":
                return self._output_value(str(rest[0]), rest[1:])
        except (KeyError, IndexError, TypeError):
            raise InvalidArgument(
                "A placeholder must name an input or an output of its task",
                given="{{$" + path + "}}",
                do="make it an input of the component, or give it a default",
            ) from None
        if head not in self._about:
            raise Unimplemented("Tule does not fill in this placeholder", given="{{$" + path + "}}")
        return self._about[head]

    def _input_value(self, kind: str, name: str, rest: list[Any]) -> Any:
        inputs = self._input["inputs"]
        if kind in ("parameters", "parameter_values"):
            found = inputs["parameterValues"][name]
            for step in rest:
                found = found[step]
            return found
        artifacts = inputs["artifacts"][name]["artifacts"]
        return self._of_artifact(artifacts, rest)

    def _output_value(self, kind: str, rest: list[Any]) -> Any:
        outputs = self._input["outputs"]
        if kind in ("output_file", "outputFile"):
            return outputs["outputFile"]
        if kind == "output_metadata_uri":
            return outputs["outputFile"]
        if kind == "parameters":
            assert rest[1] in ("output_file", "outputFile")
            return outputs["parameters"][rest[0]]["outputFile"]
        return self._of_artifact(outputs["artifacts"][rest[0]]["artifacts"], rest[1:])

    def _of_artifact(self, artifacts: list[Mapping[str, Any]], rest: list[Any]) -> Any:
        if not rest:
            return json.dumps(artifacts)
        if isinstance(rest[0], int):
            artifacts, rest = [artifacts[rest[0]]], rest[1:]
        first, what = artifacts[0], rest[0]
        if what == "path":
            return local_path(first["uri"], self._mount)
        if what in ("metadata", "properties", "custom_properties"):
            found = first.get("metadata", {})
            for step in rest[1:]:
                found = found[step]
            return found
        return first[what]


def local_path(uri: str, mount: str) -> str:
    """Where a process finds an artifact: below the mount of Cloud Storage, else at its URI.

    >>> local_path("gs://bucket/a/b", "/gcs/")
    '/gcs/bucket/a/b'
    """
    return mount + uri.removeprefix("gs://") if uri.startswith("gs://") else uri


def _escaped(text: str, times: int) -> str:
    for _ in range(times):
        text = json.dumps(text)[1:-1]
    return text
