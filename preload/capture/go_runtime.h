// SPDX-License-Identifier: Apache-2.0
//
// The Go runtimes in this process: where their text and function tables lie, which generation
// they are, and the address ranges of the few runtime functions at which a stack changes its
// nature. Found by reading a loaded module's memory, never its sections or symbols, so stripped,
// position-independent and c-shared builds are the same to us.
//
// Who may call: any thread at any time.
//
// The list of runtimes is append-only:
//   states       an entry is free (no owner), owned (being written) or ready; entries are taken in
//                order, ready ones never change
//   writers      oh_go_runtime_add: the thread whose compare-and-swap put its module's address
//                into the owner word; another that brings the same module leaves it to that one
//   publication  oh_go_runtime_add's release of `ready` pairs with the acquire in the readers
//   progress     nobody looks at more than OH_GO_RUNTIME_MAX entries
//   dead writer  leaves an entry that is never ready: passed over
// A Go module cannot be unloaded (the runtime has no way to stop), so nothing is ever removed.

#ifndef OH_CAPTURE_GO_RUNTIME_H
#define OH_CAPTURE_GO_RUNTIME_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

#include "profile/pclntab.h"

enum { OH_GO_RUNTIME_MAX = 8 };

// Functions of the runtime that we must know by address: constant, name in Go's function table.
#define OH_GO_FUNCTIONS(X)                 \
    X(ASMCGOCALL, "runtime.asmcgocall")    \
    X(CGOCALL, "runtime.cgocall")          \
    X(CROSSCALL2, "crosscall2")            \
    X(GOEXIT, "runtime.goexit")            \
    X(MSTART, "runtime.mstart")            \
    X(RT0_GO, "runtime.rt0_go")            \
    X(MCALL, "runtime.mcall")              \
    X(MORESTACK, "runtime.morestack")      \
    X(SYSTEMSTACK, "runtime.systemstack")  \
    X(CGOCALLBACK, "runtime.cgocallback")  \
    X(SIGTRAMP, "runtime.sigtramp")        \
    X(CGO_MMAP, "runtime.callCgoMmap")     \
    X(CGO_MUNMAP, "runtime.callCgoMunmap") \
    X(RUNTIME_MAIN, "runtime.main")        \
    X(RUNTIME_EXIT, "runtime.exit")        \
    X(MAIN_MAIN, "main.main")

enum oh_go_function {
#define OH_GO_FUNCTION_CONSTANT(constant, name) OH_GO_##constant,
    OH_GO_FUNCTIONS(OH_GO_FUNCTION_CONSTANT)
#undef OH_GO_FUNCTION_CONSTANT
        OH_GO_FUNCTION_COUNT
};

enum oh_go_tables {
    OH_GO_TABLES_1_18, // Go 1.18 and 1.19.
    OH_GO_TABLES_1_20, // Go 1.20 and later.
};

struct oh_go_runtime {
    uint64_t text; // Go's code is [text, etext), a part of the ELF text segment.
    uint64_t etext;
    uint64_t pclntab; // The function table's header, in memory.
    uint64_t pclntab_end;
    uint64_t moduledata;
    uint64_t gofunc; // What function data offsets are relative to; 0 when unknown.
    uint64_t gofunc_end;
    uint32_t tables;           // enum oh_go_tables.
    uint16_t asmcgocall_depth; // Offsets from asmcgocall's stack pointer during the C call:
    uint16_t asmcgocall_g;     // where it keeps the depth of the goroutine's stack, and the g.
    uint8_t asmcgocall_known;  // The two offsets were recognised in its code.
    uint8_t asmcgocall_frame;  // asmcgocall has a frame pointer record of its own (Go 1.21).
    // Linked by Go's own linker, which drops call frame information and puts the C code of the
    // standard library among the Go code: the default for programs without C code of their own.
    uint8_t internally_linked;
    uint8_t reserved;
    // Around all functions of the list at which a stack ends or changes, but for crosscall2, which
    // lies far from them: an address outside need not be compared with each.
    uint64_t special_begin;
    uint64_t special_end;
    // A name can have two entries: the code and the wrapper between Go's two calling conventions.
    // begin is 0 when there is none.
    struct oh_go_range function[OH_GO_FUNCTION_COUNT][2];
};

// Looks for a Go runtime in a loaded module, given the difference between its addresses and
// those in the file, and its program headers (readable memory). 0, or -ENOENT when the module
// is not Go, or -EINVAL when it looks like Go but its tables make no sense.
int oh_go_runtime_find(uint64_t bias, const Elf64_Phdr *phdrs, unsigned phdr_count,
                       struct oh_go_runtime *out);

// Makes a runtime known to oh_go_runtime_at. 0, -EEXIST when it is (or is about to be) known, or
// -ENOSPC when the list is full.
int oh_go_runtime_add(const struct oh_go_runtime *runtime);

// The runtime in whose text pc lies, or NULL.
const struct oh_go_runtime *oh_go_runtime_at(uint64_t pc);

// The n-th runtime, in the order of their adding, or NULL when there is none or not yet.
const struct oh_go_runtime *oh_go_runtime_get(unsigned n);

// Whether pc - 1, so the call before the return address pc, lies in the function.
static inline bool oh_go_runtime_in(const struct oh_go_runtime *runtime,
                                    enum oh_go_function function, uint64_t pc)
{
    const struct oh_go_range *range = runtime->function[function];
    uint64_t call = pc - 1;
    return call - range[0].begin < range[0].end - range[0].begin ||
           call - range[1].begin < range[1].end - range[1].begin;
}

#endif
