// SPDX-License-Identifier: Apache-2.0
//
// See compile.h.

#include "support/compile.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/cmocka.h"

enum { COMMAND_BYTES = 2048, PATHS = 16 };

void oh_compile_run(const char *dir, const char *fmt, ...)
{
    char command[COMMAND_BYTES];
    char whole[2 * COMMAND_BYTES];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    assert_true(len > 0 && (size_t)len < sizeof command);
    (void)snprintf(whole, sizeof whole, "cd '%s' && { %s; }", dir, command);
    if (system(whole) != 0)
        fail_msg("failed: %s", command);
}

void oh_compile_write(const char *dir, const char *name, const char *text)
{
    FILE *file = fopen(oh_compile_path(dir, name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

const char *oh_compile_path(const char *dir, const char *name)
{
    static char paths[PATHS][512];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}
