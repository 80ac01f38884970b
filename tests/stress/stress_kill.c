// SPDX-License-Identifier: Apache-2.0
//
// A process is killed at random moments while its threads allocate and free through the library,
// over and over. Every recording that is left must be accepted by the reader without damage, and
// its totals must lie between what the program had done and what it had begun.
//
// stress_kill [ROUNDS]: 50 rounds when nothing is said.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "offheap/format.h"
#include "profile/view.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"

// As fixtures/c/kill.c: what each of its threads has begun and done, in blocks of one size.
enum { THREADS = 4, MAX_THREADS = 16, BLOCK_BYTES = 200, PATH_BYTES = 2 * OH_SCRATCH_BYTES };

struct ledger {
    _Alignas(64) unsigned long allocs_begun;
    unsigned long allocs_done;
    unsigned long frees_begun;
    unsigned long frees_done;
};

struct book {
    unsigned long threads;
    struct ledger ledgers[MAX_THREADS];
};

static int rounds = 50;
static struct oh_random dice;

// --- The program

static pid_t start_program(const char *dir, const char *book, int *ready)
{
    int ends[2];
    char setting[PATH_BYTES + sizeof "OFFHEAP_DIR="];
    (void)snprintf(setting, sizeof setting, "OFFHEAP_DIR=%s", dir);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *const argv[] = {OH_TEST_KILL_FIXTURE, "run", (char *)book, "4", NULL};
        char *const envp[] = {"LD_PRELOAD=" OH_TEST_LIBRARY, "OFFHEAP_EXACT=1", setting, NULL};
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execve(argv[0], argv, envp);
        _exit(126);
    }
    (void)close(ends[1]);
    *ready = ends[0];
    return pid;
}

// Kills it within its first milliseconds, or later when all of its threads are at work.
static void kill_program(pid_t pid, int ready, int round)
{
    char byte;
    int status;
    if (round % 5 != 0)
        (void)!read(ready, &byte, 1);
    (void)usleep((useconds_t)oh_random_below(&dice, round % 3 == 0 ? 60000 : 5000));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(ready);
}

// --- What it left

struct totals {
    uint64_t alloc_objects, alloc_bytes;
    uint64_t blocks;
};

static const void *map(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    off_t end = lseek(fd, 0, SEEK_END);
    void *base = end > 0 ? mmap(NULL, (size_t)end, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    (void)close(fd);
    *size = (size_t)end;
    return base == MAP_FAILED ? NULL : base;
}

static bool in_program(const struct oh_format_module *program, uint64_t pc)
{
    return pc > program->text_start && pc <= program->text_end;
}

struct reading {
    struct oh_format_module program;
    struct totals totals;
};

static int find_program(void *arg, const struct oh_format_module *module, uint32_t number)
{
    struct reading *reading = arg;
    (void)number;
    if ((module->flags & OH_MODULE_MAIN) != 0)
        reading->program = *module;
    return 0;
}

// The fixture's own blocks: allocated by its own code, and not by libc for it.
static int add_stack(void *arg, const struct oh_view_stack *stack)
{
    struct reading *reading = arg;
    if (stack->kind != OH_KIND_MALLOC || stack->depth == 0 ||
        !in_program(&reading->program, stack->pcs[0]) || stack->phase != OH_PHASE_MAIN)
        return 0;
    reading->totals.alloc_objects += stack->alloc_objects;
    reading->totals.alloc_bytes += stack->alloc_bytes;
    return 0;
}

static int add_block(void *arg, const struct oh_view_block *block)
{
    struct reading *reading = arg;
    reading->totals.blocks += block->size == BLOCK_BYTES;
    return 0;
}

static void read_recording(const char *path, struct totals *totals)
{
    size_t size;
    struct oh_view view;
    struct oh_view_fault fault;
    struct reading reading = {0};
    const void *base = map(path, &size);
    assert_non_null(base);
    int rc = oh_view_open(&view, base, size, &fault);
    if (rc != 0)
        print_error("%s: section %s at %llu: %llu\n", path, fault.section,
                    (unsigned long long)fault.offset, (unsigned long long)fault.found);
    assert_int_equal(rc, 0);
    (void)oh_view_each_module(&view, find_program, &reading);
    (void)oh_view_each_block(&view, add_block, &reading);
    (void)oh_view_each_stack(&view, add_stack, &reading);
    assert_int_equal(view.damaged, 0);
    (void)munmap((void *)base, size);
    *totals = reading.totals;
}

static void must_lie_between(const char *what, uint64_t least, uint64_t found, uint64_t most)
{
    if (found >= least && found <= most)
        return;
    print_error("%s: %llu is not between %llu and %llu\n", what, (unsigned long long)found,
                (unsigned long long)least, (unsigned long long)most);
    fail();
}

static void must_agree(const struct totals *totals, const struct book *book)
{
    unsigned long begun = 0, done = 0, frees_begun = 0, frees_done = 0;
    for (int i = 0; i < THREADS; i++) {
        begun += book->ledgers[i].allocs_begun;
        done += book->ledgers[i].allocs_done;
        frees_begun += book->ledgers[i].frees_begun;
        frees_done += book->ledgers[i].frees_done;
    }
    must_lie_between("alloc_objects", done, totals->alloc_objects, begun);
    must_lie_between("alloc_bytes", done * BLOCK_BYTES, totals->alloc_bytes, begun * BLOCK_BYTES);
    must_lie_between("live blocks", done - frees_begun, totals->blocks, begun - frees_done);
    // What was counted and is not live was freed, or is the one event that a thread was in: it
    // counts a block just before it makes it live.
    must_lie_between("freed objects", frees_done, totals->alloc_objects - totals->blocks,
                     frees_begun + (begun - done));
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

// True when there was a recording to look at.
static bool kill_once(int round)
{
    char dir[OH_SCRATCH_BYTES], recordings[PATH_BYTES], path[PATH_BYTES], found[OH_SCRATCH_BYTES];
    int ready;
    size_t size;
    struct totals totals;
    bool looked = false;
    oh_scratch_make(dir, NULL);
    (void)snprintf(recordings, sizeof recordings, "%s/recordings", dir);
    (void)snprintf(path, sizeof path, "%s/book", dir);
    assert_int_equal(mkdir(recordings, 0700), 0);
    pid_t pid = start_program(recordings, path, &ready);
    kill_program(pid, ready, round);
    // A process that was killed before its recording had a name leaves none.
    if (oh_scratch_list(recordings, found) == 1 && ends_with(found, ".offheap")) {
        static const struct book empty;
        const struct book *book = map(path, &size);
        read_recording(found, &totals);
        must_agree(&totals, book != NULL ? book : &empty);
        looked = true;
    }
    oh_scratch_remove(dir);
    return looked;
}

static void test_recordings_of_killed_programs_are_whole_and_never_exceed_the_truth(void **state)
{
    (void)state;
    int looked = 0;
    for (int round = 0; round < rounds; round++)
        looked += kill_once(round);
    print_message("%d recordings of %d killed programs\n", looked, rounds);
    assert_in_range(looked, rounds / 2, rounds);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recordings_of_killed_programs_are_whole_and_never_exceed_the_truth),
    };
    if (argc > 1)
        rounds = atoi(argv[1]);
    dice.state = (uint64_t)getpid();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
