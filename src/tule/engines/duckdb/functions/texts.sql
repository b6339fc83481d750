-- Text and bytes.

-- A decimal number's text with so many digits behind the point.
tule_fixed_digits(s, digits) AS
    split_part(s, '.', 1) || CASE WHEN digits > 0 THEN '.' || rpad(split_part(s, '.', 2), CAST(digits AS INTEGER), '0') ELSE
    '' END;

tule_ascii(s) AS
    CASE WHEN tule_check(length(s) > 0 AND unicode(left(s, 1)) > 127,
    'Non-ASCII character at the start of ASCII argument') THEN CASE WHEN s = '' THEN 0 ELSE CAST(unicode(s) AS
    BIGINT) END END;

tule_unicode(s) AS
    CASE WHEN s = '' THEN 0 ELSE CAST(unicode(s) AS BIGINT) END;

tule_chr(n) AS
    CASE WHEN tule_check(n < 0 OR n > 1114111 OR n BETWEEN 55296 AND 57343, 'Invalid codepoint ' || n::VARCHAR)
    THEN CASE WHEN n BETWEEN 1 AND 1114111 THEN chr(CAST(n AS INTEGER)) WHEN n = 0 THEN '' END END;

tule_code_points_to_string(a) AS
    CASE WHEN a IS NULL OR len(list_filter(a, LAMBDA n: n IS NULL)) > 0 THEN NULL ELSE
    coalesce(array_to_string(list_transform(a, LAMBDA n: tule_chr(n)), ''), '') END;

tule_code_points_to_bytes(a) AS
    CASE WHEN a IS NULL OR len(list_filter(a, LAMBDA n: n IS NULL)) > 0 THEN NULL WHEN
    tule_check(len(list_filter(a, LAMBDA n: n < 0 OR n > 255)) > 0,
    'Invalid extended ASCII code points used in CODE_POINTS_TO_BYTES') THEN
    unhex(coalesce(array_to_string(list_transform(a, LAMBDA n: printf('%02x', n)), ''), '')) END;

tule_to_code_points(s) AS
    CASE WHEN s = '' THEN CAST([] AS BIGINT[]) ELSE list_transform(range(1, length(s) + 1), LAMBDA i:
    CAST(unicode(substring(s, i, 1)) AS BIGINT)) END;

tule_to_code_points_bytes(b) AS
    list_transform(range(0, octet_length(b)), LAMBDA i: CAST(TRY_CAST('0x' || substring(hex(b), i * 2 + 1, 2) AS
    INTEGER) AS BIGINT));

tule_left(s, n) AS
    CASE WHEN tule_check(n < 0, 'Length must be greater than or equal to 0') THEN left(s, tule_larger(n, 0)) END;

tule_right(s, n) AS
    CASE WHEN tule_check(n < 0, 'Length must be greater than or equal to 0') THEN right(s, tule_larger(n, 0)) END;

tule_repeat(s, n) AS
    CASE WHEN tule_check(n < 0, 'Repetitions must be greater than or equal to 0') THEN repeat(s, tule_larger(n, 0))
    END;

tule_replace(s, part, new) AS
    CASE WHEN part = '' AND new IS NOT NULL THEN s ELSE replace(s, part, new) END;

tule_lpad(s, n, pattern) AS
    CASE WHEN tule_check(n < 0 OR pattern = '', 'LPAD needs a length of 0 or more and a pattern that is not empty')
    THEN lpad(s, CAST(tule_larger(n, 0) AS INTEGER), CASE WHEN pattern = '' THEN ' ' ELSE pattern END) END;

tule_rpad(s, n, pattern) AS
    CASE WHEN tule_check(n < 0 OR pattern = '', 'RPAD needs a length of 0 or more and a pattern that is not empty')
    THEN rpad(s, CAST(tule_larger(n, 0) AS INTEGER), CASE WHEN pattern = '' THEN ' ' ELSE pattern END) END;

tule_pad_left(s, n) AS
    CASE WHEN length(s) >= n THEN s ELSE lpad(s, CAST(n AS INTEGER), ' ') END;

tule_pad(s, n) AS
    CASE WHEN n < 0 THEN tule_pad_right(s, -n) ELSE tule_pad_left(s, n) END;

tule_unsigned(n) AS
    CASE WHEN tule_check(n < 0, 'FORMAT: %u takes no negative number: ' || n::VARCHAR) THEN n END;

tule_thousands(s) AS
    regexp_extract(s, '^[^0-9]*') || format('{:,}', CAST(regexp_extract(s, '[0-9]+') AS HUGEINT)) || regexp_extract(s,
    '^[^0-9]*[0-9]+(.*)$', 1);

-- What is no number, as the letter of a format has it: nan, or NAN for a capital.
tule_word_of_double(x, letter) AS
    CASE WHEN letter = upper(letter) THEN upper(tule_short_word(x)) ELSE tule_short_word(x) END;

tule_short_word(x) AS
    CASE WHEN isnan(x) THEN 'nan' WHEN x > 0 THEN 'inf' ELSE '-inf' END;

tule_pad_right(s, n) AS
    CASE WHEN length(s) >= n THEN s ELSE rpad(s, CAST(n AS INTEGER), ' ') END;

-- Positions count from 1; 0 is 1 too, negative ones count from the end and stop at the beginning.
tule_from(n, position) AS
    CASE WHEN position > 0 THEN position WHEN position = 0 THEN 1 ELSE tule_larger(n + position + 1, 1) END;

tule_substr_from(s, position) AS
    substring(s, tule_from(length(s), position));

tule_substr(s, position, n) AS
    CASE WHEN tule_check(n < 0, 'Third argument in SUBSTR() cannot be negative') THEN substring(s,
    tule_from(length(s), position), tule_larger(n, 0)) END;

tule_slice_bytes(b, begin, n) AS
    CASE WHEN n <= 0 OR begin > octet_length(b) THEN CASE WHEN b IS NULL THEN NULL ELSE ''::BLOB END ELSE
    unhex(substring(hex(b), CAST(begin * 2 - 1 AS BIGINT), CAST(tule_smaller(n, octet_length(b)) * 2 AS BIGINT))) END;

tule_substr_bytes(b, position, n) AS
    CASE WHEN tule_check(n < 0, 'Third argument in SUBSTR() cannot be negative') THEN tule_slice_bytes(b,
    tule_from(octet_length(b), position), n) END;

tule_substr_bytes_from(b, position) AS
    tule_slice_bytes(b, tule_from(octet_length(b), position), octet_length(b));

tule_left_bytes(b, n) AS
    CASE WHEN tule_check(n < 0, 'Length must be greater than or equal to 0') THEN tule_slice_bytes(b, 1, n) END;

tule_right_bytes(b, n) AS
    CASE WHEN tule_check(n < 0, 'Length must be greater than or equal to 0') THEN tule_slice_bytes(b,
    tule_larger(octet_length(b) - n + 1, 1), n) END;

tule_repeat_bytes(b, n) AS
    CASE WHEN tule_check(n < 0, 'Repetitions must be greater than or equal to 0') THEN unhex(repeat(hex(b),
    tule_larger(n, 0))) END;

tule_reverse_bytes(b) AS
    unhex(coalesce(array_to_string(list_reverse(list_transform(range(0, octet_length(b)), LAMBDA i:
    substring(hex(b), i * 2 + 1, 2))), ''), ''));

tule_starts_with_bytes(b, part) AS
    starts_with(hex(b), hex(part));

tule_ends_with_bytes(b, part) AS
    ends_with(hex(b), hex(part));

tule_from_hex(s) AS
    CASE WHEN tule_check(NOT regexp_full_match(s, '[0-9a-fA-F]*'), 'Failed to decode invalid hexadecimal string: '
    || s) THEN CASE WHEN regexp_full_match(s, '[0-9a-fA-F]*') THEN unhex(CASE WHEN length(s) % 2 = 1 THEN '0' || s
    ELSE s END) END END;

tule_to_hex(b) AS
    lower(hex(b));

tule_from_base64(s) AS
    CASE WHEN tule_check(try(from_base64(s)) IS NULL AND s IS NOT NULL, 'Failed to decode invalid base64 string')
    THEN try(from_base64(s)) END;

tule_md5(x) AS
    unhex(md5(x));

tule_sha1(x) AS
    unhex(sha1(x));

tule_sha256(x) AS
    unhex(sha256(x));

tule_sha512_text(s) AS
    tule_sha512(encode(s));

tule_quoted(s) AS
    '"' || replace(replace(replace(replace(replace(s, '\', '\\'), '"', '\"'), chr(10), '\n'), chr(13), '\r'),
    chr(9), '\t') || '"';

tule_contains_substr(s, part) AS
    contains(tule_normalize_and_casefold(s, 'NFKC'), tule_normalize_and_casefold(part, 'NFKC'));

tule_initcap(s) AS
    tule_initcap_with(s, ' []()/|<>!?@"^#$&~_,.:;*%+-{}' || chr(9) || chr(10) || chr(13) || chr(11) || chr(12));

tule_initcap_with(s, delimiters) AS
    CASE WHEN s = '' THEN '' ELSE array_to_string(list_transform(range(1, length(s) + 1), LAMBDA i: CASE WHEN i = 1
    OR contains(delimiters, substring(s, i - 1, 1)) THEN upper(substring(s, i, 1)) ELSE lower(substring(s, i, 1))
    END), '') END;

tule_instr(s, part, position, occurrence) AS
    CASE WHEN tule_check(position = 0 OR occurrence <= 0 OR part = '',
    'INSTR needs a position other than 0, an occurrence from 1 and a subvalue that is not empty') THEN CASE WHEN s
    IS NULL OR part IS NULL OR position IS NULL OR occurrence IS NULL THEN NULL WHEN position > 0 THEN
    coalesce(list_extract(list_filter(range(position, length(s) - length(part) + 2), LAMBDA i: substring(s, i,
    length(part)) = part), occurrence), 0) ELSE coalesce(list_extract(list_reverse(list_filter(range(1,
    tule_smaller(length(s) + position + 1, length(s) - length(part) + 1) + 1), LAMBDA i: substring(s, i, length(part)) =
    part)), occurrence), 0) END END;

tule_regexp_extract(s, pattern, g) AS
    CASE WHEN regexp_matches(s, pattern) THEN regexp_extract(s, pattern, g) END;

tule_regexp_extract_nth(s, pattern, g, position, occurrence) AS
    CASE WHEN tule_check(position <= 0 OR occurrence <= 0,
    'REGEXP_EXTRACT needs a position and an occurrence from 1') THEN list_extract(regexp_extract_all(substring(s,
    tule_larger(position, 1)), pattern, g), tule_larger(occurrence, 1)) END;

tule_regexp_instr(s, before, position) AS
    CASE WHEN tule_check(position <= 0, 'REGEXP_INSTR needs a position from 1') THEN CASE WHEN s IS NULL OR
    position IS NULL THEN NULL WHEN regexp_matches(substring(s, tule_larger(position, 1)), before) THEN
    tule_larger(position, 1) + length(regexp_extract(substring(s, tule_larger(position, 1)), before, 1)) ELSE 0 END END;

tule_regexp_replace(s, pattern, new) AS
    regexp_replace(s, pattern, new, 'g');

tule_soundex(s) AS
    CASE WHEN regexp_replace(s, '[^A-Za-z]', '', 'g') = '' THEN '' ELSE tule_soundex_of(upper(regexp_replace(s,
    '[^A-Za-z]', '', 'g'))) END;

tule_soundex_of(s) AS
    left(left(s, 1) || replace(substring(tule_soundex_once(tule_soundex_codes(s)), 2), '0', '') || '000', 4);

tule_soundex_codes(s) AS
    translate(left(s, 1) || regexp_replace(substring(s, 2), '[HW]', '', 'g'), 'AEIOUYHWBFPVCGJKQSXZDTLMNR',
    '00000000111122222222334556');

tule_soundex_once(c) AS
    regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(c, '1+', '1', 'g'),
    '2+', '2', 'g'), '3+', '3', 'g'), '4+', '4', 'g'), '5+', '5', 'g'), '6+', '6', 'g');

tule_net_ipv4_from_int64(n) AS
    CASE WHEN tule_check(n < -2147483648 OR n > 4294967295,
    'NET.IPV4_FROM_INT64() encountered a non-IPv4 integer: ' || n::VARCHAR) THEN unhex(printf('%08x', (n +
    4294967296) % 4294967296)) END;

tule_net_ipv4_to_int64(b) AS
    CASE WHEN tule_check(octet_length(b) <> 4, 'NET.IPV4_TO_INT64() encountered a non-IPv4 address') THEN
    CAST(TRY_CAST('0x' || hex(b) AS HUGEINT) AS BIGINT) END;
