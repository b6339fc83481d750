-- Hosts, their public suffixes and registered domains. https://cloud.google.com/bigquery/docs/reference/standard-sql/net_functions

SELECT url, NET.HOST(url) AS host, NET.PUBLIC_SUFFIX(url) AS suffix, NET.REG_DOMAIN(url) AS domain FROM UNNEST(['', 'http://abc.xyz', '//user:password@a.b:80/path?query', 'https://[::1]:80', 'http://例子.卷筒纸.中国', '    www.Example.Co.UK    ', 'mailto:?to=&subject=&body=', 'foo.us.com', 'com', NULL]) AS url
--> url STRING | host STRING | suffix STRING | domain STRING
--> "" | NULL | NULL | NULL
--> "http://abc.xyz" | "abc.xyz" | "xyz" | "abc.xyz"
--> "//user:password@a.b:80/path?query" | "a.b" | NULL | NULL
--> "https://[::1]:80" | "[::1]" | NULL | NULL
--> "http://例子.卷筒纸.中国" | "例子.卷筒纸.中国" | "中国" | "卷筒纸.中国"
--> "    www.Example.Co.UK    " | "www.Example.Co.UK" | "Co.UK" | "Example.Co.UK"
--> "mailto:?to=&subject=&body=" | "mailto" | NULL | NULL
--> "foo.us.com" | "foo.us.com" | "com" | "us.com"
--> "com" | "com" | "com" | NULL
--> NULL | NULL | NULL | NULL

