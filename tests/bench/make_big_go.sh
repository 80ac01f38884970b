#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make_big_go.sh DIR [PACKAGES [FUNCTIONS]]: writes the source of a cgo program of PACKAGES packages
# with FUNCTIONS functions each into DIR (200 x 1,000: about 100 MB with its DWARF, minutes to
# build; 20 x 200: seconds). Built there with `go build -o big .`, it allocates C memory from
#
#     big STACKS DEPTH [SECONDS]
#
# STACKS different Go stacks of DEPTH generated frames, prints what it holds and, with SECONDS,
# stays that long.

set -eu

dir=$1
packages=${2-200}
functions=${3-1000}
mkdir -p "$dir/leaf"
printf 'module example.com/big\n\ngo 1.18\n' >"$dir/go.mod"

cat >"$dir/leaf/leaf.go" <<'END'
// Package leaf is where every stack of the program ends in C.
package leaf

// #include <stdlib.h>
// #include <string.h>
// static inline void *fill(void *block, size_t size) { return block ? memset(block, 1, size) : block; }
// static void *take(size_t size) { return fill(malloc(size), size); }
// __attribute__((noinline)) static void *hold(size_t size) { return take(size); }
import "C"

import "unsafe"

// Func is a generated function: it goes `depth` further functions down, chosen by `seed`.
type Func func(depth int, seed uint64) unsafe.Pointer

// Table has every generated function, so that the linker keeps them.
var Table []Func

// Next picks the function that comes after this one.
func Next(depth int, seed uint64) unsafe.Pointer {
	if depth <= 0 {
		return C.hold(C.size_t(16 + seed%112))
	}
	return Table[seed%uint64(len(Table))](depth-1, seed*6364136223846793005+1442695040888963407)
}
END

cat >"$dir/main.go" <<'END'
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"

	"example.com/big/leaf"
)

var held []unsafe.Pointer

func number(i, otherwise int) int {
	if i < len(os.Args) {
		if n, err := strconv.Atoi(os.Args[i]); err == nil {
			return n
		}
	}
	return otherwise
}

func main() {
	stacks, depth := number(1, 10000), number(2, 12)
	for i := 0; i < stacks; i++ {
		held = append(held, leaf.Next(depth, uint64(i)*0x9e3779b97f4a7c15>>20))
	}
	fmt.Printf("%d functions, %d blocks held\n", len(leaf.Table), len(held))
	time.Sleep(time.Duration(number(3, 0)) * time.Second)
}
END

awk -v dir="$dir" -v packages="$packages" -v functions="$functions" '
    BEGIN {
        main = dir "/packages.go"
        print "package main\n\nimport (" >main
        for (p = 0; p < packages; p++) {
            name = sprintf("p%03d", p)
            print "\t_ \"example.com/big/" name "\"" >main
            path = dir "/" name
            system("mkdir -p " path)
            file = path "/" name ".go"
            print "package " name "\n\nimport (\n\t\"unsafe\"\n\n\t\"example.com/big/leaf\"\n)\n" >file
            print "func init() {\n\tleaf.Table = append(leaf.Table," >file
            for (f = 0; f < functions; f++)
                printf "\t\tDoSomethingUseful%04d,\n", f >file
            print "\t)\n}\n" >file
            print "func mix(a, b uint64) uint64 {\n\ta ^= b >> 3\n\treturn a*31 + b\n}\n" >file
            for (f = 0; f < functions; f++) {
                printf "func DoSomethingUseful%04d(depth int, seed uint64) unsafe.Pointer {\n", f >file
                printf "\tvar sums [4]uint64\n" >file
                printf "\tfor i := range sums {\n\t\tsums[i] = mix(seed, uint64(i)+%d)\n\t}\n", f >file
                printf "\tif sums[seed&3] == %d {\n\t\treturn nil\n\t}\n", p * functions + f >file
                printf "\treturn leaf.Next(depth, seed)\n}\n\n" >file
            }
            close(file)
        }
        print ")" >main
    }'
