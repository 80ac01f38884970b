// SPDX-License-Identifier: Apache-2.0
//
// Unpacks a gzip file in memory, with a bound on what comes out.

#ifndef OH_PROFILE_GUNZIP_H
#define OH_PROFILE_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool oh_gunzip_is_gzip(const void *data, size_t len);

// Several members one after the other are one text, as gzip has it. *out is the caller's to free.
// 0; -EINVAL: not gzip, damaged or cut short; -EFBIG: more than max_bytes; -ENOMEM.
int oh_gunzip(const void *data, size_t len, size_t max_bytes, uint8_t **out, size_t *out_len);

#endif
