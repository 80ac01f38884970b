// SPDX-License-Identifier: Apache-2.0
//
// Error texts.

#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int oh_err_set(struct oh_err *err, int code, const char *fmt, ...)
{
    if (err == NULL) {
        return code;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return code;
}

int oh_err_no_memory(struct oh_err *err)
{
    return oh_err_set(err, -ENOMEM, "not enough memory");
}
