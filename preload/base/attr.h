// SPDX-License-Identifier: Apache-2.0
//
// Compiler attributes and branch hints, each under one name.

#ifndef OH_BASE_ATTR_H
#define OH_BASE_ATTR_H

#define OH_EXPORT __attribute__((visibility("default")))
#define OH_HIDDEN __attribute__((visibility("hidden")))
#define OH_COLD __attribute__((cold))
#define OH_NOINLINE __attribute__((noinline))
#define OH_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))

// On functions that read stacks and other modules' data as plain bytes, the gaps between objects
// too: AddressSanitizer does not judge what they read themselves.
#define OH_READS_FOREIGN __attribute__((no_sanitize("address")))

// Only on the branch that leaves for a slow path.
#define oh_likely(condition) __builtin_expect(!!(condition), 1)
#define oh_unlikely(condition) __builtin_expect(!!(condition), 0)

#endif
