// SPDX-License-Identifier: Apache-2.0
//
// Tracking in a host that does what few do: jumps out of a hook, or makes every inexact result a
// trap.

#include <errno.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>

#include "base/attr.h"
#include "base/thread.h"
#include "capture/budget.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/scratch.h"
#include "support/tracking.h"
#include "track/track.h"

// --- A signal handler that does not come back

enum { JUMPS = 3 };

// AddressSanitizer puts variables elsewhere, and where a call lies on the stack is what matters here.
#define ON_THE_STACK __attribute__((no_sanitize("address")))

static sigjmp_buf jumped;

static void jump(int signal)
{
    (void)signal;
    siglongjmp(jumped, 1);
}

ON_THE_STACK static OH_NOINLINE void be_interrupted(void)
{
    struct oh_track_call call;
    oh_require(oh_track_begin(&call, 10));
    (void)raise(SIGUSR1);
    oh_require(false);
}

ON_THE_STACK static void is_left(void *dir)
{
    const struct sigaction action = {.sa_handler = jump};
    static unsigned jumps;
    oh_tracking_start_exact(dir);
    oh_require(oh_tracking_allocate(1, 10));
    oh_require(sigaction(SIGUSR1, &action, NULL) == 0);
    if (sigsetjmp(jumped, 1) != 0)
        jumps++;
    if (jumps < JUMPS)
        be_interrupted();
    struct oh_track_call call;
    oh_require(oh_track_begin(&call, 10));
    oh_track_end(&call, NULL, oh_tracking_address(2), 10);
    oh_require_equal(oh_tracking_sum().blocks, 2);
    oh_require_equal(oh_tables_counter(OH_COUNTER_nested_calls), 0);
}

static void test_a_hook_that_was_jumped_out_of_does_not_end_the_recording(void **state)
{
    (void)state;
    oh_scratch_run(is_left);
}

static uintptr_t interrupted_at;

// As high on the thread's own stack as the signal's stack is.
ON_THE_STACK static void allocate_in_handler(int signal)
{
    struct oh_track_call call;
    (void)signal;
    oh_require((uintptr_t)&call > interrupted_at);
    oh_require(!oh_track_begin(&call, 10));
}

ON_THE_STACK static OH_NOINLINE void be_interrupted_for_a_while(void)
{
    struct oh_track_call call;
    oh_require(oh_track_begin(&call, 10));
    interrupted_at = (uintptr_t)&call;
    (void)raise(SIGUSR1);
    call.weight = 1;
    oh_track_end(&call, NULL, oh_tracking_address(2), 10);
}

static void is_not_left(void *dir)
{
    char room[64 << 10];
    const stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    const struct sigaction action = {.sa_handler = allocate_in_handler, .sa_flags = SA_ONSTACK};
    oh_tracking_start_exact(dir);
    oh_require(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 3; i++)
        be_interrupted_for_a_while();
    oh_require_equal(oh_tables_counter(OH_COUNTER_nested_calls), 3);
}

static void test_a_call_on_a_signals_stack_is_inside_wherever_that_lies(void **state)
{
    (void)state;
    oh_scratch_run(is_not_left);
}

// --- A host to which every inexact result is an error

static uint64_t clock_ns;

static uint64_t passing_ns(void)
{
    return clock_ns += 10000;
}

static void trap_everything(const char *dir, uint32_t budget_ppm)
{
    static const struct oh_budget_clocks clocks = {passing_ns, passing_ns};
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    config.exact = false;
    config.sample_bytes = 4096;
    config.max_overhead_ppm = budget_ppm;
    oh_tracking_set_clocks(&clocks);
    oh_tracking_start(&config);
    oh_require(fesetround(FE_UPWARD) == 0 && feclearexcept(FE_ALL_EXCEPT) == 0);
    oh_require(feenableexcept(FE_ALL_EXCEPT) != -1);
    unsigned taken = 0;
    for (uint64_t n = 1; n <= 30000; n++) {
        taken += oh_tracking_allocate(n, 1000 + n % 1000);
        if (n % 2 == 0)
            oh_track_free(oh_tracking_address(n));
    }
    oh_require(fetestexcept(FE_ALL_EXCEPT) == 0 && fegetround() == FE_UPWARD);
    (void)fedisableexcept(FE_ALL_EXCEPT);
    (void)fesetround(FE_TONEAREST);
    oh_require(taken > 100);
    oh_require(budget_ppm == 0 || oh_recording_header()->budget.changes > 0);
}

static void trap_everything_sampled(void *dir)
{
    trap_everything(dir, 0);
}

static void trap_everything_under_a_budget(void *dir)
{
    trap_everything(dir, 10000);
}

static void test_the_floating_point_environment_is_the_hosts(void **state)
{
    (void)state;
    oh_scratch_run(trap_everything_sampled);
    oh_scratch_run(trap_everything_under_a_budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hook_that_was_jumped_out_of_does_not_end_the_recording),
        cmocka_unit_test(test_a_call_on_a_signals_stack_is_inside_wherever_that_lies),
        cmocka_unit_test(test_the_floating_point_environment_is_the_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
