// SPDX-License-Identifier: Apache-2.0
//
// Who is asked for a name, in which order, and what is shown when nobody knows: with this test's
// own executable as the module.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/image.h"
#include "profile/symbols.h"
#include "support/synthetic.h"

enum { ARENA_BYTES = 64 << 20, PATH_BYTES = 4096, NAME_BYTES = 128 };

struct shown {
    int count;
    char name[NAME_BYTES];
    char system_name[NAME_BYTES];
    uint32_t flags;
};

struct fixture {
    struct oh_synthetic recording;
    struct oh_arena arena;
    struct oh_view view;
    struct oh_symbols symbols;
    struct shown shown;
    char exe[PATH_BYTES];
    uint64_t bias;
};

static struct fixture fixture;

// Not static, so that no compiler leaves its symbol out.
int oh_test_symbols_landmark(int x);
int oh_test_symbols_landmark(int x)
{
    return x + 1;
}

static uint64_t landmark(void)
{
    return (uint64_t)(uintptr_t)&oh_test_symbols_landmark + 1;
}

static int first_module(struct dl_phdr_info *info, size_t size, void *bias)
{
    (void)size;
    *(uint64_t *)bias = info->dlpi_addr;
    return 1;
}

// The executable as the recorder notes it: identity is the file's facts, or a build id.
static struct oh_format_module *add_exe(const char *path)
{
    struct stat st;
    struct oh_format_module *module =
        oh_synthetic_module(&fixture.recording, path, fixture.bias, landmark() + (64 << 20));
    module->base = fixture.bias;
    module->flags = OH_MODULE_MAIN;
    assert_int_equal(stat(fixture.exe, &st), 0);
    module->file_bytes = (uint64_t)st.st_size;
    module->file_inode = st.st_ino;
    module->file_mtime_ns =
        (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_mtim.tv_nsec;
    return module;
}

static int setup(void **state)
{
    (void)state;
    ssize_t length = readlink("/proc/self/exe", fixture.exe, sizeof fixture.exe - 1);
    assert_true(length > 0);
    fixture.exe[length] = '\0';
    dl_iterate_phdr(first_module, &fixture.bias);
    fixture.shown = (struct shown){0};
    oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
    return oh_arena_init(&fixture.arena, ARENA_BYTES);
}

static int teardown(void **state)
{
    (void)state;
    oh_symbols_fini(&fixture.symbols);
    oh_arena_fini(&fixture.arena);
    return 0;
}

static void open_symbols(const struct oh_symbol_source *source, bool is_own_process)
{
    struct oh_view_fault fault;
    assert_int_equal(
        oh_view_open(&fixture.view, fixture.recording.bytes, fixture.recording.size, &fault), 0);
    assert_int_equal(
        oh_symbols_init(&fixture.symbols, &fixture.arena, &fixture.view, source, is_own_process),
        0);
}

static int show(void *arg, const struct oh_symbol_frame *frame)
{
    struct shown *shown = arg;
    shown->count++;
    shown->flags = frame->flags;
    snprintf(shown->name, NAME_BYTES, "%.*s", (int)frame->name_len, frame->name);
    snprintf(shown->system_name, NAME_BYTES, "%.*s", (int)frame->system_name_len,
             frame->system_name);
    return 0;
}

static struct oh_symbol_module *name_address(uint64_t address)
{
    struct oh_symbol_module *module = oh_symbols_find_module(&fixture.symbols, 0, address);
    fixture.shown = (struct shown){0};
    int frames = oh_symbols_frames(&fixture.symbols, module, address, show, &fixture.shown);
    assert_int_equal(frames, fixture.shown.count);
    return module;
}

static void test_frames_own_function_is_named_by_its_file(void **state)
{
    (void)state;
    add_exe(fixture.exe);
    open_symbols(NULL, false);
    assert_int_equal(name_address(landmark())->verdict, OH_VERDICT_OK);
    assert_string_equal(fixture.shown.name, "oh_test_symbols_landmark");
    assert_string_equal(fixture.shown.system_name, "oh_test_symbols_landmark");
    assert_int_equal(fixture.shown.flags, 0);
}

static void test_frames_own_executable_that_was_unlinked_is_still_named(void **state)
{
    (void)state;
    add_exe("/nowhere/app (deleted)");
    open_symbols(NULL, true);
    struct oh_symbol_module *module = name_address(landmark());
    assert_string_equal(module->path, "/nowhere/app");
    assert_string_equal(module->name, "app");
    assert_string_equal(fixture.shown.name, "oh_test_symbols_landmark");
}

static void expect_fallback(enum oh_symbol_verdict verdict)
{
    struct oh_symbol_module *module = name_address(landmark());
    char expected[NAME_BYTES];
    assert_int_equal(module->verdict, verdict);
    assert_int_equal(module->fallback_pcs, 1);
    snprintf(expected, sizeof expected, "[%s]", module->name);
    assert_string_equal(fixture.shown.name, expected);
    snprintf(expected, sizeof expected, "%s+0x%llx", module->name,
             (unsigned long long)(landmark() - fixture.bias));
    assert_string_equal(fixture.shown.system_name, expected);
    assert_int_equal(fixture.shown.flags, OH_FRAME_FALLBACK);
    assert_true(strlen(oh_symbol_verdict_text(verdict)) > 0);
}

// What the recording says of Go's code counts only when its table was read.
static void test_go_span_is_what_the_table_names(void **state)
{
    (void)state;
    struct oh_format_module *raw = add_exe(fixture.exe);
    raw->go_text = raw->base + 0x1000;
    raw->go_text_end = raw->base + 0x3000;
    open_symbols(NULL, false);
    struct oh_symbol_module *module = name_address(landmark());
    assert_false(module->is_go_named);
    assert_int_equal(oh_symbols_go_span(module).end, 0);
    module->is_go_named = true;
    assert_int_equal(oh_symbols_go_span(module).begin, 0x1000);
    assert_int_equal(oh_symbols_go_span(module).end, 0x3000);
}

static void test_frames_replaced_file_is_not_used(void **state)
{
    (void)state;
    add_exe(fixture.exe)->file_mtime_ns += 1;
    open_symbols(NULL, false);
    expect_fallback(OH_VERDICT_REPLACED);
}

static void test_frames_other_build_id_is_not_used(void **state)
{
    struct oh_format_module *module = add_exe(fixture.exe);
    (void)state;
    module->build_id_kind = OH_ID_GNU;
    module->build_id_bytes = 20;
    open_symbols(NULL, false);
    expect_fallback(OH_VERDICT_REPLACED);
}

static void test_frames_other_go_build_id_is_not_used(void **state)
{
    struct oh_format_module *module = add_exe(fixture.exe);
    (void)state;
    module->build_id_kind = OH_ID_GO;
    module->build_id_bytes = OH_FORMAT_BUILD_ID_BYTES;
    open_symbols(NULL, false);
    expect_fallback(OH_VERDICT_REPLACED);
}

static void test_frames_own_build_id_is_accepted(void **state)
{
    struct oh_image image;
    (void)state;
    assert_int_equal(oh_image_open(&image, fixture.exe, NULL), 0);
    struct oh_format_module *module = add_exe(fixture.exe);
    module->file_mtime_ns = 5; // Not looked at beside a build id.
    module->build_id_kind = OH_ID_GNU;
    module->build_id_bytes = (uint16_t)oh_elf_build_id(&image.elf, module->build_id);
    oh_image_close(&image);
    if (module->build_id_bytes == 0)
        skip();
    open_symbols(NULL, false);
    assert_int_equal(name_address(landmark())->verdict, OH_VERDICT_OK);
    assert_string_equal(fixture.shown.name, "oh_test_symbols_landmark");
}

static void test_frames_missing_and_foreign_files_say_so(void **state)
{
    static const struct {
        const char *path;
        enum oh_symbol_verdict verdict;
    } cases[] = {
        {"/nowhere/app", OH_VERDICT_MISSING},    {"/etc/passwd", OH_VERDICT_UNREADABLE},
        {"/tmp", OH_VERDICT_UNREADABLE},         {"/dev/null", OH_VERDICT_UNREADABLE},
        {"/etc/passwd/app", OH_VERDICT_MISSING}, {"relative/app", OH_VERDICT_MISSING},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
        add_exe(cases[i].path);
        open_symbols(NULL, false);
        expect_fallback(cases[i].verdict);
        oh_symbols_fini(&fixture.symbols);
    }
}

struct answers {
    int asked_file, asked_c;
    int frames;
    const char *path;
    enum oh_symbol_verdict verdict;
};

static const char *find_file(void *self, struct oh_symbol_module *module,
                             enum oh_symbol_verdict *verdict)
{
    struct answers *answers = self;
    (void)module;
    answers->asked_file++;
    *verdict = answers->verdict;
    return answers->path;
}

static int name_c(void *self, struct oh_symbol_module *module, uint64_t address,
                  oh_symbol_emit_fn *emit, void *arg)
{
    struct answers *answers = self;
    const struct oh_symbol_frame frame = {
        .name = "shown", .name_len = 5, .system_name = "_Z5shownv", .system_name_len = 9};
    (void)module;
    assert_int_equal(address, landmark() - fixture.bias);
    answers->asked_c++;
    for (int i = 0; i < answers->frames; i++)
        (void)emit(arg, &frame);
    return answers->frames;
}

static void test_frames_source_goes_before_the_built_in(void **state)
{
    struct answers answers = {.frames = 2, .path = fixture.exe};
    const struct oh_symbol_source source = {
        .self = &answers, .find_file = find_file, .c_frames = name_c};
    (void)state;
    add_exe("/other/name")->flags |= OH_MODULE_LOADER;
    open_symbols(&source, false);
    name_address(landmark());
    assert_int_equal(fixture.shown.count, 2);
    assert_string_equal(fixture.shown.name, "shown");
    assert_string_equal(fixture.shown.system_name, "_Z5shownv");
    assert_int_equal(fixture.shown.flags, OH_FRAME_LOADER);
    name_address(landmark());
    assert_int_equal(answers.asked_file, 1);
    assert_int_equal(answers.asked_c, 2);
}

static void test_frames_source_that_knows_nothing_leaves_the_fallback(void **state)
{
    struct answers answers = {.frames = 0, .path = fixture.exe};
    const struct oh_symbol_source source = {
        .self = &answers, .find_file = find_file, .c_frames = name_c};
    (void)state;
    add_exe(fixture.exe);
    open_symbols(&source, false);
    expect_fallback(OH_VERDICT_OK);
}

static void test_frames_source_is_asked_without_a_file_when_it_wants(void **state)
{
    struct answers answers = {.frames = 1, .verdict = OH_VERDICT_MISSING};
    struct oh_symbol_source source = {
        .self = &answers, .find_file = find_file, .c_frames = name_c, .asks_without_file = true};
    (void)state;
    add_exe(fixture.exe);
    open_symbols(&source, false);
    name_address(landmark());
    assert_string_equal(fixture.shown.name, "shown");
    oh_symbols_fini(&fixture.symbols);

    source.asks_without_file = false;
    open_symbols(&source, false);
    expect_fallback(OH_VERDICT_MISSING);
    oh_symbols_fini(&fixture.symbols);

    source.asks_without_file = true; // A replaced file's names would be wrong ones.
    answers.verdict = OH_VERDICT_REPLACED;
    open_symbols(&source, false);
    expect_fallback(OH_VERDICT_REPLACED);
    assert_int_equal(answers.asked_c, 1);
}

static void test_find_module_goes_by_epoch_and_bounds(void **state)
{
    (void)state;
    oh_synthetic_module(&fixture.recording, "/a", 0x1000, 0x2000)->last_epoch = 3;
    oh_synthetic_module(&fixture.recording, "/b", 0x1000, 0x2000)->first_epoch = 4;
    open_symbols(NULL, false);
    assert_string_equal(oh_symbols_find_module(&fixture.symbols, 0, 0x1000)->path, "/a");
    assert_string_equal(oh_symbols_find_module(&fixture.symbols, 3, 0x1fff)->path, "/a");
    assert_string_equal(oh_symbols_find_module(&fixture.symbols, 4, 0x1fff)->path, "/b");
    assert_null(oh_symbols_find_module(&fixture.symbols, 4, 0x2000));
    assert_null(oh_symbols_find_module(&fixture.symbols, 4, 0xfff));
    assert_int_equal(oh_symbols_frames(&fixture.symbols, NULL, 5, show, &fixture.shown), 1);
    assert_string_equal(fixture.shown.name, "[unknown]");
    assert_int_equal(fixture.symbols.unknown_pcs, 1);
}

static void test_loaded_bytes_end_at_the_first_gap(void **state)
{
    static char here[8192];
    (void)state;
    assert_true(oh_image_loaded_bytes((uint64_t)(uintptr_t)here) >= sizeof here);
    assert_int_equal(oh_image_loaded_bytes(16), 0);
}

static void test_image_never_opens_what_is_not_a_file(void **state)
{
    struct oh_image image;
    char event[sizeof(struct inotify_event) + NAME_MAX + 1];
    char path[] = "/tmp/offheap_fifo_XXXXXX";
    (void)state;
    int made = mkstemp(path);
    assert_true(made >= 0);
    assert_int_equal(close(made), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
    assert_int_equal(oh_image_open(&image, path, NULL), -ENOEXEC);
    assert_int_equal(read(watch, event, sizeof event), -1);
    assert_int_equal(close(watch), 0);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_never_opens_what_is_not_a_file),
        cmocka_unit_test_setup_teardown(test_frames_own_function_is_named_by_its_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_frames_own_executable_that_was_unlinked_is_still_named,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_go_span_is_what_the_table_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_replaced_file_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_other_build_id_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_other_go_build_id_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_own_build_id_is_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_missing_and_foreign_files_say_so, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_frames_source_goes_before_the_built_in, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_frames_source_that_knows_nothing_leaves_the_fallback,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_source_is_asked_without_a_file_when_it_wants,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_find_module_goes_by_epoch_and_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loaded_bytes_end_at_the_first_gap, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
