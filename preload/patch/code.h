// SPDX-License-Identifier: Apache-2.0
//
// Writes a few bytes over memory of this process that may be read-only, as code is: through
// /proc/self/mem, which needs no change of protection. (mprotect can fail half-way, under
// MemoryDenyWriteExecute or SELinux, and leave code that cannot be executed.)
//
// Only before any other thread runs the code: from our constructor, or from inside the loader.

#ifndef OH_PATCH_CODE_H
#define OH_PATCH_CODE_H

#include <stddef.h>
#include <stdint.h>

// Writes only when the memory holds the size bytes of expected, and reads the result back.
// 0; -EILSEQ: it held something else; -EIO: the bytes are not there afterwards; or the error of
// opening or writing. In every case but the first and -EIO nothing was changed.
int oh_code_write(uint64_t address, const void *expected, const void *bytes, size_t size);

#endif
