#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# inputs.sh DIRECTORY: makes what the programs of the benchmark work on, the same every time.

set -eu

cd "$1"

# A C file of 150 functions, preprocessed in name only, for cc1.
awk 'BEGIN {
    print "struct node { struct node *next; int key[8]; double weight; };"
    for (i = 0; i < 150; i++) {
        printf "int f%d(struct node *n, int a, int b)\n{\n    int sum = %d;\n", i, i
        printf "    for (int i = a; i < b; i++) {\n        n->key[i & 7] += a * i + %d;\n", i
        printf "        if (n->key[(i + %d) & 7] > sum)\n            sum ^= n->key[i & 7];\n", i % 8
        printf "        n->weight *= 1.0 + sum / %d.0;\n        n = n->next ? n->next : n;\n", i + 1
        printf "    }\n    return sum + %s;\n}\n", i ? "f" i - 1 "(n, b, a)" : "b"
    }
}' >large.i

cat >script.sql <<'END'
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, kind INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
    INSERT INTO item SELECT i, 'item number ' || (i * 7919 % 60000), i * 0.37, i % 97 FROM n;
CREATE INDEX item_name ON item (name);
SELECT kind, count(*), sum(price), max(name) FROM item GROUP BY kind ORDER BY 3 DESC;
UPDATE item SET name = upper(name) || '!' WHERE kind < 40;
SELECT count(DISTINCT substr(name, 1, 14)), group_concat(name) FROM item;
DELETE FROM item WHERE id % 3 = 0;
SELECT a.id, b.name FROM item a JOIN item b ON b.name = a.name WHERE a.kind = 5;
END

cat >script.py <<'END'
words = ["%x" % (i * 2654435761 % 4294967296) for i in range(60000)]
index = {}
for turn in range(3):
    for word in words:
        index.setdefault(word[:3], []).append((turn, word.upper()))
best = sorted(((len(v), k) for k, v in index.items()), reverse=True)[:10]
text = " ".join(w for _, k in best for _, w in index[k])
print(best, len(text), len(set(text.split())))
END

awk 'BEGIN {
    printf "["
    for (i = 0; i < 16000; i++) {
        printf "%s{\"id\": %d, \"name\": \"entry %d\", \"score\": %.2f, ", i ? ",\n" : "", i,
            i * 7919 % 16000, i * 37 % 9973 / 100
        printf "\"tags\": [\"a%d\", \"b%d\", \"c%d\"]}", i % 11, i % 13, i % 17
    }
    print "]"
}' >input.json

awk 'BEGIN {
    print "<list>"
    for (i = 0; i < 40000; i++) {
        printf "<item id=\"%d\" kind=\"k%d\"><name>entry %d</name>", i, i % 23, i * 7919 % 40000
        printf "<price>%.2f</price><text>some words, number %d</text></item>\n", i * 37 % 99991 / 100, i
    }
    print "</list>"
}' >input.xml
