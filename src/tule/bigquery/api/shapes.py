"""What the JSON of requests must look like, so that behind the door every field has the type that its name promises.

Which fields are done is said by the receipts; here only types are checked, and only where a field is there.
https://cloud.google.com/bigquery/docs/reference/rest/v2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tule.bigquery.errors import invalid

# A shape is a test of a value (the word is for the error), an object by its fields, or a list of one shape.
Shape = tuple[str, Callable[[Any], bool]] | Mapping[str, Any] | list[Any]

_ANY_FIELD = "*"


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return False
    return number == (float(value) if isinstance(value, float) else number) and -(2**63) <= number < 2**63


TEXT: Shape = ("a text", lambda value: isinstance(value, str))
FLAG: Shape = ("true or false", lambda value: isinstance(value, bool))
WHOLE: Shape = ("a whole number of 64 bits", _is_whole)
SCALAR: Shape = ("a text, a number or a boolean", lambda value: isinstance(value, str | int | float))
ANYTHING: Shape = ("", lambda value: True)
OBJECT: Shape = {_ANY_FIELD: ANYTHING}
TEXTS: Shape = [TEXT]
LABELS: Shape = {_ANY_FIELD: TEXT}


def check(body: Any, shape: Shape, path: str = "") -> None:
    """Raise InvalidArgument naming the first field of ``body`` that has another type than ``shape`` says."""
    if body is None and path:
        return
    if isinstance(shape, tuple):
        word, fits = shape
        if not fits(body):
            raise _wrong(path, word, body)
    elif isinstance(shape, list):
        if not isinstance(body, list):
            raise _wrong(path, "a list", body)
        for index, each in enumerate(body):
            if each is None:
                raise _wrong(f"{path}[{index}]", "given", each)
            check(each, shape[0], f"{path}[{index}]")
    else:
        if not isinstance(body, Mapping):
            raise _wrong(path, "an object", body)
        for name, value in body.items():
            inner = shape.get(name, shape.get(_ANY_FIELD))
            if inner is not None:
                check(value, inner, f"{path}.{name}" if path else str(name))


def _wrong(path: str, word: str, given: Any) -> Exception:
    return invalid(f"Invalid value at '{path or 'the body'}': it must be {word}; given: {given!r:.100}", location=path)


_PROJECT = {"projectId": TEXT}
DATASET_REFERENCE: Shape = {**_PROJECT, "datasetId": TEXT}
TABLE_REFERENCE: Shape = {**_PROJECT, "datasetId": TEXT, "tableId": TEXT}
MODEL_REFERENCE: Shape = {**_PROJECT, "datasetId": TEXT, "modelId": TEXT}
JOB_REFERENCE: Shape = {**_PROJECT, "jobId": TEXT, "location": TEXT}

_FIELD: dict[str, Any] = {"name": TEXT, "type": TEXT, "mode": TEXT, "description": TEXT, "collation": TEXT}
_FIELD["fields"] = [_FIELD]
SCHEMA: Shape = {"fields": [_FIELD]}

_PARAMETER_TYPE: dict[str, Any] = {"type": TEXT}
_PARAMETER_TYPE["arrayType"] = _PARAMETER_TYPE
_PARAMETER_TYPE["structTypes"] = [{"name": TEXT, "type": _PARAMETER_TYPE, "description": TEXT}]
_PARAMETER_VALUE: dict[str, Any] = {"value": SCALAR}
_PARAMETER_VALUE["arrayValues"] = [_PARAMETER_VALUE]
_PARAMETER_VALUE["structValues"] = {_ANY_FIELD: _PARAMETER_VALUE}
PARAMETERS: Shape = [{"name": TEXT, "parameterType": _PARAMETER_TYPE, "parameterValue": _PARAMETER_VALUE}]

_LAYOUT: dict[str, Any] = {
    "timePartitioning": {"type": TEXT, "field": TEXT, "expirationMs": WHOLE, "requirePartitionFilter": FLAG},
    "rangePartitioning": {"field": TEXT, "range": {"start": WHOLE, "end": WHOLE, "interval": WHOLE}},
    "clustering": {"fields": TEXTS},
}
_WRITING: dict[str, Any] = {
    **_LAYOUT,
    "destinationTable": TABLE_REFERENCE,
    "createDisposition": TEXT,
    "writeDisposition": TEXT,
    "schemaUpdateOptions": TEXTS,
}
_ASKING: dict[str, Any] = {
    "query": TEXT,
    "useLegacySql": FLAG,
    "useQueryCache": FLAG,
    "preserveNulls": FLAG,
    "defaultDataset": DATASET_REFERENCE,
    "queryParameters": PARAMETERS,
    "parameterMode": TEXT,
    "maximumBytesBilled": WHOLE,
    "createSession": FLAG,
    "connectionProperties": [{"key": TEXT, "value": TEXT}],
}
_HIVE: Shape = {"mode": TEXT, "sourceUriPrefix": TEXT, "requirePartitionFilter": FLAG, "fields": TEXTS}
EXTERNAL: Shape = {
    "sourceUris": TEXTS,
    "sourceFormat": TEXT,
    "schema": SCHEMA,
    "autodetect": FLAG,
    "compression": TEXT,
    "ignoreUnknownValues": FLAG,
    "maxBadRecords": WHOLE,
    "csvOptions": {
        "fieldDelimiter": TEXT,
        "skipLeadingRows": WHOLE,
        "quote": TEXT,
        "allowQuotedNewlines": FLAG,
        "allowJaggedRows": FLAG,
        "encoding": TEXT,
        "nullMarker": TEXT,
        "nullMarkers": TEXTS,
    },
    "jsonOptions": {"encoding": TEXT},
    "avroOptions": {"useAvroLogicalTypes": FLAG},
    "parquetOptions": {"enableListInference": FLAG},
    "hivePartitioningOptions": _HIVE,
    "referenceFileSchemaUri": TEXT,
    "fileSetSpecType": TEXT,
    "jsonExtension": TEXT,
    "connectionId": TEXT,
    "objectMetadata": TEXT,
    "metadataCacheMode": TEXT,
    "decimalTargetTypes": TEXTS,
}
_QUERY: Shape = {
    **_ASKING,
    **_WRITING,
    "tableDefinitions": {_ANY_FIELD: EXTERNAL},
    "priority": TEXT,
    "allowLargeResults": FLAG,
    "flattenResults": FLAG,
}
_LOAD: Shape = {
    **_WRITING,
    "sourceUris": TEXTS,
    "schema": SCHEMA,
    "destinationTableProperties": {"friendlyName": TEXT, "description": TEXT, "labels": LABELS},
    "nullMarker": TEXT,
    "nullMarkers": TEXTS,
    "fieldDelimiter": TEXT,
    "skipLeadingRows": WHOLE,
    "encoding": TEXT,
    "quote": TEXT,
    "maxBadRecords": WHOLE,
    "allowQuotedNewlines": FLAG,
    "sourceFormat": TEXT,
    "allowJaggedRows": FLAG,
    "ignoreUnknownValues": FLAG,
    "autodetect": FLAG,
    "useAvroLogicalTypes": FLAG,
    "parquetOptions": {"enableListInference": FLAG},
    "jsonExtension": TEXT,
    "hivePartitioningOptions": _HIVE,
    "referenceFileSchemaUri": TEXT,
    "fileSetSpecType": TEXT,
    "decimalTargetTypes": TEXTS,
    "projectionFields": TEXTS,
}
_EXTRACT: Shape = {
    "sourceTable": TABLE_REFERENCE,
    "sourceModel": MODEL_REFERENCE,
    "destinationUri": TEXT,
    "destinationUris": TEXTS,
    "printHeader": FLAG,
    "fieldDelimiter": TEXT,
    "destinationFormat": TEXT,
    "compression": TEXT,
    "useAvroLogicalTypes": FLAG,
    "modelExtractOptions": {"trialId": WHOLE},
}
_COPY: Shape = {
    **_WRITING,
    "sourceTable": TABLE_REFERENCE,
    "sourceTables": [TABLE_REFERENCE],
    "operationType": TEXT,
}

JOB: Shape = {
    "jobReference": JOB_REFERENCE,
    "configuration": {
        "jobType": TEXT,
        "dryRun": FLAG,
        "jobTimeoutMs": WHOLE,
        "labels": LABELS,
        "query": _QUERY,
        "load": _LOAD,
        "extract": _EXTRACT,
        "copy": _COPY,
    },
}
QUERY_REQUEST: Shape = {
    **_ASKING,
    "maxResults": WHOLE,
    "timeoutMs": WHOLE,
    "dryRun": FLAG,
    "location": TEXT,
    "requestId": TEXT,
    "jobTimeoutMs": WHOLE,
    "jobCreationMode": TEXT,
    "labels": LABELS,
    "formatOptions": {"useInt64Timestamp": FLAG, "timestampOutputFormat": TEXT},
    "queryResultsFormat": TEXT,
    "arrowSerializationOptions": {"bufferCompression": TEXT, "picosTimestampPrecision": TEXT},
}
DATASET: Shape = {
    "datasetReference": DATASET_REFERENCE,
    "friendlyName": TEXT,
    "description": TEXT,
    "labels": LABELS,
    "location": TEXT,
    "defaultTableExpirationMs": WHOLE,
    "defaultPartitionExpirationMs": WHOLE,
    "access": [OBJECT],
    "storageBillingModel": TEXT,
    "defaultCollation": TEXT,
}
TABLE: Shape = {
    **_LAYOUT,
    "tableReference": TABLE_REFERENCE,
    "friendlyName": TEXT,
    "description": TEXT,
    "labels": LABELS,
    "schema": SCHEMA,
    "expirationTime": WHOLE,
    "view": {"query": TEXT, "useLegacySql": FLAG},
    "externalDataConfiguration": EXTERNAL,
    "requirePartitionFilter": FLAG,
    "tableConstraints": OBJECT,
    "defaultCollation": TEXT,
}
MODEL: Shape = {
    "modelReference": MODEL_REFERENCE,
    "friendlyName": TEXT,
    "description": TEXT,
    "labels": LABELS,
    "expirationTime": WHOLE,
}
# Rows themselves are checked against the table, with an error for each.
INSERT_ALL: Shape = {
    "rows": ("a list", lambda value: isinstance(value, list)),
    "skipInvalidRows": FLAG,
    "ignoreUnknownValues": FLAG,
    "traceId": TEXT,
}
UNDELETE: Shape = {"deletionTime": TEXT}
ROW_POLICY: Shape = {
    "rowAccessPolicyReference": {**_PROJECT, "datasetId": TEXT, "tableId": TEXT, "policyId": TEXT},
    "filterPredicate": TEXT,
    "grantees": TEXTS,
}
ROW_POLICIES: Shape = {"policyIds": TEXTS, "force": FLAG}
POLICY_ACTION: Shape = {"policy": {"bindings": [OBJECT], "etag": TEXT}, "permissions": TEXTS}

_KIND: dict[str, Any] = {"typeKind": TEXT}
_KIND["arrayElementType"] = _KIND
_KIND["structType"] = {"fields": [{"name": TEXT, "type": _KIND}]}
ROUTINE: Shape = {
    "routineReference": {**_PROJECT, "datasetId": TEXT, "routineId": TEXT},
    "routineType": TEXT,
    "language": TEXT,
    "arguments": [
        {
            "name": TEXT,
            "argumentKind": TEXT,
            "mode": TEXT,
            "dataType": _KIND,
            "isAggregate": FLAG,
            "tableType": {"columns": [{"name": TEXT, "type": _KIND}]},
        }
    ],
    "returnType": _KIND,
    "returnTableType": {"columns": [{"name": TEXT, "type": _KIND}]},
    "importedLibraries": TEXTS,
    "definitionBody": TEXT,
    "description": TEXT,
    "determinismLevel": TEXT,
    "strictMode": FLAG,
}
