// SPDX-License-Identifier: Apache-2.0
//
// The cases of hooks_subject that are about the caller's stack: how much of it there is, how much a
// call takes, and how it is aligned.

#include <dlfcn.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "support/child.h"
#include "unit/hooks_subject.h"

// Puts a frame under the function's, of a module that the library has not seen before.
static void (*call_through)(void (*function)(void));

static void load_probe(void)
{
    void *handle = dlopen(OH_TEST_PROBE_A, RTLD_NOW);
    oh_require(handle != NULL);
    call_through = (void (*)(void (*)(void)))dlsym(handle, "probe_call");
    oh_require(call_through != NULL);
}

static void allocate_and_free(void)
{
    void *block = oh_subject_keep(malloc(88));
    oh_require(block != NULL);
    free(block);
}

static void *run_on_a_small_stack(void *arg)
{
    (void)arg;
    call_through(allocate_and_free);
    return NULL;
}

// The smallest stack that a thread may have, most of it used up already by libc's own needs.
void oh_subject_small_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    load_probe();
    oh_require(pthread_attr_init(&attributes) == 0);
    oh_require(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0);
    oh_require(pthread_create(&thread, &attributes, run_on_a_small_stack, NULL) == 0);
    oh_require(pthread_join(thread, NULL) == 0);
}

// --- How much of the host's stack a call takes, libc's own part included

enum {
    PAINT = 0x5a,
    PAINTED_BYTES = 1 << 17,
    // What track.h says, and some room for other compilers.
    USE_WARM_BYTES = 2560,
    USE_BYTES = 6144,
    USE_DEEPER_BYTES = 3072, // More, when stacks may have over 128 frames.
};

static struct {
    unsigned char *begin; // Of a stack that is nobody else's.
    size_t first, warm, in_signal, freed;
} use;

static void *volatile allocated;

static void allocate_once(void)
{
    allocated = malloc(100);
}

static void allocate_through_the_probe(void)
{
    call_through(allocate_once);
}

static void free_allocated(void)
{
    free(allocated);
}

// Paints what lies below this frame, calls, and looks how deep the paint was scratched. This
// function calls nothing else: what it called would lie in the paint.
static __attribute__((noinline)) size_t used_by(void (*function)(void))
{
    enum { OWN_BYTES = 512 };
    unsigned char *here = __builtin_frame_address(0);
    volatile unsigned char *at;
    for (at = use.begin; at < here - OWN_BYTES; at++)
        *at = PAINT;
    function();
    for (at = use.begin; *at == PAINT; at++)
        continue;
    return (size_t)(here - at);
}

static void on_use_signal(int number)
{
    (void)number;
    use.in_signal = used_by(allocate_through_the_probe);
    free(allocated);
}

static void *measure_use(void *arg)
{
    (void)arg;
    // From one place: to the recorder another return address is another stack.
    for (int i = 0; i < 3; i++) {
        use.warm = used_by(allocate_through_the_probe);
        use.first = i == 0 ? use.warm : use.first;
        use.freed = used_by(free_allocated);
    }
    oh_require(raise(SIGUSR1) == 0);
    return NULL;
}

void oh_subject_stack_use(void)
{
    const char *depth = getenv("OFFHEAP_MAX_DEPTH");
    size_t more = depth != NULL && atoi(depth) > 128 ? USE_DEEPER_BYTES : 0;
    pthread_attr_t attributes;
    pthread_t thread;
    load_probe();
    use.begin =
        mmap(NULL, PAINTED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    oh_require(use.begin != MAP_FAILED);
    oh_require(signal(SIGUSR1, on_use_signal) != SIG_ERR);
    oh_require(pthread_attr_init(&attributes) == 0);
    oh_require(pthread_attr_setstack(&attributes, use.begin, PAINTED_BYTES) == 0);
    oh_require(pthread_create(&thread, &attributes, measure_use, NULL) == 0);
    oh_require(pthread_join(thread, NULL) == 0);
    (void)printf("bytes of stack: first malloc %zu, later %zu, in a signal handler %zu, free %zu\n",
                 use.first, use.warm, use.in_signal, use.freed);
    oh_require(use.first <= USE_BYTES + more);
    oh_require(use.in_signal <= USE_BYTES + more);
    // Not the warm bound: where the loader put the libraries decides whether two frames of this stack
    // share an entry of the table of rows, and each walk then works one out anew.
    oh_require(use.warm <= USE_BYTES + more);
    oh_require(use.freed <= USE_WARM_BYTES);
}

static struct {
    void *blocks[8];
    void *handle;
    void (*free_sized)(void *, size_t); // Where there is one.
    int status;
} from_misaligned;

// Runs with the stack off by 8: nothing here may need it aligned.
static void allocate_and_free_everything(void)
{
    void **blocks = from_misaligned.blocks;
    blocks[0] = malloc(100);
    blocks[1] = calloc(3, 100);
    blocks[2] = realloc(malloc(10), 5000);
    from_misaligned.status = posix_memalign(&blocks[3], 64, 100);
    blocks[4] = memalign(64, 100);
    blocks[5] = aligned_alloc(64, 128);
    blocks[6] = valloc(100);
    blocks[7] = pvalloc(100);
    for (int i = 0; i < 8; i++)
        free(blocks[i]);
    if (from_misaligned.free_sized != NULL)
        from_misaligned.free_sized(malloc(100), 100);
    from_misaligned.status += dlclose(from_misaligned.handle);
}

// What hand-written assembly and generated code sometimes do.
static void call_misaligned(void (*function)(void))
{
    __asm__ volatile("mov %%rsp, %%rbx\n\t"
                     "lea -256(%%rsp), %%rsp\n\t"
                     "and $-16, %%rsp\n\t"
                     "sub $8, %%rsp\n\t"
                     "call *%0\n\t"
                     "mov %%rbx, %%rsp"
                     :
                     : "r"(function)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc",
                       "memory");
}

void oh_subject_misaligned_stack(void)
{
    from_misaligned.free_sized = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    for (int i = 0; i < 200; i++) {
        from_misaligned.handle = dlopen(OH_TEST_PROBE_A, RTLD_NOW);
        oh_require(from_misaligned.handle != NULL);
        from_misaligned.status = -1;
        call_misaligned(allocate_and_free_everything);
        oh_require_equal(from_misaligned.status, 0);
        for (int n = 0; n < 8; n++)
            oh_require(from_misaligned.blocks[n] != NULL);
    }
}
