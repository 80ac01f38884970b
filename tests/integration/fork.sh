#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Processes that come out of a recorded one: a child without exec leaves the recording alone and does
# not hang; a program that it executes has a recording and a profile of its own.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

fork=$OFFHEAP_FIXTURES/fork

for how in plain threads; do
    note "$how"
    run_fixture "$how" 0 "$fork" "$how"
    expect_text "$how.out" '^children ok$'
    check_truth "$how.out" "$how.pb.gz"
    raw "$how.pb.gz" >"$how.raw"
    expect_no_text "$how.raw" 'orphan_leaf' "a child wrote into its parent's recording"
    [ "$(find recordings -name 'fork.*.offheap' | wc -l)" -eq 1 ] || fail "a child left a recording"
    rm -f recordings/*

    # The child's exit is not the parent's end: the library writes one profile, that of the parent.
    expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 \
        OFFHEAP_PROFILE="$PWD/$how-alone.pb.gz" "$fork" "$how"
    cp out.txt "$how-alone.out"
    check_truth "$how-alone.out" "$how-alone.pb.gz" -v nodwarf=1
    [ "$(find . -name "$how-alone*.pb.gz" | wc -l)" -eq 1 ] ||
        { fail "a forked child wrote a profile"; ls "$how"-alone*; }
    rm -f recordings/*
done

for how in exec spawn; do
    note "$how"
    run_fixture "$how" 0 "$fork" "$how"
    expect_text "$how.out" '^children ok$'
    check_truth "$how.out" "$how.pb.gz" -v only='^parent$'
    # The child's lies beside it, with its pid.
    set -- "$how".[0-9]*.pb.gz
    [ $# -eq 1 ] || fail "$how: $# profiles of children"
    check_truth "$how.out" "$1" -v only='^child_'
    expect_text "$how.err" "$1"

    # The second process that finds the name taken puts its pid into it.
    mkdir "$how-alone"
    expect_status 0 env LD_PRELOAD="$OFFHEAP_LIB" OFFHEAP_EXACT=1 \
        OFFHEAP_PROFILE="$PWD/$how-alone/p.pb.gz" "$fork" "$how"
    cp out.txt "$how-alone.out"
    [ "$(find "$how-alone" -name 'p*.pb.gz' | wc -l)" -eq 2 ] ||
        { fail "$how: not one profile per process"; ls "$how-alone"; }
    for file in "$how-alone"/*.pb.gz; do
        raw "$file" >alone.raw
        if grep -q child_leaf alone.raw; then
            check_truth "$how-alone.out" "$file" -v only='^child_'
        else
            check_truth "$how-alone.out" "$file" -v only='^parent$'
        fi
    done
    [ -z "$(find "$how-alone" -type f ! -name 'p*.pb.gz' ! -name '*.raw')" ] ||
        fail "$how: files are left behind"
done

# A shell makes many: each program its own, the shell's own is the program's.
note "a pipeline"
run_fixture pipeline 0 sh -c "'$OFFHEAP_FIXTURES/tiny' 0 | cat; '$OFFHEAP_FIXTURES/tiny' 0; exit 0"
[ "$(find . -name 'pipeline.*.pb.gz' | wc -l)" -ge 3 ] || fail "a profile of each program is missing"
found=0
for file in pipeline.[0-9]*.pb.gz; do
    raw "$file" >pipeline.raw
    grep -q tiny_leaf pipeline.raw && found=$((found + 1))
done
[ "$found" -eq 2 ] || fail "$found of 2 profiles of tiny"

finish
