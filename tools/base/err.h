// SPDX-License-Identifier: Apache-2.0
//
// The error text of the command's side: what failed, on which thing, why, and what to try. A
// function that can fail in a way that a user sees returns a negative errno and fills the text,
// once, where the user's words are known. Printing is tools/cli's.

#ifndef OH_BASE_ERR_H
#define OH_BASE_ERR_H

struct oh_err {
    char text[1024]; // One or more lines without a newline at the end; "" when nothing failed.
};

// Fills the text (cut at its size, err may be NULL) and returns code.
__attribute__((format(printf, 3, 4))) int oh_err_set(struct oh_err *err, int code, const char *fmt,
                                                     ...);

// The same for a lack of memory: -ENOMEM.
int oh_err_no_memory(struct oh_err *err);

#endif
