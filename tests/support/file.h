// SPDX-License-Identifier: Apache-2.0
//
// The recording's file as tests of recording/recording.c look at it. In children: what does not
// hold ends the process.

#ifndef OH_SUPPORT_FILE_H
#define OH_SUPPORT_FILE_H

#include <stdint.h>

#include "offheap/format.h"

// oh_recording_create in `dir`, exact: its result.
int oh_file_try(const char *dir, uint64_t max_bytes, enum oh_format_off_reason *reason);
void oh_file_create(const char *dir, uint64_t max_bytes);
// It must fail, with this error for this reason, and leave nothing in `dir`.
void oh_file_refuse(const char *dir, int error, enum oh_format_off_reason wanted);

struct oh_format_section *oh_file_last_level(enum oh_format_section_id id);
uint64_t oh_file_bytes(const char *path);
int oh_file_descriptor(void); // Of the recording; -1 when it is closed.

// A file of somebody else, and that it is still theirs.
void oh_file_put_theirs(const char *path);
void oh_file_must_be_theirs(const char *path);

#endif
