// SPDX-License-Identifier: Apache-2.0
//
// Small programs and libraries that a test builds for itself with the machine's own cc and
// binutils: what tests of symbols look at must be made by others than us.

#ifndef OH_SUPPORT_COMPILE_H
#define OH_SUPPORT_COMPILE_H

// Runs a shell command in the directory; fails the calling test when it does not succeed.
__attribute__((format(printf, 2, 3))) void oh_compile_run(const char *dir, const char *fmt, ...);

void oh_compile_write(const char *dir, const char *name, const char *text);

// dir/name in a static buffer; sixteen calls until one is used again.
const char *oh_compile_path(const char *dir, const char *name);

#endif
