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

enum { PARTS = 12 }; // That are told apart in one call.

OH_EXPORT void *mremap(void *address, size_t old_length, size_t length, int flags, ...);

struct part {
    uint64_t begin, end; // Behind the begin of what is moved.
    uint8_t kind;        // 0: a hole.
};

struct move {
    const struct oh_caller *caller;
    void *address;
    size_t old_length, length;
    int flags;
    void *to;
    int count;
    struct part parts[PARTS];
};

static uint64_t source_of(const struct move *move)
{
    return oh_map_number(move->address);
}

static void add_part(struct move *move, uint64_t begin, uint64_t end, uint8_t kind)
{
    struct part *last = move->count > 0 ? &move->parts[move->count - 1] : NULL;
    if (last != NULL && (last->kind == kind || move->count == PARTS))
        last->end = end;
    else
        move->parts[move->count++] = (struct part){begin, end, kind};
}

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

static void find_parts(struct move *move)
{
    uint64_t source = source_of(move), length = oh_map_pages(move->old_length);
    for (uint64_t at = 0; at < length;) {
        uint64_t end = source + length;
        uint8_t kind = kind_at(source + at, &end);
        add_part(move, at, end - source, kind);
        at = end - source;
    }
}

// A length of 0 asks for a second place of something shared.
static void find_whole(struct move *move)
{
    struct oh_format_range piece;
    uint8_t kind = oh_mapping_find(source_of(move), &piece);
    if (kind == 0)
        kind = move->old_length == 0 ? OH_KIND_SHM : OH_KIND_MMAP;
    add_part(move, 0, oh_map_pages(move->length), kind);
}

static bool has_holes(const struct move *move)
{
    for (int i = 0; i < move->count; i++) {
        if (move->parts[i].kind == 0)
            return true;
    }
    return false;
}

// Of a call that failed half-way only those parts that have left their place.
static void add_parts(const struct move *move, uint64_t target, bool all)
{
    uint64_t source = source_of(move);
    for (int i = 0; i < move->count; i++) {
        const struct part *part = &move->parts[i];
        if (part->kind != 0 &&
            (all || oh_unmapped_everywhere(source + part->begin, source + part->end)))
            oh_mapping_add(move->caller, target + part->begin, target + part->end,
                           (enum oh_stack_kind)part->kind);
    }
}

static long system_call(const struct move *move)
{
    return oh_sys_mremap(move->address, move->old_length, move->length, move->flags, move->to);
}

static OH_NOINLINE void *do_move(struct move *move)
{
    struct oh_mapping_removal source = {{0, false}, 0}, target = {{0, false}, 0};
    const bool fixed = (move->flags & MREMAP_FIXED) != 0;
    const bool leaves = move->old_length != 0 && (move->flags & MREMAP_MAYMOVE) != 0 &&
                        (move->flags & MREMAP_DONTUNMAP) == 0;
    const bool several = fixed && oh_map_pages(move->old_length) == oh_map_pages(move->length);
    uint64_t from = source_of(move), from_end = from + oh_map_pages(move->old_length);
    uint64_t to = oh_map_number(move->to), to_end = to + oh_map_pages(move->length);
    if (!oh_mapping_wanted())
        return oh_map_pointer(system_call(move));
    if (several)
        find_parts(move);
    else
        find_whole(move);
    if (leaves)
        oh_mapping_begin_removal(&source, from, from_end);
    if (fixed)
        oh_mapping_begin_removal(&target, to, to_end);
    long at = system_call(move);
    if (!oh_sys_failed(at)) {
        oh_mapping_end_removal(&source, true);
        oh_mapping_end_removal(&target, !has_holes(move)); // Into a hole nothing is moved.
        add_parts(move, (uint64_t)at, true);
    } else if (fixed) {
        oh_unmapped_settle(&source, from, from_end);
        oh_unmapped_settle(&target, to, to_end);
        if (several && leaves)
            add_parts(move, to, false);
    } else {
        oh_mapping_end_removal(&source, false);
    }
    return oh_map_pointer(at);
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
    struct move move = {&caller, address, old_length, length, flags, NULL, 0, {{0, 0, 0}}};
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
