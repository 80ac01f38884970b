// SPDX-License-Identifier: Apache-2.0
#include "hooks/entry.h"

#include "base/atomic.h"
#include "base/attr.h"
#include "hooks/go_entry.h"
#include "hooks/init.h"
#include "offheap/format.h"
#include "recording/real.h"

static struct {
    bool go;
    uint32_t main_began;
    oh_main_fn *main;
} entry OH_READ_MOSTLY;

void oh_entry_init(bool go)
{
    entry.go = go;
}

uint8_t oh_entry_phase(void)
{
    if (!entry.go)
        return oh_load32_relaxed(&entry.main_began) != 0 ? OH_PHASE_MAIN : OH_PHASE_BEFORE_MAIN;
    switch (oh_go_entry_state()) {
    case OH_GO_ENTRY_BEFORE: return OH_PHASE_BEFORE_MAIN;
    case OH_GO_ENTRY_BEGAN: return OH_PHASE_MAIN;
    default: return OH_PHASE_UNKNOWN;
    }
}

// A tail call: the program's stacks show no frame of ours.
static int main_begins(int argc, char **argv, char **envp)
{
    oh_store32_relaxed(&entry.main_began, 1);
    return entry.main(argc, argv, envp);
}

OH_EXPORT int __libc_start_main(oh_main_fn *main, int argc, char **argv, void (*init)(void),
                                void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

int __libc_start_main(oh_main_fn *main, int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
    oh_init_run();
    entry.main = main;
    return oh_real.__libc_start_main(main_begins, argc, argv, init, fini, rtld_fini, stack_end);
}
