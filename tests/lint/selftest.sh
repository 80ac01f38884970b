#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# selftest.sh TREE [CC]: each check of this folder passes on a small sound tree, and fails, naming
# the fault, when one is planted there.

. "$(dirname "$0")/common.sh"
lint=$1/tests/lint
cc=${2-cc}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree
spdx='// SPDX-License-Identifier: Apache-2.0'

put()
{
    mkdir -p "$(dirname "$tree/$1")"
    printf '%s\n' "$2" >"$tree/$1"
}

# A sound tree: two floors of the library, one of the command, the lists and the documents.
sound_tree()
{
    rm -rf "$tree"
    put include/offheap/hooks.def "$spdx
OH_HOOK(malloc)"
    put include/offheap/env.def "$spdx
OH_ENV(exact, \"OFFHEAP_EXACT\", \"0\", \"text\")"
    put include/offheap/format.h "$spdx
struct oh_format;"
    put preload/base/low.h "$spdx
int oh_low(void);"
    put preload/base/low.c "$spdx
#include \"base/low.h\"

int oh_low(void)
{
    return 0;
}"
    put preload/hooks/high.c "$spdx
#include \"base/low.h\"
#include \"offheap/format.h\""
    put tools/base/tool.h "$spdx
int oh_tool(void);"
    put tools/base/tool.c "$spdx
#include \"base/tool.h\""
    put README.md 'OFFHEAP_EXACT=1 records everything; OFFHEAP_WERROR is for CI.'
    put man/offheap.1 'OFFHEAP_EXACT'
    put CMakeLists.txt '# SPDX-License-Identifier: Apache-2.0
option(OFFHEAP_WERROR "" OFF)'
    put LICENSE 'Apache License'
    # shellcheck disable=SC2016
    put tools/run.sh '#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
echo "$1"'
    put tests/lint/calls.allow 'memcpy Copies bytes.
__cxa_finalize The C runtime.
__gmon_start__ The C runtime.
_ITM_deregisterTMCloneTable The C runtime.
_ITM_registerTMCloneTable The C runtime.'
    put tests/lint/sizes.allow '# none'
    put tests/lint/habits.allow '# none'
    cp "$lint/floors.txt" "$tree/tests/lint/"
    cp "$lint/../../.clang-format" "$tree/"
}

# Builds the library of the sound tree from the C text $1, with extra linker flags.
library()
{
    text=$1
    shift
    printf '{ global: malloc; offheap_*; local: *; };\n' >"$scratch/map"
    printf '%s\n' "$text" | "$cc" -shared -fPIC -O1 -fno-builtin -x c - -o "$scratch/lib.so" \
        -Wl,-z,now -Wl,--build-id "$@"
}

sound='void *malloc(unsigned long n) { return (void *)n; }
void offheap_mark(void) {}'

# The check $1 passes on what stands there now.
passes()
{
    check=$1
    shift
    sh "$lint/$check.sh" "$tree" "$@" >"$scratch/out" 2>&1 || {
        fault "$check.sh complains about a sound tree:"
        cat "$scratch/out"
    }
}

# The check $1 fails, and says $2.
fails()
{
    check=$1
    words=$2
    shift 2
    if sh "$lint/$check.sh" "$tree" "$@" >"$scratch/out" 2>&1; then
        fault "$check.sh accepts a tree where it should say: $words"
    elif ! grep -qF -- "$words" "$scratch/out"; then
        fault "$check.sh does not say \"$words\" but:"
        cat "$scratch/out"
    fi
}

sound_tree
for check in floors headers sizes licence environment habits format shell man; do
    passes "$check"
done
library "$sound" -Wl,--version-script="$scratch/map"
for check in exports linkage calls; do
    passes "$check" "$scratch/lib.so"
done

put preload/base/low.c "$spdx
#include \"hooks/up.h\""
put preload/hooks/up.h "$spdx
int oh_up(void);"
fails floors 'includes preload/hooks/up.h, which is not on a lower floor'
sound_tree
put tools/base/tool.c "$spdx
#include \"base/low.h\""
fails floors 'includes preload/base/low.h, which is not on a lower floor'
sound_tree
put tools/base/low.h "$spdx"
fails floors 'preload/ has a header of the same name'
sound_tree
put preload/odd/x.c "$spdx"
fails floors 'has no floor'
sound_tree
put preload/hooks/high.c "$spdx
#include \"base/low.c\""
fails floors 'includes the source file'
sound_tree
put preload/base/low.h "$spdx
oh_unknown_type oh_low(void);"
fails headers 'preload/base/low.h: does not compile alone'

sound_tree
{
    printf '%s\nint oh_long(void)\n{\n' "$spdx"
    i=0
    while [ $i -lt 60 ]; do
        echo '    oh_low();'
        i=$((i + 1))
    done
    printf '}\n'
} >"$tree/preload/base/low.c"
fails sizes 'function of 62 lines: int oh_long(void)'
put tests/lint/sizes.allow 'preload/base/low.c functions 70 A flat table.'
passes sizes
awk 'BEGIN { for (i = 0; i < 251; i++) print "//" }' >"$tree/preload/base/low.h"
fails sizes '251 lines, the limit is 250'

sound_tree
put preload/base/low.c 'int x;'
fails licence 'preload/base/low.c: no SPDX line'
sound_tree
rm "$tree/LICENSE"
fails licence 'LICENSE: missing'

sound_tree
put README.md 'nothing'
fails environment 'README.md: does not explain OFFHEAP_EXACT'
sound_tree
put man/offheap.1 'nothing'
fails environment 'man: no page explains OFFHEAP_EXACT'
sound_tree
put man/offheap.1 'OFFHEAP_EXACT OFFHEAP_GONE'
fails environment 'OFFHEAP_GONE is in neither'
sound_tree
put preload/hooks/high.c "$spdx
char *oh_x(void) { return getenv(\"A\"); }"
fails environment 'environment read outside base/config'

sound_tree
put tools/base/tool.c "$spdx
const char *oh_x(void) { return getenv(\"OFFHEAP_LIBRARY\"); }"
fails environment 'README.md: does not explain OFFHEAP_LIBRARY'

for fault_text in '// TO''DO: later|open end' 'int a = 0; volatile int b;|volatile' \
    '_Atomic int c;|without a wrapper' '#include <stdio.h>|not for code inside the host' \
    'void f(void) { abort(); }|not for code inside the host'; do
    sound_tree
    put preload/hooks/high.c "$spdx
${fault_text%|*}"
    fails habits "${fault_text#*|}"
done
sound_tree
put preload/base/low.h "$spdx
extern int oh_state;"
fails habits 'variable in a header'
put tests/lint/habits.allow 'preload/base/low.h oh_state The reason.'
passes habits

sound_tree
put preload/base/low.c "$spdx
int   x;"
fails format 'preload/base/low.c: run clang-format-14'
sound_tree
# shellcheck disable=SC2016
put tools/run.sh '#!/bin/sh
rm -rf $1/'
fails shell 'tools/run.sh: shellcheck complains'
put man/offheap.1 '.Dd January 1, 2026
.Dt OFFHEAP 1
.Os
.Sh NAME
.Dq At its end'
fails man 'Unknown AT&T UNIX version'

for check in exports linkage calls layout; do
    fails "$check" 'cannot be read' "$scratch/none.so"
done
sound_tree
library "$sound
void oh_leak(void) {}"
fails exports 'oh_leak: exported but not in hooks.def' "$scratch/lib.so"
library 'void offheap_mark(void) {}' -Wl,--version-script="$scratch/map"
fails exports 'malloc: in hooks.def but not exported' "$scratch/lib.so"
library "$sound" -Wl,--no-as-needed -lm
fails linkage 'needs libm.so.6' "$scratch/lib.so"
library "$sound" -Wl,-z,lazy
fails linkage 'not linked with -z now' "$scratch/lib.so"
library "$sound" -Wl,-z,norelro
fails linkage 'no RELRO' "$scratch/lib.so"
library "$sound" -Wl,-z,execstack
fails linkage 'executable stack' "$scratch/lib.so"
library "$sound" -Wl,--build-id=none
fails linkage 'no build id' "$scratch/lib.so"
library "$sound" -Wl,-rpath,/x
fails linkage 'search path' "$scratch/lib.so"
library "$sound
int puts(const char *); void offheap_say(void) { puts(\"x\"); }"
fails calls 'puts@offheap_say: called by the library' "$scratch/lib.so"
library "$sound
void *offheap_get(void) { return malloc(8); }"
fails calls 'malloc@offheap_get: called by the library' "$scratch/lib.so"
put tests/lint/calls.allow "$(cat "$tree/tests/lint/calls.allow")
malloc@offheap_get The reason."
passes calls "$scratch/lib.so"
library "$sound
void *offheap_get(void) { return malloc(8); }
void *offheap_other(void) { return malloc(9); }"
fails calls 'malloc@offheap_other: called' "$scratch/lib.so"
put tests/lint/layout.list 'often Its reason.'
library "$sound
int often; int seldom;"
fails layout 'often is read by every recorded event and shares a cache line with seldom' \
    "$scratch/lib.so"
library "$sound
int often[16] __attribute__((section(\"oh_read_mostly\"), aligned(64))) = {1}; int seldom = 2;"
passes layout "$scratch/lib.so"
library "$sound
int often __attribute__((section(\"oh_read_mostly\"))) = 1; int seldom = 2;"
fails layout 'oh_read_mostly: often shares a cache line with seldom outside of it' "$scratch/lib.so"
put tests/lint/layout.list 'never Its reason.'
fails layout 'there is no variable never' "$scratch/lib.so"
put tests/lint/layout.list ''
library "$sound
__thread char large[2048];"
fails layout '2048 bytes of thread-local storage' "$scratch/lib.so"
put tests/lint/calls.allow 'memcpy'
fails calls 'memcpy has no reason' "$scratch/lib.so"
finish
