// SPDX-License-Identifier: Apache-2.0
//
// The memory report as one JSON object. Sizes are whole bytes; what is not known is null or absent.

#ifndef OH_MEMORY_JSON_H
#define OH_MEMORY_JSON_H

#include <stdio.h>

#include "memory/table.h"

void oh_json_print(FILE *out, const struct oh_memory_report *report);

// The text as a JSON string, with its quotes. Bytes that are not UTF-8 become U+FFFD.
void oh_json_print_string(FILE *out, const char *text);

#endif
