# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What the integration scripts share; each begins with `. "$OFFHEAP_SRC/tests/integration/lib.sh"`
# and ends with `finish`. The working directory is the script's own.
#
# A check that fails says so and lets the script go on: one run shows all that is wrong.

set -u
unset OFFHEAP_EXACT OFFHEAP_SAMPLE_BYTES OFFHEAP_PROFILE OFFHEAP_MAX_BYTES OFFHEAP_MAX_DEPTH \
    OFFHEAP_DISABLE OFFHEAP_RUN_TOKEN OFFHEAP_TIMELINE FIXTURE_REPS FIXTURE_HEAP

# Each script's recordings lie beside its other files.
OFFHEAP_DIR=$PWD/recordings
export OFFHEAP_DIR
mkdir -p "$OFFHEAP_DIR"

for needed in "$OFFHEAP_BIN" "$OFFHEAP_LIB" "$OFFHEAP_FIXTURES/leak"; do
    [ -r "$needed" ] || { echo "FAIL $needed is not built"; exit 1; }
done

failures=0

fail()
{
    printf 'FAIL %s\n' "$*"
    failures=$((failures + 1))
}

note()
{
    printf '%s\n' "-- $*"
}

skip()
{
    printf 'skipped: %s\n' "$*"
    exit 77
}

finish()
{
    [ "$failures" -eq 0 ] || { printf '%s failed\n' "$failures"; exit 1; }
    echo passed
    exit 0
}

# expect_status WANT COMMAND...: runs it with its output in out.txt and err.txt.
expect_status()
{
    expect_want=$1
    shift
    "$@" >out.txt 2>err.txt </dev/null
    expect_got=$?
    [ "$expect_got" -eq "$expect_want" ] ||
        { fail "status $expect_got, want $expect_want: $*"; sed 's/^/     /' err.txt | head -5; }
}

# expect_text FILE REGEX [WHY]
expect_text()
{
    grep -Eq -e "$2" "$1" ||
        { fail "${3:-no match} for '$2' in $1:"; sed 's/^/     /' "$1" | head -8; }
}

expect_no_text()
{
    if grep -Eq -e "$2" "$1"; then
        fail "${3:-unwanted}: '$2' in $1:"
        grep -E -e "$2" "$1" | sed 's/^/     /' | head -5
    fi
}

expect_file()
{
    [ -s "$1" ] || fail "no file $1"
}

# --- Go and its pprof ----------------------------------------------------------------------------

# The go commands of this machine, oldest version first, one path a line.
go_commands()
{
    for go_candidate in /usr/lib/go-*/bin/go "$(command -v go)" /usr/local/go/bin/go; do
        [ -x "$go_candidate" ] || continue
        printf '%s %s\n' "$(GOTOOLCHAIN=local "$go_candidate" env GOVERSION)" "$go_candidate"
    done | sort -t. -k1,1 -k2,2n -k3,3n | awk '!seen[$1]++ { print $2 }'
}

# The oldest is the quickest to start (since Go 1.25 pprof is compiled at its first use).
pprof_go()
{
    [ -n "${PPROF_GO:-}" ] || PPROF_GO=$(go_commands | head -n 1)
    [ -n "$PPROF_GO" ] || skip "no Go, and so no pprof"
}

# pprof ARGUMENTS...: go tool pprof of $PPROF_GO. It exits 0 even when a file of several is bad, so
# its messages go to pprof.err and are for the caller to look at.
pprof()
{
    pprof_go
    GOTOOLCHAIN=local PPROF_TMPDIR="$PWD" "$PPROF_GO" tool pprof "$@" 2>pprof.err
}

# raw PROFILE: what is in it, as text. Nothing is left to symbolize; pprof demangles the C++ names of a
# profile that the library wrote by itself.
raw()
{
    pprof -symbolize=local -raw "$1" || { fail "pprof cannot read $1"; cat pprof.err; }
}

# check_truth TRUTH PROFILE [awk options]: every case of the truth is in the profile, to the byte.
check_truth()
{
    check_truth_file=$1
    check_profile=$2
    shift 2
    [ -s "$check_profile" ] || { fail "no profile $check_profile"; return 1; }
    raw "$check_profile" >"$check_profile.raw"
    awk -f "$OFFHEAP_SRC/tests/support/check_truth.awk" "$@" "$check_truth_file" \
        "$check_profile.raw" || { fail "$check_profile differs from the truth"; return 1; }
}

# go_fixture FORM: builds that form with $OFFHEAP_GO ($GOTOOLCHAIN may choose its version), sets
# $fixture to its path.
go_fixture()
{
    fixture=$(sh "$OFFHEAP_SRC/fixtures/go/build.sh" "$OFFHEAP_GO" "$1" "$OFFHEAP_FIXTURES/go")
    case $? in
    0) ;;
    77) skip "$OFFHEAP_GO ${GOTOOLCHAIN:-} cannot build the form $1 here" ;;
    *) fail "the Go fixture does not build as $1"; finish ;;
    esac
}

# --- offheap -------------------------------------------------------------------------------------

# run_fixture NAME STATUS PROGRAM...: under `offheap run --exact`; truth in NAME.out, messages in
# NAME.err, profile NAME.pb.gz.
run_fixture()
{
    run_name=$1
    run_want=$2
    shift 2
    "$OFFHEAP_BIN" run --exact -o "$run_name.pb.gz" -- "$@" >"$run_name.out" 2>"$run_name.err" \
        </dev/null
    run_got=$?
    [ "$run_got" -eq "$run_want" ] ||
        { fail "$run_name: status $run_got, want $run_want"; tail -n 5 "$run_name.err"; }
}

# wait_for_text FILE REGEX SECONDS
wait_for_text()
{
    wait_left=$(($3 * 20))
    until grep -Eq -e "$2" "$1" 2>/dev/null; do
        wait_left=$((wait_left - 1))
        [ "$wait_left" -gt 0 ] || { fail "no '$2' in $1 after $3 s"; return 1; }
        sleep 0.05
    done
}

# recording_of PID: the path of that process's recording.
recording_of()
{
    find "$OFFHEAP_DIR" -name "*.$1.*.offheap" | head -n 1
}
