// SPDX-License-Identifier: Apache-2.0
#include "allocator/foreign.h"

#include <string.h>

#include "allocator/hooks_allocator.h"
#include "base/atomic.h"
#include "base/sys.h"
#include "base/text.h"
#include "capture/readable.h"
#include "capture/unwind_c.h"
#include "patch/decode.h"
#include "recording/recording.h"

enum {
    NOTE_BYTES = 400,
    NOTES_MAX = 4,   // On refusals, of one allocator.
    CODE_ALIGN = 16, // Functions begin at its multiples; what is between is padding.
    INDIRECT_JUMP = 0xff
};

_Static_assert((int)OH_ALLOCATOR_FUNCTIONS <= (int)OH_REDIRECT_FUNCTIONS_MAX, "one batch");

bool oh_foreign_holds(const struct link_map *map, uint64_t address)
{
    return oh_unwind_c_is_one_module((uint64_t)(uintptr_t)map->l_ld, address);
}

static bool is_hooked_name(const char *name)
{
    static const char *const names[] = {
#define OH_HOOK(name) #name,
#define OH_HOOK_RAW(name) #name,
#include "offheap/hooks.def"
#undef OH_HOOK
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static bool makes_blocks(unsigned shape)
{
    return shape <= OH_SHAPE_ALLOC_INTO;
}

// Whether it is the name of a hook that makes blocks, or, for !makes, of one that frees or resizes.
static bool is_hooked_kind(const char *name, bool makes)
{
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        const struct oh_allocator_facts *facts = oh_allocator_facts((enum oh_allocator_function)i);
        if (facts->shape != OH_SHAPE_CONTROL && makes_blocks(facts->shape) == makes &&
            strcmp(facts->name, name) == 0)
            return is_hooked_name(name);
    }
    return false;
}

// --- what a function goes on to ----------------------------------------------------------------

static struct oh_function function_at(const struct oh_elf_span *span)
{
    uint64_t padded = (span->end + CODE_ALIGN - 1) & ~(uint64_t)(CODE_ALIGN - 1);
    return (struct oh_function){.code = (const uint8_t *)(uintptr_t)span->begin,
                                .address = span->begin,
                                .size = (size_t)(span->end - span->begin),
                                .room = (size_t)(padded - span->begin)};
}

// The name to which an entry of the procedure linkage table leads; NULL: the code at that address is
// none.
static const char *name_of_entry(const struct oh_foreign *c, uint64_t target)
{
    enum { ENTRY_BYTES = 16 };
    struct oh_instruction instruction;
    const uint8_t *code = (const uint8_t *)(uintptr_t)target;
    if (!c->has_dynamic || !oh_readable_range(target, ENTRY_BYTES) ||
        !oh_decode(code, ENTRY_BYTES, target, &instruction))
        return NULL;
    if (instruction.is_landing) {
        target += instruction.length;
        code += instruction.length;
        if (!oh_decode(code, ENTRY_BYTES - instruction.length, target, &instruction))
            return NULL;
    }
    if (instruction.opcode != INDIRECT_JUMP || instruction.rip_offset == 0)
        return NULL;
    uint64_t slot = target + instruction.length + (uint64_t)(int64_t)instruction.rip_displacement;
    return oh_dynamic_slot(&c->dynamic, slot);
}

// Whether the code at an address is one of the listed functions that make blocks, or, for !makes,
// that free them; `which` itself is none of them.
static bool is_other(const struct oh_foreign *c, enum oh_allocator_function which, uint64_t target,
                     bool makes)
{
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        if (i != (int)which && c->symbols.function[i].begin == target &&
            makes_blocks(oh_allocator_facts((enum oh_allocator_function)i)->shape) == makes)
            return true;
    }
    return false;
}

// Through the procedure linkage table it may go on to one of our hooks, or to who stands before us, or
// to a recorded function by another name of it, as tc_memalign is memalign's.
static bool is_recorded(const struct oh_foreign *c, enum oh_allocator_function function,
                        uint64_t target)
{
    bool makes = makes_blocks(oh_allocator_facts(function)->shape);
    if (is_other(c, function, target, makes))
        return true;
    const char *name = name_of_entry(c, target);
    struct oh_elf_span span;
    return name != NULL &&
           (is_hooked_kind(name, makes) || (oh_dynamic_find(&c->dynamic, name, &span) &&
                                            is_other(c, function, span.begin, makes)));
}

// Whether the function goes on to a recorded one of its kind: at once, or, for one that makes blocks
// and `deep`, anywhere in its code. (A second free of a block finds nothing.)
static bool goes_on(const struct oh_foreign *c, enum oh_allocator_function which, bool deep)
{
    const struct oh_function function = function_at(&c->symbols.function[which]);
    struct oh_instruction instruction;
    size_t end = deep && makes_blocks(oh_allocator_facts(which)->shape) ? function.size : 1;
    for (size_t at = 0; at < end && at < function.size; at += instruction.length) {
        if (!oh_decode(function.code + at, function.size - at, function.address + at, &instruction))
            return false;
        bool leaves = instruction.flow == OH_FLOW_JUMP || instruction.flow == OH_FLOW_CALL;
        if (leaves && instruction.direct && is_recorded(c, which, instruction.target))
            return true;
    }
    return false;
}

// --- the list ----------------------------------------------------------------------------------

static bool is_listed(const struct oh_foreign *c, uint64_t address)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->redirect[i].function.address == address)
            return true;
    }
    return false;
}

static bool is_to_be_redirected(const struct oh_foreign *c, enum oh_allocator_function which)
{
    const struct oh_allocator_facts *facts = oh_allocator_facts(which);
    const struct oh_elf_span *span = &c->symbols.function[which];
    if (span->begin == 0 || facts->shape == OH_SHAPE_CONTROL || is_listed(c, span->begin) ||
        (!facts->has_prefix && !c->has_own_operators) ||
        (c->is_behind && c->symbols.prefix[0] == '\0' && is_hooked_name(facts->name)))
        return false;
    return !goes_on(c, which, !facts->has_prefix || !c->is_jemalloc);
}

static void list_functions(struct oh_foreign *c)
{
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        enum oh_allocator_function which = (enum oh_allocator_function)i;
        if (!is_to_be_redirected(c, which))
            continue;
        const struct oh_allocator_facts *facts = oh_allocator_facts(which);
        c->which[c->count] = (uint8_t)i;
        c->redirect[c->count++] = (struct oh_redirect){
            .function = function_at(&c->symbols.function[i]),
            .arguments = facts->arguments,
            .hook = oh_allocator_hook(facts),
        };
    }
}

// --- telling -----------------------------------------------------------------------------------

static void begin_note(struct oh_text *text, char note[NOTE_BYTES], const struct oh_foreign *c)
{
    oh_text_init(text, note, NOTE_BYTES);
    if (c->is_executable)
        oh_text_add(text, "the executable");
    else
        oh_text_add(text, c->map->l_name);
}

static void tell_refusals(const struct oh_foreign *c)
{
    char note[NOTE_BYTES];
    struct oh_text text;
    size_t told = 0;
    for (size_t i = 0; i < c->count; i++) {
        enum oh_refusal refusal = (enum oh_refusal)c->redirect[i].refusal;
        if (refusal == OH_REFUSED_none || told++ >= NOTES_MAX)
            continue;
        const struct oh_allocator_facts *facts =
            oh_allocator_facts((enum oh_allocator_function)c->which[i]);
        begin_note(&text, note, c);
        oh_text_add(&text, ": ");
        oh_text_add(&text, facts->has_prefix ? c->symbols.prefix : "");
        oh_text_add(&text, facts->name);
        oh_text_add(&text, " is not redirected: ");
        oh_text_add(&text, oh_refusal_text(refusal));
        oh_recording_add_note(note);
    }
    if (told <= NOTES_MAX)
        return;
    begin_note(&text, note, c);
    oh_text_add(&text, ": so are ");
    oh_text_add_u64(&text, told - NOTES_MAX);
    oh_text_add(&text, " more of its allocator's functions");
    oh_recording_add_note(note);
}

static void tell(const struct oh_foreign *c, const char *what)
{
    char note[NOTE_BYTES];
    struct oh_text text;
    begin_note(&text, note, c);
    oh_text_add(&text, " has an allocator of its own (");
    oh_text_add(&text, c->symbols.prefix);
    oh_text_add(&text, c->is_jemalloc ? "malloc, jemalloc): " : "malloc): ");
    oh_text_add(&text, what);
    oh_recording_add_note(note);
}

// --- doing it ----------------------------------------------------------------------------------

static bool any_refused(const struct oh_foreign *c, bool makes)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct oh_allocator_facts *facts =
            oh_allocator_facts((enum oh_allocator_function)c->which[i]);
        if (c->redirect[i].refusal != OH_REFUSED_none && makes_blocks(facts->shape) == makes)
            return true;
    }
    return false;
}

static void apply(struct oh_foreign *c, bool makes)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct oh_allocator_facts *facts =
            oh_allocator_facts((enum oh_allocator_function)c->which[i]);
        if (c->redirect[i].refusal == OH_REFUSED_none && makes_blocks(facts->shape) == makes)
            (void)oh_redirect_apply(&c->redirect[i]);
    }
}

// Of a library whose malloc and its like our hooks call, the others are meant.
static void tell_unrecorded(const struct oh_foreign *c, const char *why)
{
    char note[NOTE_BYTES];
    struct oh_text text;
    oh_text_init(&text, note, sizeof note);
    oh_text_add(&text, c->is_behind
                           ? "beside malloc and its like, its functions are not recorded, and "
                             "what they free looks live, because "
                           : "not recorded, because ");
    oh_text_add(&text, why);
    tell(c, note);
}

static void mark_unseen(void)
{
    oh_or32_relaxed(&oh_recording_header()->flags, OH_FLAG_UNSEEN);
}

// What frees comes first, and what makes blocks only when all of that is done.
bool oh_foreign_redirect(struct oh_foreign *c, bool is_new)
{
    c->count = 0;
    list_functions(c);
    if (c->count == 0)
        return true;
    if (!is_new && oh_redirect_has_other_threads()) {
        tell_unrecorded(c, "other threads were running before the recorder was loaded");
        mark_unseen();
        return false;
    }
    oh_redirect_prepare(c->redirect, c->count);
    if (!any_refused(c, false))
        apply(c, false);
    bool frees = !any_refused(c, false);
    if (frees)
        apply(c, true);
    else
        tell_unrecorded(c, "not all that frees can be redirected");
    if (!frees || any_refused(c, true))
        mark_unseen();
    tell_refusals(c);
    return frees;
}
