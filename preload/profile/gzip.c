// SPDX-License-Identifier: Apache-2.0
//
// See gzip.h.

#include "profile/gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <zlib.h>

enum {
    LEVEL = 1,
    WINDOW_BITS_GZIP = 15 + 16, // zlib's way to ask for a gzip header.
    MEMORY_LEVEL = 8,
    OUT_BYTES = 64 << 10,
};

struct oh_gzip {
    z_stream stream;
    oh_sink_fn *sink;
    void *arg;
    uint8_t out[OUT_BYTES];
};

static void *allocate(void *arena, unsigned count, unsigned size)
{
    return oh_arena_array(arena, count, size, _Alignof(max_align_t));
}

static void release(void *arena, void *block)
{
    (void)arena;
    (void)block;
}

int oh_gzip_open(struct oh_gzip **gzip, struct oh_arena *arena, oh_sink_fn *sink, void *arg)
{
    struct oh_gzip *made = oh_arena_alloc(arena, sizeof *made, _Alignof(struct oh_gzip));
    if (made == NULL)
        return -ENOMEM;
    made->sink = sink;
    made->arg = arg;
    made->stream.zalloc = allocate;
    made->stream.zfree = release;
    made->stream.opaque = arena;
    if (deflateInit2(&made->stream, LEVEL, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    *gzip = made;
    return 0;
}

// Compresses what stands in the stream's input; with Z_FINISH until the stream is over.
static int run(struct oh_gzip *gzip, int flush)
{
    z_stream *stream = &gzip->stream;
    do {
        stream->next_out = gzip->out;
        stream->avail_out = OUT_BYTES;
        if (deflate(stream, flush) == Z_STREAM_ERROR)
            return -EIO;
        size_t made = OUT_BYTES - stream->avail_out;
        int rc = made == 0 ? 0 : gzip->sink(gzip->arg, gzip->out, made);
        if (rc != 0)
            return rc;
    } while (stream->avail_out == 0);
    return 0;
}

int oh_gzip_write(struct oh_gzip *gzip, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size != 0) {
        unsigned part = size < UINT_MAX ? (unsigned)size : UINT_MAX;
        gzip->stream.next_in = (Bytef *)(uintptr_t)from;
        gzip->stream.avail_in = part;
        int rc = run(gzip, Z_NO_FLUSH);
        if (rc != 0)
            return rc;
        from += part;
        size -= part;
    }
    return 0;
}

int oh_gzip_close(struct oh_gzip *gzip)
{
    gzip->stream.next_in = gzip->out;
    gzip->stream.avail_in = 0;
    int rc = run(gzip, Z_FINISH);
    (void)deflateEnd(&gzip->stream);
    return rc;
}
