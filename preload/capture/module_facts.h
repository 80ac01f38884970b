// SPDX-License-Identifier: Apache-2.0
//
// What a loaded module says of itself: its place, its identity and its Go tables, read from its
// own memory and from the file system. Cold code: once per module. No shared state; any thread.

#ifndef OH_CAPTURE_MODULE_FACTS_H
#define OH_CAPTURE_MODULE_FACTS_H

#include <dlfcn.h>
#include <stdbool.h>

#include "capture/go_runtime.h"
#include "offheap/format.h"

// Fills everything but state, epochs and path. True when the module holds a Go runtime (*go).
bool oh_module_facts_read(struct oh_format_module *facts, const struct dl_find_object *object,
                          struct oh_go_runtime *go);

// Adds the path to the recording's strings.
void oh_module_facts_name(struct oh_format_module *facts, const struct dl_find_object *object);

// The same file at the same place.
bool oh_module_facts_same(const struct oh_format_module *a, const struct oh_format_module *b);

#endif
