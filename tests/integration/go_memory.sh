#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap memory` of Go programs: Go's line against runtime.MemStats, C's beside it, and which of the
# two grows.
. "$OFFHEAP_SRC/tests/integration/lib.sh"
. "$OFFHEAP_SRC/tests/integration/memory_lib.sh"

go_fixture memory

note "idle"
start "$fixture"
look --go "$(sed -n 's/^url //p' program.out)"
[ "$(number go_runtime)" -le "$(number sys_less_released)" ] || fail "more of Go's than it has"
[ "$(number go_runtime)" -ge "$(number heap_inuse)" ] || fail "less of Go's than its heap in use"
stop

note "500 MiB of Go heap"
start "$fixture" -go 500
look --go "$(sed -n 's/^url //p' program.out)"
held=$(number sys_less_released)
within "Go's line" "$(number go_runtime)" "$held" "$(percent 5 "$held")" 0
within "C live" "$(number c_live)" 0 0 1000000
expect_status 0 "$OFFHEAP_BIN" memory --go "$(sed -n 's/^url //p' program.out)" "$pid"
expect_text out.txt 'MemStats: Sys less HeapReleased is'
expect_text out.txt 'heap in use 50[0-9] MiB'
stop

note "C beside Go: each to its truth"
start "$fixture" -go 50 -c 30 -maps 40
look
within "C live" "$(number c_live)" "$(truth c_live)" 0 "$(percent 1 "$(truth c_live)")"
within "C maps" "$(number map_mmap)" "$(truth map_mmap)" 0 0
[ "$(number go_runtime)" -le "$(truth go_runtime)" ] || fail "more of Go's than it has"
stop

note "a malloc leak"
start "$fixture" -go 20 -grow-c 8
look --watch 2s
verdict growing_c_live
no_verdict growing_go
expect_status 0 "$OFFHEAP_BIN" memory --watch 2s "$pid"
expect_text out.txt '^ +main\.leakC ' "the Go function that leaks is not named"
stop

note "an mmap leak"
start "$fixture" -go 20 -grow-maps 8
look --watch 2s
verdict growing_maps
no_verdict growing_go
no_verdict growing_c_live
stop

note "Go grows beside a small leak of C"
start "$fixture" -go 20 -grow-go 30 -grow-c 2
look --watch 2s
verdict growing_go
verdict growing_c_live
first=$(sed -n 's/.*"kind": "\([a-z_]*\)".*/\1/p' look.json | head -n 1)
[ "$first" = growing_go ] || fail "what grows most is not first: $first"
stop

note "stripped, at another address"
go_fixture memory-stripped
start "$fixture" -go 50 -c 10 -maps 10
look
within "C live" "$(number c_live)" "$(truth c_live)" 0 "$(percent 1 "$(truth c_live)")"
within "C maps" "$(number map_mmap)" "$(truth map_mmap)" 0 0
[ "$(number go_runtime)" -ge 52428800 ] || fail "Go's heap is not Go's"
stop

note "linked statically: nothing is recorded, and what C maps is not Go's"
go_fixture memory-static
recorded=no
start "$fixture" -go 20 -c 10 -maps 30
expect_status 0 "$OFFHEAP_BIN" memory --json "$pid"
cp out.txt look.json
[ "$(number go_runtime)" -le "$(truth go_runtime)" ] || fail "more of Go's than it has"
[ "$(number go_runtime)" -ge 20971520 ] || fail "Go's heap is not Go's"
[ "$(number unclaimed)" -ge "$(truth map_mmap)" ] || fail "what C maps is somebody's"
within "malloc's areas" "$(number allocator_unsplit)" "$(truth c_live)" 0 1000000
stop

finish
