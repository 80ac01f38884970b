// SPDX-License-Identifier: Apache-2.0
#include "support/synthetic.h"

#include <stdlib.h>
#include <string.h>

#include "offheap/hash.h"

enum {
    PAGE = 4096,
    STRINGS_AT = PAGE,
    STRINGS_BYTES = 2 * PAGE,
    MODULES_AT = STRINGS_AT + STRINGS_BYTES,
    MODULES_BYTES = PAGE,
    INDEX_AT = MODULES_AT + MODULES_BYTES,
    INDEX_BYTES = PAGE,
    STACKS_AT = INDEX_AT + INDEX_BYTES,
    STACKS_BYTES = 24 * PAGE,
    LIVE_AT = STACKS_AT + STACKS_BYTES,
    LIVE_BYTES = 2 * PAGE,
    INDEX1_AT = LIVE_AT + LIVE_BYTES,
    END = INDEX1_AT + INDEX_BYTES,
    LIVE_SLOTS = LIVE_BYTES / (int)(sizeof(uint64_t) + sizeof(struct oh_format_block)),
};

_Static_assert((int)END <= (int)OH_SYNTHETIC_BYTES, "the sections fit");

struct oh_format_header *oh_synthetic_header(struct oh_synthetic *recording)
{
    return (struct oh_format_header *)recording->bytes;
}

static void add_section(struct oh_format_header *header, uint32_t id, uint32_t level,
                        uint64_t offset, uint64_t bytes, uint64_t state)
{
    header->sections[header->section_count++] = (struct oh_format_section){
        .id = id, .level = level, .offset = offset, .bytes = bytes, .state = state};
}

void oh_synthetic_begin(struct oh_synthetic *recording, uint32_t mode)
{
    memset(recording, 0, sizeof *recording);
    recording->size = END;
    struct oh_format_header *header = oh_synthetic_header(recording);
    memcpy(header->magic, OH_FORMAT_MAGIC, sizeof header->magic);
    header->endian_tag = OH_FORMAT_ENDIAN_TAG;
    header->major = OH_FORMAT_MAJOR;
    header->minor = OH_FORMAT_MINOR;
    header->header_bytes = OH_FORMAT_HEADER_BYTES;
    header->max_bytes = UINT64_C(1) << 27;
    memcpy(header->writer, "offheap 0.1.0", sizeof "offheap 0.1.0");
    header->pid = 4711;
    header->ppid = 1;
    header->start_ticks = 99;
    header->start_realtime_ns = UINT64_C(1700000000000000000);
    header->mode = mode;
    header->weight_shift = mode == OH_MODE_EXACT ? 0 : 16;
    header->sample_bytes = mode == OH_MODE_EXACT ? 1 : 524288;
    header->max_depth = 128;
    header->flags = OH_FLAG_PHASE_KNOWN;
    header->state = OH_STATE_RECORDING;
    add_section(header, OH_SECTION_STRINGS, 0, STRINGS_AT, STRINGS_BYTES, OH_SECTION_READY);
    add_section(header, OH_SECTION_MODULES, 0, MODULES_AT, MODULES_BYTES, OH_SECTION_READY);
    add_section(header, OH_SECTION_INDEX, 0, INDEX_AT, INDEX_BYTES, OH_SECTION_READY);
    add_section(header, OH_SECTION_STACKS, 0, STACKS_AT, STACKS_BYTES, OH_SECTION_READY);
    add_section(header, OH_SECTION_LIVE, 0, LIVE_AT, LIVE_BYTES, OH_SECTION_READY);
    add_section(header, OH_SECTION_INDEX, 1, INDEX1_AT, INDEX_BYTES, OH_SECTION_READY);
    add_section(header, OH_SECTION_LIVE, 1, END, 16 * LIVE_BYTES, OH_SECTION_UNRESERVED);
    header->exe = oh_synthetic_text(recording, "/opt/app");
}

struct oh_format_text oh_synthetic_text(struct oh_synthetic *recording, const char *text)
{
    size_t length = strlen(text);
    if (recording->string_used + length + 1 > STRINGS_BYTES)
        abort();
    uint32_t at = STRINGS_AT + recording->string_used;
    memcpy(recording->bytes + at, text, length);
    recording->string_used += (uint32_t)length + 1;
    return (struct oh_format_text){at, (uint32_t)length};
}

struct oh_format_module *oh_synthetic_module(struct oh_synthetic *recording, const char *path,
                                             uint64_t start, uint64_t end)
{
    struct oh_format_module *modules = (struct oh_format_module *)(recording->bytes + MODULES_AT);
    if (recording->module_count == MODULES_BYTES / sizeof *modules)
        abort();
    struct oh_format_module *module = &modules[recording->module_count++];
    *module = (struct oh_format_module){
        .state = OH_MODULE_READY,
        .last_epoch = UINT64_MAX,
        .base = start,
        .start = start,
        .end = end,
        .text_start = start,
        .text_end = end,
        .path = oh_synthetic_text(recording, path),
    };
    return module;
}

uint32_t oh_synthetic_ref(const struct oh_synthetic *recording, const struct oh_format_stack *stack)
{
    return (uint32_t)((size_t)((const uint8_t *)stack - recording->bytes) / OH_FORMAT_STACK_ALIGN);
}

struct oh_format_stack *oh_synthetic_stack(struct oh_synthetic *recording,
                                           const struct oh_format_stack *like, const uint64_t *pcs,
                                           uint32_t depth, uint32_t level)
{
    size_t bytes = OH_FORMAT_STACK_BYTES + depth * sizeof *pcs;
    bytes = (bytes + OH_FORMAT_STACK_ALIGN - 1) / OH_FORMAT_STACK_ALIGN * OH_FORMAT_STACK_ALIGN;
    if (recording->stack_used + bytes > STACKS_BYTES)
        abort();
    uint8_t *at = recording->bytes + STACKS_AT + recording->stack_used;
    recording->stack_used += (uint32_t)bytes;
    struct oh_format_stack *stack = (struct oh_format_stack *)at;
    *stack = (struct oh_format_stack){
        .epoch = like->epoch,
        .depth = depth,
        .kind = like->kind != 0 ? like->kind : OH_KIND_MALLOC,
        .phase = like->phase,
        .end = like->end,
    };
    if (depth != 0)
        memcpy(stack + 1, pcs, depth * sizeof *pcs);
    stack->hash = oh_hash_stack(
        stack->epoch, oh_stack_attributes(stack->kind, stack->phase, stack->end), pcs, depth);
    uint64_t *index = (uint64_t *)(recording->bytes + (level == 0 ? INDEX_AT : INDEX1_AT));
    index[3 * recording->index_used[level]++] =
        stack->hash >> OH_INDEX_REF_BITS << OH_INDEX_REF_BITS | oh_synthetic_ref(recording, stack);
    return stack;
}

void oh_synthetic_block(struct oh_synthetic *recording, uint64_t address,
                        const struct oh_format_block *block)
{
    uint64_t *addresses = (uint64_t *)(recording->bytes + LIVE_AT);
    struct oh_format_block *blocks = (struct oh_format_block *)(addresses + LIVE_SLOTS);
    addresses[5 * recording->block_count] = address;
    blocks[5 * recording->block_count] = *block;
    recording->block_count++;
}

void oh_synthetic_sample(struct oh_synthetic *recording, uint32_t mode)
{
    const uint64_t init[] = {0x501000, 0x401100, 0x401200};
    const uint64_t serve[] = {0x501010, 0x401300, 0x401310, 0x401320};
    const struct oh_format_stack before = {.phase = OH_PHASE_BEFORE_MAIN};
    const struct oh_format_stack after = {.phase = OH_PHASE_MAIN};
    const struct oh_format_stack cut = {.phase = OH_PHASE_MAIN, .end = OH_STACK_END_DEPTH};
    oh_synthetic_begin(recording, mode);
    uint64_t one = UINT64_C(1) << oh_synthetic_header(recording)->weight_shift;
    oh_synthetic_module(recording, "/opt/app", 0x400000, 0x480000)->flags = OH_MODULE_MAIN;
    struct oh_format_module *library =
        oh_synthetic_module(recording, "/opt/libc-part.so (deleted)", 0x500000, 0x510000);
    library->build_id_kind = OH_ID_GNU;
    library->build_id_bytes = 4;
    memcpy(library->build_id, "\x0a\x1b\x2c\x3d", 4);
    oh_synthetic_header(recording)->notes[0] = oh_synthetic_text(recording, "a note");

    struct oh_format_stack *stack = oh_synthetic_stack(recording, &before, init, 3, 0);
    stack->alloc_objects = 10 * one;
    stack->alloc_bytes = 1000;
    stack->free_objects = 7 * one;
    stack->free_bytes = 700;
    stack->samples = 10;
    const struct oh_format_block block = {
        .size = 100, .weight = one, .stack = oh_synthetic_ref(recording, stack)};
    for (uint64_t i = 0; i < 3; i++)
        oh_synthetic_block(recording, 0x10000 + 0x100 * i, &block);
    stack = oh_synthetic_stack(recording, &after, serve, 4, 1);
    stack->alloc_objects = 5 * one / 2;
    stack->alloc_bytes = 2500;
    stack->alloc_objects_variance = oh_bits_of_double(3.75);
    stack->alloc_bytes_variance = oh_bits_of_double(3750000);
    stack->samples = 1;
    const struct oh_format_block large = {
        .size = 1000, .weight = 5 * one / 2, .stack = oh_synthetic_ref(recording, stack)};
    oh_synthetic_block(recording, 0x20000, &large);
    stack = oh_synthetic_stack(recording, &cut, serve, 2, 0);
    stack->alloc_objects = one;
    stack->alloc_bytes = 64;
    stack->free_objects = one;
    stack->free_bytes = 64;
}
