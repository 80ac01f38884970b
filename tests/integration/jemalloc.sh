#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# jemalloc in every way that a program can have it: to the byte, and the program notices nothing.
. "$OFFHEAP_SRC/tests/integration/lib.sh"

[ -x "$OFFHEAP_FIXTURES/jemalloc" ] || skip "no libjemalloc.so and libjemalloc.a here"
library=libjemalloc.so.2

check()
{
    note "$1"
    check_name=$1
    shift
    run_fixture "$check_name" 0 "$@"
    check_truth "$check_name.out" "$check_name.pb.gz"
    expect_no_text "$check_name.out" '^FAIL'
    # What jemalloc maps is not the program's.
    raw "$check_name.pb.gz" >"$check_name.raw"
    expect_no_text "$check_name.raw" 'kind:\[(mmap|reserve)\]'
}

# The library's: what only it has is redirected, and not told of.
check jemalloc "$OFFHEAP_FIXTURES/jemalloc"
expect_no_text jemalloc.err 'has jemalloc|warning'

# In the program, with the linker's export of malloc and without, under other names.
for name in static hidden je; do
    check jemalloc_$name "$OFFHEAP_FIXTURES/jemalloc_$name"
    expect_text jemalloc_$name.err "jemalloc_$name has jemalloc in it"
    expect_no_text jemalloc_$name.err 'warning'
    raw jemalloc_$name.pb.gz | grep -q 'allocator: jemalloc, whose functions are redirected' ||
        fail "jemalloc_$name: its profile does not tell of the redirection"
done

# Loaded by dlopen. (Its thread-local storage needs more room than the loader leaves by default.)
GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384
export GLIBC_TUNABLES
check jemalloc_late "$OFFHEAP_FIXTURES/jemalloc_late" $library
unset GLIBC_TUNABLES

# With the library alone, and in either order of preloading.
for order in "$OFFHEAP_LIB:$library" "$library:$OFFHEAP_LIB"; do
    for program in jemalloc operators leak cxx; do
        note "$order $program"
        [ $program != cxx ] || set -- "$OFFHEAP_FIXTURES/libthrow.so"
        LD_PRELOAD=$order OFFHEAP_EXACT=1 OFFHEAP_PROFILE=p.pb.gz \
            "$OFFHEAP_FIXTURES/$program" "$@" >p.out 2>p.err || fail "$order: $program: status $?"
        set --
        check_truth p.out p.pb.gz -v nodwarf=1 || fail "$order: $program"
        rm -f p.pb.gz
    done
done

# C++: the allocator's own operators.
check operators "$OFFHEAP_FIXTURES/operators"
check operators_jemalloc "$OFFHEAP_FIXTURES/operators_jemalloc"
check operators_static "$OFFHEAP_FIXTURES/operators_static"
check operators_je "$OFFHEAP_FIXTURES/operators_je"

note "what cannot be redirected is told, function by function"
run_fixture refused_je_malloc 0 "$OFFHEAP_FIXTURES/refused_je_malloc"
check_truth refused_je_malloc.out refused_je_malloc.pb.gz
expect_status 0 "$OFFHEAP_BIN" report refused_je_malloc.pb.gz
expect_text out.txt 'the executable: je_malloc is not redirected: it begins with a call'
expect_no_text out.txt 'by_malloc '
# Without a free that is seen, blocks would live for ever.
run_fixture refused_je_free 0 "$OFFHEAP_FIXTURES/refused_je_free"
expect_status 0 "$OFFHEAP_BIN" report --sort alloc_space refused_je_free.pb.gz
expect_text out.txt 'the executable: je_free is not redirected: it begins with a call'
expect_text out.txt 'not recorded, because not all that frees can be redirected'
expect_no_text out.txt 'by_malloc'

note "code that other threads may be running is left alone"
cat >early_thread.c <<'END'
#include <pthread.h>
#include <unistd.h>
static void *wait_for_end(void *unused)
{
    pause();
    return unused;
}
static __attribute__((constructor)) void start_one(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_end, NULL);
}
END
cc -shared -fPIC -o libearly_thread.so early_thread.c
for name in je_ ''; do
    archive=$OFFHEAP_FIXTURES/libje_jemalloc.a
    [ -n "$name" ] || archive=-l:libjemalloc.a
    cc -O2 -D_GNU_SOURCE -DFIXTURE_PREFIX=$name -o "early_thread$name" \
        "$OFFHEAP_SRC/fixtures/c/jemalloc.c" "$archive" -Wl,--no-as-needed ./libearly_thread.so -lstdc++ \
        -lm -lpthread || fail "early_thread$name does not build"
done
# The thread itself needs a block of libc's: the library is there before it.
check early_thread_je ./early_threadje_
# The executable's malloc is everyone's: the library comes up when it is its turn.
run_fixture early_thread 0 ./early_thread
expect_no_text early_thread.out '^FAIL'
expect_status 0 "$OFFHEAP_BIN" report --sort alloc_space early_thread.pb.gz
expect_text out.txt '.malloc, jemalloc.: not recorded, because other threads were running'
expect_no_text out.txt 'by_mallocx'
expect_text out.txt 'the loader cannot be watched'
cc -O2 -D_GNU_SOURCE -o early_thread_shared "$OFFHEAP_SRC/fixtures/c/jemalloc.c" \
    -Wl,--no-as-needed ./libearly_thread.so -ljemalloc || fail "early_thread_shared does not build"
run_fixture early_thread_shared 0 ./early_thread_shared
expect_no_text early_thread_shared.out '^FAIL'

note "an allocator before us, of a program that knows malloc by a stub of its own"
cat >front.c <<'END'
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
static char *pool;
static size_t used;
void *malloc(size_t size)
{
    if (pool == NULL)
        pool = mmap(NULL, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t *head = (size_t *)(pool + used);
    used += (size + 31) / 16 * 16;
    head[0] = size;
    return head + 2;
}
void free(void *block)
{
#ifndef SHORT_FREE
    if (block != NULL)
        ((size_t *)block)[-2] = 0;
#endif
}
void *calloc(size_t count, size_t size) { return memset(malloc(count * size), 0, count * size); }
void *realloc(void *old, size_t size)
{
    size_t had = old == NULL ? 0 : ((size_t *)old)[-2];
    return memcpy(malloc(size), old == NULL ? pool : old, had < size ? had : size);
}
END
cat >stub.c <<'END'
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    (void)argv;
    void *(*volatile by_address)(size_t) = malloc;
    for (int i = 0; i < 100; i++)
        memset(by_address(10000), 1, 10000);
    return argc == 1 ? 0 : (int)write(1, "ready\n", 6) - 6 + (int)sleep(60);
}
END
cc -O1 -fno-builtin -shared -fPIC -o libfront.so front.c || fail "no allocator"
cc -fno-pie -no-pie -o stub stub.c || fail "no program"
mkdir -p front.d
LD_PRELOAD="$PWD/libfront.so:$OFFHEAP_LIB" OFFHEAP_EXACT=1 OFFHEAP_DIR=$PWD/front.d ./stub
expect_status 0 "$OFFHEAP_BIN" report "$(find front.d -name 'stub.*')"
expect_text out.txt '^ +1 +977 KiB +100 '

note "what an allocator holds that is not recorded is not called free"
cc -O1 -DSHORT_FREE -fno-builtin -shared -fPIC -o libfront.so front.c || fail "no allocator"
LD_PRELOAD="$PWD/libfront.so:$OFFHEAP_LIB" OFFHEAP_EXACT=1 ./stub stay >stay.txt &
staying=$!
wait_for_text stay.txt '^ready$' 10
expect_status 0 "$OFFHEAP_BIN" memory "$staying"
expect_text out.txt '^ +note +.*libfront.so has an allocator .* not recorded, because not all that frees'
expect_text out.txt '^ +[0-9.]+ [KM]iB +[0-9.]+%  malloc, not recorded   an allocator that is not recorded'
expect_text out.txt '^ +0 B +0\.0%  allocator retention'
kill -KILL "$staying"

# statistics NAME COMMAND...: the words of struct oh_format_jemalloc after a run.
statistics()
{
    statistics_dir=$PWD/$1.d
    shift
    mkdir -p "$statistics_dir"
    OFFHEAP_DIR=$statistics_dir LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 "$@" >/dev/null
    od -A n -t u8 -w56 -j 3432 -N 56 "$statistics_dir"/*.offheap
}

note "jemalloc's own statistics are in the recording"
for name in jemalloc jemalloc_je jemalloc_static; do
    statistics $name "$OFFHEAP_FIXTURES/$name" >stats.txt
    # What the program holds is 615,520 bytes and what jemalloc rounds up.
    awk '{ good = $1 > 615000 && $1 < 2000000 && $2 >= $1 && $3 > 0 && $4 >= $2 && $5 > $4 && $7 > 0 }
        END { exit !good }' stats.txt || fail "$name: allocated, active, ... are $(cat stats.txt)"
done
statistics leak "$OFFHEAP_FIXTURES/leak" | grep -Eq '^( +0){7}$' || fail "statistics without jemalloc"

note "taken apart by link-time optimization, as far as its symbols tell"
# Another form of one, and one that is missing with others in other forms.
objcopy --redefine-sym je_mallocx=je_other --redefine-sym je_arena_init=je_arena_init.constprop.0 \
    --redefine-sym je_arena_decay=je_arena_decay.part.0 --redefine-sym je_large_dalloc=je_a.isra.0 \
    --redefine-sym je_large_palloc=je_b.isra.0 --redefine-sym je_arena_palloc=je_c.isra.0 \
    "$OFFHEAP_FIXTURES/jemalloc_je" apart_mallocx
objcopy --redefine-sym je_rallocx=je_rallocx.constprop.0 "$OFFHEAP_FIXTURES/jemalloc_je" apart_rallocx
for name in apart_mallocx apart_rallocx; do
    run_fixture $name 0 ./$name
    expect_text $name.err 'link-time optimization has taken its functions apart'
    expect_status 0 "$OFFHEAP_BIN" report --sort alloc_space $name.pb.gz
    expect_text out.txt 'link-time optimization has taken its functions apart'
    expect_no_text out.txt 'by_malloc|by_rallocx'
done
# As what is seldom run is moved aside in any build.
objcopy --add-symbol je_free.cold=.text:0x10,function,local "$OFFHEAP_FIXTURES/jemalloc_je" cold_je
check cold_je ./cold_je

note "only what is used is there"
cat >some.c <<'END'
#include "truth.h"
void *je_calloc(size_t, size_t);
void *je_rallocx(void *, size_t, int);
void je_sdallocx(void *, size_t, int);
static FIXTURE_NOINLINE void by_calloc(void)
{
    fixture_took(je_calloc(1, 1400));
    je_sdallocx(fixture_took(je_calloc(1, 1400)), 1400, 0);
    fixture_keep_frame();
}
int main(void)
{
    by_calloc();
    fixture_print_main("by_calloc", 1400, 2, 1, "by_calloc,main");
    return je_rallocx == NULL;
}
END
cc -O2 -I"$OFFHEAP_SRC/fixtures/c" -o some some.c "$OFFHEAP_FIXTURES/libje_jemalloc.a" -lstdc++ -lm -lpthread
for name in malloc free mallocx dallocx realloc posix_memalign aligned_alloc memalign valloc xallocx; do
    objcopy --redefine-sym "je_$name=gone_${name}_" some || fail objcopy
done
check some ./some

note "a symbol table behind the sixty-fourth section"
set --
echo more >more.txt
while [ $# -lt 140 ]; do
    set -- "$@" --add-section ".more$#=more.txt"
done
objcopy "$@" "$OFFHEAP_FIXTURES/jemalloc_je" sections_je || fail objcopy
check sections_je ./sections_je

note "hidden among many local symbols"
awk 'BEGIN {
    print ".text"
    for (i = 0; i < 66000; i++)
        printf "local_%d: ret\n.type local_%d, @function\n.size local_%d, 1\n", i, i, i
}' >many.s
cc -O2 -D_GNU_SOURCE -DFIXTURE_PREFIX=je_ -o many "$OFFHEAP_SRC/fixtures/c/jemalloc.c" many.s \
    -Wl,--exclude-libs,ALL "$OFFHEAP_FIXTURES/libje_jemalloc.a" -lstdc++ -lm -lpthread \
    -z noexecstack || fail "many does not build"
check many ./many
# Nothing that is still global tells of it.
objcopy -w --localize-symbol='je_*' many || fail objcopy
run_fixture many 0 ./many
expect_text many.err 'all its names are local, among too many'
expect_no_text many.out '^FAIL'

note "stripped"
cp "$OFFHEAP_FIXTURES/jemalloc_je" stripped_je
cp "$OFFHEAP_FIXTURES/jemalloc_static" stripped_static
strip stripped_je stripped_static
run_fixture stripped_je 0 ./stripped_je
expect_text stripped_je.err 'stripped_je has jemalloc in it but no symbol table'
# Of this one the linker has exported malloc and its like.
run_fixture stripped_static 0 ./stripped_static
expect_status 0 "$OFFHEAP_BIN" report stripped_static.pb.gz
expect_text out.txt 'only what it exports is recorded'
# With holes between its segments, as lld lays them out: the C library then tells the range of one.
cc -O2 -D_GNU_SOURCE -DFIXTURE_PREFIX= -Wl,-z,max-page-size=0x200000 -s -o holes \
    "$OFFHEAP_SRC/fixtures/c/jemalloc.c" -l:libjemalloc.a -lstdc++ -lm -lpthread || fail "no holes"
run_fixture holes 0 ./holes
expect_status 0 "$OFFHEAP_BIN" report --sort alloc_space holes.pb.gz
expect_text out.txt 'only what it exports is recorded'
grep -Eq '^ +in use +[1-9]' out.txt || fail "nothing is recorded of a program with holes"
# The program is more than its allocator: what it maps is its own.
expect_text out.txt 'main mmap'

note "sampled"
expect_status 0 "$OFFHEAP_BIN" run --sample 64 -o s.pb.gz -- "$OFFHEAP_FIXTURES/jemalloc_je"
expect_no_text out.txt '^FAIL'
expect_file s.pb.gz

note "who asks whether jemalloc is there gets the truth"
cat >weak.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
extern void *mallocx(unsigned long, int) __attribute__((weak));
int main(void)
{
    printf("%d %d\n", mallocx != NULL, dlsym(RTLD_DEFAULT, "mallocx") != NULL);
    return 0;
}
END
cc -o weak weak.c
expect_status 0 "$OFFHEAP_BIN" run -o w.pb.gz -- ./weak
expect_text out.txt '^0 0$'
expect_status 0 "$OFFHEAP_BIN" run --allocator jemalloc -o w.pb.gz -- ./weak
expect_text out.txt '^1 1$'

note "--allocator"
check leak_on_glibc "$OFFHEAP_FIXTURES/leak"
expect_status 0 "$OFFHEAP_BIN" run --exact --allocator jemalloc -o leak.pb.gz -- \
    "$OFFHEAP_FIXTURES/leak"
cp out.txt leak.out
check_truth leak.out leak.pb.gz
expect_status 0 "$OFFHEAP_BIN" run --allocator jemalloc -o a.pb.gz -- \
    sh -c 'tr "\0" "\n" </proc/$$/maps | grep -c jemalloc'
expect_text out.txt '^[1-9]'
expect_status 0 env LD_PRELOAD=libdl.so.2 "$OFFHEAP_BIN" run --allocator jemalloc -o a.pb.gz -- env
expect_text out.txt '^LD_PRELOAD=.*liboffheap.so:/[^:]*libjemalloc.so.2:libdl.so.2$'
expect_status 125 "$OFFHEAP_BIN" run --allocator nosuch -- true
expect_text err.txt 'knows no nosuch'
expect_status 125 "$OFFHEAP_BIN" run --allocator ./weak.c -- true
expect_text err.txt 'no library for this machine'
expect_status 125 "$OFFHEAP_BIN" run --allocator ./weak -- true
expect_text err.txt 'no allocator: it exports no malloc'

finish
