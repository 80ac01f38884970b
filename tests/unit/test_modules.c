// SPDX-License-Identifier: Apache-2.0
//
// Real libraries that the loader maps, unmaps and maps again where others lay. The hook of dlclose
// is not here: the test says what the hook would say.

#include "capture/modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "capture/unwind.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/scratch.h"
#include "support/tables.h"

enum { PATH_BYTES = 512, MODULES_MAX = 1200 };

static void begin(const char *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, OH_TABLES_SMALLEST);
    oh_tables_begin(&config);
    oh_unwind_init();
    oh_modules_init();
}

// --- A library on the disk and in memory

static void install(const char *from, const char *dir, const char *name, char path[PATH_BYTES])
{
    char bytes[1 << 16], fresh[PATH_BYTES];
    (void)snprintf(path, PATH_BYTES, "%s/%s", dir, name);
    (void)snprintf(fresh, PATH_BYTES, "%s/%s.fresh", dir, name);
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(fresh, "wb");
    oh_require(in != NULL && out != NULL);
    size_t count = fread(bytes, 1, sizeof bytes, in);
    oh_require(count > 0 && count < sizeof bytes && fwrite(bytes, 1, count, out) == count);
    (void)fclose(in);
    oh_require(fclose(out) == 0);
    oh_require(rename(fresh, path) == 0);
}

struct library {
    void *handle;
    uint64_t pc; // A return address in it.
};

static struct library load(const char *path, int value)
{
    struct library library = {dlopen(path, RTLD_NOW | RTLD_LOCAL), 0};
    oh_require(library.handle != NULL);
    int (*probe)(void) = (int (*)(void))dlsym(library.handle, "probe_value");
    oh_require(probe != NULL && probe() == value);
    library.pc = (uint64_t)(uintptr_t)probe + 1;
    return library;
}

static void unload(const struct library *library)
{
    oh_modules_unloading();
    oh_require(!oh_modules_settled());
    oh_require(dlclose(library->handle) == 0);
    oh_modules_unloaded();
}

// The loader gives the same place again as a rule; where it does not, there is nothing to test.
static void must_be_at(const struct library *library, uint64_t pc)
{
    if (library->pc != pc)
        _exit(OH_CHILD_SKIPPED);
}

// --- What the recording says

struct found {
    struct oh_format_module module[MODULES_MAX];
    uint32_t count;
};

static int keep(void *arg, const struct oh_format_module *module, uint32_t number)
{
    struct found *found = arg;
    (void)number;
    oh_require(found->count < MODULES_MAX);
    found->module[found->count++] = *module;
    return 0;
}

static void read_modules(struct found *found)
{
    struct oh_view view;
    struct oh_view_fault fault;
    size_t size;
    const void *base = oh_recording_base(&size);
    found->count = 0;
    oh_require(oh_view_open(&view, base, size, &fault) == 0);
    (void)oh_view_each_module(&view, keep, found);
    oh_require_equal(view.damaged, 0);
}

// The modules that hold pc at this epoch; the first of them in *module.
static int modules_at(uint64_t pc, uint64_t epoch, struct oh_format_module *module)
{
    static struct found found;
    int count = 0;
    read_modules(&found);
    for (uint32_t i = found.count; i-- > 0;) {
        const struct oh_format_module *m = &found.module[i];
        if (pc - 1 < m->start || pc - 1 >= m->end || epoch < m->first_epoch ||
            epoch > m->last_epoch)
            continue;
        *module = *m;
        count++;
    }
    return count;
}

static uint32_t count_modules(void)
{
    static struct found found;
    read_modules(&found);
    return found.count;
}

static void must_be(uint64_t pc, uint64_t epoch, const char *path)
{
    struct oh_format_module module;
    oh_require_equal(modules_at(pc, epoch, &module), 1);
    oh_require(strcmp(oh_recording_at(module.path.offset), path) == 0);
}

static uint64_t note(uint64_t pc)
{
    return oh_modules_note(&pc, 1);
}

// --- Cases

static void executable_is_known(void *dir)
{
    struct oh_format_module module;
    char exe[PATH_BYTES] = "";
    begin(dir);
    uint64_t here = (uint64_t)(uintptr_t)&executable_is_known + 1;
    oh_require(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    must_be(here, 0, exe);
    oh_require_equal(modules_at(here, 0, &module), 1);
    oh_require((module.flags & OH_MODULE_MAIN) != 0);
    oh_require(module.text_start < here && here < module.text_end);
    oh_require(module.text_start % 4096 == 0 && module.text_offset % 4096 == 0);
    struct stat st;
    oh_require(stat(exe, &st) == 0);
    oh_require_equal(module.file_inode, st.st_ino);
    oh_require_equal(module.file_bytes, (uint64_t)st.st_size);
    oh_require(oh_modules_settled() && oh_modules_epoch() == 0);
    struct oh_modules_executable executable;
    oh_modules_executable(&executable);
    oh_require(executable.go == NULL && executable.phdr_count > 0);
    oh_require_equal(executable.bias, module.base);
}

static void test_init_registers_the_executable(void **state)
{
    (void)state;
    oh_scratch_run(executable_is_known);
}

static void library_is_registered_once(void *dir)
{
    char path[PATH_BYTES];
    struct oh_format_module module;
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path);
    struct library a = load(path, 1);
    uint32_t before = count_modules();
    // when its address is seen for the first time, and again
    for (int i = 0; i < 10; i++)
        oh_require_equal(note(a.pc), 0);
    // then
    oh_require_equal(count_modules(), before + 1);
    must_be(a.pc, 0, path);
    oh_require_equal(modules_at(a.pc, 0, &module), 1);
    oh_require(module.text_start <= a.pc && a.pc < module.text_end);
    oh_require_equal(module.build_id_kind, OH_ID_GNU);
    oh_require_equal(module.build_id_bytes, 20);
    oh_require_equal(module.flags, 0);
    oh_require_equal(module.last_epoch, UINT64_MAX);
    // an address in no module changes nothing
    (void)note(16);
    oh_require_equal(count_modules(), before + 1);
}

static void test_note_of_an_address_registers_its_module_once(void **state)
{
    (void)state;
    oh_scratch_run(library_is_registered_once);
}

static void stack_brings_all_its_modules(void *dir)
{
    char path_a[PATH_BYTES], path_b[PATH_BYTES];
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path_a);
    install(OH_TEST_PROBE_B, dir, "b.so", path_b);
    struct library a = load(path_a, 1), b = load(path_b, 2);
    uint64_t puts_pc = (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "puts") + 1;
    const uint64_t pcs[] = {puts_pc, a.pc, a.pc + 1, b.pc, 12345, a.pc};
    uint32_t before = count_modules();
    (void)oh_modules_note(pcs, sizeof pcs / sizeof pcs[0]);
    oh_require_equal(count_modules(), before + 3);
    must_be(a.pc, 0, path_a);
    must_be(b.pc, 0, path_b);
}

static void test_note_of_a_stack_registers_every_module_in_it(void **state)
{
    (void)state;
    oh_scratch_run(stack_brings_all_its_modules);
}

static void same_file_comes_back(void *dir)
{
    char path[PATH_BYTES];
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path);
    struct library a = load(path, 1);
    uint64_t pc = a.pc;
    (void)note(pc);
    uint32_t before = count_modules();
    for (int i = 0; i < 5; i++) {
        unload(&a);
        oh_require(!oh_modules_settled()); // its addresses may come to mean something else
        a = load(path, 1);
        must_be_at(&a, pc);
        oh_require_equal(note(pc), 0);
        oh_require(oh_modules_settled());
    }
    oh_require_equal(count_modules(), before);
    must_be(pc, 0, path);
}

static void test_the_same_file_at_its_old_place_is_the_same_module(void **state)
{
    (void)state;
    oh_scratch_run(same_file_comes_back);
}

static void another_takes_its_place(void *dir)
{
    char path_a[PATH_BYTES], path_b[PATH_BYTES];
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path_a);
    install(OH_TEST_PROBE_B, dir, "b.so", path_b);
    struct library a = load(path_a, 1);
    uint64_t pc = a.pc;
    oh_require_equal(note(pc), 0);
    unload(&a);
    struct library b = load(path_b, 2);
    must_be_at(&b, pc);
    // then addresses have changed their meaning
    oh_require_equal(note(pc), 1);
    oh_require(oh_modules_settled() && oh_modules_epoch() == 1);
    must_be(pc, 0, path_a);
    must_be(pc, 1, path_b);
    // and change it back
    unload(&b);
    a = load(path_a, 1);
    must_be_at(&a, pc);
    oh_require_equal(note(pc), 2);
    oh_require(oh_modules_settled());
    must_be(pc, 0, path_a);
    must_be(pc, 1, path_b);
    must_be(pc, 2, path_a);
}

static void test_another_file_at_an_old_place_begins_an_epoch(void **state)
{
    (void)state;
    oh_scratch_run(another_takes_its_place);
}

// The same name, and as a rule the same link_map and the same address, but another file.
static void file_is_replaced_by(const char *dir, const char *from, const char *to)
{
    char path[PATH_BYTES];
    struct oh_format_module before, after;
    begin(dir);
    install(from, dir, "plugin.so", path);
    struct library old = load(path, 1);
    uint64_t pc = old.pc;
    oh_require_equal(note(pc), 0);
    unload(&old);
    install(to, dir, "plugin.so", path);
    struct library new = load(path, 2);
    must_be_at(&new, pc);
    oh_require_equal(note(pc), 1);
    oh_require(oh_modules_settled());
    oh_require_equal(modules_at(pc, 0, &before), 1);
    oh_require_equal(modules_at(pc, 1, &after), 1);
    oh_require_equal(before.build_id_kind, after.build_id_kind);
    if (before.build_id_kind == OH_ID_GNU)
        oh_require(memcmp(before.build_id, after.build_id, 20) != 0);
    else
        oh_require(before.file_inode != after.file_inode);
}

static void plugin_is_replaced(void *dir)
{
    file_is_replaced_by(dir, OH_TEST_PROBE_A, OH_TEST_PROBE_B);
}

static void test_a_replaced_file_of_the_same_name_begins_an_epoch(void **state)
{
    (void)state;
    oh_scratch_run(plugin_is_replaced);
}

static void plugin_without_build_id_is_replaced(void *dir)
{
    file_is_replaced_by(dir, OH_TEST_PROBE_A_PLAIN, OH_TEST_PROBE_B_PLAIN);
}

static void test_a_replaced_file_without_build_id_is_told_by_its_inode(void **state)
{
    (void)state;
    oh_scratch_run(plugin_without_build_id_is_replaced);
}

static void plain_file_comes_back(void *dir)
{
    char path[PATH_BYTES];
    begin(dir);
    install(OH_TEST_PROBE_A_PLAIN, dir, "a.so", path);
    struct library a = load(path, 1);
    uint64_t pc = a.pc;
    (void)note(pc);
    unload(&a);
    a = load(path, 1);
    must_be_at(&a, pc);
    oh_require_equal(note(pc), 0);
    oh_require(oh_modules_settled());
    must_be(pc, 0, path);
}

static void test_the_same_file_without_build_id_is_the_same_module(void **state)
{
    (void)state;
    oh_scratch_run(plain_file_comes_back);
}

// libc unloads its own plugins (iconv, nss) without passing through our dlclose.
static void unload_goes_unseen(void *dir)
{
    char path_a[PATH_BYTES], path_b[PATH_BYTES];
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path_a);
    install(OH_TEST_PROBE_B, dir, "b.so", path_b);
    struct library a = load(path_a, 1);
    uint64_t pc = a.pc;
    (void)note(pc);
    oh_require(dlclose(a.handle) == 0);
    struct library b = load(path_b, 2);
    must_be_at(&b, pc);
    oh_require_equal(note(pc), 1);
    must_be(pc, 0, path_a);
    must_be(pc, 1, path_b);
}

static void test_an_unload_that_went_unseen_is_noticed_at_the_next_module(void **state)
{
    (void)state;
    oh_scratch_run(unload_goes_unseen);
}

static void close_of_what_stays(void *dir)
{
    char path[PATH_BYTES];
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path);
    struct library a = load(path, 1), again = load(path, 1);
    (void)note(a.pc);
    unload(&again);
    oh_require(oh_modules_settled());
    oh_require_equal(note(a.pc), 0);
    must_be(a.pc, 0, path);
}

static void test_a_close_that_unloads_nothing_changes_nothing(void **state)
{
    (void)state;
    oh_scratch_run(close_of_what_stays);
}

static void closes_overlap(void *dir)
{
    begin(dir);
    oh_modules_unloading();
    oh_modules_unloading();
    oh_modules_unloaded();
    oh_require(!oh_modules_settled());
    oh_modules_unloaded();
    oh_require(oh_modules_settled());
}

static void test_settled_waits_for_every_close_under_way(void **state)
{
    (void)state;
    oh_scratch_run(closes_overlap);
}

static void relative_path(void *dir)
{
    char path[PATH_BYTES], wanted[PATH_BYTES + 8];
    struct oh_format_module module;
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path);
    oh_require(chdir(dir) == 0);
    struct library a = load("./a.so", 1);
    (void)note(a.pc);
    oh_require_equal(modules_at(a.pc, 0, &module), 1);
    (void)snprintf(wanted, sizeof wanted, "%s/./a.so", (const char *)dir);
    oh_require(strcmp(oh_recording_at(module.path.offset), wanted) == 0);
    oh_require(module.file_inode != 0);
}

static void test_a_relative_path_is_made_whole(void **state)
{
    (void)state;
    oh_scratch_run(relative_path);
}

static void loader_and_vdso(void *dir)
{
    struct oh_format_module module;
    begin(dir);
    uint64_t loader = getauxval(AT_BASE) + 64 + 1;
    uint64_t vdso = getauxval(AT_SYSINFO_EHDR) + 64 + 1;
    if (loader == 65 || vdso == 65)
        _exit(OH_CHILD_SKIPPED);
    (void)note(loader);
    (void)note(vdso);
    oh_require_equal(modules_at(loader, 0, &module), 1);
    oh_require_equal(module.flags, OH_MODULE_LOADER);
    oh_require_equal(modules_at(vdso, 0, &module), 1);
    oh_require_equal(module.flags, OH_MODULE_VDSO);
    oh_require(strcmp(oh_recording_at(module.path.offset), "[vdso]") == 0);
    oh_require_equal(module.file_inode, 0);
}

static void test_the_loader_and_the_vdso_are_marked(void **state)
{
    (void)state;
    oh_scratch_run(loader_and_vdso);
}

static void file_is_gone(void *dir)
{
    char path[PATH_BYTES];
    struct oh_format_module module;
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path);
    struct library a = load(path, 1);
    oh_require(unlink(path) == 0);
    (void)note(a.pc);
    oh_require_equal(modules_at(a.pc, 0, &module), 1);
    oh_require(module.file_inode == 0 && module.file_bytes == 0);
    oh_require_equal(module.build_id_kind, OH_ID_GNU); // from its memory
}

static void test_a_module_whose_file_is_gone_keeps_its_build_id(void **state)
{
    (void)state;
    oh_scratch_run(file_is_gone);
}

static void table_is_full(void *dir)
{
    char path[PATH_BYTES];
    begin(dir);
    for (uint32_t level = 0; level < 2; level++) {
        struct oh_format_section *section = oh_recording_section(OH_SECTION_MODULES, level);
        oh_require(oh_recording_reserve(section) == 0);
        while (oh_recording_take(section, OH_FORMAT_MODULE_BYTES) != 0) {}
    }
    uint32_t before = count_modules();
    install(OH_TEST_PROBE_A, dir, "a.so", path);
    struct library a = load(path, 1);
    oh_require_equal(note(a.pc), 0);
    oh_require_equal(count_modules(), before);
    oh_require(oh_tables_counter(OH_COUNTER_modules_full) > 0);
}

static void test_a_full_table_of_modules_is_counted(void **state)
{
    (void)state;
    oh_scratch_run(table_is_full);
}

static void page_of_data_is_taken_away(void *dir)
{
    enum { PAGE = 4096 };
    char path[PATH_BYTES];
    begin(dir);
    install(OH_TEST_PROBE_A, dir, "a.so", path);
    struct library a = load(path, 1);
    uintptr_t data = (uintptr_t)dlsym(a.handle, "probe_data");
    oh_require(data != 0);
    void *page = (void *)((data + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
    oh_require(mprotect(page, PAGE, PROT_NONE) == 0);
    oh_require_equal(note(a.pc), 0);
    must_be(a.pc, 0, path);
}

static void test_a_module_whose_data_cannot_be_read_is_registered(void **state)
{
    (void)state;
    oh_scratch_run(page_of_data_is_taken_away);
}

// Makes the headers of the file say that its build id lies where nothing is mapped, or is huge.
static void damage_notes(const char *path, uint64_t distance, uint64_t bytes)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    unsigned damaged = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    oh_require(fd >= 0 && pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        off_t at = (off_t)(header.e_phoff + i * sizeof segment);
        oh_require(pread(fd, &segment, sizeof segment, at) == (ssize_t)sizeof segment);
        // The loader itself reads those that are aligned to 8.
        if (segment.p_type != PT_NOTE || segment.p_align != 4)
            continue;
        segment.p_vaddr += distance;
        segment.p_memsz += bytes;
        oh_require(pwrite(fd, &segment, sizeof segment, at) == (ssize_t)sizeof segment);
        damaged++;
    }
    oh_require(close(fd) == 0 && damaged > 0);
}

static void notes_are_not_there(void *dir)
{
    static const struct {
        uint64_t distance, bytes;
    } damages[] = {{UINT64_C(1) << 40, 0}, {0, UINT64_C(1) << 40}, {0, UINT64_MAX - 64}};
    begin(dir);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        char path[PATH_BYTES], name[] = "0.so";
        struct oh_format_module module;
        name[0] = (char)('0' + i);
        install(OH_TEST_PROBE_A, dir, name, path);
        damage_notes(path, damages[i].distance, damages[i].bytes);
        struct library a = load(path, 1);
        oh_require_equal(note(a.pc), 0);
        must_be(a.pc, 0, path);
        oh_require_equal(modules_at(a.pc, 0, &module), 1);
        oh_require_equal(module.build_id_kind, OH_ID_NONE);
    }
}

static void test_a_module_whose_notes_are_not_there_has_no_build_id(void **state)
{
    (void)state;
    oh_scratch_run(notes_are_not_there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_registers_the_executable),
        cmocka_unit_test(test_note_of_an_address_registers_its_module_once),
        cmocka_unit_test(test_note_of_a_stack_registers_every_module_in_it),
        cmocka_unit_test(test_the_same_file_at_its_old_place_is_the_same_module),
        cmocka_unit_test(test_another_file_at_an_old_place_begins_an_epoch),
        cmocka_unit_test(test_a_replaced_file_of_the_same_name_begins_an_epoch),
        cmocka_unit_test(test_a_replaced_file_without_build_id_is_told_by_its_inode),
        cmocka_unit_test(test_the_same_file_without_build_id_is_the_same_module),
        cmocka_unit_test(test_an_unload_that_went_unseen_is_noticed_at_the_next_module),
        cmocka_unit_test(test_a_close_that_unloads_nothing_changes_nothing),
        cmocka_unit_test(test_settled_waits_for_every_close_under_way),
        cmocka_unit_test(test_a_relative_path_is_made_whole),
        cmocka_unit_test(test_the_loader_and_the_vdso_are_marked),
        cmocka_unit_test(test_a_module_whose_file_is_gone_keeps_its_build_id),
        cmocka_unit_test(test_a_module_whose_data_cannot_be_read_is_registered),
        cmocka_unit_test(test_a_module_whose_notes_are_not_there_has_no_build_id),
        cmocka_unit_test(test_a_full_table_of_modules_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
