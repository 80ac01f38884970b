#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Go's own heap profile and ours in one graph, in every pprof that is there, in both orders: a function
# of both is one node.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

# The bytes of a function's node in a -top list, in all; empty when it is not there.
node_bytes()
{
    awk -v name="$2" '$NF == name || ($(NF - 1) == name && $NF == "(inline)") { print $4 }' "$1"
}

top()
{
    pprof -symbolize=none -top -cum -nodecount=100000 -nodefraction=0 -unit=B \
        -sample_index=inuse_space "$@"
}

# merge_check NAME FIRST SECOND: main.init.0 is one node with the bytes of both.
merge_check()
{
    top "$2" "$3" >"$1.top" || fail "$1: pprof cannot merge"
    expect_no_text pprof.err 'rror|incompatible|inconsistent|problem|malformed|empty' "$1"
    [ "$(node_bytes "$1.top" main.init.0 | wc -l)" -eq 1 ] ||
        fail "$1: main.init.0 is not one node: $(node_bytes "$1.top" main.init.0)"
    merged=$(node_bytes "$1.top" main.init.0 | tr -d B)
    want=$(($(node_bytes go.top main.init.0 | tr -d B) + $(node_bytes ours.top main.init.0 | tr -d B)))
    [ "$merged" = "$want" ] || fail "$1: main.init.0 has $merged bytes, want $want"
}

# flame_check NAME FIRST SECOND: the page of pprof's web server has main.init.0 as one box, and so has
# the list of functions with their files.
flame_check()
{
    port=$((${port:-$((20000 + $$ * 7 % 20000))} + 1))
    GOTOOLCHAIN=local PPROF_TMPDIR="$PWD" "$PPROF_GO" tool pprof -symbolize=none \
        -http="127.0.0.1:$port" -no_browser "$2" "$3" >web.out 2>&1 &
    server=$!
    "$get" "http://127.0.0.1:$port/ui/flamegraph" >"$1.html" || fail "$1: $(cat web.out)"
    kill "$server"
    wait "$server" 2>/dev/null
    # The older page has nested nodes with escaped quotes, the newer one a list of functions.
    boxes=$(sed 's/\\u0022/"/g' "$1.html" | grep -oE '"(f|FullName)":"main\.init\.0"' | wc -l)
    [ "$boxes" -eq 1 ] || fail "$1: main.init.0 is $boxes boxes in the flame graph"

    pprof -symbolize=none -top -cum -filefunctions -nodecount=100000 -nodefraction=0 "$2" "$3" \
        >"$1.files"
    [ "$(grep -c 'main\.init\.0 ' "$1.files")" -eq 1 ] ||
        { fail "$1: main.init.0 has more than one file"; grep 'main\.init\.0' "$1.files"; }
}

go_fixture get
get=$fixture
for form in normal stripped; do
    go_fixture "$form"
    FIXTURE_HEAP=$PWD/go-$form.pb.gz
    export FIXTURE_HEAP
    run_fixture "ours-$form" 0 "$fixture"
    unset FIXTURE_HEAP
    expect_file "go-$form.pb.gz"
    for PPROF_GO in $(go_commands); do
        version=$(GOTOOLCHAIN=local "$PPROF_GO" env GOVERSION)
        note "$form in the pprof of $version"
        top "go-$form.pb.gz" >go.top
        top "ours-$form.pb.gz" >ours.top
        merge_check "$form-$version-go-first" "go-$form.pb.gz" "ours-$form.pb.gz"
        merge_check "$form-$version-ours-first" "ours-$form.pb.gz" "go-$form.pb.gz"
        flame_check "$form-$version" "go-$form.pb.gz" "ours-$form.pb.gz"
    done

    # The names, files and start lines that Go writes are ours, too: locations that both have at one
    # address say the same.
    raw "go-$form.pb.gz" | awk '/^Mappings/ { on = 0 } on; /^Locations/ { on = 1 }' >go.locations
    raw "ours-$form.pb.gz" | awk '/^Mappings/ { on = 0 } on; /^Locations/ { on = 1 }' >ours.locations
    awk '
        # One line of text per address: the functions of the location, inlined ones first.
        /^ *[0-9]+: 0x/ {
            address = $2
            sub(/^ *[0-9]+: 0x[0-9a-f]+ M=[0-9]+ /, "")
        }
        { sub(/^ +/, "") }
        FILENAME == "go.locations" { go[address] = go[address] " | " $0 }
        FILENAME == "ours.locations" { ours[address] = ours[address] " | " $0 }
        END {
            for (address in go) {
                if (!(address in ours))
                    continue
                both++
                if (go[address] != ours[address]) {
                    print "FAIL " address ": Go has" go[address] "; ours is" ours[address]
                    bad++
                }
            }
            print both + 0 " locations of both"
            exit bad != 0 || both == 0
        }' go.locations ours.locations || fail "$form: locations of one address differ"
done

finish
