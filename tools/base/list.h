// SPDX-License-Identifier: Apache-2.0
//
// A growing list of texts: warnings on their way from where they are found to tools/cli, which
// prints them; names that belong together. The texts are copies and go away with the list.

#ifndef OH_BASE_LIST_H
#define OH_BASE_LIST_H

#include <stddef.h>

struct oh_list {
    char **texts;
    size_t count;
    size_t room;
};

// printf into the list. 0 or -ENOMEM. A zeroed list is empty; list may be NULL (text dropped).
__attribute__((format(printf, 2, 3))) int oh_list_add(struct oh_list *list, const char *fmt, ...);
void oh_list_fini(struct oh_list *list);

#endif
