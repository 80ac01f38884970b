#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Moved instructions as binutils reads them, which knows nothing of our decoder: each must be the one
# that it stands for, and refer to the same address.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

command -v objdump >/dev/null || skip "no objdump"
set --
for name in libc.so.6 libm.so.6 libstdc++.so.6 libjemalloc.so.2 libtcmalloc_minimal.so.4 \
    libmimalloc.so.2.0; do
    for dir in /usr/lib/x86_64-linux-gnu /usr/lib64; do
        [ ! -r "$dir/$name" ] || { set -- "$@" "$dir/$name"; break; }
    done
done
[ $# -gt 0 ] || skip "no library here"
"$OFFHEAP_RELOCATE_LIST" . "$@" || fail "relocate_list: status $?"

# listing FILE ADDRESS: a line for each instruction: its function's number, and what it does. Where it
# refers to memory by its own place, the address; a jump's length is no matter.
listing()
{
    objdump -D -w -b binary -m i386:x86-64 --no-show-raw-insn --adjust-vma="$2" "$1" |
        awk -F '\t' -v begin=$(($2)) '
        function number(text,    i, value) {
            for (i = 1; i <= length(text); i++)
                value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
            return value
        }
        NF > 1 {
            at = $1
            gsub(/[ :]/, "", at)
            slot = int((number(at) - begin) / 128)
            text = $2
            if (text ~ /\(%rip\)/) {
                target = text
                sub(/.*# /, "", target)
                sub(/-?0x[0-9a-f]+\(%rip\)/, target "(%rip)", text)
            }
            sub(/ *#.*/, "", text)
            gsub(/ +/, " ", text)
            sub(/ $/, "", text)
            if (text != "int3")
                print slot, text
        }'
}

listing was 0x40000000 >was.txt
listing is 0x60000000 >is.txt
# Behind the moved ones stands the jump to what was left, unless they end in a jump or a return.
awk 'NR == FNR { was[$1, ++count[$1]] = $0; next }
    { seen[$1]++ }
    seen[$1] <= count[$1] {
        compared++
        if ($0 != was[$1, seen[$1]]) {
            print "differs:", was[$1, seen[$1]], "-- moved:", $0
            bad++
        }
        next
    }
    seen[$1] == count[$1] + 1 && $2 == "jmp" { next }
    { print "too much:", $0; bad++ }
    END {
        for (slot in count)
            if (seen[slot] < count[slot]) {
                print "too little:", slot
                bad++
            }
        print compared, "instructions of", length(count), "functions"
        exit bad > 0 || length(count) < 1000
    }' was.txt is.txt >compared.txt || { fail "moved instructions differ"; head -5 compared.txt; }
tail -n 1 compared.txt

note "refused"
awk '$2 != "moved" { $1 = ""; NF--; count[$0]++ } END { for (why in count) print count[why], why }' list
finish
