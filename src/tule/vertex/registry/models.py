"""Models, their versions and aliases.

A model is one record (kind ``Model``) whose body is the message of its default version, so that lists and filters see
what ``ListModels`` answers. Each version is a record (kind ``ModelVersion``, name ``.../models/M@3``) with its message
and, under ``_tule``, its stored artifact. What belongs to the model as a whole (aliases, model labels, the next version
number) is kept under ``_tule`` of the model's record. Every change rewrites the model's record in the same transaction.

What belongs to the model: display name, description and the labels of its first upload. What belongs to a version:
everything else; its labels are merged over the model's. Renaming a model renames all its versions.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from tule.kernel.clock import Clock
from tule.kernel.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tule.kernel.names import Pattern, numeric_id
from tule.kernel.records import Record, Records
from tule.vertex.registry.artifacts import Artifact, Artifacts, OwnFiles, Source
from tule.vertex.registry.images import Image, runtime_of

MODEL = Pattern("projects/{project}/locations/{location}/models/{model}")
DEFAULT = "default"

_PRIVATE = "_tule"
_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
# Keys that only help filters: ``model=my_id`` is in the documented filter language of ListModels.
_FILTER_KEYS = ("model", "modelUserId")
_MODEL_FIELDS = ("displayName", "description")


@dataclass(frozen=True)
class Version:
    """One version of a model as other rooms see it."""

    model: str
    """The model's name, without a version."""
    id: str
    message: dict[str, Any]
    """Google's Model message as JSON."""
    artifact: Artifact | None
    """None for a placeholder that was uploaded without files."""
    image: Image | None
    image_uri: str

    @property
    def name(self) -> str:
        return f"{self.model}@{self.id}"


def split_name(name: str) -> tuple[str, str]:
    """A model's name and the version or alias behind ``@``, empty when there is none.

    >>> split_name("projects/p/locations/l/models/m@2")
    ('projects/p/locations/l/models/m', '2')
    """
    plain, _, version = name.partition("@")
    MODEL.parse(plain)
    return plain, version


def _etag(head: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """Of what an update can change, so that a deployment or another version does not make an editor's copy stale."""
    fields = [body.get(key) for key in (*_MODEL_FIELDS, "versionDescription")]
    mine = [head["labels"], body[_PRIVATE]["labels"], *fields]
    return hashlib.sha256(json.dumps(mine, sort_keys=True).encode()).hexdigest()[:16]


def _moment(record: Record, which: str) -> str:
    return str(getattr(record, which).isoformat().replace("+00:00", "Z"))


class Story(Protocol):
    """What is told of new versions (``vertex.experiments``), passed in by the wiring; inside their transaction."""

    def uploaded(self, version: str, uri: str) -> None:
        """A version was made of the files at an address."""


class Models:
    """The registry's models. Safe to use from several threads; each change is one transaction.

    ``story`` is asked for when there is something to tell.
    """

    def __init__(
        self, records: Records, artifacts: Artifacts, clock: Clock, story: Callable[[], Story] | None = None
    ) -> None:
        self._story = story
        self._records = records
        self._clock = clock
        self.artifacts = artifacts

    # -- reading

    def get(self, name: str) -> Version:
        """The version that ``name`` (with or without ``@version`` or ``@alias``) means; raises NotFound."""
        plain, wanted = split_name(name)
        head = self._head(plain)
        return self._version(head, self._resolve(head, wanted))

    def message(self, name: str) -> dict[str, Any]:
        """The Model message as ``GetModel`` answers it: named with its version if it was asked for one."""
        version = self.get(name)
        return {**version.message, "name": version.name if "@" in name else version.model}

    def list_models(
        self, parent: str, *, filter: str = "", order_by: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """The default versions of the models in a location, and the token of the next page."""
        page = self._records.list(
            "Model", parent, filter=filter, order_by=order_by, page_size=page_size, page_token=page_token
        )
        return [self._message(head, self._record(head, self._default(head))) for head in page], page.next_page_token

    def list_versions(
        self, name: str, *, filter: str = "", order_by: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """All versions of a model, oldest first unless ordered."""
        plain, _ = split_name(name)
        head = self._head(plain)
        page = self._records.list(
            "ModelVersion",
            plain,
            filter=filter,
            order_by=order_by or "create_time",
            page_size=page_size,
            page_token=page_token,
        )
        return [{**self._message(head, record), "name": record.name} for record in page], page.next_page_token

    # -- new versions

    def upload(
        self,
        parent: str,
        message: Mapping[str, Any],
        source: Source | None,
        *,
        parent_model: str = "",
        model_id: str = "",
        report: Callable[[int, str], None] = lambda percent, stage: None,
        finish: Callable[[Version], None] = lambda version: None,
    ) -> Version:
        """Store a new model, or a new version of ``parent_model``; the files are copied and checked first.

        ``finish`` gets the version inside the transaction that makes it.
        """
        image_uri = message.get("containerSpec", {}).get("imageUri", "")
        image = runtime_of(image_uri) if image_uri else None
        self.check_new(parent, message, parent_model, model_id)
        artifact = None
        if source is not None:
            report(10, "copying the artifact files")
            artifact = self.artifacts.store(source, image)
        report(90, "registering the version")

        def made(version: Version) -> None:
            if source is not None and self._story is not None:
                self._story().uploaded(version.name, source.uri)
            finish(version)

        return self._add(parent, message, artifact, parent_model=parent_model, model_id=model_id, finish=made)

    def register(
        self,
        parent: str,
        model_id: str,
        files: OwnFiles,
        message: Mapping[str, Any],
    ) -> Version:
        """Add a model that this server made: a new model of that id, or the next version of it."""
        name = f"{parent}/models/{model_id}"
        MODEL.parse(name)
        known = self._records.find(name) is not None
        self.check_new(parent, message, name if known else "", "" if known else model_id)
        artifact = self.artifacts.adopt(files)
        return self._add(
            parent, message, artifact, parent_model=name if known else "", model_id="" if known else model_id
        )

    def copy(self, source_name: str, parent: str, *, parent_model: str = "", model_id: str = "") -> Version:
        """A new model, or version of ``parent_model``, with the same files as ``source_name``."""
        source = self.get(source_name)
        message = {
            key: value
            for key, value in source.message.items()
            if key not in ("name", "versionId", "versionAliases", "etag", "deployedModels") and "Time" not in key
        }
        self.check_new(parent, message, parent_model, model_id)
        artifact = self.artifacts.copy(source.artifact) if source.artifact else None
        return self._add(parent, message, artifact, parent_model=parent_model, model_id=model_id)

    def check_new(self, parent: str, message: Mapping[str, Any], parent_model: str, model_id: str) -> None:
        if not message.get("displayName"):
            raise InvalidArgument("A model must have a display name", given="none", do="set model.display_name")
        if len(message["displayName"]) > 128:
            raise InvalidArgument("A display name must have at most 128 characters", given=len(message["displayName"]))
        _check_aliases(message.get("versionAliases", []))
        if parent_model and model_id:
            raise InvalidArgument(
                "A version of an existing model takes that model's id",
                given=f"parent_model {parent_model} and model_id {model_id}",
                do="leave model_id out",
            )
        if parent_model:
            plain, version = split_name(parent_model)
            if version or not plain.startswith(f"{parent}/"):
                raise InvalidArgument(
                    f"parent_model must be a model in {parent}, without a version", given=parent_model
                )
            self._head(plain)
        elif model_id:
            if not _MODEL_ID.fullmatch(model_id):
                raise InvalidArgument(
                    "A model id must have 1 to 63 characters of [a-z0-9_-] and begin with a letter or _", given=model_id
                )
            if self._records.find(f"{parent}/models/{model_id}"):
                raise AlreadyExists(
                    "The model id must be free",
                    given=f"{parent}/models/{model_id}",
                    do="give it as parent_model to add a version",
                )

    def _add(
        self,
        parent: str,
        message: Mapping[str, Any],
        artifact: Artifact | None,
        *,
        parent_model: str,
        model_id: str,
        finish: Callable[[Version], None] = lambda version: None,
    ) -> Version:
        body = {
            key: value
            for key, value in message.items()
            if value not in ("", None) and key not in ("labels", "versionAliases", "name", "etag")
        }
        labels, aliases = dict(message.get("labels", {})), list(message.get("versionAliases", []))
        try:
            with self._records.transaction():
                if parent_model:
                    head = self._head(parent_model)
                else:
                    model_id = model_id or numeric_id()
                    private = {"next": 1, "aliases": {}, "labels": labels}
                    keys = dict.fromkeys(_FILTER_KEYS, model_id)
                    head = self._records.create("Model", f"{parent}/models/{model_id}", {**keys, _PRIVATE: private})
                    labels = {}
                number = str(head.body[_PRIVATE]["next"])
                body["versionId"] = number
                body[_PRIVATE] = {"artifact": artifact.to_json() if artifact else None, "labels": labels}
                body = _labelled(body, head.body[_PRIVATE]["labels"])
                self._records.create("ModelVersion", f"{head.name}@{number}", body, parent=head.name)
                first = not head.body[_PRIVATE]["aliases"]
                taken = dict.fromkeys([*aliases, *([DEFAULT] if first else [])], number)
                head = self._change_head(
                    head, next=int(number) + 1, aliases={**head.body[_PRIVATE]["aliases"], **taken}
                )
                version = self._version(head, number)
                finish(version)
        except BaseException:
            if artifact is not None:
                self.artifacts.remove(artifact.id)
            raise
        return version

    # -- changes

    def update(self, name: str, changes: Mapping[str, Any], fields: Collection[str], etag: str = "") -> dict[str, Any]:
        """Set ``fields`` (camelCase, top level) to their values in ``changes``; answers the new message.

        A name with ``@`` updates that version (its description, its labels), one without updates the model.
        """
        plain, wanted = split_name(name)
        wanted = "" if wanted == "-" else wanted
        allowed = {"versionDescription", "labels"} if wanted else {*_MODEL_FIELDS, "labels"}
        wrong = sorted(set(fields) - allowed)
        if wrong:
            kind = "version" if wanted else "model"
            raise InvalidArgument(
                f"An update of a {kind} must name only {', '.join(sorted(allowed))}",
                given=", ".join(wrong),
                do="name the model without @ for the model's fields, with @version for a version's",
            )
        with self._records.transaction():
            head = self._head(plain)
            self._check_etag(head, wanted, etag)
            values = {field: changes.get(field) for field in fields}
            if wanted:
                number = self._resolve(head, wanted)
                self._change_version(f"{plain}@{number}", values, head.body[_PRIVATE]["labels"])
            else:
                labels = dict((values.pop("labels") or {}) if "labels" in fields else head.body[_PRIVATE]["labels"])
                for record in self._records.list("ModelVersion", plain):
                    self._change_version(record.name, values, labels)
                head = self._change_head(head, labels=labels)
            self._change_head(head)
        return self.message(name if wanted else plain)

    def _change_version(self, name: str, values: Mapping[str, Any], model_labels: Mapping[str, str]) -> None:
        def change(body: dict[str, Any]) -> dict[str, Any]:
            for field, value in values.items():
                if field == "labels":
                    body[_PRIVATE]["labels"] = dict(value or {})
                elif value:
                    body[field] = value
                elif field == "displayName":
                    raise InvalidArgument("A model must have a display name", given="an empty one")
                else:
                    body.pop(field, None)
            return _labelled(body, model_labels)

        self._records.update(name, change)

    def _check_etag(self, head: Record, wanted: str, etag: str) -> None:
        if not etag:
            return
        records = (
            [self._record(head, self._resolve(head, wanted))]
            if wanted
            else list(self._records.list("ModelVersion", head.name))
        )
        if etag not in {_etag(head.body[_PRIVATE], record.body) for record in records}:
            raise Aborted(
                "The etag must be the present one: somebody changed the model since it was read",
                given=etag,
                do="get the model again and repeat the change",
            )

    def merge_aliases(self, name: str, changes: Sequence[str]) -> dict[str, Any]:
        """Give aliases to a version; ``-alias`` takes one away. An alias that another version has moves here."""
        plain, wanted = split_name(name)
        if not wanted:
            raise InvalidArgument("Aliases are given to a version", given=name, do="name it as models/ID@VERSION")
        _check_aliases([change.removeprefix("-") for change in changes])
        added = {change for change in changes if not change.startswith("-")}
        removed = {change[1:] for change in changes if change.startswith("-")}
        added, removed = added - removed, removed - added
        with self._records.transaction():
            head = self._head(plain)
            number = self._resolve(head, wanted)
            aliases: dict[str, str] = dict(head.body[_PRIVATE]["aliases"])
            if DEFAULT in removed and aliases[DEFAULT] == number:
                raise FailedPrecondition(
                    "A model must have exactly one default version",
                    given=f"-{DEFAULT} for version {number}",
                    do=f"add the alias {DEFAULT} to another version; it moves there",
                )
            aliases = {key: at for key, at in aliases.items() if not (key in removed and at == number)}
            self._change_head(head, aliases={**aliases, **dict.fromkeys(sorted(added), number)})
        return self.message(f"{plain}@{number}")

    def check_delete(self, name: str) -> list[Record]:
        """The records of the versions that ``delete`` will remove; raises what it would raise."""
        plain, version = split_name(name)
        if version:
            raise InvalidArgument(
                "DeleteModel takes a model without a version",
                given=name,
                do="delete one version with DeleteModelVersion",
            )
        self._head(plain)
        versions = list(self._records.list("ModelVersion", plain))
        for record in versions:
            _check_not_deployed(record)
        return versions

    def delete(self, name: str) -> None:
        """Remove a model with all its versions; FailedPrecondition while one of them is deployed."""
        with self._records.transaction():
            versions = self.check_delete(name)
            self._records.delete_under(name)
            for record in versions:
                self._records.delete_under(record.name)
                self._records.delete(record.name)
            self._records.delete(name)
            self._drop_files(versions)

    def check_delete_version(self, name: str, *, even_default: bool = False) -> tuple[Record, dict[str, str]]:
        """The record that ``delete_version`` will remove and the aliases that stay; raises what it would raise."""
        plain, wanted = split_name(name)
        if not wanted:
            raise InvalidArgument("The version to delete must be named", given=name, do="name it as models/ID@VERSION")
        head = self._head(plain)
        number = self._resolve(head, wanted)
        record = self._record(head, number)
        others = [each for each in self._records.list("ModelVersion", plain) if each.name != record.name]
        if not others:
            raise FailedPrecondition(
                "The only version of a model cannot be deleted", given=name, do="delete the model with DeleteModel"
            )
        aliases = {key: at for key, at in head.body[_PRIVATE]["aliases"].items() if at != number}
        if DEFAULT not in aliases:
            if not even_default:
                raise FailedPrecondition(
                    "The default version cannot be deleted",
                    given=f"{plain}@{number}",
                    do=f"give the alias {DEFAULT} to another version first",
                )
            aliases[DEFAULT] = max((each.body["versionId"] for each in others), key=int)
        _check_not_deployed(record)
        return record, aliases

    def delete_version(self, name: str, *, even_default: bool = False) -> None:
        """Remove one version: not the only one, not the default one, not a deployed one.

        With ``even_default`` (a DROP MODEL takes its own version back) the newest other version becomes the default.
        """
        with self._records.transaction():
            record, aliases = self.check_delete_version(name, even_default=even_default)
            for evaluation in self._records.list("ModelEvaluation", record.name):
                self._records.delete(evaluation.name)
            self._records.delete(record.name)
            self._change_head(self._head(split_name(name)[0]), aliases=aliases)
            self._drop_files([record])

    def _drop_files(self, versions: Sequence[Record]) -> None:
        """Once the deletion is durable; a crash in between leaves files that the next start sweeps."""
        ids = [record.body[_PRIVATE]["artifact"]["id"] for record in versions if record.body[_PRIVATE]["artifact"]]
        for each in ids:
            self._records.after_commit(partial(self.artifacts.remove, each))

    def note_deployed(self, name: str, endpoint: str, deployed_model_id: str) -> None:
        """Remember on a version that an endpoint serves it; call inside the transaction that deploys."""
        self._change_deployments(
            name, lambda found: [*found, {"endpoint": endpoint, "deployedModelId": deployed_model_id}]
        )

    def note_undeployed(self, name: str, endpoint: str, deployed_model_id: str) -> None:
        reference = {"endpoint": endpoint, "deployedModelId": deployed_model_id}
        self._change_deployments(name, lambda found: [each for each in found if each != reference])

    def _change_deployments(self, name: str, change: Callable[[list[Any]], list[Any]]) -> None:
        plain, number = split_name(name)
        with self._records.transaction():
            self._records.update(
                f"{plain}@{number}", lambda body: {**body, "deployedModels": change(body.get("deployedModels", []))}
            )
            self._change_head(self._head(plain))

    # -- evaluations

    def add_evaluation(self, name: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Attach a ModelEvaluation message to a version."""
        version = self.get(name)
        body = {key: value for key, value in message.items() if key not in ("name", "createTime")}
        record = self._records.create(
            "ModelEvaluation", f"{version.model}/evaluations/{numeric_id()}", body, parent=version.name
        )
        return _evaluation(record)

    def evaluation(self, name: str) -> dict[str, Any]:
        return _evaluation(self._records.get(re.sub(r"@[^/]*", "", name)))

    def list_evaluations(
        self, name: str, *, filter: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        version = self.get(name)
        page = self._records.list(
            "ModelEvaluation", version.name, filter=filter, page_size=page_size, page_token=page_token
        )
        return [_evaluation(record) for record in page], page.next_page_token

    def sweep(self) -> None:
        """Remove stored files that no version names any more; called once at start."""
        used = {
            record.body[_PRIVATE]["artifact"]["id"]
            for record in self._records.list("ModelVersion")
            if record.body[_PRIVATE]["artifact"]
        }
        self.artifacts.sweep(used)

    # -- inside

    def _head(self, name: str) -> Record:
        record = self._records.find(name)
        if record is None or record.kind != "Model":
            raise NotFound("The model must exist", given=name, do="list the models of the location")
        return record

    @staticmethod
    def _default(head: Record) -> str:
        return str(head.body[_PRIVATE]["aliases"][DEFAULT])

    def _resolve(self, head: Record, wanted: str) -> str:
        """The version number that a version or alias means."""
        aliases = head.body[_PRIVATE]["aliases"]
        if not wanted or wanted == DEFAULT:
            return self._default(head)
        number = wanted if wanted.isdigit() else aliases.get(wanted)
        if number is None or self._records.find(f"{head.name}@{number}") is None:
            named = ", ".join(f"{alias} ({at})" for alias, at in sorted(aliases.items()))
            raise NotFound(
                "The version or alias must exist", given=f"{head.name}@{wanted}", do=f"the aliases are {named}"
            )
        return str(number)

    def _record(self, head: Record, number: str) -> Record:
        return self._records.get(f"{head.name}@{number}")

    def _version(self, head: Record, number: str) -> Version:
        record = self._record(head, number)
        stored = record.body[_PRIVATE]["artifact"]
        image_uri = record.body.get("containerSpec", {}).get("imageUri", "")
        return Version(
            model=head.name,
            id=number,
            message=self._message(head, record),
            artifact=Artifact(**stored) if stored else None,
            image=runtime_of(image_uri) if image_uri else None,
            image_uri=image_uri,
        )

    @staticmethod
    def _message(head: Record, record: Record) -> dict[str, Any]:
        private = head.body[_PRIVATE]
        message = {key: value for key, value in record.body.items() if key != _PRIVATE}
        number = record.body["versionId"]
        return {
            **message,
            "name": head.name,
            "versionAliases": sorted(alias for alias, at in private["aliases"].items() if at == number),
            "etag": _etag(private, record.body),
            "createTime": _moment(head, "create_time"),
            "updateTime": _moment(record, "update_time"),
            "versionCreateTime": _moment(record, "create_time"),
            "versionUpdateTime": _moment(record, "update_time"),
        }

    def _change_head(self, head: Record, **private: Any) -> Record:
        """Write the model's record anew: its own values, and the message of its (perhaps other) default version."""
        kept = {**head.body[_PRIVATE], **private}
        default = self._records.get(f"{head.name}@{kept['aliases'][DEFAULT]}")
        body = {key: value for key, value in default.body.items() if key != _PRIVATE}
        keys = {key: head.body[key] for key in _FILTER_KEYS}
        return self._records.update(head.name, lambda _: {**body, **keys, _PRIVATE: kept})


def _labelled(body: dict[str, Any], model_labels: Mapping[str, str]) -> dict[str, Any]:
    """A version's body with the labels it is seen with: its own over the model's."""
    labels = {**model_labels, **body[_PRIVATE]["labels"]}
    rest = {key: value for key, value in body.items() if key != "labels"}
    return {**rest, "labels": labels} if labels else rest


def _check_aliases(aliases: Sequence[str]) -> None:
    wrong = [alias for alias in aliases if not _ALIAS.fullmatch(alias)]
    if wrong:
        raise InvalidArgument(
            "A version alias must match [a-z][a-zA-Z0-9-]{0,126}[a-z0-9]", given=", ".join(map(repr, wrong))
        )


def _check_not_deployed(record: Record) -> None:
    deployed = record.body.get("deployedModels", [])
    if deployed:
        where = ", ".join(f"{each['endpoint']} (deployed model {each['deployedModelId']})" for each in deployed)
        raise FailedPrecondition(
            f"A model must be undeployed before {record.name.rpartition('/')[2]} is deleted",
            given=f"deployed to {where}",
            do="undeploy it there first",
        )


def _evaluation(record: Record) -> dict[str, Any]:
    return {**record.body, "name": record.name, "createTime": _moment(record, "create_time")}
