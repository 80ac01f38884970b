#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A Go program that maps memory in C beside a Go heap of 100 MB: its own maps to the byte, with
# their phase, and nothing of Go's heap, in every form of the program, sampled or not, alive and
# killed.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

show_maps=$OFFHEAP_FIXTURES/../tests/integration/show_maps

# The kinds of the truth, and that none of the stacks is the runtime's doing.
check()
{
    case $1 in
    *stripped) check_truth "$2.out" "$2.pb.gz" -v stripped=1 -v only='^maps_(main|init|goroutine)' ;;
    *) check_truth "$2.out" "$2.pb.gz" ;;
    esac
    # The most that C code has mapped here is the reservation; Go's are of 64 MB and more.
    awk '/kind:\[(mmap|reserve)\]/ { mine = 1 }
        /^ *[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+: / { bytes = $2 > $4 ? $2 : $4 }
        mine { sum += bytes; mine = 0 }
        END { if (sum > 32000000) { print sum " bytes of maps in the profile"; exit 1 } }' \
        "$2.pb.gz.raw" || fail "$2: maps of Go's runtime are shown"
    expect_no_text "$2.pb.gz.raw" 'x_cgo_mmap|runtime\.(sysReserve|sysAlloc|sysMap|callCgoMmap)' \
        "the runtime's own maps"
}

for form in maps maps-stripped maps-pie maps-pie-stripped; do
    note "$form"
    go_fixture "$form"
    run_fixture "$form" 0 "$fixture"
    check "$form" "$form"
done

note "sampled, alive and killed"
go_fixture maps-stripped
LD_PRELOAD="$OFFHEAP_LIB" "$fixture" wait >live.out 2>live.err &
pid=$!
wait_for_text live.out '^ready$' 20
expect_status 0 "$OFFHEAP_BIN" export -o live.pb.gz "$pid"
check maps-stripped live
# What Go has from the system is what is recorded as its runtime's, less what is only reserved; it
# is no less than what Go says it has, but for what its own threads and C's are.
"$show_maps" "$pid" >ranges.txt
awk 'FNR == NR { if ($1 == "sys") sys = $2; next }
    $1 == "sum" && $2 == "go-runtime" { found = $3 }
    END { if (found < sys * 0.9) { print found " bytes, Go has " sys; exit 1 } }' live.out ranges.txt ||
    fail "not all of Go's heap is recorded as the runtime's"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
cp live.out dead.out
expect_status 0 "$OFFHEAP_BIN" export -o dead.pb.gz "$(recording_of "$pid")"
check maps-stripped dead
rm -f "$OFFHEAP_DIR"/*

# Behind a library that passes on everybody's calls: Go's are told from C's all the same. What maps
# for itself before anything is up, the recorder's unwinder too, looks like that library's own.
note "behind another library's mmap"
cc -O1 -g -shared -fPIC -o map_layer.so "$OFFHEAP_SRC/fixtures/c/map_layer.c" || fail "no map_layer.so"
LD_PRELOAD="$PWD/map_layer.so:$OFFHEAP_LIB" "$fixture" >layer.out 2>layer.err || fail "layer: status $?"
for recording in "$OFFHEAP_DIR"/*.offheap; do
    "$show_maps" "$recording" >layer.txt
    awk 'FNR == NR { if (/kind=mmap/ && match($0, /inuse_bytes=[0-9]+/)) \
            want += substr($0, RSTART + 12, RLENGTH - 12); next }
        $1 == "sum" { sum[$2] = $3 }
        END { if (sum["mmap"] < want || sum["mmap"] > want + 262144 || sum["go-runtime"] < 1e8) {
            print sum["mmap"] " bytes of mmap, want " want "; Go: " sum["go-runtime"]; exit 1 } }' \
        layer.out layer.txt || fail "Go's maps are not told from C's behind another library"
done

note "linked by Go alone"
go_fixture maps-internal
run_fixture internal 0 "$fixture"
raw internal.pb.gz >internal.pb.gz.raw
expect_no_text internal.pb.gz.raw 'kind:\[(mmap|reserve)\]' "maps of Go's runtime are shown"

finish
