PRAGMA journal_mode = DELETE;
PRAGMA synchronous = OFF;
CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c TEXT);
INSERT INTO t SELECT 1, 1, 'before';
.print begin
BEGIN IMMEDIATE;
WITH RECURSIVE c(x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM c WHERE x < 500000)
	INSERT INTO t SELECT x, x * 7 % 1001, printf('%d-%d', x, x * x % 997) FROM c;
.print inserted
UPDATE t SET b = b + 1 WHERE a % 3 = 0;
CREATE INDEX tb ON t (b, c);
.print indexed
SELECT count(*), sum(b), max(c) FROM t;
COMMIT;
PRAGMA integrity_check;
SELECT count(*), sum(b * a % 1009), min(c) FROM t;
