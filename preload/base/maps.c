// SPDX-License-Identifier: Apache-2.0
#include "base/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include "base/sys.h"

enum { READ_BYTES = 1024 };

enum field { FIELD_BEGIN, FIELD_END, FIELD_MODE, FIELD_REST };

// A line as it comes byte by byte: "begin-end rwxp ...".
struct line {
    uint64_t bounds[FIELD_MODE];
    enum field field;
    bool readable;
};

static void take_byte(struct line *line, char c)
{
    if (line->field >= FIELD_REST)
        return;
    if (line->field == FIELD_MODE) {
        line->readable = c == 'r';
        line->field = FIELD_REST;
    } else if (c == '-' || c == ' ') {
        line->field++;
    } else {
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
        line->bounds[line->field] = line->bounds[line->field] << 4 | digit;
    }
}

int oh_maps_each(void (*each)(const struct oh_map *map, void *arg), void *arg)
{
    char buf[READ_BYTES];
    struct line line = {0};
    off_t at = 0;
    long got;
    long fd = oh_sys_open("/proc/self/maps", O_RDONLY, 0);
    if (fd < 0)
        return (int)fd;
    while ((got = oh_sys_pread((int)fd, buf, sizeof buf, at)) > 0 || got == -EINTR) {
        for (long i = 0; i < got; i++) {
            take_byte(&line, buf[i]);
            if (buf[i] != '\n')
                continue;
            const struct oh_map map = {line.bounds[FIELD_BEGIN], line.bounds[FIELD_END],
                                       line.readable};
            each(&map, arg);
            line = (struct line){0};
        }
        at += got > 0 ? got : 0;
    }
    (void)oh_sys_close((int)fd);
    return (int)got;
}
