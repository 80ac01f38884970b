// SPDX-License-Identifier: Apache-2.0
//
// One look.

#include "memory/look.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"
#include "memory/map_names.h"
#include "memory/program.h"

enum { OH_LOOK_TRIES = 3 };

struct oh_looking {
    const struct oh_look_request *request;
    struct oh_look *look;
    struct oh_smaps smaps;
    struct oh_pages pages;
    struct oh_live live;
    struct oh_cover cover;
};

static int explain(int code, const struct oh_look_request *request, struct oh_err *err)
{
    const int pid = (int)request->pid;
    switch (code) {
    case -ESRCH: return oh_err_set(err, code, "process %d has ended", pid);
    case -ENODATA:
        return oh_err_set(err, code, "process %d has no memory of its own: it is a kernel thread",
                          pid);
    case -EACCES:
    case -EPERM:
        return oh_err_set(err, code,
                          "process %d: its memory map (/proc/%d/smaps) may not be read: %s\n"
                          "try: the same command as the user of that process, or with sudo (in a "
                          "container: CAP_SYS_PTRACE)",
                          pid, pid, strerror(-code));
    case -ENOMEM: return oh_err_no_memory(err);
    default: return oh_err_set(err, code, "cannot read /proc/%d/smaps: %s", pid, strerror(-code));
    }
}

// A process that maps and unmaps while it is read has other sums in its two files: the look that
// agrees best is kept.
static int read_smaps(const struct oh_look_request *request, struct oh_smaps *smaps)
{
    int result = oh_smaps_read(request->root, request->pid, smaps);
    for (int i = 1; i < OH_LOOK_TRIES && result == 0; i++) {
        const double missed = fabs((double)smaps->resident - (double)smaps->sum);
        struct oh_smaps again;
        if (missed * 200 <= (double)smaps->resident) {
            break;
        }
        result = oh_smaps_read(request->root, request->pid, &again);
        if (result == 0 && fabs((double)again.resident - (double)again.sum) < missed) {
            oh_smaps_fini(smaps);
            *smaps = again;
        } else if (result == 0) {
            oh_smaps_fini(&again);
        } else {
            oh_smaps_fini(smaps);
        }
    }
    return result;
}

struct oh_split {
    struct oh_looking *looking;
    double parts[OH_PART_COUNT];
    double sum;
};

static int add_piece(void *arg, const struct oh_claim *piece)
{
    struct oh_split *const split = arg;
    struct oh_pages *const pages = &split->looking->pages;
    // Without a page map a piece is resident as its map is, by its share.
    const double bytes = oh_pages_has_map(pages)
                             ? (double)oh_pages_count(pages, piece->start, piece->end).resident
                             : (double)(piece->end - piece->start);
    split->parts[piece->part] += bytes;
    split->sum += bytes;
    return 0;
}

struct oh_adding {
    struct oh_looking *looking;
    struct oh_live_sum sum;
};

static int add_live(void *arg, const struct oh_claim *piece)
{
    struct oh_adding *const adding = arg;
    struct oh_looking *const l = adding->looking;
    if (piece->part == OH_PART_HEAP) {
        oh_live_add(&l->live, &l->pages, l->look->allocator, piece->start, piece->end,
                    &adding->sum);
    }
    return 0;
}

// What of the pages that count as resident is so: all but pages of zeros, where these cannot be told.
static double resident_share(struct oh_looking *l, const struct oh_smap *map)
{
    if (!l->pages.has_zero_pages) {
        return 1;
    }
    const double counted = (double)oh_pages_count(&l->pages, map->start, map->end).resident;
    return counted > (double)map->resident ? (double)map->resident / counted : 1;
}

// The live blocks in a map.
static void sum_live(struct oh_looking *l, const struct oh_smap *map)
{
    struct oh_adding adding = {.looking = l};
    (void)oh_cover_each(&l->cover, map->start, map->end, add_live, &adding);
    if (adding.sum.objects > 0) {
        oh_live_sum_add(&l->look->live, &adding.sum, resident_share(l, map));
    }
}

// Shares the resident bytes of a map out to its pieces. What the pages say decides how; what smaps
// says is the sum.
static void split_map(struct oh_looking *l, const struct oh_smap *map)
{
    struct oh_split split = {.looking = l};
    const enum oh_memory_part first = oh_cover_part(&l->cover, map->start);
    sum_live(l, map);
    if (map->resident == 0) {
        return;
    }
    if (oh_cover_is_one(&l->cover, map->start, map->end)) {
        l->look->parts[first] += (double)map->resident;
        return;
    }
    (void)oh_cover_each(&l->cover, map->start, map->end, add_piece, &split);
    const double scale = split.sum > 0 ? (double)map->resident / split.sum : 0;
    for (int i = 0; i < OH_PART_COUNT; i++) {
        l->look->parts[i] += split.parts[i] * scale;
    }
    if (split.sum <= 0) {
        l->look->parts[first] += (double)map->resident;
    }
}

static void add_go_name(struct oh_look *look, const struct oh_smap *map)
{
    size_t length = 0;
    const char *const name = oh_map_names_go(map, &length);
    if (name == NULL || map->resident == 0) {
        return;
    }
    for (size_t i = 0; i < look->go_name_count; i++) {
        if (strlen(look->go_names[i].name) == length &&
            strncmp(look->go_names[i].name, name, length) == 0) {
            look->go_names[i].resident += map->resident;
            return;
        }
    }
    if (look->go_name_count < OH_LOOK_GO_NAMES && length < OH_LOOK_NAME_BYTES) {
        struct oh_look_go_name *const added = &look->go_names[look->go_name_count++];
        *added = (struct oh_look_go_name){.resident = map->resident};
        memcpy(added->name, name, length);
    }
}

// The allocator's areas are live blocks, what these take beside, and the rest. An estimate can be
// larger than the areas: what is shown is not.
static void split_heap(struct oh_look *look)
{
    const double heap = look->parts[OH_PART_HEAP];
    look->heap = heap;
    if (!look->has_recording) {
        return;
    }
    const double live = fmin(look->live.resident, heap);
    const double overhead = fmin(look->live.overhead, heap - live);
    look->parts[OH_PART_C_LIVE] = live;
    look->parts[OH_PART_OVERHEAD] = overhead;
    // What is free is known only where every block is.
    look->parts[OH_PART_RETAINED] = look->has_unseen ? 0 : heap - live - overhead;
    look->parts[OH_PART_HEAP] = look->has_unseen ? heap - live - overhead : 0;
}

static void sum_blocks(struct oh_looking *l)
{
    for (size_t i = 0; i < l->live.count; i++) {
        const struct oh_live_block *const block = &l->live.blocks[i];
        l->look->allocated += (double)block->bytes;
        l->look->allocated_variance += oh_live_variance(&l->live, block);
    }
}

// One that is inside of the program shows in no library's name; the recording knows it.
static void read_jemalloc(const struct oh_format_header *header, struct oh_look *look)
{
    const uint64_t started_ns = header->start_monotonic_ns;
    if ((header->flags & OH_FLAG_JEMALLOC) == 0) {
        return;
    }
    look->allocator = OH_ALLOCATOR_JEMALLOC;
    look->jemalloc = header->jemalloc;
    if (look->jemalloc.time_ns != 0 && look->time_ns > started_ns + look->jemalloc.time_ns) {
        look->jemalloc_age_s = (double)(look->time_ns - started_ns - look->jemalloc.time_ns) / 1e9;
    }
}

static int claim(struct oh_looking *l)
{
    const struct oh_look_request *const request = l->request;
    struct oh_look *const look = l->look;
    struct oh_program program;
    int result = oh_program_get(request->root, request->pid, &l->smaps, request->view, &program);
    if (result < 0) {
        return result;
    }
    struct oh_mapped_range *mapped = NULL;
    size_t mapped_count = 0;
    look->is_go = program.is_go;
    look->go_minor = program.go_minor;
    look->has_libc = program.has_libc;
    look->allocator = oh_map_names_allocator(&l->smaps);
    if (request->view != NULL) {
        read_jemalloc(request->view->header, look);
    }
    result = oh_mapped_read(request->view, &mapped, &mapped_count, &look->has_mapped);
    if (result == 0) {
        const struct oh_claim_facts facts = {.smaps = &l->smaps,
                                             .pages = &l->pages,
                                             .exe = program.exe,
                                             .view = request->view,
                                             .live = request->view != NULL ? &l->live : NULL,
                                             .mapped = mapped,
                                             .mapped_count = mapped_count,
                                             .has_mapped = look->has_mapped,
                                             .is_go = program.is_go,
                                             .has_libc = program.has_libc,
                                             .allocator = look->allocator};
        result = oh_claim_all(&facts, &l->cover);
    }
    free(mapped);
    oh_program_fini(&program);
    return result;
}

// Whole bytes; what rounding leaves goes to the largest part, so that the parts still add up.
static void round_parts(struct oh_look *look)
{
    double sum = 0;
    int largest = 0;
    for (int i = 0; i < OH_PART_COUNT; i++) {
        look->parts[i] = floor(look->parts[i]);
        sum += look->parts[i];
        largest = look->parts[i] > look->parts[largest] ? i : largest;
    }
    look->parts[largest] += look->resident - sum;
}

static void fill(struct oh_looking *l)
{
    struct oh_look *const look = l->look;
    look->resident = (double)l->smaps.resident;
    look->swapped = (double)l->smaps.swapped;
    look->huge_bytes = (double)l->smaps.huge_bytes;
    look->has_pages = oh_pages_has_map(&l->pages);
    look->has_memory = oh_pages_has_memory(&l->pages);
    look->has_recording = l->request->view != NULL;
    look->has_unseen =
        look->has_recording && (l->request->view->header->flags & OH_FLAG_UNSEEN) != 0;
    look->is_confined =
        look->has_recording && (l->request->view->header->flags & OH_FLAG_SANDBOX) != 0;
    look->is_exact = l->live.is_exact;
    for (size_t i = 0; i < l->smaps.count; i++) {
        split_map(l, &l->smaps.maps[i]);
        add_go_name(look, &l->smaps.maps[i]);
    }
    sum_blocks(l);
    if (look->has_recording) {
        oh_live_sum_finish(&l->live, &look->live);
    }
    split_heap(look);
    look->parts[OH_PART_CHANGED] = (double)l->smaps.resident - (double)l->smaps.sum;
    round_parts(look);
    look->free_pages = look->has_recording && look->is_exact && look->has_pages && !look->has_unseen
                           ? fmax(0, look->heap - look->live.covered)
                           : -1;
}

int oh_look_take(const struct oh_look_request *request, struct oh_look *look, struct oh_err *err)
{
    struct timespec now = {0};
    struct oh_look taken = {.pid = request->pid};
    struct oh_looking l = {.request = request, .look = &taken};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    taken.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    int result = read_smaps(request, &l.smaps);
    if (result < 0) {
        return explain(result, request, err);
    }
    result = oh_pages_open(request->root, request->pid, &l.smaps, &l.pages);
    if (result == 0) {
        result = request->view != NULL ? oh_live_read(request->view, &l.live) : 0;
        if (result == 0) {
            result = oh_stack_sums_make(&l.live, &taken.stacks);
        }
        if (result == 0) {
            result = claim(&l);
        }
        if (result == 0) {
            fill(&l);
            taken.blocks = l.live;
            l.live = (struct oh_live){0};
            *look = taken;
        }
        oh_pages_close(&l.pages);
    }
    oh_cover_fini(&l.cover);
    oh_live_fini(&l.live);
    oh_smaps_fini(&l.smaps);
    if (result < 0) {
        oh_stack_sums_fini(&taken.stacks);
    }
    return result < 0 ? explain(result, request, err) : 0;
}

void oh_look_fini(struct oh_look *look)
{
    oh_live_fini(&look->blocks);
    oh_stack_sums_fini(&look->stacks);
}

void oh_look_drop_blocks(struct oh_look *look)
{
    oh_live_fini(&look->blocks);
}

double oh_look_error(const struct oh_look *look)
{
    return sqrt(look->live.variance);
}

double oh_look_retained_error(const struct oh_look *look)
{
    return sqrt(look->live.footprint_variance);
}
