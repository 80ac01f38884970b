// SPDX-License-Identifier: Apache-2.0
#include "base/sandbox.h"

#include <stdint.h>

#include "base/atomic.h"

static uint32_t sandboxed;

void oh_sandbox_enter(void)
{
    oh_store32_relaxed(&sandboxed, 1);
}

bool oh_sandbox_is_up(void)
{
    return oh_load32_relaxed(&sandboxed) != 0;
}
