#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tools/demo.sh
#
# From nothing to the answer: brings what the build needs, builds the release preset and a small Go
# service that holds memory in C (fixtures/demo), runs it under `offheap run`, prints the report and
# the pprof of both heaps, Go's own and C's, and what grows while it works. Prints each command before
# it runs it. Run it as often as you like. Needs Debian 12 and apt; whatever else is missing is
# installed.

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
out=build/demo

fail()
{
    printf '%s\n' "demo: $*" >&2
    exit 1
}

# What the next command is for.
say()
{
    printf '\n== %s\n' "$*"
}

# Prints a command line as one would type it in the tree's folder, and runs it.
show()
{
    printf '$ %s\n' "$1"
    (eval "$1")
}

# --- a Go toolchain, 1.19 or newer --------------------------------------------------------------

is_usable_go()
{
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    case $version in
    go1.[0-9] | go1.[0-9].* | go1.1[0-8] | go1.1[0-8].*) return 1 ;;
    go[1-9]* | devel*) return 0 ;;
    *) return 1 ;;
    esac
}

# Sets go to the first usable of: the one in PATH, the one of go.dev's archive, Debian's, newest
# first.
find_go()
{
    for go in "$(command -v go || true)" /usr/local/go/bin/go \
        $(find /usr/lib -maxdepth 1 -name 'go-[0-9]*' | sort -rV | sed 's|$|/bin/go|'); do
        if [ -x "$go" ] && is_usable_go "$go"; then
            return 0
        fi
    done
    return 1
}

install_go()
{
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            fail "no Go here, and neither root nor sudo; as root, run: apt-get install golang-1.19-go"
        as_root=sudo
    fi
    # A source of packages that does not answer matters only if the package is then not found.
    $as_root apt-get -q update || true
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y install --no-install-recommends golang-1.19-go ||
        fail "apt could not install golang-1.19-go; put any Go from 1.19 on into PATH instead"
    find_go || fail "golang-1.19-go is installed, but no Go was found under /usr/lib"
}

# --- the parts in order -------------------------------------------------------------------------

say "What the build needs"
show 'sh tools/setup.sh'

say "offheap itself"
show 'cmake --preset release --log-level=WARNING'
show 'cmake --build --preset release'

say "A Go program to look at, from fixtures/demo"
find_go || install_go
PATH=$(dirname "$go"):$PATH
[ -n "${HOME-}" ] || HOME=$root/$out # Go's build cache lies below it.
export PATH HOME CGO_ENABLED=1 GOWORK=off GOFLAGS=-buildvcs=false
mkdir -p "$out"
show 'go version'
show '(cd fixtures/demo && go build -trimpath -o ../../build/demo/orders .)'

say "It runs and is recorded; at its end it writes Go's own heap profile, too"
show 'build/release/offheap run -o build/demo/offheap.pb.gz -- build/demo/orders -heap build/demo/go.pb.gz'

say "What C code holds, and who asked for it"
show 'build/release/offheap report build/demo/offheap.pb.gz'

say "The part of it that package initialisation allocated"
show 'build/release/offheap report --phase init build/demo/offheap.pb.gz'

say "Both heaps in one graph"
show 'go tool pprof -top -nodecount=25 build/demo/go.pb.gz build/demo/offheap.pb.gz'

say "One node of that graph: db's init, in Go's profile, in offheap's, and in both together"
node=example.com/orders/db.init.0
for profiles in 'build/demo/go.pb.gz' 'build/demo/offheap.pb.gz' \
    'build/demo/go.pb.gz build/demo/offheap.pb.gz'; do
    show "go tool pprof -top $profiles | grep -E 'flat%|$node'"
done

say "The same service under load: its resident size grows, its Go heap does not"
export OFFHEAP_DIR="$PWD/$out" # Where the recording goes.
# shellcheck disable=SC2016 # show expands it.
show 'LD_PRELOAD=$PWD/build/release/liboffheap.so build/demo/orders -orders 100000000 -rate 10000 & echo $! >build/demo/pid'
trap 'kill "$(cat $out/pid)" 2>/dev/null' EXIT
show 'sleep 10 # until it has found its size, but for the leak'
# shellcheck disable=SC2016
show 'build/release/offheap memory --watch 10s $(cat build/demo/pid)'
# shellcheck disable=SC2016
show 'kill $(cat build/demo/pid)'
rm -f "$out"/orders.*.offheap

say "Look around yourself"
printf '%s\n' 'go tool pprof -http=: build/demo/go.pb.gz build/demo/offheap.pb.gz'
