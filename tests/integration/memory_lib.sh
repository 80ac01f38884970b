# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What the tests of `offheap memory` share; sourced after lib.sh.

started=
trap 'for pid in $started; do kill -KILL "$pid" 2>/dev/null; done' EXIT

# start COMMAND...: in the background, with the library when $recorded says so; $pid, its output in
# program.out. Returns when it says `ready`.
recorded=exact
start()
{
    rm -f program.out
    case $recorded in
    exact) LD_PRELOAD=$OFFHEAP_LIB OFFHEAP_EXACT=1 "$@" >program.out 2>program.err & ;;
    sampled) LD_PRELOAD=$OFFHEAP_LIB "$@" >program.out 2>program.err & ;;
    no) "$@" >program.out 2>program.err & ;;
    esac
    pid=$!
    started="$started $pid"
    wait_for_text program.out '^ready$' 60
}

stop()
{
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
}

# look [OPTIONS]: `offheap memory` of $pid as JSON in look.json; the sum rule holds for it.
look()
{
    expect_status 0 "$OFFHEAP_BIN" memory --json "$@" "$pid"
    cp out.txt look.json
    sum=$(sed -n '/"parts": {/,/}/s/.*: \(-\{0,1\}[0-9]*\),\{0,1\}$/\1/p' look.json |
        awk '{ n += $1 } END { printf "%.0f", n }')
    rss=$(number rss)
    within "the sum of the parts" "$sum" "$rss" 0
    within "unclaimed" "$(number unclaimed)" 0 0 "$(percent 3 "$rss")"
}

# number KEY: a value of look.json, as it stands on a line of its own or in a list.
number()
{
    sed -n "s/.*\"$1\": \\(-\\{0,1\\}[0-9]*\\).*/\\1/p" look.json | head -n 1
}

# percent P OF
percent()
{
    awk -v p="$1" -v of="$2" 'BEGIN { printf "%.0f", p * of / 100 }'
}

# within WHAT GOT WANT BELOW ABOVE: WANT - BELOW <= GOT <= WANT + ABOVE
within()
{
    awk -v got="${2:-x}" -v want="$3" -v below="$4" -v above="${5:-$4}" \
        'BEGIN { exit !(got ~ /^-?[0-9]+$/ && got >= want - below && got <= want + above) }' ||
        { fail "$1: $2, want $3 (-$4, +${5:-$4})"; sed 's/^/     /' look.json | head -60; }
}

# truth PART: what the program says.
truth()
{
    sed -n "s/^truth $1 //p" program.out
}

# verdict REGEX: one of the findings is of that kind.
verdict()
{
    expect_text look.json "\"kind\": \"$1\"" "the verdict lacks"
}

no_verdict()
{
    expect_no_text look.json "\"kind\": \"$1\"" "the verdict has"
}
