// SPDX-License-Identifier: Apache-2.0
//
// What test_hooks runs with the library preloaded, and without it: hooks_subject CASE. Every case
// states what glibc documents of its allocator, so it must hold in all ways to run it; when the
// process is recorded exactly, it also says what the recording must hold at each point.
// Built without sanitizers: they would stand before the library.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profile/view.h"
#include "support/child.h"
#include "support/scratch.h"
#include "unit/hooks_subject.h"

static void *volatile kept;

void *oh_subject_keep(void *block)
{
    kept = block;
    return kept;
}

// --- The recording, when there is one and it is exact

static const uint8_t *recording;
static size_t recording_bytes;

static void open_recording(void)
{
    char found[OH_SCRATCH_BYTES];
    struct stat st;
    const char *dir = getenv("OFFHEAP_DIR");
    if (getenv("HOOKS_RECORDED") == NULL)
        return;
    oh_require_equal(oh_scratch_list(dir, found), 1);
    int fd = open(found, O_RDONLY | O_CLOEXEC);
    oh_require(fd >= 0 && fstat(fd, &st) == 0);
    recording_bytes = (size_t)st.st_size;
    recording = mmap(NULL, recording_bytes, PROT_READ, MAP_SHARED, fd, 0);
    oh_require(recording != MAP_FAILED);
    (void)close(fd);
}

struct wanted {
    uint64_t address;
    uint64_t size;
    int found;
    uint64_t alloc_objects, inuse_objects, alloc_bytes, inuse_bytes;
};

static int look_at_block(void *arg, const struct oh_view_block *block)
{
    struct wanted *wanted = arg;
    wanted->inuse_objects += block->weight;
    wanted->inuse_bytes += block->bytes;
    if (block->address == wanted->address) {
        wanted->size = block->size;
        wanted->found++;
    }
    return 0;
}

static int look_at_stack(void *arg, const struct oh_view_stack *stack)
{
    struct wanted *wanted = arg;
    wanted->alloc_objects += stack->alloc_objects;
    wanted->alloc_bytes += stack->alloc_bytes;
    return 0;
}

static struct wanted look(const void *block)
{
    struct oh_view view;
    struct oh_view_fault fault;
    struct wanted wanted = {.address = (uint64_t)(uintptr_t)block};
    if (recording == NULL)
        return wanted;
    oh_require(oh_view_open(&view, recording, recording_bytes, &fault) == 0);
    (void)oh_view_each_block(&view, look_at_block, &wanted);
    (void)oh_view_each_stack(&view, look_at_stack, &wanted);
    oh_require_equal(view.damaged, 0);
    return wanted;
}

static void must_be_live(const void *block, uint64_t size)
{
    struct wanted wanted = look(block);
    if (recording == NULL)
        return;
    oh_require_equal(wanted.found, 1);
    oh_require_equal(wanted.size, size);
}

static void must_be_gone(uintptr_t address)
{
    if (recording != NULL)
        oh_require_equal(look((const void *)address).found, 0);
}

// The totals of everything must not move between the two looks.
static void must_be_equal(const struct wanted *before, const struct wanted *after)
{
    oh_require_equal(after->alloc_objects, before->alloc_objects);
    oh_require_equal(after->alloc_bytes, before->alloc_bytes);
    oh_require_equal(after->inuse_objects, before->inuse_objects);
    oh_require_equal(after->inuse_bytes, before->inuse_bytes);
}

// Frees with a given errno, which free keeps (glibc since 2.33).
static void release(void *block)
{
    uintptr_t address = (uintptr_t)block;
    errno = 123;
    free(block);
    oh_require_equal(errno, 123);
    must_be_gone(address);
}

static size_t too_much(void)
{
    volatile size_t bytes = PTRDIFF_MAX;
    return bytes + 1;
}

// --- Cases

static void case_malloc(void)
{
    errno = 123;
    char *block = oh_subject_keep(malloc(100));
    oh_require(block != NULL && errno == 123);
    oh_require((uintptr_t)block % 16 == 0);
    oh_require(malloc_usable_size(block) >= 100);
    memset(block, 1, 100);
    must_be_live(block, 100);
    release(block);
    // nothing: an address of its own, which can be freed
    char *first = oh_subject_keep(malloc(0));
    char *second = oh_subject_keep(malloc(0));
    oh_require(first != NULL && second != NULL && first != second);
    must_be_live(first, 0);
    must_be_live(second, 0);
    release(first);
    release(second);
    // more than there can be
    struct wanted before = look(NULL);
    errno = 0;
    oh_require(oh_subject_keep(malloc(too_much())) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_subject_keep(malloc(SIZE_MAX)) == NULL && errno == ENOMEM);
    struct wanted after = look(NULL);
    must_be_equal(&before, &after);
    release(NULL);
    oh_require(malloc_usable_size(NULL) == 0);
}

static void case_calloc(void)
{
    for (int i = 0; i < 100; i++) {
        unsigned char *dirty = oh_subject_keep(malloc(3000));
        memset(dirty, 0xff, 3000);
        free(dirty);
        unsigned char *block = oh_subject_keep(calloc(30, 100));
        for (int at = 0; at < 3000; at++)
            oh_require(block[at] == 0);
        must_be_live(block, 3000);
        release(block);
    }
    void *nothing = oh_subject_keep(calloc(0, 5));
    oh_require(nothing != NULL);
    must_be_live(nothing, 0);
    release(nothing);
    struct wanted before = look(NULL);
    volatile size_t half = SIZE_MAX / 2;
    errno = 0;
    oh_require(oh_subject_keep(calloc(half, 3)) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_subject_keep(calloc(half, 1)) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_subject_keep(calloc(half + 9, 2)) == NULL &&
               errno == ENOMEM); // 16, if it were cut
    struct wanted after = look(NULL);
    must_be_equal(&before, &after);
}

static void case_realloc(void)
{
    errno = 123;
    char *block = oh_subject_keep(realloc(NULL, 50));
    oh_require(block != NULL && errno == 123);
    must_be_live(block, 50);
    strcpy(block, "kept");
    // larger, over the border to mappings, and smaller again
    static const size_t sizes[] = {60, 5000, 300000, 4000000, 8000000, 200, 10, 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uintptr_t old = (uintptr_t)block;
        errno = 123;
        block = oh_subject_keep(realloc(block, sizes[i]));
        oh_require(block != NULL && errno == 123 && block[0] == 'k');
        must_be_live(block, sizes[i]);
        if ((uintptr_t)block != old)
            must_be_gone(old);
    }
    // a failure leaves everything as it was
    block = oh_subject_keep(realloc(block, 40));
    memset(block, 7, 40);
    struct wanted before = look(block);
    errno = 0;
    oh_require(oh_subject_keep(realloc(block, too_much())) == NULL && errno == ENOMEM);
    struct wanted after = look(block);
    must_be_equal(&before, &after);
    must_be_live(block, 40);
    for (int i = 0; i < 40; i++)
        oh_require(block[i] == 7);
    // to nothing: glibc frees and returns NULL, and errno stays
    uintptr_t address = (uintptr_t)block;
    errno = 123;
    oh_require(oh_subject_keep(realloc(block, 0)) == NULL && errno == 123);
    must_be_gone(address);
    // from nothing to nothing: as malloc(0)
    block = oh_subject_keep(realloc(NULL, 0));
    oh_require(block != NULL);
    must_be_live(block, 0);
    release(block);
}

static void case_reallocarray(void)
{
    char *block = oh_subject_keep(reallocarray(NULL, 10, 7));
    must_be_live(block, 70);
    block[69] = 5;
    volatile size_t half = SIZE_MAX / 2;
    struct wanted before = look(block);
    errno = 0;
    oh_require(oh_subject_keep(reallocarray(block, half, 3)) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_subject_keep(reallocarray(block, half, 1)) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_subject_keep(reallocarray(block, half + 9, 2)) == NULL &&
               errno == ENOMEM); // 16, if cut
    struct wanted after = look(block);
    must_be_equal(&before, &after);
    must_be_live(block, 70);
    block = oh_subject_keep(reallocarray(block, 100, 7));
    oh_require(block[69] == 5);
    must_be_live(block, 700);
    uintptr_t address = (uintptr_t)block;
    oh_require(oh_subject_keep(reallocarray(block, 0, 7)) == NULL);
    must_be_gone(address);
}

static void case_aligned(void)
{
    // posix_memalign returns its error, and leaves errno and the pointer alone
    void *out = (void *)1;
    struct wanted before = look(NULL);
    volatile size_t bad[] = {0, 1, 2, 4, 24, 17, (size_t)1 << 63 | 8};
    errno = 123;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        oh_require(posix_memalign(&out, bad[i], 100) == EINVAL && out == (void *)1);
    oh_require(posix_memalign(&out, 64, too_much()) == ENOMEM && out == (void *)1);
    oh_require(errno == 123 || errno == ENOMEM); // glibc lets the inner failure's errno through
    struct wanted after = look(NULL);
    must_be_equal(&before, &after);
    for (size_t align = 8; align <= 65536; align *= 2) {
        oh_require(posix_memalign(&out, align, 100) == 0 && (uintptr_t)out % align == 0);
        must_be_live(out, 100);
        release(out);
        void *block = oh_subject_keep(aligned_alloc(align, 3 * align));
        oh_require((uintptr_t)block % align == 0);
        must_be_live(block, 3 * align);
        release(block);
        block = oh_subject_keep(memalign(align, 33));
        oh_require((uintptr_t)block % align == 0);
        must_be_live(block, 33);
        release(block);
    }
    oh_require(posix_memalign(&out, 64, 0) == 0);
    must_be_live(out, 0);
    release(out);
    before = look(NULL);
    errno = 0;
    oh_require(oh_subject_keep(memalign(64, too_much())) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_subject_keep(aligned_alloc(64, too_much())) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_subject_keep(valloc(too_much())) == NULL && errno == ENOMEM);
    errno = 0;
    oh_require(oh_subject_keep(pvalloc(SIZE_MAX)) == NULL && errno == ENOMEM);
    after = look(NULL);
    must_be_equal(&before, &after);
}

static void case_pages(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *block = oh_subject_keep(valloc(10));
    oh_require((uintptr_t)block % page == 0);
    must_be_live(block, 10);
    release(block);
    block = oh_subject_keep(pvalloc(10));
    oh_require((uintptr_t)block % page == 0 && malloc_usable_size(block) >= page);
    must_be_live(block, 10);
    release(block);
}

// Frees that this libc may not have; with the library they are always there.
static void case_other_frees(void)
{
    void (*old)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*aligned)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    if (getenv("LD_PRELOAD") != NULL)
        oh_require(old != NULL && sized != NULL && aligned != NULL);
    for (int i = 0; i < 3; i++) {
        void *block = oh_subject_keep(aligned_alloc(64, 128));
        uintptr_t address = (uintptr_t)block;
        errno = 123;
        if (i == 0 && old != NULL)
            old(block);
        else if (i == 1 && sized != NULL)
            sized(block, 128);
        else if (i == 2 && aligned != NULL)
            aligned(block, 64, 128);
        else
            free(block);
        oh_require(errno == 123);
        must_be_gone(address);
    }
    if (old != NULL)
        old(NULL);
    if (sized != NULL)
        sized(NULL, 0);
    if (aligned != NULL)
        aligned(NULL, 64, 0);
}

static void *allocate_in_thread(void *arg)
{
    void **out = arg;
    *out = malloc(77);
    return NULL;
}

static void case_threads(void)
{
    enum { THREADS = 50 };
    void *blocks[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        oh_require(pthread_create(&thread, NULL, allocate_in_thread, &blocks[i]) == 0);
        oh_require(pthread_join(thread, NULL) == 0);
    }
    // The threads are gone, their blocks are not; we free what they have allocated.
    for (int i = 0; i < THREADS; i++) {
        must_be_live(blocks[i], 77);
        release(blocks[i]);
    }
}

static void case_fork(void)
{
    char *block = oh_subject_keep(malloc(500));
    struct wanted before = look(block);
    pid_t pid = fork();
    if (pid == 0) {
        free(block);
        for (int i = 0; i < 1000; i++)
            free(oh_subject_keep(malloc((size_t)i)));
        char *grown = oh_subject_keep(realloc(malloc(10), 100000));
        oh_require(grown != NULL);
        exit(0); // with its exit handlers
    }
    oh_require_equal(oh_child_wait(pid), 0);
    struct wanted after = look(block);
    must_be_equal(&before, &after);
    must_be_live(block, 500);
    release(block);
    void *more = oh_subject_keep(malloc(600));
    must_be_live(more, 600);
    release(more);
}

static void case_spawn(void)
{
    extern char **environ;
    char *const argv[] = {"true", NULL};
    struct wanted before = look(NULL);
    pid_t pid;
    int status;
    oh_require(posix_spawnp(&pid, "true", NULL, NULL, argv, environ) == 0);
    oh_require(waitpid(pid, &status, 0) == pid && status == 0);
    pid = vfork();
    if (pid == 0) {
        (void)execve("/bin/true", argv, environ);
        _exit(1);
    }
    oh_require(waitpid(pid, &status, 0) == pid && status == 0);
    struct wanted after = look(NULL);
    oh_require_equal(after.inuse_objects, before.inuse_objects);
}

static void case_dlclose(void)
{
    void *handle = dlopen("libm.so.6", RTLD_NOW);
    oh_require(handle != NULL);
    oh_require(dlsym(handle, "cos") != NULL);
    oh_require(dlclose(handle) == 0);
    handle = dlopen(NULL, RTLD_NOW);
    oh_require(dlclose(handle) == 0);
}

// A random walk over all of them, with contents that are checked.
static void case_mixture(void)
{
    enum { BLOCKS = 500, STEPS = 40000 };
    static struct {
        unsigned char *bytes;
        size_t size;
        unsigned char mark;
    } blocks[BLOCKS];
    uint64_t dice = 42;
    for (int step = 0; step < STEPS; step++) {
        dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t random = dice >> 20;
        size_t i = random % BLOCKS, size = (random >> 10) % 3000;
        unsigned char mark = (unsigned char)step;
        for (size_t at = 0; at < blocks[i].size; at++)
            oh_require(blocks[i].bytes[at] == blocks[i].mark);
        void *out = NULL;
        switch ((random >> 24) % 6) {
        case 0: out = malloc(size); break;
        case 1: out = calloc(1, size); break;
        case 2: oh_require(posix_memalign(&out, 64, size) == 0); break;
        case 3: out = memalign(128, size); break;
        default:
            out = realloc(blocks[i].bytes, size + 1);
            for (size_t at = 0; at < blocks[i].size && at <= size; at++)
                oh_require(((unsigned char *)out)[at] == blocks[i].mark);
            blocks[i].bytes = NULL;
            size = size + 1;
        }
        free(blocks[i].bytes);
        oh_require(out != NULL);
        memset(out, mark, size);
        blocks[i].bytes = out;
        blocks[i].size = size;
        blocks[i].mark = mark;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i].bytes != NULL)
            must_be_live(blocks[i].bytes, blocks[i].size);
        free(blocks[i].bytes);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"malloc", case_malloc},
        {"calloc", case_calloc},
        {"realloc", case_realloc},
        {"reallocarray", case_reallocarray},
        {"aligned", case_aligned},
        {"pages", case_pages},
        {"other_frees", case_other_frees},
        {"threads", case_threads},
        {"fork", case_fork},
        {"small_stack", oh_subject_small_stack},
        {"stack_use", oh_subject_stack_use},
        {"misaligned_stack", oh_subject_misaligned_stack},
        {"spawn", case_spawn},
        {"dlclose", case_dlclose},
        {"mixture", case_mixture},
    };
    open_recording();
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        cases[i].run();
        return 0;
    }
    return 2;
}
