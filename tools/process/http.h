// SPDX-License-Identifier: Apache-2.0
//
// One plain HTTP GET, for asking a program on this machine or its neighbour what it knows of
// itself. No TLS, no redirection.

#ifndef OH_PROCESS_HTTP_H
#define OH_PROCESS_HTTP_H

#include "base/err.h"

// The body of http://HOST[:PORT]/PATH, to be freed, NUL-terminated. Every wait ends after timeout_s.
// 0, -EINVAL (not such a URL, or not an answer of HTTP), -ENOENT (another status than 200),
// -ETIMEDOUT, -EFBIG or another negative errno.
int oh_http_get(const char *url, unsigned timeout_s, char **body, struct oh_err *err);

#endif
