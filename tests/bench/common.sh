# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What the scripts of this folder share: building the workloads and counting instructions.

# Compiles the C programs of the folder $1 into the directory $2 with the compiler $3.
build_workloads()
{
    cflags='-O2 -g -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion -fno-builtin-malloc'
    for program in work clock lines; do
        # shellcheck disable=SC2086
        "$3" $cflags -o "$2/$program" "$1/$program.c" -pthread -lm || return 1
    done
    # shellcheck disable=SC2086
    "$3" $cflags -fno-builtin -fPIC -shared -o "$2/forward.so" "$1/forward.c"
}

# Instructions of one run of the program $1/work, workload $2 with $3 operations and $4 live blocks;
# the variables that follow are in its environment.
run_counted()
{
    counted=$1/work
    counts=$1/counts.out
    arguments="$2 $3 $4"
    shift 4
    # shellcheck disable=SC2086
    env "$@" valgrind --tool=callgrind --callgrind-out-file="$counts" "$counted" $arguments \
        >"$counts.log" 2>&1 || return 1
    awk '$1 == "totals:" { total = $2 } END { if (total == "") exit 1; print total }' "$counts"
}

# Instructions of one operation: what a longer run adds to a shorter one. Arguments as above, less
# the number of operations. (work warms up with a hundredth of the operations.)
instructions()
{
    counting=$1
    workload=$2
    live=$3
    shift 3
    few=$(run_counted "$counting" "$workload" 10000 "$live" "$@") || return 1
    many=$(run_counted "$counting" "$workload" 60000 "$live" "$@") || return 1
    awk -v few="$few" -v many="$many" 'BEGIN { printf "%.1f\n", (many - few) / 50500 }'
}
