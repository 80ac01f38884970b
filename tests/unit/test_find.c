// SPDX-License-Identifier: Apache-2.0
//
// Which file is taken for a recorded module: the right one from wherever it lies, never another.

#include "support/cmocka.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/compile.h"
#include "support/scratch.h"
#include "symbol/elf_file.h"
#include "symbol/find.h"

static char dir[OH_SCRATCH_BYTES];
static uint8_t id[OH_ELF_BUILD_ID_MAX];
static size_t id_len;
static char id_path[2 * OH_ELF_BUILD_ID_MAX + 16]; // .build-id/xx/yyyy.debug

static int set_up(void **state)
{
    (void)state;
    oh_scratch_make(dir, NULL);
    oh_compile_write(dir, "a.c", "int a(int x) { return x + 1; }\n");
    oh_compile_write(dir, "b.c", "int b(int x) { return x + 2; }\n");
    oh_compile_run(dir, "cc -O1 -g -fPIC -shared -Wl,--build-id a.c -o whole.so");
    oh_compile_run(dir, "cc -O1 -g -fPIC -shared -Wl,--build-id b.c -o other.so");
    oh_compile_run(dir, "cc -O1 -g -fPIC -shared -Wl,--build-id=none a.c -o no_id.so");
    oh_compile_run(dir, "objcopy --only-keep-debug whole.so a.debug && strip -o bare.so whole.so");
    oh_compile_run(dir, "objcopy --add-gnu-debuglink=a.debug bare.so linked.so");
    oh_compile_run(dir, "objcopy --only-keep-debug no_id.so n.debug");
    oh_compile_run(dir, "strip -o n.so no_id.so && objcopy --add-gnu-debuglink=n.debug n.so");
    struct oh_elf_file file;
    assert_int_equal(oh_elf_file_open(&file, oh_compile_path(dir, "whole.so")), 0);
    id_len = oh_elf_build_id(&file.elf, id);
    oh_elf_file_close(&file);
    assert_true(id_len > 2);
    size_t at = (size_t)sprintf(id_path, ".build-id/%02x/", id[0]);
    for (size_t i = 1; i < id_len; i++)
        at += (size_t)sprintf(id_path + at, "%02x", id[i]);
    strcpy(id_path + at, ".debug");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    oh_scratch_remove(dir);
    return 0;
}

// An empty directory `name` of the scratch directory.
static const char *fresh(const char *name)
{
    oh_compile_run(dir, "rm -rf %s && mkdir -p %s", name, name);
    return oh_compile_path(dir, name);
}

struct question {
    const char *path; // Of the recorded module.
    const char *root;
    const char *dirs[2];
    bool has_no_id;
};

// Names are relative to the scratch directory; NULL: nothing of the kind was found.
static void expect_found(const struct question *q, enum oh_find_verdict verdict, const char *binary,
                         const char *debug)
{
    struct oh_find *find = NULL;
    struct oh_find_result result;
    struct stat st = {.st_size = 0};
    size_t dir_count = q->dirs[0] == NULL ? 0 : q->dirs[1] == NULL ? 1 : 2;
    const struct oh_find_module by_id = {.path = q->path, .build_id = id, .build_id_len = id_len};
    struct oh_find_module by_stat = {.path = q->path};
    if (q->has_no_id) {
        assert_int_equal(stat(oh_compile_path(dir, "n.so"), &st), 0);
        by_stat.size = (uint64_t)st.st_size;
        by_stat.mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000U + (uint64_t)st.st_mtim.tv_nsec;
    }
    assert_int_equal(oh_find_create(q->dirs, dir_count, q->root, &find, NULL), 0);
    assert_int_equal(oh_find_module(find, q->has_no_id ? &by_stat : &by_id, &result, NULL), 0);
    assert_int_equal(result.verdict, verdict);
    if (binary == NULL)
        assert_null(result.binary);
    else
        assert_string_equal(result.binary, oh_compile_path(dir, binary));
    if (debug == NULL)
        assert_null(result.debug);
    else
        assert_string_equal(result.debug, oh_compile_path(dir, debug));
    oh_find_result_fini(&result);
    oh_find_destroy(find);
}

static void test_find_at_its_path_needs_the_same_id(void **state)
{
    (void)state;
    struct question q = {.path = oh_compile_path(dir, "whole.so")};
    expect_found(&q, OH_FIND_OK, "whole.so", NULL);
    q.path = oh_compile_path(dir, "other.so");
    expect_found(&q, OH_FIND_REPLACED, NULL, NULL);
    q.path = oh_compile_path(dir, "a.c");
    expect_found(&q, OH_FIND_REPLACED, NULL, NULL);
    q.path = oh_compile_path(dir, "absent.so");
    expect_found(&q, OH_FIND_MISSING, NULL, NULL);
    q.path = dir;
    expect_found(&q, OH_FIND_MISSING, NULL, NULL);
    q.path = "[vdso]";
    expect_found(&q, OH_FIND_MISSING, NULL, NULL);
}

static void test_find_in_directories_is_by_id_at_any_depth(void **state)
{
    (void)state;
    struct question q = {.path = oh_compile_path(dir, "other.so"), .dirs = {fresh("d")}};
    oh_compile_run(dir, "mkdir -p d/x/y && cp whole.so d/x/y/renamed && cp other.so a.c d/x");
    oh_compile_run(dir, "ln -s . d/x/loop && mkfifo d/pipe && ln -s nowhere d/dangling");
    expect_found(&q, OH_FIND_OK, "d/x/y/renamed", NULL);
    q.dirs[1] = oh_compile_path(dir, "linked.so"); // A file, not a directory.
    q.dirs[0] = fresh("empty");
    expect_found(&q, OH_FIND_OK, "linked.so", "a.debug");
}

static void test_find_debug_by_link_needs_the_same_id(void **state)
{
    (void)state;
    struct question q = {.path = oh_compile_path(dir, "linked.so")};
    expect_found(&q, OH_FIND_OK, "linked.so", "a.debug");
    fresh("l");
    oh_compile_run(dir, "mkdir l/.debug && cp linked.so l && cp a.debug l/.debug");
    q.path = oh_compile_path(dir, "l/linked.so");
    expect_found(&q, OH_FIND_OK, "l/linked.so", "l/.debug/a.debug");
    oh_compile_run(dir, "objcopy --only-keep-debug other.so l/.debug/a.debug");
    expect_found(&q, OH_FIND_OK, "l/linked.so", NULL);
}

static void test_find_debug_in_directories_is_by_id(void **state)
{
    (void)state;
    struct question q = {.path = oh_compile_path(dir, "bare.so"), .dirs = {fresh("d")}};
    expect_found(&q, OH_FIND_OK, "bare.so", NULL);
    oh_compile_run(dir, "mkdir -p $(dirname d/%s) && cp a.debug d/%s", id_path, id_path);
    char found[OH_SCRATCH_BYTES];
    (void)snprintf(found, sizeof found, "d/%s", id_path);
    expect_found(&q, OH_FIND_OK, "bare.so", found);
    q.path = oh_compile_path(dir, "absent.so"); // The debug file alone has no code.
    expect_found(&q, OH_FIND_MISSING, NULL, found);
    oh_compile_run(dir, "cp whole.so d/unstripped");
    expect_found(&q, OH_FIND_OK, "d/unstripped", NULL);
}

static void test_find_below_root_comes_first(void **state)
{
    (void)state;
    struct question q = {.path = "/lib/bare.so", .root = fresh("root")};
    oh_compile_run(dir, "mkdir -p root/lib $(dirname root/usr/lib/debug/%s)", id_path);
    expect_found(&q, OH_FIND_MISSING, NULL, NULL);
    oh_compile_run(dir, "cp bare.so root/lib && cp a.debug root/usr/lib/debug/%s", id_path);
    char debug[OH_SCRATCH_BYTES];
    (void)snprintf(debug, sizeof debug, "root/usr/lib/debug/%s", id_path);
    expect_found(&q, OH_FIND_OK, "root/lib/bare.so", debug);
    oh_compile_run(dir, "cp linked.so root/lib/bare.so && rm root/usr/lib/debug/%s", id_path);
    oh_compile_run(dir, "mkdir root/usr/lib/debug/lib && cp a.debug root/usr/lib/debug/lib");
    expect_found(&q, OH_FIND_OK, "root/lib/bare.so", "root/usr/lib/debug/lib/a.debug");
    oh_compile_run(dir, "cp other.so root/lib/bare.so");
    expect_found(&q, OH_FIND_REPLACED, NULL, NULL);
}

static void test_find_without_id_needs_size_and_time(void **state)
{
    (void)state;
    struct question q = {.path = oh_compile_path(dir, "n.so"), .has_no_id = true};
    expect_found(&q, OH_FIND_OK, "n.so", "n.debug");
    fresh("n");
    oh_compile_run(dir, "cp -p n.so n/n.so");
    q.path = oh_compile_path(dir, "gone/n.so");
    q.dirs[0] = oh_compile_path(dir, "n");
    expect_found(&q, OH_FIND_OK, "n/n.so", NULL);
    oh_compile_run(dir, "touch -d 2001-01-01 n/n.so");
    expect_found(&q, OH_FIND_MISSING, NULL, NULL);
    q.path = oh_compile_path(dir, "n/n.so");
    expect_found(&q, OH_FIND_REPLACED, NULL, NULL);
    oh_compile_run(dir, "cp -p n.so n/n.so && objcopy --only-keep-debug whole.so n/n.debug");
    expect_found(&q, OH_FIND_OK, "n/n.so", NULL); // The link's CRC is another.
}

static void test_create_with_absent_directory_says_which(void **state)
{
    (void)state;
    struct oh_find *find = NULL;
    struct oh_err err = {""};
    const char *dirs[] = {"/nonexistent/binaries"};
    assert_int_equal(oh_find_create(dirs, 1, NULL, &find, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/binaries"));
    assert_null(find);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_at_its_path_needs_the_same_id),
        cmocka_unit_test(test_find_in_directories_is_by_id_at_any_depth),
        cmocka_unit_test(test_find_debug_by_link_needs_the_same_id),
        cmocka_unit_test(test_find_debug_in_directories_is_by_id),
        cmocka_unit_test(test_find_below_root_comes_first),
        cmocka_unit_test(test_find_without_id_needs_size_and_time),
        cmocka_unit_test(test_create_with_absent_directory_says_which),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
