#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make_big_cc.sh DIR [UNITS [FUNCTIONS]]: writes a C++ program of UNITS translation units with
# FUNCTIONS template instances each into DIR (20 x 250 when not given), with calls inlined into each
# other and much of the C++ library, and a Makefile. Built with `make -C DIR`, it allocates from
#
#     big STACKS DEPTH [SECONDS]
#
# STACKS different stacks of DEPTH generated frames, prints what it holds and, with SECONDS, stays
# that long.

set -eu

dir=$1
units=${2-20}
functions=${3-250}
mkdir -p "$dir"

cat >"$dir/node.h" <<'END'
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace big {

using function = void *(int depth, std::uint64_t seed);
extern std::vector<function *> table;

void *leaf(std::uint64_t seed);

inline std::uint64_t advance(std::uint64_t seed)
{
    return seed * 6364136223846793005u + 1442695040888963407u;
}

template <int Unit, int Number> struct node {
    static inline __attribute__((always_inline)) void *pick(int depth, std::uint64_t seed)
    {
        return depth <= 0 ? leaf(seed) : table[seed % table.size()](depth - 1, advance(seed));
    }

    static inline __attribute__((always_inline)) void *choose(int depth, std::uint64_t seed)
    {
        if (seed & 64) {
            void *found = pick(depth, seed >> 7);
            asm volatile("" ::: "memory");
            return found;
        }
        void *found = pick(depth, seed >> 8);
        asm volatile("" ::: "memory");
        return found;
    }

    static __attribute__((noinline)) void *step(int depth, std::uint64_t seed)
    {
        void *found = choose(depth, seed + Unit * 1000 + Number);
        asm volatile("" ::: "memory");
        return found;
    }
};

} // namespace big
END

cat >"$dir/main.cc" <<'END'
#include "node.h"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace big {

std::vector<function *> table;
static auto *const held = new std::vector<std::string>; // Held to the end.

void *leaf(std::uint64_t seed)
{
    held->push_back(std::string(40 + seed % 60, 'x'));
    return held->back().data();
}

} // namespace big

END
{
    i=0
    while [ "$i" -lt "$units" ]; do
        printf 'void add_%d();\n' "$i"
        i=$((i + 1))
    done
    printf '\nint main(int argc, char **argv)\n{\n'
    i=0
    while [ "$i" -lt "$units" ]; do
        printf '    add_%d();\n' "$i"
        i=$((i + 1))
    done
    cat <<'END'
    long stacks = argc > 1 ? std::atol(argv[1]) : 10000;
    int depth = argc > 2 ? std::atoi(argv[2]) : 12;
    for (long i = 0; i < stacks; i++) {
        std::uint64_t seed = std::uint64_t(i) * 0x9e3779b97f4a7c15u >> 20;
        (void)big::table[seed % big::table.size()](depth - 1, big::advance(seed));
    }
    std::printf("%zu functions, %zu blocks held\n", big::table.size(), big::held->size());
    std::fflush(stdout);
    sleep(argc > 3 ? unsigned(std::atol(argv[3])) : 0);
    return 0;
}
END
} >>"$dir/main.cc"

awk -v dir="$dir" -v units="$units" -v functions="$functions" '
    BEGIN {
        for (u = 0; u < units; u++) {
            file = dir "/unit" u ".cc"
            print "#include \"node.h\"\n" >file
            print "void add_" u "()\n{" >file
            for (f = 0; f < functions; f++)
                print "    big::table.push_back(big::node<" u ", " f ">::step);" >file
            print "}" >file
            close(file)
        }
    }'

cat >"$dir/Makefile" <<'END'
objects := $(patsubst %.cc,%.o,$(wildcard *.cc))
big: $(objects)
	$(CXX) -o $@ $^
%.o: %.cc node.h
	$(CXX) -std=c++17 -O2 -g -c -o $@ $<
END
