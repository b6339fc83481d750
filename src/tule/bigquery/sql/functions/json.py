"""JSON functions."""

from __future__ import annotations

from tule.bigquery.sql.functions.signatures import Function, read

FUNCTIONS: dict[str, Function] = {
    **read(
        "JSON functions",
        """
        BOOL(JSON) BOOL = tule_json_bool
        BOOL_ARRAY(JSON) ARRAY<BOOL> = tule_json_bool_array
        FLOAT64(JSON, [wide_number_mode => STRING]) FLOAT64 = @json_float64
        FLOAT64_ARRAY(JSON) ARRAY<FLOAT64> = tule_json_float64_array
        INT64(JSON) INT64 = tule_json_int64
        INT64_ARRAY(JSON) ARRAY<INT64> = tule_json_int64_array
        JSON_ARRAY([ANY...]) JSON = @json_array
        JSON_ARRAY_APPEND(JSON, ANY..., [append_each_element => BOOL]) JSON = @json_array_append
        JSON_ARRAY_INSERT(JSON, ANY..., [insert_each_element => BOOL]) JSON = @json_array_insert
        JSON_CONTAINS(JSON, JSON) BOOL
        JSON_EXTRACT(JSON, [STRING]) JSON = @json_extract
        JSON_EXTRACT(STRING, [STRING]) STRING = @json_extract_text
        JSON_EXTRACT_ARRAY(JSON, [STRING]) ARRAY<JSON> = @json_extract_array
        JSON_EXTRACT_ARRAY(STRING, [STRING]) ARRAY<STRING> = @json_extract_array_text
        JSON_EXTRACT_SCALAR(JSON, [STRING]) STRING = @json_value
        JSON_EXTRACT_SCALAR(STRING, [STRING]) STRING = @json_value_text
        JSON_EXTRACT_STRING_ARRAY(JSON, [STRING]) ARRAY<STRING> = @json_value_array
        JSON_EXTRACT_STRING_ARRAY(STRING, [STRING]) ARRAY<STRING> = @json_value_array_text
        JSON_FLATTEN(JSON) ARRAY<JSON>
        JSON_KEYS(JSON, [INT64], [mode => STRING]) ARRAY<STRING> = @json_keys
        JSON_OBJECT([ANY...]) JSON = @json_object
        JSON_QUERY(JSON, [STRING]) JSON = @json_query
        JSON_QUERY(STRING, [STRING]) STRING = @json_extract_text
        JSON_QUERY_ARRAY(JSON, [STRING]) ARRAY<JSON> = @json_extract_array
        JSON_QUERY_ARRAY(STRING, [STRING]) ARRAY<STRING> = @json_extract_array_text
        JSON_REMOVE(JSON, STRING...) JSON = @json_remove
        JSON_SET(JSON, ANY..., [create_if_missing => BOOL]) JSON = @json_set
        JSON_STRIP_NULLS(JSON, [STRING], [include_arrays => BOOL], [remove_empty => BOOL]) JSON = @json_strip_nulls
        JSON_TYPE(JSON) STRING
        JSON_VALUE(JSON, [STRING]) STRING = @json_value
        JSON_VALUE(STRING, [STRING]) STRING = @json_value_text
        JSON_VALUE_ARRAY(JSON, [STRING]) ARRAY<STRING> = @json_value_array
        JSON_VALUE_ARRAY(STRING, [STRING]) ARRAY<STRING> = @json_value_array_text
        LAX_BOOL(JSON) BOOL
        LAX_BOOL_ARRAY(JSON) ARRAY<BOOL>
        LAX_FLOAT64(JSON) FLOAT64
        LAX_FLOAT64_ARRAY(JSON) ARRAY<FLOAT64>
        LAX_INT64(JSON) INT64
        LAX_INT64_ARRAY(JSON) ARRAY<INT64>
        LAX_STRING(JSON) STRING
        LAX_STRING_ARRAY(JSON) ARRAY<STRING>
        PARSE_JSON(STRING, [wide_number_mode => STRING]) JSON = @parse_json
        STRING(JSON) STRING = tule_json_string
        STRING(TIMESTAMP, [STRING]) STRING = @string_of_timestamp
        STRING(DATE) STRING = @string_of
        STRING(DATETIME) STRING = @string_of
        STRING(TIME) STRING = @string_of
        STRING_ARRAY(JSON) ARRAY<STRING> = tule_json_string_array
        TO_JSON(ANY, [stringify_wide_numbers => BOOL]) JSON = @to_json
        TO_JSON_STRING(ANY, [BOOL]) STRING = @to_json_string
        """,
    ),
}
