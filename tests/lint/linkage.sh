#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# linkage.sh TREE LIBRARY: the library needs nothing but libc, is bound and read-only when it
# starts, has no search path of its own, and carries a build id.

. "$(dirname "$0")/common.sh"
library=$2
nm -D "$library" >/dev/null || { fault "$library: cannot be read"; finish; }

for needed in $(readelf -dW "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $needed in
    libc.so.6 | ld-linux-x86-64.so.2 | ld-linux-aarch64.so.1) ;;
    *) fault "$library: needs $needed" ;;
    esac
done
readelf -dW "$library" | grep -q 'BIND_NOW' || fault "$library: not linked with -z now"
if readelf -dW "$library" | grep -qE '\((TEXTREL|RPATH|RUNPATH)\)'; then
    fault "$library: has text relocations or a search path of its own"
fi
readelf -lW "$library" | grep -q 'GNU_RELRO' || fault "$library: no RELRO segment"
if readelf -lW "$library" | grep 'GNU_STACK' | grep -q 'RWE'; then
    fault "$library: asks for an executable stack"
fi
readelf -nW "$library" | grep -q 'Build ID:' || fault "$library: no build id"
finish
