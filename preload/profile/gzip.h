// SPDX-License-Identifier: Apache-2.0
//
// A gzip stream (zlib, level 1, as Go writes its profiles) into a sink. zlib's memory is the
// arena's. One thread at a time. Host-safe.

#ifndef OH_PROFILE_GZIP_H
#define OH_PROFILE_GZIP_H

#include <stddef.h>

#include "profile/arena.h"

// Takes all the bytes: 0, or a negative error number, which ends the writing.
typedef int oh_sink_fn(void *arg, const void *data, size_t size);

struct oh_gzip;

int oh_gzip_open(struct oh_gzip **gzip, struct oh_arena *arena, oh_sink_fn *sink, void *arg);
int oh_gzip_write(struct oh_gzip *gzip, const void *data, size_t size);
// Writes what is left. The stream is then over; its memory stays in the arena.
int oh_gzip_close(struct oh_gzip *gzip);

#endif
