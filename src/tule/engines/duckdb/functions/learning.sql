-- BigQuery ML's preprocessing functions, where an expression alone would be too long.

tule_bucket(x, splits) AS
    CASE WHEN x IS NULL THEN NULL ELSE 'bin_' || (1 + len(list_filter(splits, LAMBDA s: s <= x)))::VARCHAR END;

tule_vocabulary(words, top_k, threshold) AS
    list_transform(tule_counted_vocabulary(words, top_k, threshold), LAMBDA e: e.w);

tule_counted_vocabulary(words, top_k, threshold) AS
    list_sort(list_transform(list_slice(list_sort(list_transform(list_filter(map_entries(list_histogram(words)),
    LAMBDA e: e.value >= threshold), LAMBDA e: {'c': -e.value::BIGINT, 'w': e.key})), 1, top_k),
    LAMBDA e: {'w': e.w, 'n': -e.c}));

tule_idf(words, top_k, threshold, documents) AS
    list_transform(tule_counted_vocabulary(words, top_k, threshold), LAMBDA e: ln(1.0::DOUBLE + documents::DOUBLE /
    (1.0::DOUBLE + e.n::DOUBLE)));

tule_counted_words(a, words) AS
    CASE WHEN a IS NULL THEN NULL WHEN len(a) = 0 THEN [] ELSE list_sort(list_transform(map_entries(list_histogram(
    list_transform(a, LAMBDA v: coalesce(list_position(words, v), 0)))), LAMBDA e: {'index': e.key::BIGINT, 'value':
    e.value::DOUBLE})) END;

tule_tf_idf(a, words, idf) AS
    list_transform(tule_counted_words(a, words), LAMBDA e: {'index': e.index, 'value': e.value / len(a) * CASE WHEN
    e.index = 0 THEN coalesce(list_avg(idf), 0)::DOUBLE ELSE idf[e.index]::DOUBLE END});

tule_tf_idf_terms(a, words, idf) AS
    list_transform(tule_tf_idf(a, words, idf), LAMBDA e: {'term': CASE WHEN e.index > 0 THEN words[e.index] END, 'tf_idf':
    e.value});

tule_hash_bucketize(s, size) AS
    CASE WHEN size = 0 THEN tule_farm_fingerprint(s) ELSE ((tule_farm_fingerprint(s)::HUGEINT + CASE WHEN
    tule_farm_fingerprint(s) < 0 THEN 18446744073709551616::HUGEINT ELSE 0 END) % size)::BIGINT END;

tule_lp_norm(a, p) AS
    CASE WHEN p = 0 THEN len(list_filter(a, LAMBDA v: v <> 0))::DOUBLE WHEN isinf(p::DOUBLE) THEN
    list_max(list_transform(a, LAMBDA v: abs(v)))::DOUBLE ELSE pow(list_sum(list_transform(a, LAMBDA v: pow(abs(v),
    p))), 1.0 / p) END;

tule_normalizer(a, p) AS
    list_transform(a, LAMBDA v: v / tule_lp_norm(a, p));

tule_distance(a, b, kind) AS
    CASE upper(kind) WHEN 'EUCLIDEAN' THEN list_distance(a::DOUBLE[], b::DOUBLE[]) WHEN 'COSINE' THEN 1 -
    list_cosine_similarity(a::DOUBLE[], b::DOUBLE[]) WHEN 'MANHATTAN' THEN list_sum(list_transform(list_zip(a, b),
    LAMBDA z: abs(z[1] - z[2])))::DOUBLE ELSE
    error('tule: The distance must be EUCLIDEAN, MANHATTAN or COSINE')::DOUBLE END;

tule_ngrams(words, lengths, separator) AS
    flatten(list_transform(range(1, len(words) + 1), LAMBDA i: list_transform(list_filter(range(lengths[1],
    lengths[-1] + 1), LAMBDA n: i + n - 1 <= len(words)), LAMBDA n: array_to_string(words[i:i + n - 1],
    separator))));

tule_bucket_range(x, splits) AS
    CASE WHEN x IS NULL THEN NULL WHEN len(splits) = 0 THEN '(-inf, +inf)'
    WHEN x < splits[1] THEN '(-inf, ' || tule_bound(splits[1]) || ')'
    WHEN x >= splits[-1] THEN '[' || tule_bound(splits[-1]) || ', +inf)'
    ELSE '[' || tule_bound(list_last(list_filter(splits, LAMBDA s: s <= x))) || ', ' ||
    tule_bound(list_first(list_filter(splits, LAMBDA s: s > x))) || ')' END;

tule_bound(x) AS
    tule_text_of_double(CAST(x AS DOUBLE));

tule_multi_hot(a, words) AS
    list_transform(list_sort(list_distinct(list_transform(a, LAMBDA v: coalesce(list_position(words, v::VARCHAR), 0)))),
    LAMBDA i: {'index': i::BIGINT, 'value': 1.0::DOUBLE});
