// SPDX-License-Identifier: Apache-2.0
#include "support/synthetic.h"

#include <stdlib.h>
#include <string.h>

#include "offheap/hash.h"
#include "offheap/step.h"
#include "offheap/weight.h"

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
    MAPS_AT = END, // Only where they are asked for.
    MAPS_BYTES = 2 * PAGE,
    MAP_LOG_AT = MAPS_AT + MAPS_BYTES,
    MAP_LOG_BYTES = 9 * PAGE,
    MAPS_END = MAP_LOG_AT + MAP_LOG_BYTES,
    STEPS_AT = END, // The same.
    STEPS_BYTES = OH_FORMAT_STEP_RUNGS * OH_FORMAT_STEP_PLACES * (int)sizeof(struct oh_format_step),
    STEPS_END = STEPS_AT + STEPS_BYTES,
};

_Static_assert((int)MAPS_END <= (int)OH_SYNTHETIC_BYTES, "the sections fit");
_Static_assert((int)STEPS_END <= (int)OH_SYNTHETIC_BYTES, "the sections fit");
_Static_assert(sizeof(struct oh_format_map_log) <= MAP_LOG_BYTES, "the log fits");

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
    header->means[0] = header->sample_bytes;
    header->means[OH_SYNTHETIC_MEAN] = OH_SYNTHETIC_MEAN_BYTES;
    header->means[OH_SYNTHETIC_NO_MEAN] = 1;
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
        .shard = like->shard,
    };
    if (depth != 0)
        memcpy(stack + 1, pcs, depth * sizeof *pcs);
    stack->hash = oh_hash_stack(
        stack->epoch, oh_stack_attributes(stack->kind, stack->phase, stack->end, stack->shard), pcs,
        depth);
    uint64_t *index = (uint64_t *)(recording->bytes + (level == 0 ? INDEX_AT : INDEX1_AT));
    index[3 * recording->index_used[level]++] =
        stack->hash >> OH_INDEX_REF_BITS << OH_INDEX_REF_BITS | oh_synthetic_ref(recording, stack);
    return stack;
}

struct oh_format_block *oh_synthetic_block(struct oh_synthetic *recording,
                                           const struct oh_block *block)
{
    struct oh_format_block *blocks = (struct oh_format_block *)(recording->bytes + LIVE_AT);
    struct oh_format_block *entry = &blocks[5 * recording->block_count++];
    *entry = (struct oh_format_block){oh_block_place(block), oh_block_facts(block)};
    return entry;
}

struct oh_format_map_log *oh_synthetic_maps(struct oh_synthetic *recording)
{
    struct oh_format_header *header = oh_synthetic_header(recording);
    header->sections[header->section_count - 1].offset = MAPS_END; // Not there; out of the way.
    add_section(header, OH_SECTION_MAPS, 0, MAPS_AT, MAPS_BYTES, OH_SECTION_READY);
    add_section(header, OH_SECTION_MAP_LOG, 0, MAP_LOG_AT, MAP_LOG_BYTES, OH_SECTION_READY);
    recording->size = MAPS_END;
    return oh_synthetic_maps_log(recording);
}

struct oh_format_map_log *oh_synthetic_maps_log(struct oh_synthetic *recording)
{
    return (struct oh_format_map_log *)(recording->bytes + MAP_LOG_AT);
}

struct oh_format_map_table *oh_synthetic_table(struct oh_synthetic *recording, uint32_t number)
{
    const uint32_t bytes = MAPS_BYTES / OH_FORMAT_MAP_TABLES;
    return (struct oh_format_map_table *)(recording->bytes + MAPS_AT + number * bytes);
}

void oh_synthetic_step(struct oh_synthetic *recording, const struct oh_format_step *step)
{
    struct oh_format_header *header = oh_synthetic_header(recording);
    struct oh_format_step *ring = (struct oh_format_step *)(recording->bytes + STEPS_AT);
    uint32_t second = (uint32_t)(step->time_ns / UINT64_C(1000000000));
    struct oh_format_step *to = &ring[oh_step_place(0, second)];
    if (recording->size != STEPS_END) {
        header->sections[header->section_count - 1].offset = STEPS_END; // Out of the way.
        add_section(header, OH_SECTION_STEPS, 0, STEPS_AT, STEPS_BYTES, OH_SECTION_READY);
        recording->size = STEPS_END;
    }
    *to = *step;
    to->check = oh_step_check(to);
}

void oh_synthetic_sample(struct oh_synthetic *recording, uint32_t mode)
{
    const uint64_t init[] = {0x501000, 0x401100, 0x401200};
    const uint64_t serve[] = {0x501010, 0x401300, 0x401310, 0x401320};
    const struct oh_format_stack before = {.phase = OH_PHASE_BEFORE_MAIN};
    const struct oh_format_stack after = {.phase = OH_PHASE_MAIN};
    const struct oh_format_stack cut = {.phase = OH_PHASE_MAIN, .end = OH_STACK_END_DEPTH};
    oh_synthetic_begin(recording, mode);
    const uint32_t shift = oh_synthetic_header(recording)->weight_shift;
    const uint64_t one = UINT64_C(1) << shift;
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
    stack->samples = 10;
    struct oh_block block = {
        .size = 100, .stack = oh_synthetic_ref(recording, stack), .mean = OH_SYNTHETIC_NO_MEAN};
    for (uint64_t i = 0; i < 3; i++) {
        block.address = 0x10000 + 0x100 * i;
        (void)oh_synthetic_block(recording, &block);
    }
    stack = oh_synthetic_stack(recording, &after, serve, 4, 1);
    const uint64_t mean = mode == OH_MODE_EXACT ? 1 : OH_SYNTHETIC_MEAN_BYTES;
    const uint64_t weight = oh_weight_units(1000, mean, shift); // About 2.5 objects.
    stack->alloc_objects = weight;
    stack->alloc_bytes = oh_weighted_bytes(1000, weight, shift);
    stack->alloc_objects_variance = oh_bits_of_double(3.75);
    stack->alloc_bytes_variance = oh_bits_of_double(3750000);
    stack->samples = 1;
    const struct oh_block large = {.address = 0x20000,
                                   .size = 1000,
                                   .stack = oh_synthetic_ref(recording, stack),
                                   .mean = mode == OH_MODE_EXACT ? 0 : OH_SYNTHETIC_MEAN};
    (void)oh_synthetic_block(recording, &large);
    stack = oh_synthetic_stack(recording, &cut, serve, 2, 0);
    stack->alloc_objects = one;
    stack->alloc_bytes = 64;
}
