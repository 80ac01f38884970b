// SPDX-License-Identifier: Apache-2.0
#include "capture/unwind_c.h"

#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "base/attr.h"
#include "capture/quick.h"
#include "capture/rows.h"

enum {
    // DWARF's numbers of x86-64 registers, and libunwind's two columns for the CFA after them.
    DWARF_BX = 3,
    DWARF_BP = 6,
    DWARF_SP = 7,
    DWARF_R12 = 12,
    DWARF_R15 = 15,
    DWARF_RETURN = 16,
    COLUMN_CFA_REGISTER = 17,
    COLUMN_CFA_OFFSET = 18,
    COLUMN_COUNT = 19,
    // How a column's register is found: libunwind's dwarf_where_t.
    WHERE_UNDEFINED = 0,
    WHERE_SAME = 1,
    WHERE_CFA_OFFSET = 2,
    WHERE_REGISTER = 3,
    WHERE_EXPRESSION = 4,
    WORD_BYTES = 8,
    // Operations of DWARF expressions.
    OP_DEREF = 0x06,
    OP_BREG_BP = 0x70 + DWARF_BP,
    // One-byte signed numbers: the sign, and the bit that would say that more follow.
    NUMBER_SIGN = 0x40,
    NUMBER_MORE = 0x80
};

// What the patches of libunwind call and define. Its words are unsigned long.
int oh_libunwind_module(unw_word_t pc, unw_word_t *begin, unw_word_t *end, unw_word_t *hdr);
int oh_libunwind_read(unw_word_t address, unw_word_t *value);
int oh_libunwind_row(unw_word_t pc, int after_call, uint8_t where[COLUMN_COUNT],
                     int64_t value[COLUMN_COUNT], unw_word_t *return_column, int *signal_frame);

// As in glibc's <dlfcn.h> since 2.35; declared here so that older headers do.
struct found_object {
    unsigned long long flags;
    void *map_begin;
    void *map_end;
    void *link_map;
    void *eh_frame_hdr;
    unsigned long long reserved[7];
};

typedef int find_object_fn(void *pc, struct found_object *result);

static find_object_fn *find_object OH_READ_MOSTLY;
static struct oh_c_module loader;

void oh_unwind_c_init(void)
{
    // dlsym: a direct reference would keep the library from loading with an older glibc.
    *(void **)&find_object = dlsym(RTLD_DEFAULT, "_dl_find_object");
    // This also starts libunwind. Rows are kept in our own table; its cache is patched out.
    (void)unw_set_caching_policy(unw_local_addr_space, UNW_CACHE_NONE);
    (void)oh_unwind_c_find_module(getauxval(AT_BASE), &loader);
}

int oh_unwind_c_find_module(uint64_t pc, struct oh_c_module *module)
{
    if (!find_object)
        return -ENOSYS;
    struct found_object object;
    // The address is a number here; the loader only compares it.
    if (find_object((void *)(uintptr_t)pc, &object) != 0 || !object.eh_frame_hdr)
        return -ENOENT;
    module->begin = (uint64_t)(uintptr_t)object.map_begin;
    module->end = (uint64_t)(uintptr_t)object.map_end;
    module->eh_frame_hdr = (uint64_t)(uintptr_t)object.eh_frame_hdr;
    return 0;
}

bool oh_unwind_c_is_one_module(uint64_t address, uint64_t other)
{
    struct oh_c_module module, others;
    return oh_unwind_c_find_module(address, &module) == 0 &&
           oh_unwind_c_find_module(other, &others) == 0 &&
           module.eh_frame_hdr == others.eh_frame_hdr;
}

int oh_libunwind_module(unw_word_t pc, unw_word_t *begin, unw_word_t *end, unw_word_t *hdr)
{
    struct oh_c_module module;
    int rc = oh_unwind_c_find_module(pc, &module);
    if (rc < 0)
        return rc;
    *begin = module.begin;
    *end = module.end;
    *hdr = module.eh_frame_hdr;
    return 0;
}

int oh_libunwind_read(unw_word_t address, unw_word_t *value)
{
    uint64_t word;
    if (!oh_readable_word(oh_readable_self(), address, &word))
        return -EFAULT;
    *value = word;
    return 0;
}

// Our number of a DWARF register, or OH_REG_COUNT when we do not follow it.
static enum oh_register register_of(int64_t dwarf)
{
    switch (dwarf) {
    case DWARF_BX: return OH_REG_BX;
    case DWARF_BP: return OH_REG_BP;
    case DWARF_SP: return OH_REG_SP;
    default:
        if (dwarf >= DWARF_R12 && dwarf <= DWARF_R15)
            return (enum oh_register)(OH_REG_R12 + (dwarf - DWARF_R12));
        return OH_REG_COUNT;
    }
}

// Where one saved register is, for a plain row. False: not in a way that a plain row can say.
static bool place_of(uint8_t where, int64_t value, int16_t *saved)
{
    *saved = 0;
    if (where == WHERE_SAME || where == WHERE_UNDEFINED)
        return true;
    if (where != WHERE_CFA_OFFSET || value % WORD_BYTES != 0 || value == 0 ||
        value / WORD_BYTES > INT16_MAX || value / WORD_BYTES < INT16_MIN)
        return false;
    *saved = (int16_t)(value / WORD_BYTES);
    return true;
}

// Whether the columns make a plain row, which is then in *row.
static bool plain_row(const uint8_t *where, const int64_t *value, union oh_row *row)
{
    enum oh_register base = register_of(value[COLUMN_CFA_REGISTER]);
    int64_t offset = value[COLUMN_CFA_OFFSET];
    if (where[COLUMN_CFA_REGISTER] != WHERE_REGISTER || base == OH_REG_COUNT ||
        offset > INT32_MAX || offset < INT32_MIN || where[DWARF_SP] != WHERE_SAME ||
        where[DWARF_RETURN] != WHERE_CFA_OFFSET || value[DWARF_RETURN] != -WORD_BYTES)
        return false;
    row->kind = OH_ROW_PLAIN;
    row->cfa_register = (uint8_t)base;
    row->cfa_offset = (int32_t)offset;
    for (unsigned column = 0; column < DWARF_RETURN; column++) {
        enum oh_register reg = register_of(column);
        if (reg < OH_REG_SAVED_COUNT && !place_of(where[column], value[column], &row->saved[reg]))
            return false;
    }
    return true;
}

// Whether an expression is "the frame pointer plus *offset", followed by `more` bytes: the
// expression's bytes stand behind their number. The offset has one byte.
static bool is_bp_offset(int64_t expression, unsigned more, int64_t *offset)
{
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)expression;
    if (bytes[0] != 2 + more || bytes[1] != OP_BREG_BP || bytes[2] & NUMBER_MORE)
        return false;
    *offset = bytes[2] & NUMBER_SIGN ? (int64_t)bytes[2] - NUMBER_MORE : bytes[2];
    return true;
}

// Whether the columns are those of a function that gcc made align its stack.
static bool realigned_row(const uint8_t *where, const int64_t *value, union oh_row *row)
{
    int64_t cfa, bp;
    if (where[COLUMN_CFA_REGISTER] != WHERE_EXPRESSION || where[DWARF_BP] != WHERE_EXPRESSION ||
        where[DWARF_RETURN] != WHERE_CFA_OFFSET || value[DWARF_RETURN] != -WORD_BYTES ||
        !is_bp_offset(value[COLUMN_CFA_REGISTER], 1, &cfa) ||
        ((const uint8_t *)(uintptr_t)value[COLUMN_CFA_REGISTER])[3] != OP_DEREF ||
        !is_bp_offset(value[DWARF_BP], 0, &bp) || bp != 0)
        return false;
    row->kind = OH_ROW_REALIGNED;
    row->cfa_offset = (int32_t)cfa;
    return true;
}

// Whether an address without call frame information is one that nothing called. The loader runs
// constructors from the few instructions where the process began. And a return address that is a
// function's first byte was put there by hand, to have somewhere to return to: makecontext does.
static bool is_begin_of_all(const struct oh_row_key *key)
{
    uint8_t where[COLUMN_COUNT];
    int64_t value[COLUMN_COUNT];
    unw_word_t return_column;
    int signal_frame;
    if (key->pc - loader.begin < loader.end - loader.begin)
        return true;
    return key->after_call &&
           oh_libunwind_row(key->pc, false, where, value, &return_column, &signal_frame) >= 0;
}

static OH_NOINLINE void make_row(const struct oh_row_key *key, union oh_row *row)
{
    uint8_t where[COLUMN_COUNT];
    int64_t value[COLUMN_COUNT];
    unw_word_t return_column = DWARF_RETURN;
    int signal_frame = 0;
    memset(row, 0, sizeof(*row));
    int rc =
        oh_libunwind_row(key->pc, key->after_call, where, value, &return_column, &signal_frame);
    if (rc < 0)
        row->kind = is_begin_of_all(key) ? OH_ROW_END : OH_ROW_NONE;
    else if (return_column != DWARF_RETURN)
        row->kind = OH_ROW_COMPLEX;
    else if (signal_frame)
        row->kind = OH_ROW_SIGNAL;
    else if (where[DWARF_RETURN] == WHERE_UNDEFINED)
        row->kind = OH_ROW_END;
    else if (!plain_row(where, value, row) && !realigned_row(where, value, row)) {
        memset(row, 0, sizeof(*row)); // The first may have begun.
        row->kind = OH_ROW_COMPLEX;
    }
    if (rc != -UNW_ENOMEM)
        oh_rows_insert(key, row);
}

// Writes the caller's registers over the frame's one by one: a copy of the whole would wait for
// these stores.
static enum oh_c_step step_plain(struct oh_registers *regs, struct oh_readable *stack,
                                 const union oh_row *row)
{
    uint64_t cfa = regs->r[row->cfa_register] + (uint64_t)(int64_t)row->cfa_offset;
    uint64_t pc;
    if (cfa <= regs->r[OH_REG_SP] || !oh_readable_word(stack, cfa - WORD_BYTES, &pc))
        return OH_C_STEP_BROKEN;
    for (unsigned i = 0; i < OH_REG_SAVED_COUNT; i++) {
        uint64_t slot = cfa + (uint64_t)((int64_t)row->saved[i] * WORD_BYTES);
        if (row->saved[i] != 0 && !oh_readable_word(stack, slot, &regs->r[i]))
            return OH_C_STEP_BROKEN;
    }
    if (pc == 0)
        return OH_C_STEP_END;
    regs->r[OH_REG_SP] = cfa;
    regs->pc = pc;
    regs->after_call = true;
    return OH_C_STEP_FRAME;
}

// The same registers for us and for libunwind.
static const struct {
    enum oh_register ours;
    int greg;
    unw_regnum_t libunwind;
} same_registers[] = {
    {OH_REG_BX, REG_RBX, UNW_X86_64_RBX},  {OH_REG_BP, REG_RBP, UNW_X86_64_RBP},
    {OH_REG_R12, REG_R12, UNW_X86_64_R12}, {OH_REG_R13, REG_R13, UNW_X86_64_R13},
    {OH_REG_R14, REG_R14, UNW_X86_64_R14}, {OH_REG_R15, REG_R15, UNW_X86_64_R15},
    {OH_REG_SP, REG_RSP, UNW_X86_64_RSP},
};

enum { SAME_REGISTER_COUNT = sizeof(same_registers) / sizeof(same_registers[0]) };

static OH_NOINLINE enum oh_c_step step_complex(struct oh_registers *regs, bool is_signal)
{
    ucontext_t context;
    memset(&context.uc_mcontext.gregs, 0, sizeof(context.uc_mcontext.gregs));
    context.uc_mcontext.gregs[REG_RIP] = (greg_t)regs->pc;
    for (unsigned i = 0; i < SAME_REGISTER_COUNT; i++)
        context.uc_mcontext.gregs[same_registers[i].greg] = (greg_t)regs->r[same_registers[i].ours];

    unw_cursor_t cursor;
    unw_word_t pc;
    if (unw_init_local2(&cursor, &context, regs->after_call ? 0 : UNW_INIT_SIGNAL_FRAME) < 0)
        return OH_C_STEP_BROKEN;
    int rc = unw_step(&cursor);
    if (rc < 0 || unw_get_reg(&cursor, UNW_REG_IP, &pc) < 0)
        return OH_C_STEP_BROKEN;
    if (rc == 0 || pc == 0)
        return OH_C_STEP_END;
    regs->pc = pc;
    regs->after_call = !is_signal;
    for (unsigned i = 0; i < SAME_REGISTER_COUNT; i++) {
        unw_word_t value;
        if (unw_get_reg(&cursor, same_registers[i].libunwind, &value) == 0)
            regs->r[same_registers[i].ours] = value;
    }
    return OH_C_STEP_FRAME;
}

enum oh_c_step oh_unwind_c_step(struct oh_registers *regs, struct oh_readable *stack)
{
    struct oh_row_key key = {regs->pc, regs->after_call, oh_rows_generation()};
    union oh_row row;
    if (oh_unlikely(!oh_rows_find(&key, &row)))
        make_row(&key, &row);
    oh_quick_insert(&key, &row);
    switch ((enum oh_row_kind)row.kind) {
    case OH_ROW_PLAIN: return step_plain(regs, stack, &row);
    case OH_ROW_COMPLEX:
    case OH_ROW_REALIGNED:
    case OH_ROW_SIGNAL: return step_complex(regs, row.kind == OH_ROW_SIGNAL);
    case OH_ROW_END: return OH_C_STEP_END;
    case OH_ROW_NONE: break;
    }
    return OH_C_STEP_BROKEN;
}
