#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What `report` shows: of a profile, a recording and a live process; chosen, sorted, compared; and how
# far an estimate may be off.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

FIXTURE_REPS=1 "$OFFHEAP_BIN" run --exact --keep -o old.pb.gz -- "$OFFHEAP_FIXTURES/leak" \
    >old.out 2>old.err || fail "no profile"
old=$(find recordings -name 'leak.*.offheap')
FIXTURE_REPS=3 "$OFFHEAP_BIN" run --exact -o new.pb.gz -- "$OFFHEAP_FIXTURES/leak" >new.out \
    2>new.err || fail "no profile"

# rows: the first line of every stack shown, without its number.
rows()
{
    awk '$1 ~ /^[0-9]+$/ && $2 ~ /^[0-9.,]+$/ { sub(/^ *[0-9]+ +/, ""); print }' out.txt
}

note "a profile and its recording say the same"
expect_status 0 "$OFFHEAP_BIN" report --limit 0 old.pb.gz
rows >profile.rows
grep -E '^  (in use|allocated)' out.txt >profile.totals
expect_status 0 "$OFFHEAP_BIN" report --limit 0 "$old"
rows >recording.rows
grep -E '^  (in use|allocated)' out.txt >recording.totals
cmp -s profile.rows recording.rows || { fail "rows differ"; diff profile.rows recording.rows; }
cmp -s profile.totals recording.totals || fail "totals differ"
[ "$(grep -c . profile.rows)" -ge 12 ] || fail "too few rows"
raw old.pb.gz >old.raw
total=$(awk '/^ *-?[0-9]+ +-?[0-9]+ +-?[0-9]+ +-?[0-9]+: / { n += $4 }
    END { printf "%.2f MiB", n / 1048576 }' old.raw)
expect_text profile.totals "in use +$total"

note "sorted"
for sort in inuse_space inuse_objects alloc_space alloc_objects; do
    expect_status 0 "$OFFHEAP_BIN" report --limit 0 --sort "$sort" old.pb.gz
    case $sort in inuse_space) column=1 ;; inuse_objects) column=3 ;; alloc_space) column=4 ;; *) column=6 ;; esac
    rows | awk -v column="$column" '
        function bytes(unit) { return unit == "MiB" ? 1048576 : unit == "KiB" ? 1024 : 1 }
        {
            gsub(/,/, "", $column)
            value = $column * (column % 3 == 1 ? bytes($(column + 1)) : 1)
            if (NR > 1 && value > before)
                bad++
            before = value
        }
        END { exit bad > 0 || NR == 0 }' || fail "not sorted by $sort"
done

note "chosen"
expect_status 0 "$OFFHEAP_BIN" report --limit 0 --focus '^leak_realloc$' old.pb.gz
[ "$(rows | wc -l)" -ge 1 ] || fail "--focus finds nothing"
expect_text out.txt 'leak_realloc'
expect_no_text out.txt 'leak_calloc'
expect_status 0 "$OFFHEAP_BIN" report --limit 0 --focus 'leak\.c' old.pb.gz
expect_text out.txt 'leak_calloc' "--focus by file"
expect_status 1 "$OFFHEAP_BIN" report --focus '(' old.pb.gz
expect_text err.txt '^offheap: .*regular expression'
expect_status 0 "$OFFHEAP_BIN" report --limit 2 old.pb.gz
[ "$(rows | wc -l)" -eq 2 ] || fail "--limit 2 shows $(rows | wc -l)"
"$OFFHEAP_BIN" run --exact -o ctor.pb.gz -- "$OFFHEAP_FIXTURES/ctor" >ctor.out 2>ctor.err
expect_status 0 "$OFFHEAP_BIN" report --limit 0 --phase init ctor.pb.gz
expect_text out.txt 'early_leaf'
expect_text out.txt '\[constructor\]'
expect_no_text out.txt 'main_leaf'
expect_status 0 "$OFFHEAP_BIN" report --limit 0 --phase main ctor.pb.gz
expect_no_text out.txt 'early_leaf'
expect_text out.txt 'main_leaf'
expect_status 0 "$OFFHEAP_BIN" report --kind thread old.pb.gz
expect_no_text out.txt 'leak_'
[ -s out.txt ] || fail "an empty report says nothing"

# Two processes of a position-independent program lie at different addresses: their stacks are the same.
note "compared"
expect_status 0 "$OFFHEAP_BIN" report --diff --limit 0 old.pb.gz new.pb.gz
expect_text out.txt '13 stacks grew'
expect_text out.txt '0 shrank'
expect_status 0 "$OFFHEAP_BIN" report --diff --limit 0 "$old" new.pb.gz
expect_text out.txt '13 stacks grew' "a recording against a profile"
expect_status 0 "$OFFHEAP_BIN" report --diff --limit 0 old.pb.gz old.pb.gz
expect_no_text out.txt '[1-9][0-9]* stacks? grew'

note "how far an estimate may be off"
expect_status 0 "$OFFHEAP_BIN" run --sample 64K -o sampled.pb.gz -- "$OFFHEAP_FIXTURES/sampled"
expect_status 0 "$OFFHEAP_BIN" report --limit 0 sampled.pb.gz
rows >sampled.rows
[ "$(grep -c '±' sampled.rows)" -eq "$(grep -c . sampled.rows)" ] || fail "a row without its error"
expect_no_text profile.rows '±' "an error of exact numbers"
# 14,400,000 bytes in blocks of 48: one standard error is the root of rate / bytes, 6.7 %.
expect_status 0 "$OFFHEAP_BIN" report --limit 0 --focus '^take_small$' sampled.pb.gz
off=$(rows | head -n 1 | sed -n 's/.*±\([0-9.]*\)%.*/\1/p')
awk -v off="$off" 'BEGIN { exit !(off > 5.2 && off < 8.6) }' || fail "take_small is said to be off by $off %"

note "not a profile"
head -c 3000 /dev/urandom >noise.pb.gz
expect_status 1 "$OFFHEAP_BIN" report noise.pb.gz
expect_text err.txt '^offheap: '
head -c 500 old.pb.gz >cut.pb.gz
expect_status 1 "$OFFHEAP_BIN" report cut.pb.gz
expect_text err.txt '^offheap: .*cut\.pb\.gz'
printf 'x' | gzip >text.pb.gz
expect_status 1 "$OFFHEAP_BIN" report text.pb.gz
expect_status 1 "$OFFHEAP_BIN" report --diff old.pb.gz is-not-there
expect_text err.txt 'is-not-there'

finish
