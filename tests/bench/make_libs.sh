#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make_libs.sh DIR [LIBRARIES [FUNCTIONS]]: writes a C program and LIBRARIES shared libraries that it
# is linked with, of FUNCTIONS functions each (50 x 100 when not given) with calls inlined into them,
# into DIR, and a Makefile. Built with `make -C DIR`, it allocates from
#
#     many STACKS DEPTH [SECONDS]
#
# STACKS different stacks of DEPTH generated frames, each in a library chosen by chance, prints what
# it holds and, with SECONDS, stays that long.

set -eu

dir=$1
libraries=${2-50}
functions=${3-100}
mkdir -p "$dir"

cat >"$dir/many.h" <<'END'
#include <stdint.h>

typedef void *function(int depth, uint64_t seed);
extern function *many_table[];
extern const unsigned long many_count;
function many_leaf;

static inline uint64_t advance(uint64_t seed)
{
    return seed * 6364136223846793005u + 1442695040888963407u;
}

static inline __attribute__((always_inline)) void *pick(int depth, uint64_t seed)
{
    function *next = depth <= 0 ? many_leaf : many_table[seed % many_count];
    void *found = next(depth - 1, advance(seed));
    __asm__ volatile("" ::: "memory");
    return found;
}

static inline __attribute__((always_inline)) void *choose(int depth, uint64_t seed)
{
    return (seed & 64) != 0 ? pick(depth, seed >> 7) : pick(depth, seed >> 8);
}
END

awk -v dir="$dir" -v libraries="$libraries" -v functions="$functions" '
    BEGIN {
        main = dir "/main.c"
        print "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n\n#include \"many.h\"\n" >main
        for (l = 0; l < libraries; l++) {
            file = sprintf("%s/lib%03d.c", dir, l)
            print "#include \"many.h\"\n" >file
            for (f = 0; f < functions; f++) {
                name = sprintf("lib%03d_step%03d", l, f)
                printf "void *%s(int depth, uint64_t seed)\n{\n", name >file
                printf "    return choose(depth, seed + %d);\n}\n\n", l * functions + f >file
                print "function " name ";" >main
                table = table "    " name ",\n"
            }
            close(file)
        }
        printf "\nfunction *many_table[] = {\n%s};\n", table >main
        printf "const unsigned long many_count = %d;\n\n", libraries * functions >main
    }'
cat >>"$dir/main.c" <<'END'
static unsigned long held;

void *many_leaf(int depth, uint64_t seed)
{
    (void)depth;
    held++;
    return malloc(40 + seed % 60);
}

int main(int argc, char **argv)
{
    long stacks = argc > 1 ? atol(argv[1]) : 10000;
    int depth = argc > 2 ? atoi(argv[2]) : 12;
    for (long i = 0; i < stacks; i++) {
        uint64_t seed = (uint64_t)i * 0x9e3779b97f4a7c15u >> 20;
        (void)many_table[seed % many_count](depth - 1, advance(seed));
    }
    printf("%lu functions, %lu blocks held\n", many_count, held);
    fflush(stdout);
    sleep(argc > 3 ? (unsigned)atol(argv[3]) : 0);
    return 0;
}
END

cat >"$dir/Makefile" <<'END'
libraries := $(patsubst %.c,%.so,$(wildcard lib*.c))
CFLAGS := -O2 -g -std=gnu11
many: main.c $(libraries)
	$(CC) $(CFLAGS) -rdynamic -o $@ main.c $(libraries) -Wl,-rpath,'$$ORIGIN'
%.so: %.c many.h
	$(CC) $(CFLAGS) -fPIC -shared -o $@ $<
END
