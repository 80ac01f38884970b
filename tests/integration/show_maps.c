// SPDX-License-Identifier: Apache-2.0
//
// show_maps RECORDING: what a recording holds as mapped, one range a line: kind, begin, end, bytes,
// the number of its call. Then, a line each, the kinds with the bytes of their ranges: `sum KIND
// BYTES`.

#include <inttypes.h>
#include <stdio.h>

#include "profile/ranges.h"
#include "reader/reader.h"

static const size_t arena_bytes = (size_t)256 << 20;

int main(int argc, char **argv)
{
    struct oh_reader reader;
    struct oh_err err;
    struct oh_arena arena;
    struct oh_view_ranges ranges;
    uint64_t sums[OH_KIND_COUNT] = {0};
    if (argc != 2 || oh_reader_open(&reader, argv[1], &err) < 0) {
        (void)fprintf(stderr, "show_maps: %s\n", argc != 2 ? "which RECORDING or PID?" : err.text);
        return 1;
    }
    if (oh_arena_init(&arena, arena_bytes) != 0 ||
        oh_ranges_read(&reader.view, &arena, &ranges) != 0) {
        (void)fputs("show_maps: no memory\n", stderr);
        return 1;
    }
    for (uint64_t i = 0; i < ranges.count; i++) {
        const struct oh_view_range *const range = &ranges.ranges[i];
        const char *const kind = oh_kind_name(range->kind);
        (void)printf("%s %" PRIx64 " %" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
                     kind != NULL ? kind : "unknown", range->begin, range->end,
                     range->end - range->begin, range->call);
        if (kind != NULL) {
            sums[range->kind] += range->end - range->begin;
        }
    }
    for (uint8_t kind = OH_KIND_MMAP; kind < OH_KIND_COUNT; kind++) {
        (void)printf("sum %s %" PRIu64 "\n", oh_kind_name(kind), sums[kind]);
    }
    (void)printf("damaged %" PRIu64 "\n", reader.view.damaged);
    oh_arena_fini(&arena);
    oh_reader_close(&reader);
    return 0;
}
