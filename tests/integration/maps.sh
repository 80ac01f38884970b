#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The mmap family in C: every kind, in whole and in part, and calls that fail, to the byte; sampled
# as exact; by the library alone, live and killed; and what allocators map is theirs.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

show_maps=$OFFHEAP_FIXTURES/../tests/integration/show_maps
program=$OFFHEAP_FIXTURES/maps

# sum_of KIND RECORDING: the bytes that are mapped of a kind.
sum_of()
{
    "$show_maps" "$2" | awk -v kind="$1" '$1 == "sum" && $2 == kind { print $3 }'
}

note "exact"
run_fixture exact 0 "$program"
check_truth exact.out exact.pb.gz

# Maps are never sampled: the numbers are the same, and no error is added to them.
note "sampled"
"$OFFHEAP_BIN" run -o sampled.pb.gz -- "$program" >sampled.out 2>sampled.err </dev/null ||
    fail "sampled: status $?"
check_truth sampled.out sampled.pb.gz
expect_status 0 "$OFFHEAP_BIN" report --kind mmap sampled.pb.gz
expect_text out.txt 'map_plain'
# Of all the rest, malloc's, there may be a sample.
sed -n '/--kind mmap/,$p' out.txt >only.txt
expect_text only.txt 'map_plain'
expect_no_text only.txt '±[0-9]' "a map is no estimate"

note "the library alone"
expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_PROFILE="$PWD/alone.pb.gz" "$program"
check_truth out.txt alone.pb.gz -v nodwarf=1

# The caller sees the same calls with the library as without.
note "results of calls"
expect_status 0 "$program"
grep '^call' out.txt >without.txt
grep '^call' exact.out >with.txt
cmp -s without.txt with.txt || { fail "calls differ under the library"; diff without.txt with.txt; }

# Another thread that maps where a call has just unmapped is recorded after it.
note "in the middle of a call"
if "$OFFHEAP_FIXTURES/map_order" >out.txt 2>&1; then
    run_fixture order 0 "$OFFHEAP_FIXTURES/map_order"
    check_truth order.out order.pb.gz
else
    note "system calls cannot be trapped here"
fi

note "live, and killed"
LD_PRELOAD="$OFFHEAP_LIB" "$program" block >live.out 2>live.err &
pid=$!
wait_for_text live.out '^ready$' 20
expect_status 0 "$OFFHEAP_BIN" export -o live.pb.gz "$pid"
check_truth live.out live.pb.gz
# Whatever is recorded as mapped is mapped.
"$show_maps" "$pid" >ranges.txt
awk '
    function number(hex, i, n) {
        for (i = 1; i <= length(hex); i++)
            n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
        return n
    }
    FNR == NR {
        split($1, ends, "-")
        count++
        begin[count] = number(ends[1])
        end[count] = number(ends[2])
        next
    }
    $1 ~ /^(mmap|reserve|shm|file)$/ {
        at = number($2)
        for (i = 1; i <= count; i++)
            if (begin[i] <= at && at < end[i])
                at = end[i]
        if (at < number($3))
            print "not mapped: " $0
    }' "/proc/$pid/maps" ranges.txt >unmapped.txt
[ ! -s unmapped.txt ] || { fail "ranges that are not there:"; cat unmapped.txt; }
kill -KILL "$pid"
wait "$pid" 2>/dev/null
recording=$(recording_of "$pid")
expect_status 0 "$OFFHEAP_BIN" export -o dead.pb.gz "$recording"
check_truth live.out dead.pb.gz
"$show_maps" "$recording" | grep -q '^damaged 0$' || fail "damaged ranges"

note "many threads at once"
for round in 1 2 3; do
    rm -f "$OFFHEAP_DIR"/mapstorm.*
    expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/mapstorm"
    mapped=$(sed -n 's/^mapped //p' out.txt)
    storm=$(find "$OFFHEAP_DIR" -name 'mapstorm.*')
    found=$(sum_of mmap "$storm")
    [ "$found" -eq "$mapped" ] || fail "round $round: $found bytes are recorded, $mapped are mapped"
    expect_status 0 "$OFFHEAP_BIN" report "$storm"
    expect_no_text out.txt 'not recorded'
done

# Each page is what the calls made of it, alive and killed.
for run in '1 3000 1' '1 3000 2' '1 3000 3' '3 1000 4' '3 1000 5'; do
    note "random calls: $run"
    rm -f random.out
    # shellcheck disable=SC2086
    LD_PRELOAD="$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/map_random" $run >random.out 2>random.err &
    pid=$!
    wait_for_text random.out '^ready$' 30
    "$show_maps" "$pid" >ranges.txt
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    "$show_maps" "$(recording_of "$pid")" >dead.txt
    # With more threads than processors a call may fail when others have not waited for its answer,
    # which is told.
    "$OFFHEAP_BIN" report "$(recording_of "$pid")" >report.txt
    if grep -q 'mmap family not recorded' report.txt; then
        case $run in
        1*) fail "$run: calls are not recorded" ;;
        *) note "not all was recorded" ;;
        esac
        continue
    fi
    for found in ranges.txt dead.txt; do
        expect_text "$found" '^damaged 0$'
        awk -f "$OFFHEAP_SRC/tests/integration/compare_maps.awk" random.out "$found" >differs.txt
        [ ! -s differs.txt ] || { fail "$run: $found"; cat differs.txt; }
    done
done

note "a program that has addresses of libc's functions"
expect_status 0 "$OFFHEAP_BIN" run --exact -o canonical.pb.gz -- "$OFFHEAP_FIXTURES/canonical"
expect_status 0 "$OFFHEAP_BIN" report --kind mmap canonical.pb.gz
expect_text out.txt '^ +1 +4\.00 KiB +1 ' "the program's map is not its own"

note "--kind"
expect_status 0 "$OFFHEAP_BIN" export --kind reserve,shm -o kinds.pb.gz "$recording"
raw kinds.pb.gz >kinds.raw
expect_text kinds.raw 'kind:\[reserve\]'
expect_text kinds.raw 'kind:\[shm\]'
expect_no_text kinds.raw 'kind:\[(mmap|file|malloc)\]'
expect_status 0 "$OFFHEAP_BIN" report --kind file,shm "$recording"
expect_text out.txt 'map_file'
expect_text out.txt 'map_shared'
expect_no_text out.txt 'map_plain'
expect_status 0 "$OFFHEAP_BIN" report "$recording"
expect_text out.txt 'by kind .*mmap .*shm .*file '
expect_text out.txt 'reserved +3\.43 MiB of address space'
expect_no_text out.txt '^ +reserve +/'
expect_status 0 "$OFFHEAP_BIN" report --kind mmap,reserve "$recording"
expect_text out.txt '^ +reserve +/'
expect_status 2 "$OFFHEAP_BIN" export --kind bogus -o kinds.pb.gz "$recording"
expect_status 2 "$OFFHEAP_BIN" report --kind malloc,bogus "$recording"

# What an allocator maps is its own, also when it has a background thread, and whoever is first.
for allocator in libjemalloc.so.2 libtcmalloc_minimal.so.4 libtcmalloc.so.4 libmimalloc.so.2; do
    env LD_PRELOAD="$allocator" true 2>preload.err
    if [ -s preload.err ]; then
        note "$allocator is not here"
        continue
    fi
    for order in "$OFFHEAP_LIB:$allocator" "$allocator:$OFFHEAP_LIB"; do
        note "$order"
        rm -f "$OFFHEAP_DIR"/threads.*
        expect_status 0 env MALLOC_CONF=background_thread:true LD_PRELOAD="$order" \
            "$OFFHEAP_FIXTURES/threads"
        recording=$(find "$OFFHEAP_DIR" -name 'threads.*')
        [ -n "$recording" ] || { fail "no recording"; continue; }
        # libtcmalloc brings a library that maps a little for itself.
        [ "$(sum_of mmap "$recording")" -le 65536 ] || fail "an allocator's maps are shown"
        [ "$(sum_of reserve "$recording")" -eq 0 ] || fail "an allocator's reservations are shown"
        [ "$(sum_of allocator "$recording")" -gt 0 ] || fail "nothing is the allocator's"
        # And the program's are its own, also where the allocator has an mmap of its own before ours.
        rm -f "$OFFHEAP_DIR"/mapstorm.*
        expect_status 0 env LD_PRELOAD="$order" "$OFFHEAP_FIXTURES/mapstorm" 500
        mapped=$(sed -n 's/^mapped //p' out.txt)
        found=$(sum_of mmap "$(find "$OFFHEAP_DIR" -name 'mapstorm.*')")
        more=$((found - mapped))
        [ "$more" -ge 0 ] || fail "$found bytes are recorded, $mapped are mapped"
        [ "$more" -le 65536 ] || fail "$more bytes are recorded that the program did not map"
    done
done

# Any other library that stands before ours is left as it is, and named.
note "another library's mmap"
cc -O1 -g -shared -fPIC -o map_layer.so "$OFFHEAP_SRC/fixtures/c/map_layer.c" || fail "no map_layer.so"
rm -f "$OFFHEAP_DIR"/mapstorm.*
expect_status 0 env LD_PRELOAD="$PWD/map_layer.so:$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/mapstorm" 500
expect_status 0 "$OFFHEAP_BIN" report "$(find "$OFFHEAP_DIR" -name 'mapstorm.*')"
expect_text out.txt 'map_layer.so stands before the mmap family: calls that it does not pass on'

finish
