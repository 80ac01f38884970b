// SPDX-License-Identifier: Apache-2.0
//
// A growing list of texts.

#include "base/list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int make_room(struct oh_list *list)
{
    if (list->count < list->room) {
        return 0;
    }
    const size_t room = list->room == 0 ? 8 : list->room * 2;
    char **const larger = realloc(list->texts, room * sizeof larger[0]);
    if (larger == NULL) {
        return -ENOMEM;
    }
    list->texts = larger;
    list->room = room;
    return 0;
}

int oh_list_add(struct oh_list *list, const char *fmt, ...)
{
    if (list == NULL) {
        return 0;
    }
    if (make_room(list) < 0) {
        return -ENOMEM;
    }
    va_list args;
    va_start(args, fmt);
    const int len = vasprintf(&list->texts[list->count], fmt, args);
    va_end(args);
    if (len < 0) {
        return -ENOMEM;
    }
    list->count++;
    return 0;
}

void oh_list_fini(struct oh_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->texts[i]);
    }
    free(list->texts);
    *list = (struct oh_list){0};
}
