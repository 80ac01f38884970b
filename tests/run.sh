#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/run.sh [PART ...]
#
# Everything from nothing: packages, builds, tests. Parts, in this order when none is named:
#   setup        sh tools/setup.sh --tests
#   build        the release preset, warnings are errors
#   asan-ubsan   its build; unit and stress tests under AddressSanitizer and UBSan
#   tsan         its build; unit and stress tests under ThreadSanitizer
#   all          every test of the release build: unit, stress, lint, integration
# Also, each with the build it needs: unit, stress, lint, integration (that label in the
# release preset) and coverage (the lines that unit and stress tests run, in build/coverage).
# Ends with ctest's own summary; the exit status is 0 when every part passed. A part that fails
# does not keep the next one from running, except setup and build.

set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit 1
jobs=$(nproc)
failed=

# Runs the command of a part under its name. Nothing is said after a part that passed, so that the
# last words of a good run are ctest's.
part()
{
    title=$1
    shift
    printf '\n== %s (%s)\n' "$title" "$(date -u +%H:%M:%S)"
    "$@" && return 0
    printf '== %s FAILED\n' "$title" >&2
    failed="$failed $title"
    return 1
}

# Configures and builds the preset $1; warnings are errors.
build()
{
    cmake --preset "$1" -DOFFHEAP_WERROR=ON -DOFFHEAP_TESTS=ON >"build/$1.configure.log" 2>&1 ||
        { cat "build/$1.configure.log"; return 1; }
    cmake --build --preset "$1" -j "$jobs" -- --quiet
}

# Runs the tests of the preset $1; what follows goes to ctest.
run_tests()
{
    preset=$1
    shift
    ctest --preset "$preset" --no-tests=error -j "$jobs" "$@"
}

tested()
{
    build "$1" && run_tests "$@"
}

# The report is made of what ran, also when a test failed; gcov's files go where it runs.
coverage()
{
    build coverage || return 1
    find build/coverage -name '*.gcda' -exec rm -f {} +
    status=0
    run_tests coverage -L 'unit|stress' || status=1
    mkdir -p build/coverage/gcov
    find build/coverage/preload build/coverage/tools -name '*.gcda' | sort | while read -r data; do
        (cd build/coverage/gcov && gcov -n -r -s "$root" "$root/$data" 2>/dev/null)
    done | awk -F"'" '
        /^File/ { file = $2 }
        /^Lines executed/ && file ~ /\.c$/ { sub(/^Lines executed:/, ""); print file ": " $0; file = "" }
    ' | sort >build/coverage/lines.txt
    cat build/coverage/lines.txt
    return "$status"
}

mkdir -p build
for name in "${@:-everything}"; do
    case $name in
    everything)
        part setup sh tools/setup.sh --tests || exit 1
        part build build release || exit 1
        part asan-ubsan tested asan-ubsan -L 'unit|stress'
        part tsan tested tsan -L 'unit|stress'
        part all run_tests release
        ;;
    setup) part setup sh tools/setup.sh --tests || exit 1 ;;
    build) part build build release || exit 1 ;;
    asan-ubsan | tsan) part "$name" tested "$name" -L "unit|stress" ;;
    all) part all tested release ;;
    unit | stress | lint | integration) part "$name" tested release -L "^$name\$" ;;
    coverage) part coverage coverage ;;
    *)
        printf '%s\n' "tests/run.sh: unknown part: $name" >&2
        exit 2
        ;;
    esac
done

if [ -n "$failed" ]; then
    printf '\ntests/run.sh: failed:%s\n' "$failed" >&2
    exit 1
fi
