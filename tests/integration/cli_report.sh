#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `offheap report` on a profile, a recording and a process: the same numbers; filters, orders, what
# grew; Go's own heap profiles, too.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

cat >program.c <<'EOF'
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *volatile kept;
__attribute__((noinline)) static void small(void) { kept = malloc(100); }
__attribute__((noinline)) static void large(void) { kept = malloc(50000); }
__attribute__((noinline)) static void freed(void) { kept = malloc(70000); free(kept); }
__attribute__((constructor, noinline)) static void early(void) { kept = malloc(3000); }
int main(int argc, char **argv)
{
    const int scale = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 0; i < 10 * scale; i++)
        small();
    for (int i = 0; i < 4; i++)
        large();
    freed();
    if (write(1, "ready\n", 6) != 6)
        return 1;
    if (argc > 2)
        sleep(60);
    return 0;
}
EOF
cc -g -O1 -fno-optimize-sibling-calls -o program program.c || { fail "cc"; finish; }
expect_status 0 "$OFFHEAP_BIN" run --exact --keep -o one.pb.gz -- ./program
expect_status 0 "$OFFHEAP_BIN" run --exact -o three.pb.gz -- ./program 3
"$OFFHEAP_BIN" run --exact -o live.pb.gz -- ./program 1 wait >ready.txt 2>err.txt </dev/null &
run=$!
wait_for_text ready.txt '^ready$' 10
recording=$(find "$OFFHEAP_DIR" -name 'program.*.offheap' | sort | head -n 1)
live=$(pgrep -P "$run")

note "the same of all inputs"
for input in one.pb.gz "$recording" "$live"; do
    expect_status 0 "$OFFHEAP_BIN" report "$input"
    expect_text out.txt '^ +1 +195 KiB +4 +195 KiB +4 .* main malloc$'
    expect_text out.txt '^ +large +[^ ]*program\.c:6$'
    expect_text out.txt 'the numbers are exact'
    expect_text out.txt 'init 2\.93 KiB, main '
done
kill -KILL "$live"
wait "$run"

note "orders and filters"
expect_status 0 "$OFFHEAP_BIN" report --sort alloc_objects --limit 1 one.pb.gz
expect_text out.txt '^ +1 +1000 B +10 '
expect_text out.txt 'more stacks? with'
expect_status 0 "$OFFHEAP_BIN" report --sort alloc_space --focus '^freed$' one.pb.gz
expect_text out.txt '^ +1 +0 B +0 +68\.4 KiB +1 '
expect_status 0 "$OFFHEAP_BIN" report --phase init one.pb.gz
expect_text out.txt ' init \[constructor\] malloc$'
expect_no_text out.txt '^ +large '
expect_status 0 "$OFFHEAP_BIN" report --kind thread one.pb.gz
expect_text out.txt 'Nothing to show: none of the [0-9]+ stacks matches'
expect_status 1 "$OFFHEAP_BIN" report --focus '(' one.pb.gz
expect_text err.txt 'not a regular expression'

note "what grew"
expect_status 0 "$OFFHEAP_BIN" report --diff one.pb.gz three.pb.gz
expect_text out.txt '^ +1 +1000 B +2\.93 KiB +\+1\.95 KiB .*main malloc$'
expect_text out.txt '^ +small '
expect_no_text out.txt '^ +large '
expect_text out.txt '^ +1 stack grew by 1\.95 KiB'
expect_status 0 "$OFFHEAP_BIN" report --diff "$recording" one.pb.gz
expect_text out.txt 'no stack changed'

note "estimates have their error"
expect_status 0 "$OFFHEAP_BIN" run --sample 1K -o sampled.pb.gz -- ./program 100
expect_status 0 "$OFFHEAP_BIN" report sampled.pb.gz
expect_text out.txt 'one sample per 1\.00 KiB on average'
expect_text out.txt '^ +small '
expect_text out.txt '±[0-9.]+% +main malloc$'

note "nothing was sampled"
expect_status 0 "$OFFHEAP_BIN" run --sample 1G -o none.pb.gz -- ./program
expect_text err.txt 'no allocation was sampled'
expect_status 0 "$OFFHEAP_BIN" report none.pb.gz
expect_text out.txt 'Nothing to show: no allocation was sampled'

note "Go's own heap profile"
go=$(go_commands | head -n 1)
if [ -n "$go" ]; then
    mkdir go_heap
    cat >go_heap/main.go <<'EOF'
package main

import (
	"os"
	"runtime"
	"runtime/pprof"
)

var kept [][]byte

func fill() {
	for i := 0; i < 64; i++ {
		kept = append(kept, make([]byte, 1<<20))
	}
}

func main() {
	fill()
	runtime.GC()
	f, _ := os.Create(os.Args[1])
	pprof.Lookup("heap").WriteTo(f, 0)
	f.Close()
}
EOF
    (cd go_heap && GO111MODULE=off GOTOOLCHAIN=local "$go" build -o heap main.go) &&
        ./go_heap/heap go.pb.gz
    expect_status 0 "$OFFHEAP_BIN" report go.pb.gz
    expect_text out.txt '^ +main\.fill '
    expect_text out.txt '±'
fi

finish
