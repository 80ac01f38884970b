// SPDX-License-Identifier: Apache-2.0

// The program of the cgo workloads, cgo OPS PAIRS: goroutines that call C, which allocates and frees
// so many pairs a call, from about 15 Go frames and 10 C frames. Prints as work.c does.
package main

/*
#include <stdlib.h>

static __attribute__((noinline)) void bench_pairs(int frames, int pairs)
{
    if (frames > 0) {
        bench_pairs(frames - 1, pairs);
    } else {
        for (int i = 0; i < pairs; i++) {
            void *block = malloc(64);
            __asm__ volatile("" : "+r"(block) : : "memory");
            free(block);
        }
    }
    __asm__ volatile("");
}
*/
import "C"

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
)

const (
	goFrames   = 12
	cFrames    = 8
	goroutines = 4
)

//go:noinline
func down(frames, calls, pairs int) int {
	if frames > 0 {
		return down(frames-1, calls, pairs) + 1
	}
	for i := 0; i < calls; i++ {
		C.bench_pairs(cFrames, C.int(pairs))
	}
	return 0
}

func processorNanoseconds() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func peakKiB() (kib int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	if at := bytes.Index(status, []byte("VmHWM:")); at >= 0 {
		fmt.Sscanf(string(status[at:]), "VmHWM: %d", &kib)
	}
	return kib
}

func main() {
	ops, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	pairs, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	start := processorNanoseconds()
	var group sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			down(goFrames, ops/goroutines/pairs, pairs)
		}()
	}
	group.Wait()
	end := processorNanoseconds()
	fmt.Printf("%.3f %d\n", float64(end-start)/float64(ops), peakKiB())
}
