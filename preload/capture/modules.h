// SPDX-License-Identifier: Apache-2.0
//
// Which files are loaded where: keeps the recording's table of modules (offheap/format.h) true
// while libraries come and go, without ever taking the loader's lock: a module is looked up by
// address with glibc's _dl_find_object, when a stack with an address in it is seen for the first
// time. Go runtimes found in new modules are announced to capture/go_runtime.
//
// States of a module known here: ACTIVE -> GONE (unloaded) -> ACTIVE (the same file came back to
//   the same place) or -> CLOSED (another file lies there: the epoch rises).
// Writers: any thread in oh_modules_note, oh_modules_unloaded; entries are append-only and claimed
//   by fetch-and-add. Two threads may register one module twice: harmless, readers take the first.
// Publication: an entry's state is stored with release when it is complete and loaded with acquire
//   by every search; the epoch is raised before a module is CLOSED, and the number of GONE modules
//   falls (release) after that, so whoever sees "settled" (acquire) sees the epoch that goes with it.
// Progress: no waiting; bounded tables. Dead writer: an entry that stays CLAIMED is skipped.

#ifndef OH_CAPTURE_MODULES_H
#define OH_CAPTURE_MODULES_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture/go_runtime.h"

// Once, after the recording was made, from a thread that may call dlsym: registers the executable
// and the modules that init code needs.
void oh_modules_init(void);

// The executable, as its Go runtime's patches need it: bias and headers, and the runtime when it is
// a Go program (else NULL). After oh_modules_init.
struct oh_modules_executable {
    uint64_t bias;
    const Elf64_Phdr *phdrs;
    unsigned phdr_count;
    const struct oh_go_runtime *go;
};
void oh_modules_executable(struct oh_modules_executable *executable);

// False while an address may have changed its meaning: a known stack must then be checked by
// oh_modules_note like a new one.
bool oh_modules_settled(void);

// The module epoch to intern a stack with.
uint64_t oh_modules_epoch(void);

// Makes sure that the module of every address is registered; the epoch to intern the stack with.
uint64_t oh_modules_note(const uint64_t *pcs, uint32_t depth);

// Around a call that may unload libraries.
void oh_modules_unloading(void);
void oh_modules_unloaded(void);

#endif
