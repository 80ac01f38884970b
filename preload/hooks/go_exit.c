// SPDX-License-Identifier: Apache-2.0
#include "hooks/go_exit.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "hooks/go_stubs.h"
#include "hooks/leave.h"
#include "patch/code.h"

enum { EXIT_BYTES = 12, EXIT_TARGET_AT = 2 };

// "mov 8(%rsp),%edi; mov $SYS_exit_group,%eax; syscall; ret", Go 1.19 to 1.26.
static const uint8_t known_code[EXIT_BYTES] = {0x8b, 0x7c, 0x24, 0x08, 0xb8, 0xe7,
                                               0x00, 0x00, 0x00, 0x0f, 0x05, 0xc3};
// "movabs $TARGET,%rax; jmp *%rax".
static const uint8_t jump_code[EXIT_BYTES] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0};

static bool installed;

int oh_go_exit_install(const struct oh_go_runtime *runtime, void (*at_end)(int code))
{
    if (installed)
        return -EALREADY;
    uint8_t code[EXIT_BYTES];
    uint64_t target = (uint64_t)(uintptr_t)&oh_go_exit_stub;
    memcpy(code, jump_code, sizeof(code));
    memcpy(code + EXIT_TARGET_AT, &target, sizeof(target));
    int rc = -ENOENT;
    for (unsigned n = 0; n < 2; n++) {
        struct oh_go_range range = runtime->function[OH_GO_RUNTIME_EXIT][n];
        if (range.begin == 0 || range.end - range.begin < EXIT_BYTES)
            continue;
        oh_leave_arm(at_end); // Before the jump can be taken.
        rc = oh_code_write(range.begin, known_code, code, sizeof(code));
        installed = rc == 0;
        if (rc != -EILSEQ)
            return rc;
    }
    return rc;
}
