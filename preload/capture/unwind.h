// SPDX-License-Identifier: Apache-2.0
//
// The stack of the calling thread as addresses, through C and Go, in both directions:
// C by its call frame information (quick, and where that does not do, unwind_c), Go by frame
// pointers (unwind_go), C again after a callback. This file only drives them, and leaves out the
// frames of this library itself.
//
// Who may call: any thread of the host, from inside a hook, after the caller has taken the
// re-entry guard. Never in a forked child. No call allocates, locks, prints, or touches errno.
// Once the addresses of a stack have been seen, a capture makes no system call.
// Elsewhere: what is readable memory (readable), which modules are Go (go_runtime).

#ifndef OH_CAPTURE_UNWIND_H
#define OH_CAPTURE_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

enum { OH_UNWIND_MAX = 512 };

enum oh_unwind_end {
    OH_UNWIND_END_CLEAN,  // The stack's own end: main, clone, runtime.goexit and their like.
    OH_UNWIND_END_DEPTH,  // There are more frames than the caller has room for.
    OH_UNWIND_END_BROKEN, // Code without call frame information, or a frame that makes no sense.
    OH_UNWIND_END_COUNT
};

// Once, before the first capture; later calls do nothing. May be called from a malloc hook before
// any constructor has run, with the re-entry guard held (it calls dlsym once).
void oh_unwind_init(void);

// Called during a capture, with an address whose caller cannot be found: it may lie in a Go module
// that was loaded meanwhile. learn makes the module known (oh_go_runtime_add) if that is so; the
// capture then goes on. Once, before the first capture.
void oh_unwind_on_unknown(void (*learn)(uint64_t pc));

struct oh_caller; // capture/registers_x86_64.h
struct oh_recall; // These two: capture/recall.h
struct oh_recalled;

// Writes up to max (at most OH_UNWIND_MAX) return addresses into pcs, leaf first, and tells in
// *end why it stopped. The caller's hook is not among them: pcs[0] lies in the host's code.
// An address is the one after the call, so address - 1 is inside the calling instruction; where a
// signal interrupted a function the address is that of the interrupted instruction plus one, so
// that the same rule holds. Returns the number of addresses, 0 when nothing could be had.
// `caller` is where the hook was called, so that a quick walk can begin there; NULL where that is
// not known: then the full walk begins in here. Both give the same addresses.
unsigned oh_unwind_capture(const struct oh_caller *caller, uint64_t *pcs, unsigned max,
                           enum oh_unwind_end *end);

// The same when only the frames that changed since the thread's last capture need to be walked
// (recall): true with the stack in *recalled, until oh_recall_end; it ends clean. False:
// oh_unwind_capture is to be asked.
bool oh_unwind_recall(const struct oh_caller *caller, unsigned max, struct oh_recall *recall,
                      struct oh_recalled *recalled);

// Forgets what was learnt about code addresses. To be called when a module was unloaded, before
// its addresses can be used again; cheap, any thread.
void oh_unwind_forget_modules(void);

#endif
