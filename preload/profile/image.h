// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a module that names are read from: a file mapped read-only, checked against the
// identity that the recording has of it, or what is loaded in this very process. Used by
// symbols.c only. One thread at a time. Host-safe.
//
// A file that is cut short in place while it is mapped would end us with SIGBUS; files of running
// programs are replaced by renaming (the kernel refuses to write to a running executable).

#ifndef OH_PROFILE_IMAGE_H
#define OH_PROFILE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offheap/format.h"
#include "profile/elf.h"

struct oh_image {
    const uint8_t *bytes;
    size_t size;
    struct oh_elf elf;
};

// 0; -ENOENT: no such file; -ESTALE: another file than `identity` tells (NULL: not checked);
// -ENOEXEC or another negative error: it cannot be used.
int oh_image_open(struct oh_image *image, const char *path,
                  const struct oh_format_module *identity);
void oh_image_close(struct oh_image *image);

// How many readable bytes of this process lie from the address on without a gap, 0 when none do.
size_t oh_image_loaded_bytes(uint64_t address);

#endif
