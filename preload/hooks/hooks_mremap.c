// SPDX-License-Identifier: Apache-2.0
//
// mremap, as hooks_mmap has the others. One that moves or grows a range is a new allocation of all
// of it, as with realloc; the part of a shrunk one that is left keeps its stack. What is moved
// keeps its kind: that of its first byte, or, where the call moves several maps at once (since
// Linux 6.17, to a fixed place, in one length), of each part, without the holes between them.

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/attr.h"
#include "base/sys.h"
#include "capture/registers_x86_64.h"
#include "hooks/map_call.h"
#include "track/mapping.h"
#include "track/unmapped.h"

enum { PARTS = 48 }; // That are told apart in one call.

OH_EXPORT void *mremap(void *address, size_t old_length, size_t length, int flags, ...);

struct move {
    const struct oh_caller *caller;
    void *address;
    size_t old_length, length;
    int flags;
    void *to;
    struct oh_mapping_removal source, target; // What goes away, if it succeeds.
};

struct part {
    uint32_t begin, end; // In pages behind the begin of what is moved.
    uint8_t kind;        // 0: a hole.
};

static uint64_t source_of(const struct move *move)
{
    return oh_map_number(move->address);
}

static long system_call(const struct move *move)
{
    return oh_sys_mremap(move->address, move->old_length, move->length, move->flags, move->to);
}

// What does not move (nor may) does not go away before it is there anew.
static bool leaves(const struct move *move)
{
    return move->old_length != 0 && (move->flags & MREMAP_MAYMOVE) != 0 &&
           (move->flags & MREMAP_DONTUNMAP) == 0;
}

static void begin_removals(struct move *move)
{
    uint64_t from = source_of(move), to = oh_map_number(move->to);
    if (leaves(move))
        oh_mapping_begin_removal(&move->source, from, from + oh_map_pages(move->old_length));
    if ((move->flags & MREMAP_FIXED) != 0)
        oh_mapping_begin_removal(&move->target, to, to + oh_map_pages(move->length));
}

static void end_removals(const struct move *move, bool target_is_gone)
{
    oh_mapping_end_removal(&move->source, true);
    oh_mapping_end_removal(&move->target, target_is_gone);
}

// Of a call that failed.
static void settle_removals(const struct move *move)
{
    uint64_t from = source_of(move), to = oh_map_number(move->to);
    if ((move->flags & MREMAP_FIXED) == 0) {
        oh_mapping_end_removal(&move->source, false);
        return;
    }
    oh_unmapped_settle(&move->source, from, from + oh_map_pages(move->old_length));
    oh_unmapped_settle(&move->target, to, to + oh_map_pages(move->length));
}

// --- One map

static OH_NOINLINE void *move_whole(struct move *move, uint8_t kind)
{
    begin_removals(move);
    long at = system_call(move);
    if (oh_sys_failed(at)) {
        settle_removals(move);
        return oh_map_pointer(at);
    }
    end_removals(move, true);
    oh_mapping_add(move->caller, (uint64_t)at, (uint64_t)at + oh_map_pages(move->length),
                   (enum oh_stack_kind)kind);
    return oh_map_pointer(at);
}

// --- Several

// What nobody recorded is a hole, or memory that something else has mapped.
static uint8_t kind_at(uint64_t begin, uint64_t *end)
{
    struct oh_format_range piece;
    uint8_t kind = oh_mapping_find(begin, &piece);
    *end = piece.end < *end ? piece.end : *end;
    if (kind == 0 && !oh_unmapped_everywhere(begin, *end))
        kind = OH_KIND_MMAP;
    return kind;
}

// Neighbours of one kind are one part; what is beyond the last one goes with it.
static int find_parts(const struct move *move, struct part parts[PARTS])
{
    uint64_t source = source_of(move), pages = oh_map_pages(move->old_length) / OH_MAP_PAGE_BYTES;
    int count = 0;
    for (uint64_t at = 0; at < pages;) {
        uint64_t end = source + pages * OH_MAP_PAGE_BYTES;
        uint8_t kind = kind_at(source + at * OH_MAP_PAGE_BYTES, &end);
        if (count == 0 || parts[count - 1].kind != kind)
            parts[count++] = (struct part){(uint32_t)at, 0, kind};
        at = count == PARTS ? pages : (end - source) / OH_MAP_PAGE_BYTES;
        parts[count - 1].end = (uint32_t)at;
    }
    return count;
}

static bool has_holes(const struct part *parts, int count)
{
    for (int i = 0; i < count; i++) {
        if (parts[i].kind == 0)
            return true;
    }
    return false;
}

// Of a call that failed half-way only those parts that have left their place.
static void add_parts(const struct move *move, const struct part *parts, int count, bool all)
{
    uint64_t from = source_of(move), to = oh_map_number(move->to);
    for (int i = 0; i < count; i++) {
        uint64_t begin = (uint64_t)parts[i].begin * OH_MAP_PAGE_BYTES;
        uint64_t end = (uint64_t)parts[i].end * OH_MAP_PAGE_BYTES;
        if (parts[i].kind != 0 && (all || oh_unmapped_everywhere(from + begin, from + end)))
            oh_mapping_add(move->caller, to + begin, to + end, (enum oh_stack_kind)parts[i].kind);
    }
}

static OH_NOINLINE void *move_parts(struct move *move)
{
    struct part parts[PARTS];
    int count = find_parts(move, parts);
    begin_removals(move);
    long at = system_call(move);
    if (oh_sys_failed(at)) {
        settle_removals(move);
        if (leaves(move))
            add_parts(move, parts, count, false);
        return oh_map_pointer(at);
    }
    end_removals(move, !has_holes(parts, count)); // Into a hole nothing is moved.
    add_parts(move, parts, count, true);
    return oh_map_pointer(at);
}

// --- The hook

static OH_NOINLINE void *do_move(struct move *move)
{
    struct oh_format_range piece;
    const uint64_t bytes = oh_map_pages(move->old_length);
    if (!oh_mapping_wanted())
        return oh_map_pointer(system_call(move));
    uint8_t kind = oh_mapping_find(source_of(move), &piece);
    if ((move->flags & MREMAP_FIXED) != 0 && bytes == oh_map_pages(move->length) &&
        bytes / OH_MAP_PAGE_BYTES <= UINT32_MAX &&
        (kind == 0 || piece.end < source_of(move) + bytes))
        return move_parts(move);
    // A length of 0 asks for a second place of something shared.
    if (kind == 0)
        kind = move->old_length == 0 ? OH_KIND_SHM : OH_KIND_MMAP;
    return move_whole(move, kind);
}

static void *shrink(void *address, size_t old_length, size_t length, int flags)
{
    struct oh_mapping_removal removal;
    uint64_t begin = oh_map_number(address);
    oh_mapping_begin_removal(&removal, begin + oh_map_pages(length),
                             begin + oh_map_pages(old_length));
    long at = oh_sys_mremap(address, old_length, length, flags, NULL);
    oh_mapping_end_removal(&removal, !oh_sys_failed(at));
    return oh_map_pointer(at);
}

OH_NOINLINE OH_REALIGN void *mremap(void *address, size_t old_length, size_t length, int flags, ...)
{
    struct oh_caller caller;
    oh_caller_here(&caller);
    struct move move = {.caller = &caller,
                        .address = address,
                        .old_length = old_length,
                        .length = length,
                        .flags = flags};
    uint64_t pages = oh_map_pages(length), old_pages = oh_map_pages(old_length);
    if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        move.to = va_arg(arguments, void *);
        va_end(arguments);
        return do_move(&move);
    }
    if (pages == 0 || old_length == 0 || pages > old_pages)
        return do_move(&move);
    if (pages < old_pages)
        return shrink(address, old_length, length, flags);
    return oh_map_pointer(oh_sys_mremap(address, old_length, length, flags, NULL));
}
