// SPDX-License-Identifier: Apache-2.0
#include "support/profiling.h"

#include "support/cmocka.h"

enum { ARENA_BYTES = 64 << 20 };

void oh_profiling_begin(struct oh_profiling *p)
{
    assert_int_equal(oh_arena_init(&p->arena, ARENA_BYTES), 0);
}

int oh_profiling_build(struct oh_profiling *p, const struct oh_symbol_source *source,
                       const struct oh_writer_options *options)
{
    struct oh_view_fault fault;
    assert_int_equal(oh_view_open(&p->view, p->recording.bytes, p->recording.size, &fault), 0);
    assert_int_equal(oh_symbols_init(&p->symbols, &p->arena, &p->view, source, false), 0);
    return oh_writer_build(&p->view, &p->symbols, options, &p->arena, &p->profile);
}

void oh_profiling_end(struct oh_profiling *p)
{
    oh_symbols_fini(&p->symbols);
    oh_arena_fini(&p->arena);
}

const char *oh_profiling_text(const struct oh_profiling *p, uint32_t string)
{
    return oh_profile_text(&p->profile, string);
}

const char *oh_profiling_no_file(void *self, struct oh_symbol_module *module,
                                 enum oh_symbol_verdict *verdict)
{
    (void)self;
    (void)module;
    *verdict = OH_VERDICT_MISSING;
    return NULL;
}
