// SPDX-License-Identifier: Apache-2.0
//
// Unpacks a gzip file in memory.

#include "profile/gunzip.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { OH_GZIP_WINDOW_BITS = 15 + 16 }; // The largest window, gzip's own header.

struct oh_gunzip_out {
    uint8_t *bytes;
    size_t used;
    size_t room;
    size_t max;
};

bool oh_gunzip_is_gzip(const void *data, size_t len)
{
    return len >= 2 && memcmp(data, "\x1f\x8b", 2) == 0;
}

static int make_room(struct oh_gunzip_out *out)
{
    if (out->used < out->room) {
        return 0;
    }
    if (out->room >= out->max) {
        return -EFBIG;
    }
    const size_t wanted = out->room == 0 ? (size_t)1 << 16 : out->room * 2;
    const size_t room = wanted < out->max ? wanted : out->max;
    uint8_t *const larger = realloc(out->bytes, room);
    if (larger == NULL) {
        return -ENOMEM;
    }
    out->bytes = larger;
    out->room = room;
    return 0;
}

static uInt at_most_uint(size_t n)
{
    return n < UINT_MAX ? (uInt)n : UINT_MAX;
}

// One member; what is left of the input stays in stream.
static int inflate_member(z_stream *stream, size_t *left, struct oh_gunzip_out *out)
{
    for (;;) {
        const int result = make_room(out);
        if (result < 0) {
            return result;
        }
        const uInt given_in = at_most_uint(*left);
        const uInt given_out = at_most_uint(out->room - out->used);
        stream->avail_in = given_in;
        stream->avail_out = given_out;
        stream->next_out = out->bytes + out->used;
        const int status = inflate(stream, Z_NO_FLUSH);
        *left -= given_in - stream->avail_in;
        out->used += given_out - stream->avail_out;
        if (status == Z_STREAM_END) {
            return 0;
        }
        const bool stuck = given_in == stream->avail_in && given_out == stream->avail_out;
        if (status == Z_MEM_ERROR) {
            return -ENOMEM;
        }
        if ((status != Z_OK && status != Z_BUF_ERROR) || stuck) {
            return -EINVAL;
        }
    }
}

int oh_gunzip(const void *data, size_t len, size_t max_bytes, uint8_t **out, size_t *out_len)
{
    struct oh_gunzip_out unpacked = {.max = max_bytes};
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)data};
    if (inflateInit2(&stream, OH_GZIP_WINDOW_BITS) != Z_OK) {
        return -ENOMEM;
    }
    size_t left = len;
    int result = 0;
    do {
        result = inflate_member(&stream, &left, &unpacked);
        if (result == 0 && left > 0 && inflateReset(&stream) != Z_OK) {
            result = -EINVAL;
        }
    } while (result == 0 && left > 0);
    (void)inflateEnd(&stream);
    if (result < 0) {
        free(unpacked.bytes);
        return result;
    }
    *out = unpacked.bytes;
    *out_len = unpacked.used;
    return 0;
}
