#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# environment.sh TREE: every variable of env.def, and every one that the command reads by itself, is
# explained in README.md and in a manual page; every OFFHEAP_* name that those mention exists; and
# the library reads the environment in one file only.

. "$(dirname "$0")/common.sh"
cd "$1"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

{
    sed -n 's/^OH_ENV([^,]*, *"\([A-Z_]*\)".*/\1/p' include/offheap/env.def
    grep -rhoE 'getenv\("OFFHEAP_[A-Z_]+"\)' tools --include='*.c' | grep -oE 'OFFHEAP_[A-Z_]+' ||
        true
} | sort -u >"$scratch/known"
cat man/*.[17] >"$scratch/man" 2>/dev/null || true
while read -r name; do
    grep -qw "$name" README.md 2>/dev/null || fault "README.md: does not explain $name"
    grep -qw "$name" "$scratch/man" || fault "man: no page explains $name"
done <"$scratch/known"

# The build's own variables stand in CMakeLists.txt and are explained in the same README.
cat README.md man/*.[17] 2>/dev/null | grep -ohE 'OFFHEAP_[A-Z_]+' | sort -u |
    comm -13 "$scratch/known" - >"$scratch/named"
while read -r name; do
    grep -qw "$name" CMakeLists.txt ||
        fault "README.md or man: $name is in neither env.def, tools/ nor CMakeLists.txt"
done <"$scratch/named"

grep -rnwE 'getenv|secure_getenv' preload --include='*.[ch]' |
    grep -v '^preload/base/config\.[ch]:' | sed 's/$/ (environment read outside base\/config)/' \
    >"$scratch/faults" || true
fault_lines <"$scratch/faults"
finish
