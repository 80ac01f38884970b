// SPDX-License-Identifier: Apache-2.0
//
// See view.h. Sections are looked up anew each time and copied before they are used, because a
// live process may bring one forward between two looks; one that lies beyond the bytes that we were
// given is then as if it were not there.

#include "profile/view.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "offheap/block.h"
#include "offheap/hash.h"
#include "offheap/weight.h"

enum {
    SECTION_ALIGN = 4096,
    WEIGHT_SHIFT_MAX = 32,
};

static const char *section_name(uint32_t id)
{
    static const char *const names[OH_SECTION_ID_COUNT] = {
        "none", "strings", "modules", "index", "stacks", "live", "maps", "map log", "steps"};
    return id < OH_SECTION_ID_COUNT ? names[id] : "unknown";
}

static int fail(struct oh_view_fault *fault, enum oh_view_error error, const char *section,
                uint64_t offset, uint64_t found, uint64_t bound)
{
    *fault = (struct oh_view_fault){error, offset, section, found, bound};
    return -EINVAL;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static int check_magic(const struct oh_view *view, struct oh_view_fault *fault)
{
    enum { MAGIC_BYTES = sizeof view->header->magic };
    size_t size = view->size < MAGIC_BYTES ? view->size : MAGIC_BYTES;
    if (all_zero(view->base, size))
        return fail(fault, OH_VIEW_EMPTY, "header", 0, view->size, OH_FORMAT_HEADER_BYTES);
    if (memcmp(view->base, OH_FORMAT_MAGIC, size) != 0)
        return fail(fault, OH_VIEW_NOT_OURS, "header", 0, view->size, OH_FORMAT_HEADER_BYTES);
    return 0;
}

static int check_version(const struct oh_view *view, struct oh_view_fault *fault)
{
    const struct oh_format_header *header = view->header;
    enum { VERSIONED_BYTES = offsetof(struct oh_format_header, header_bytes) };
    if (view->size < VERSIONED_BYTES)
        return fail(fault, OH_VIEW_TRUNCATED, "header", 0, view->size, OH_FORMAT_HEADER_BYTES);
    uint32_t tag = header->endian_tag;
    if (tag == __builtin_bswap32(OH_FORMAT_ENDIAN_TAG))
        return fail(fault, OH_VIEW_ENDIAN, "header", offsetof(struct oh_format_header, endian_tag),
                    tag, OH_FORMAT_ENDIAN_TAG);
    if (tag != OH_FORMAT_ENDIAN_TAG)
        return fail(fault, OH_VIEW_INCONSISTENT, "header",
                    offsetof(struct oh_format_header, endian_tag), tag, OH_FORMAT_ENDIAN_TAG);
    if (header->major != OH_FORMAT_MAJOR)
        return fail(fault, OH_VIEW_VERSION, "header", offsetof(struct oh_format_header, major),
                    header->major, OH_FORMAT_MAJOR);
    if (view->size < OH_FORMAT_HEADER_BYTES)
        return fail(fault, OH_VIEW_TRUNCATED, "header", 0, view->size, OH_FORMAT_HEADER_BYTES);
    return 0;
}

struct field_check {
    size_t offset;
    uint64_t value;
    uint64_t min;
    uint64_t max;
};

static int check_fields(const struct oh_view *view, struct oh_view_fault *fault)
{
    const struct oh_format_header *header = view->header;
    const struct field_check checks[] = {
        {offsetof(struct oh_format_header, header_bytes), header->header_bytes,
         OH_FORMAT_HEADER_BYTES, OH_FORMAT_HEADER_BYTES},
        {offsetof(struct oh_format_header, section_count), header->section_count, 0,
         OH_FORMAT_SECTIONS},
        {offsetof(struct oh_format_header, mode), header->mode, OH_MODE_SAMPLED, OH_MODE_EXACT},
        {offsetof(struct oh_format_header, weight_shift), header->weight_shift, 0,
         WEIGHT_SHIFT_MAX},
        {offsetof(struct oh_format_header, sample_bytes), header->sample_bytes, 1, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const struct field_check *check = &checks[i];
        if (check->value < check->min)
            return fail(fault, OH_VIEW_INCONSISTENT, "header", check->offset, check->value,
                        check->min);
        if (check->value > check->max)
            return fail(fault, OH_VIEW_INCONSISTENT, "header", check->offset, check->value,
                        check->max);
    }
    return 0;
}

static bool is_known(const struct oh_format_section *section)
{
    return section->id != OH_SECTION_NONE && section->id < OH_SECTION_ID_COUNT;
}

static uint64_t place_of(uint32_t i)
{
    return offsetof(struct oh_format_header, sections) + i * sizeof(struct oh_format_section);
}

// Pairs with the release of the state in the recorder: what the section holds is then there.
static struct oh_format_section read_section(const struct oh_view *view, uint32_t i)
{
    const struct oh_format_section *from = &view->header->sections[i];
    struct oh_format_section section = {.state = oh_load_acquire(&from->state)};
    section.id = oh_load32_relaxed(&from->id);
    section.level = oh_load32_relaxed(&from->level);
    section.offset = oh_load_relaxed(&from->offset);
    section.bytes = oh_load_relaxed(&from->bytes);
    return section;
}

static uint32_t section_count(const struct oh_view *view)
{
    uint32_t count = oh_load32_relaxed(&view->header->section_count);
    return count < OH_FORMAT_SECTIONS ? count : OH_FORMAT_SECTIONS;
}

static bool has_table_size(const struct oh_format_section *section)
{
    return section->id != OH_SECTION_INDEX || (section->bytes & (section->bytes - 1)) == 0;
}

static int check_section(const struct oh_view *view, uint32_t i, struct oh_view_fault *fault)
{
    struct oh_format_section section = read_section(view, i);
    const char *name = section_name(section.id);
    uint64_t at = place_of(i);
    if (section.level >= OH_FORMAT_MAX_LEVELS)
        return fail(fault, OH_VIEW_INCONSISTENT, name,
                    at + offsetof(struct oh_format_section, level), section.level,
                    OH_FORMAT_MAX_LEVELS - 1);
    if (section.offset % SECTION_ALIGN != 0 || section.offset < OH_FORMAT_HEADER_BYTES)
        return fail(fault, OH_VIEW_INCONSISTENT, name,
                    at + offsetof(struct oh_format_section, offset), section.offset,
                    OH_FORMAT_HEADER_BYTES);
    if (section.bytes % SECTION_ALIGN != 0 || section.bytes == 0 || !has_table_size(&section) ||
        section.bytes > UINT64_MAX - section.offset)
        return fail(fault, OH_VIEW_INCONSISTENT, name,
                    at + offsetof(struct oh_format_section, bytes), section.bytes,
                    UINT64_MAX - section.offset);
    if (section.state == OH_SECTION_READY && section.offset + section.bytes > view->size)
        return fail(fault, OH_VIEW_TRUNCATED, name, section.offset, view->size,
                    section.offset + section.bytes);
    return 0;
}

// Two sections may neither be the same level of a table nor share a byte.
static int check_pair(const struct oh_view *view, uint32_t i, uint32_t j,
                      struct oh_view_fault *fault)
{
    struct oh_format_section a = read_section(view, i);
    struct oh_format_section b = read_section(view, j);
    if (a.id == b.id && a.level == b.level)
        return fail(fault, OH_VIEW_INCONSISTENT, section_name(b.id),
                    place_of(j) + offsetof(struct oh_format_section, level), b.level, a.level);
    if (a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes)
        return fail(fault, OH_VIEW_INCONSISTENT, section_name(b.id),
                    place_of(j) + offsetof(struct oh_format_section, offset), b.offset, a.offset);
    return 0;
}

static int check_sections(const struct oh_view *view, struct oh_view_fault *fault)
{
    uint32_t count = section_count(view);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_known(&view->header->sections[i]))
            continue;
        int rc = check_section(view, i, fault);
        for (uint32_t j = 0; j < i && rc == 0; j++) {
            if (is_known(&view->header->sections[j]))
                rc = check_pair(view, j, i, fault);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

int oh_view_open(struct oh_view *view, const void *base, size_t size, struct oh_view_fault *fault)
{
    *view = (struct oh_view){.base = base, .size = size, .header = base};
    *fault = (struct oh_view_fault){.error = OH_VIEW_OK, .section = "header"};
    int rc = check_magic(view, fault);
    if (rc == 0)
        rc = check_version(view, fault);
    if (rc == 0)
        rc = check_fields(view, fault);
    if (rc == 0)
        rc = check_sections(view, fault);
    return rc;
}

// The section when it is ready and lies inside of the bytes that we have.
static bool get_usable(const struct oh_view *view, uint32_t i, enum oh_format_section_id id,
                       struct oh_format_section *section)
{
    *section = read_section(view, i);
    return section->id == (uint32_t)id && section->state == OH_SECTION_READY &&
           section->offset % SECTION_ALIGN == 0 && section->offset <= view->size &&
           section->bytes <= view->size - section->offset;
}

static bool find_level(const struct oh_view *view, enum oh_format_section_id id, uint32_t level,
                       struct oh_format_section *section)
{
    uint32_t count = section_count(view);
    for (uint32_t i = 0; i < count; i++) {
        if (get_usable(view, i, id, section) && section->level == level)
            return true;
    }
    return false;
}

// The usable section of this id that holds [offset, offset + bytes).
static bool find_holder(const struct oh_view *view, enum oh_format_section_id id, uint64_t offset,
                        uint64_t bytes)
{
    struct oh_format_section section;
    uint32_t count = section_count(view);
    for (uint32_t i = 0; i < count; i++) {
        if (get_usable(view, i, id, &section) && offset >= section.offset &&
            offset - section.offset <= section.bytes &&
            bytes <= section.bytes - (offset - section.offset))
            return true;
    }
    return false;
}

const void *oh_view_section(const struct oh_view *view, enum oh_format_section_id id,
                            uint32_t level, uint64_t *bytes)
{
    struct oh_format_section section;
    if (!find_level(view, id, level, &section))
        return NULL;
    *bytes = section.bytes;
    return view->base + section.offset;
}

uint8_t oh_view_stack_kind(const struct oh_view *view, uint32_t ref)
{
    uint64_t offset = (uint64_t)ref * OH_FORMAT_STACK_ALIGN;
    if (!find_holder(view, OH_SECTION_STACKS, offset, OH_FORMAT_STACK_BYTES))
        return 0;
    return oh_load8_relaxed(&((const struct oh_format_stack *)(view->base + offset))->kind);
}

const char *oh_view_text(const struct oh_view *view, struct oh_format_text text, size_t *length)
{
    *length = 0;
    if (text.length == 0 ||
        !find_holder(view, OH_SECTION_STRINGS, text.offset, (uint64_t)text.length + 1) ||
        view->base[(uint64_t)text.offset + text.length] != 0)
        return "";
    *length = text.length;
    return (const char *)view->base + text.offset;
}

static void read_counters(const struct oh_view *view, const struct oh_format_stack *from,
                          struct oh_view_stack *stack)
{
    bool exact = oh_load32_relaxed(&view->header->mode) == OH_MODE_EXACT;
    stack->alloc_objects = oh_load_acquire(&from->alloc_objects);
    stack->alloc_bytes = oh_load_acquire(&from->alloc_bytes);
    stack->samples = exact ? stack->alloc_objects : oh_load_relaxed(&from->samples);
    stack->alloc_objects_variance =
        oh_double_of_bits(oh_load_relaxed(&from->alloc_objects_variance));
    stack->alloc_bytes_variance = oh_double_of_bits(oh_load_relaxed(&from->alloc_bytes_variance));
}

static void read_steps(const struct oh_format_stack *from, struct oh_view_stack *stack)
{
    uint64_t word = oh_load_acquire(&from->step_word);
    stack->steps.second = (uint32_t)(word >> OH_STEP_WORD_SHIFT);
    for (uint32_t rung = 0; rung < OH_FORMAT_STEP_RUNGS; rung++)
        stack->steps.values[rung] = oh_load32_relaxed(&from->steps[rung]);
    stack->steps_torn = word != 0 && word != oh_step_word(&stack->steps);
}

// The stack that an index word refers to; false when there is no such stack.
static bool read_stack(const struct oh_view *view, uint64_t word, struct oh_view_stack *stack)
{
    uint32_t ref = (uint32_t)word;
    uint64_t offset = (uint64_t)ref * OH_FORMAT_STACK_ALIGN;
    if (!find_holder(view, OH_SECTION_STACKS, offset, OH_FORMAT_STACK_BYTES))
        return false;
    const struct oh_format_stack *from = (const struct oh_format_stack *)(view->base + offset);
    *stack = (struct oh_view_stack){
        .ref = ref,
        .depth = oh_load32_relaxed(&from->depth),
        .kind = oh_load8_relaxed(&from->kind),
        .phase = oh_load8_relaxed(&from->phase),
        .end = oh_load8_relaxed(&from->end),
        .epoch = oh_load_relaxed(&from->epoch),
        .first_ns = oh_load_relaxed(&from->first_ns),
        .pcs = (const uint64_t *)(view->base + offset + OH_FORMAT_STACK_BYTES),
    };
    if (stack->depth > OH_FORMAT_MAX_DEPTH ||
        !find_holder(view, OH_SECTION_STACKS, offset,
                     OH_FORMAT_STACK_BYTES + stack->depth * sizeof(uint64_t)))
        return false;
    uint32_t attributes =
        oh_stack_attributes(stack->kind, stack->phase, stack->end, oh_load8_relaxed(&from->shard));
    uint64_t hash = oh_hash_stack(stack->epoch, attributes, stack->pcs, stack->depth);
    if (hash != oh_load_relaxed(&from->hash) ||
        hash >> OH_INDEX_REF_BITS != word >> OH_INDEX_REF_BITS)
        return false;
    // Before the counters, so that a stack never had more in use than it is said to have allocated.
    read_steps(from, stack);
    read_counters(view, from, stack);
    return true;
}

int oh_view_each_stack(struct oh_view *view, oh_view_stack_fn *fn, void *arg)
{
    struct oh_format_section section;
    struct oh_view_stack stack;
    memset(view->ends, 0, sizeof view->ends);
    for (uint32_t level = 0; level < OH_FORMAT_MAX_LEVELS; level++) {
        if (!find_level(view, OH_SECTION_INDEX, level, &section))
            continue;
        const uint64_t *words = (const uint64_t *)(view->base + section.offset);
        for (uint64_t i = 0; i < section.bytes / sizeof *words; i++) {
            // Pairs with the release of the index word when a stack is interned.
            uint64_t word = oh_load_acquire(&words[i]);
            if (word == 0)
                continue;
            if (!read_stack(view, word, &stack)) {
                view->damaged++;
                continue;
            }
            if (stack.end <= OH_STACK_END_BROKEN)
                view->ends[stack.end] += stack.samples;
            int rc = fn(arg, &stack);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

uint64_t oh_view_counter(const struct oh_view *view, int counter)
{
    switch (counter) {
    case OH_COUNTER_truncated_stacks: return view->ends[OH_STACK_END_DEPTH];
    case OH_COUNTER_broken_stacks: return view->ends[OH_STACK_END_BROKEN];
    default: return oh_load_relaxed(&view->header->counters[counter]);
    }
}

// False when there is no block. Pairs with the release of the place when a block is put in.
static bool read_block(const struct oh_format_block *from, struct oh_block *block)
{
    uint64_t place = oh_load_acquire(&from->place);
    if (place == OH_LIVE_EMPTY || place == OH_LIVE_BUSY)
        return false;
    *block = oh_block_unpack(place, oh_load_acquire(&from->facts));
    return oh_load_acquire(&from->place) == place; // Else it is gone.
}

// False when the block refers to what is not there.
static bool weigh_block(const struct oh_view *view, const struct oh_block *block,
                        struct oh_view_block *weighed)
{
    uint64_t mean = oh_load_relaxed(&view->header->means[block->mean]);
    uint32_t shift = oh_load32_relaxed(&view->header->weight_shift);
    uint64_t offset = (uint64_t)block->stack * OH_FORMAT_STACK_ALIGN;
    if (mean == 0 || shift > WEIGHT_SHIFT_MAX ||
        !find_holder(view, OH_SECTION_STACKS, offset, OH_FORMAT_STACK_BYTES))
        return false;
    *weighed = (struct oh_view_block){
        .address = block->address,
        .size = block->size,
        .weight = oh_weight_units(block->size, mean, shift),
        .stack = block->stack,
        .time_s = block->time_s,
    };
    weighed->bytes = oh_weighted_bytes(block->size, weighed->weight, shift);
    return true;
}

static int each_block_of(struct oh_view *view, const struct oh_format_section *section,
                         oh_view_block_fn *fn, void *arg)
{
    uint64_t slots = section->bytes / sizeof(struct oh_format_block);
    const struct oh_format_block *blocks =
        (const struct oh_format_block *)(view->base + section->offset);
    for (uint64_t i = 0; i < slots; i++) {
        struct oh_block block;
        struct oh_view_block weighed;
        if (!read_block(&blocks[i], &block))
            continue;
        if (!weigh_block(view, &block, &weighed)) {
            view->damaged++;
            continue;
        }
        int rc = fn(arg, &weighed);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int oh_view_each_block(struct oh_view *view, oh_view_block_fn *fn, void *arg)
{
    struct oh_format_section section;
    for (uint32_t level = 0; level < OH_FORMAT_MAX_LEVELS; level++) {
        if (!find_level(view, OH_SECTION_LIVE, level, &section))
            continue;
        int rc = each_block_of(view, &section, fn, arg);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool is_sane(const struct oh_view *view, const struct oh_format_module *module)
{
    size_t length;
    if (module->path.length != 0) {
        (void)oh_view_text(view, module->path, &length);
        if (length == 0)
            return false;
    }
    bool has_text = module->text_end != 0;
    return module->start < module->end && module->text_start <= module->text_end &&
           (!has_text ||
            (module->text_start >= module->start && module->text_end <= module->end)) &&
           module->first_epoch <= module->last_epoch && module->go_text <= module->go_text_end &&
           module->build_id_bytes <= OH_FORMAT_BUILD_ID_BYTES;
}

int oh_view_each_module(struct oh_view *view, oh_view_module_fn *fn, void *arg)
{
    struct oh_format_section section;
    uint32_t number = 0;
    for (uint32_t level = 0; level < OH_FORMAT_MAX_LEVELS; level++) {
        if (!find_level(view, OH_SECTION_MODULES, level, &section))
            continue;
        const struct oh_format_module *modules =
            (const struct oh_format_module *)(view->base + section.offset);
        for (uint64_t i = 0; i < section.bytes / sizeof *modules; i++, number++) {
            // Pairs with the release of the module's state when it is recorded.
            uint64_t state = oh_load_acquire(&modules[i].state);
            if (state == OH_MODULE_FREE || state == OH_MODULE_CLAIMED)
                continue;
            struct oh_format_module module = modules[i];
            if (state != OH_MODULE_READY || !is_sane(view, &module)) {
                view->damaged++;
                continue;
            }
            int rc = fn(arg, &module, number);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}
