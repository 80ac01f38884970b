// SPDX-License-Identifier: Apache-2.0
//
// A process is exported again and again while two of its threads allocate and free at full speed,
// its tables grow, stacks appear, and libraries come and go (fixtures/c/swell.c). Every profile
// must be whole, and its sums must lie between what the program had done before the export and what
// it had begun after it.
//
// stress_export [ROUNDS]: 20 exports of each mode when nothing is said, or as many as there is
// processor time for: the program grows while it is looked at, and under a sanitizer an export
// takes a second or two.

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../fixtures/c/swell.h"
#include "pprof/export.h"
#include "profile/decode.h"
#include "profile/pprof.h"
#include "reader/reader.h"
#include "support/cmocka.h"
#include "support/scratch.h"

enum {
    PATH_BYTES = 2 * OH_SCRATCH_BYTES,
    STEP_US = 30000,
    ERRORS = 6,
    ROUNDS_MIN = 4,
    BUDGET_S = 3, // Of one mode, in processor time of the exports.
};

static int rounds = 20;
static bool has_budget = true;
static const char *const names[SWELL_SITES] = SWELL_NAMES;
static const char *const plugin_names[SWELL_PLUGINS] = {"plugin_a_leaf", "plugin_b_leaf"};
static const uint64_t sizes[SWELL_SITES] = SWELL_SIZES;

// --- The program

struct program {
    char dir[OH_SCRATCH_BYTES];
    char book_path[PATH_BYTES];
    struct swell_book *book;
    pid_t pid;
};

static void start(struct program *program, const char *mode)
{
    char setting[PATH_BYTES + sizeof "OFFHEAP_DIR="];
    char byte;
    int ends[2];
    oh_scratch_make(program->dir, NULL);
    (void)snprintf(program->book_path, sizeof program->book_path, "%s/book", program->dir);
    (void)snprintf(setting, sizeof setting, "OFFHEAP_DIR=%s", program->dir);
    assert_int_equal(pipe(ends), 0);
    program->pid = fork();
    if (program->pid == 0) {
        char *const argv[] = {OH_TEST_SWELL, program->book_path, OH_TEST_PLUGIN_A, OH_TEST_PLUGIN_B,
                              NULL};
        char *const envp[] = {"LD_PRELOAD=" OH_TEST_LIBRARY, (char *)mode, setting, NULL};
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execve(argv[0], argv, envp);
        _exit(126);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    int fd = open(program->book_path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    program->book = mmap(NULL, sizeof *program->book, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(program->book, MAP_FAILED);
    (void)close(fd);
}

static void stop(struct program *program)
{
    int status;
    assert_int_equal(waitpid(program->pid, &status, WNOHANG), 0); // It never ends by itself.
    assert_int_equal(kill(program->pid, SIGKILL), 0);
    assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
    (void)munmap(program->book, sizeof *program->book);
    oh_scratch_remove(program->dir);
    program->pid = 0;
}

// --- Its truth

struct counts {
    uint64_t allocs_begun, allocs_done, frees_begun, frees_done;
};

struct truth {
    struct counts sites[SWELL_SITES];
    uint64_t loads_begun[SWELL_PLUGINS], loads_done[SWELL_PLUGINS];
};

// Each number is a bound only when it is read on the right side: what was done, before; what was
// begun, after.
static struct truth look(const struct swell_book *book)
{
    struct truth truth = {0};
    for (int t = 0; t < SWELL_THREADS; t++) {
        for (int s = 0; s < SWELL_SITES; s++) {
            const struct swell_ledger *ledger = &book->ledgers[t][s];
            truth.sites[s].allocs_done += atomic_load(&ledger->allocs_done);
            truth.sites[s].frees_done += atomic_load(&ledger->frees_done);
            truth.sites[s].frees_begun += atomic_load(&ledger->frees_begun);
            truth.sites[s].allocs_begun += atomic_load(&ledger->allocs_begun);
        }
    }
    for (int p = 0; p < SWELL_PLUGINS; p++) {
        truth.loads_done[p] = atomic_load(&book->loads_done[p]);
        truth.loads_begun[p] = atomic_load(&book->loads_begun[p]);
    }
    return truth;
}

static unsigned long loads_begun(const struct swell_book *book)
{
    return atomic_load(&book->loads_begun[0]) + atomic_load(&book->loads_begun[1]);
}

// Returns in the midst of the loads, a few of them.
static void begin_to_look(struct swell_book *book)
{
    enum { TRIES = 500, STEP = 100 };
    const unsigned long before = loads_begun(book);
    const unsigned long looks = atomic_fetch_add(&book->looks, 1);
    for (int i = 0; i < TRIES && loads_begun(book) <= before + looks % 4; i++)
        (void)usleep(STEP);
}

// --- One export

struct sums {
    int64_t values[OH_VALUE_COUNT];
};

struct found {
    struct sums sites[SWELL_SITES];
    int64_t plugins[SWELL_PLUGINS]; // Objects allocated.
};

static const char *name_of(const struct oh_profile *profile, uint32_t location)
{
    uint32_t function = profile->locations[location].lines[0].function;
    return oh_profile_text(profile, profile->functions[function].name);
}

static void add_sample(const struct oh_profile *profile, const struct oh_profile_sample *sample,
                       struct found *found)
{
    assert_true(sample->depth > 0);
    const int64_t *values = sample->values;
    for (int i = 0; i < OH_VALUE_COUNT; i++)
        assert_true(values[i] >= 0);
    assert_true(values[OH_VALUE_INUSE_OBJECTS] <= values[OH_VALUE_ALLOC_OBJECTS]);
    assert_true(values[OH_VALUE_INUSE_SPACE] <= values[OH_VALUE_ALLOC_SPACE]);
    for (uint32_t i = 0; i < sample->depth; i++)
        assert_string_not_equal(name_of(profile, sample->locations[i]), "[unknown]");
    const char *leaf = name_of(profile, sample->locations[0]);
    for (int p = 0; p < SWELL_PLUGINS; p++) {
        if (strcmp(leaf, plugin_names[p]) == 0)
            found->plugins[p] += values[OH_VALUE_ALLOC_OBJECTS];
    }
    for (int s = 0; s < SWELL_SITES; s++) {
        if (strcmp(leaf, names[s]) != 0)
            continue;
        for (int i = 0; i < OH_VALUE_COUNT; i++)
            found->sites[s].values[i] += values[i];
    }
}

// What is written must be what was built.
static void must_decode(struct oh_profile *profile, const char *dir)
{
    char path[PATH_BYTES];
    struct oh_arena arena;
    struct oh_profile decoded;
    struct oh_err err = {""};
    (void)snprintf(path, sizeof path, "%s/p.pb.gz", dir);
    assert_int_equal(oh_export_write(profile, path, &err), 0);
    assert_int_equal(oh_arena_init(&arena, (size_t)1 << 30), 0);
    assert_int_equal(oh_decode_file(path, &arena, &decoded, &err), 0);
    assert_int_equal(decoded.sample_count, profile->sample_count);
    oh_arena_fini(&arena);
    (void)unlink(path);
}

// The recording is copied when it is opened; what comes after that is not in the profile.
static void export_once(const struct program *program, struct found *found, struct truth *after)
{
    struct oh_reader reader;
    struct oh_export made;
    struct oh_list warnings = {0};
    struct oh_err err = {""};
    char pid[32];
    (void)snprintf(pid, sizeof pid, "%d", (int)program->pid);
    (void)setenv("OFFHEAP_DIR", program->dir, 1);
    if (oh_reader_open(&reader, pid, &err) != 0)
        fail_msg("%s", err.text);
    *after = look(program->book);
    assert_int_equal(reader.pid, program->pid);
    if (oh_export_build(&reader, NULL, 0, &made, &warnings, &err) != 0)
        fail_msg("%s", err.text);
    *found = (struct found){0};
    for (uint32_t i = 0; i < made.profile.sample_count; i++)
        add_sample(&made.profile, &made.profile.samples[i], found);
    assert_int_equal(reader.view.damaged, 0);
    // What did not fit would be missing in the sums.
    const uint64_t *counters = reader.view.header->counters;
    assert_int_equal(counters[OH_COUNTER_dropped_live_full], 0);
    assert_int_equal(counters[OH_COUNTER_dropped_stacks_full], 0);
    assert_int_equal(counters[OH_COUNTER_dropped_no_room], 0);
    must_decode(&made.profile, program->dir);
    oh_export_fini(&made);
    oh_list_fini(&warnings);
    oh_reader_close(&reader);
}

// --- The bounds

static void must_lie_between(const char *what, const char *whose, double least, double value,
                             double most)
{
    if (value >= least && value <= most)
        return;
    print_error("%s of %s: %.0f is not between %.0f and %.0f\n", what, whose, value, least, most);
    fail();
}

static double least_in_use(const struct counts *before, const struct counts *after)
{
    return before->allocs_done > after->frees_begun
               ? (double)(before->allocs_done - after->frees_begun)
               : 0;
}

// An estimate may miss the bounds by some standard errors (of a count, less than the root of the
// count times the objects that one sample stands for), an exact value by nothing.
static void must_agree(int site, double mean_bytes, const struct sums *sums,
                       const struct counts *before, const struct counts *after)
{
    const double bounds[OH_VALUE_COUNT][2] = {
        [OH_VALUE_ALLOC_OBJECTS] = {(double)before->allocs_done, (double)after->allocs_begun},
        [OH_VALUE_INUSE_OBJECTS] = {least_in_use(before, after),
                                    (double)(after->allocs_begun - before->frees_done)},
    };
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        bool is_space = i == OH_VALUE_ALLOC_SPACE || i == OH_VALUE_INUSE_SPACE;
        int objects = i == OH_VALUE_ALLOC_SPACE   ? OH_VALUE_ALLOC_OBJECTS
                      : i == OH_VALUE_INUSE_SPACE ? OH_VALUE_INUSE_OBJECTS
                                                  : i;
        double scale = is_space ? (double)sizes[site] : 1;
        double weight = 1 + mean_bytes / (double)sizes[site];
        double slack =
            mean_bytes == 0 ? 0 : ERRORS * scale * sqrt((bounds[objects][1] + 1) * weight) + scale;
        must_lie_between(oh_pprof_value_name((enum oh_profile_value)i), names[site],
                         bounds[objects][0] * scale - slack, (double)sums->values[i],
                         bounds[objects][1] * scale + slack);
    }
}

// A plugin's blocks are so large that a sample is missed once in thousands.
static void plugins_must_agree(int plugin, double mean_bytes, int64_t objects,
                               const struct truth *before, const struct truth *after)
{
    const double slack = mean_bytes == 0 ? 0 : 4;
    must_lie_between("alloc_objects", plugin_names[plugin],
                     (double)(SWELL_PLUGIN_BLOCKS * before->loads_done[plugin]) - slack,
                     (double)objects,
                     (double)(SWELL_PLUGIN_BLOCKS * after->loads_begun[plugin]) + slack);
}

// A check that fails leaves the test at once, so the program is ended by the tear-down.
static struct program program;

static int tear_down(void **state)
{
    (void)state;
    if (program.pid > 0) {
        (void)kill(program.pid, SIGKILL);
        (void)waitpid(program.pid, NULL, 0);
        oh_scratch_remove(program.dir);
    }
    program = (struct program){0};
    return 0;
}

static bool goes_on(int round, clock_t begin)
{
    const clock_t budget = (clock_t)BUDGET_S * CLOCKS_PER_SEC;
    return round < rounds && (!has_budget || round < ROUNDS_MIN || clock() - begin < budget);
}

static void swell(const char *mode, double mean_bytes)
{
    struct found last = {0};
    int round = 0;
    start(&program, mode);
    for (clock_t begin = clock(); goes_on(round, begin); round++) {
        struct found found;
        struct truth after;
        begin_to_look(program.book);
        struct truth before = look(program.book);
        export_once(&program, &found, &after);
        for (int s = 0; s < SWELL_SITES; s++) {
            must_agree(s, mean_bytes, &found.sites[s], &before.sites[s], &after.sites[s]);
            assert_true(found.sites[s].values[OH_VALUE_ALLOC_OBJECTS] >=
                        last.sites[s].values[OH_VALUE_ALLOC_OBJECTS]);
        }
        for (int p = 0; p < SWELL_PLUGINS; p++)
            plugins_must_agree(p, mean_bytes, found.plugins[p], &before, &after);
        last = found;
        (void)usleep(STEP_US);
    }
    assert_true(last.sites[0].values[OH_VALUE_ALLOC_OBJECTS] > 0);
    print_message("%d exports: %lld blocks allocated, %lld in use, %lld of plugins\n", round,
                  (long long)last.sites[0].values[OH_VALUE_ALLOC_OBJECTS],
                  (long long)last.sites[0].values[OH_VALUE_INUSE_OBJECTS],
                  (long long)(last.plugins[0] + last.plugins[1]));
    stop(&program);
}

static void stress_export_exact(void **state)
{
    (void)state;
    swell("OFFHEAP_EXACT=1", 0);
}

static void stress_export_sampled(void **state)
{
    (void)state;
    swell("OFFHEAP_SAMPLE_BYTES=4096", 4096);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(stress_export_exact, tear_down),
        cmocka_unit_test_teardown(stress_export_sampled, tear_down),
    };
    if (argc > 1) {
        rounds = atoi(argv[1]);
        has_budget = false;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
