-- Texts with a collation (und:ci). A key is the beginning of ICU's: weights of letters and of accents, up to the second
-- separator (01), behind which is what tells small letters from capitals.

tule_collation_key(s) AS
    regexp_extract(icu_sort_key(s, 'und'), '^(?:[1-9A-F].|0[^1])*01(?:[1-9A-F].|0[^1])*');

tule_collation_keys(a) AS
    list_transform(a, LAMBDA v: tule_collation_key(v));

tule_collation_fold(s) AS
    lower(s);

tule_greatest_collated(a) AS
    CASE WHEN len(list_filter(a, LAMBDA v: v IS NULL)) = 0 THEN list_extract(list_sort(list_transform(a, LAMBDA v: {'k':
    tule_collation_key(v), 'v': v}), 'DESC'), 1).v END;

tule_least_collated(a) AS
    CASE WHEN len(list_filter(a, LAMBDA v: v IS NULL)) = 0 THEN list_extract(list_sort(list_transform(a, LAMBDA v: {'k':
    tule_collation_key(v), 'v': v}), 'ASC'), 1).v END;

tule_replace_collated(s, old, new) AS
    CASE WHEN old = '' THEN s ELSE regexp_replace(s, '(?i)' || regexp_escape(old), replace(new, '\', '\\'), 'g') END;

tule_split_collated(s, separator) AS
    CASE WHEN separator = '' THEN string_split(s, '') ELSE regexp_split_to_array(s, '(?i)' || regexp_escape(separator)) END;
