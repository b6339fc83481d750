"""Utility functions, and the families that Tule refuses."""

from __future__ import annotations

from tule.bigquery.sql.functions.signatures import Function, read

FUNCTIONS: dict[str, Function] = {
    **read(
        "Utility, debugging and security functions",
        """
        ERROR(STRING) NULL
        IFERROR(T, T) T = @iferror
        ISERROR(ANY) BOOL = @iserror
        NULLIFERROR(T) T = @nulliferror
        GENERATE_UUID() STRING = tule_uuid
        SESSION_USER() STRING = @session_user
        TYPEOF(ANY) STRING = @typeof
        """,
    ),
    **read(
        "AEAD encryption functions",
        """
        AEAD.DECRYPT_BYTES(BYTES, BYTES, BYTES) BYTES
        AEAD.DECRYPT_STRING(BYTES, BYTES, STRING) STRING
        AEAD.ENCRYPT(BYTES, STRING, STRING) BYTES = @keys_encrypt
        AEAD.ENCRYPT(BYTES, BYTES, BYTES) BYTES = @keys_encrypt
        DETERMINISTIC_DECRYPT_BYTES(BYTES, BYTES, BYTES) BYTES
        DETERMINISTIC_DECRYPT_STRING(BYTES, BYTES, STRING) STRING
        DETERMINISTIC_ENCRYPT(BYTES, STRING, STRING) BYTES = @keys_encrypt
        DETERMINISTIC_ENCRYPT(BYTES, BYTES, BYTES) BYTES = @keys_encrypt
        KEYS.ADD_KEY_FROM_RAW_BYTES(BYTES, STRING, BYTES) BYTES = @keys_random
        KEYS.KEYSET_FROM_JSON(STRING) BYTES
        KEYS.KEYSET_LENGTH(BYTES) INT64
        KEYS.KEYSET_TO_JSON(BYTES) STRING
        KEYS.NEW_KEYSET(STRING) BYTES = @keys_random
        KEYS.ROTATE_KEYSET(BYTES, STRING) BYTES = @keys_random
        - KEYS.KEYSET_CHAIN KEYS.NEW_WRAPPED_KEYSET KEYS.REWRAP_KEYSET: there is no key management service in Tule
        - KEYS.ROTATE_WRAPPED_KEYSET: there is no key management service in Tule
        """,
    ),
    **read(
        "Search, text analysis and vector functions",
        """
        BAG_OF_WORDS(ARRAY<STRING>) ARRAY<STRUCT<term STRING, count INT64>>
        SEARCH(ANY, STRING, [json_scope => STRING], [analyzer => STRING], [analyzer_options => STRING]) BOOL = @search
        TEXT_ANALYZE(STRING, [analyzer => STRING], [analyzer_options => STRING]) ARRAY<STRING> = @text_analyze
        """,
    ),
    **read(
        "Search, text analysis and vector functions",
        "TF_IDF(ARRAY<STRING>, [CONST], [CONST]) ARRAY<STRUCT<term STRING, tf_idf FLOAT64>>",
        role="window",
    ),
    **read(
        "Functions of other services",
        """
        - DLP_DETERMINISTIC_DECRYPT DLP_DETERMINISTIC_ENCRYPT DLP_KEY_CHAIN: there are no key services
        - OBJ.FETCH_METADATA OBJ.GET_ACCESS_URL OBJ.GET_READ_URL OBJ.MAKE_REF: there is no type OBJECTREF
        - AI.CLASSIFY AI.COUNT_TOKENS AI.GENERATE AI.GENERATE_BOOL AI.GENERATE_DOUBLE AI.GENERATE_INT AI.IF \
            AI.SCORE: it asks a large language model, and Tule serves none
        - AI.EMBED AI.SIMILARITY: it asks a text embedding model, and Tule serves none
        """,
    ),
    **read(
        "Graph and pattern functions",
        """
        - DESTINATION_NODE_ID EDGES ELEMENT_ID IS_ACYCLIC IS_FIRST IS_SIMPLE IS_TRAIL LABELS NODES PATH \
            PATH_FIRST PATH_LAST PATH_LENGTH PROPERTY_NAMES SOURCE_NODE_ID: there are no property graphs in Tule
        - CLASSIFIER FIRST LAST MATCH_NUMBER MATCH_ROW_NUMBER: there is no MATCH_RECOGNIZE
        """,
    ),
    **read(
        "Table functions",
        """
        APPENDS(ANY, [start_timestamp => TIMESTAMP], [end_timestamp => TIMESTAMP]) ARRAY = table
        CHANGES(ANY, start_timestamp => TIMESTAMP, end_timestamp => TIMESTAMP) ARRAY = table
        EXTERNAL_QUERY(CONST, CONST, [CONST]) ARRAY = table
        - EXTERNAL_OBJECT_TRANSFORM: there are no object tables
        - AI.SEARCH: it needs a text embedding model, and Tule serves none
        - AI.GENERATE_TABLE AI.GENERATE_TEXT: it asks a large language model, and Tule serves none
        """,
        role="table",
    ),
}
