// SPDX-License-Identifier: Apache-2.0
#include "base/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/scratch.h"

static char root[OH_SCRATCH_BYTES];
static struct oh_usage_source source;

static int setup(void **state)
{
    (void)state;
    oh_scratch_make(root, NULL);
    oh_usage_init(&source, root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_scratch_remove(root);
    return 0;
}

// A file below the root, with the folders that it needs.
static void put(const char *path, const char *text)
{
    char full[4096];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0755);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct oh_usage look(void)
{
    struct oh_usage usage;
    oh_usage_read(&source, true, &usage);
    return usage;
}

static void test_usage_of_a_process_without_proc_is_absent(void **state)
{
    (void)state;
    struct oh_usage usage = look();
    assert_true(usage.resident_bytes == OH_USAGE_ABSENT);
    assert_true(usage.cgroup_bytes == OH_USAGE_ABSENT);
}

static void test_resident_size_is_the_second_field(void **state)
{
    (void)state;
    put("/proc/self/statm", "1000 123 50 1 0 99 0\n");
    assert_true(look().resident_bytes == 123 * (uint64_t)sysconf(_SC_PAGESIZE));
    put("/proc/self/statm", "oops\n");
    assert_true(look().resident_bytes == OH_USAGE_ABSENT);
}

static void test_charge_is_that_of_the_group_of_version_2(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n"
                                "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cg rw\n");
    put("/sys/fs/cgroup/a/b/memory.current", "4096000\n");
    assert_true(look().cgroup_bytes == 4096000);
    // and the place is remembered until it is looked for again
    put("/sys/fs/cgroup/c/memory.current", "77\n");
    put("/proc/self/cgroup", "0::/c\n");
    struct oh_usage usage;
    oh_usage_read(&source, false, &usage);
    assert_true(usage.cgroup_bytes == 4096000);
    assert_true(look().cgroup_bytes == 77);
}

static void test_charge_is_that_of_version_1_where_the_controller_is_there(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "12:cpu,cpuacct:/x\n11:memory:/x/y\n1:name=systemd:/z\n0::/u\n");
    put("/proc/self/mountinfo", "31 1 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                                "32 1 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
                                "33 1 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    put("/sys/fs/cgroup/memory/x/y/memory.usage_in_bytes", "123456\n");
    put("/sys/fs/cgroup/unified/u/memory.current", "9\n");
    assert_true(look().cgroup_bytes == 123456);
}

static void test_charge_is_found_in_a_container(void **state)
{
    (void)state;
    // given: the mount shows the container's own group, named as the host sees it
    put("/proc/self/cgroup", "0::/docker/4711/app\n");
    put("/proc/self/mountinfo", "30 1 0:26 /docker/4711 /sys/fs/cgroup rw - cgroup2 cg rw\n");
    put("/sys/fs/cgroup/app/memory.current", "5\n");
    put("/sys/fs/cgroup/memory.current", "6\n");
    assert_true(look().cgroup_bytes == 5);
    // a name that only begins alike is another group, and the mount's own one is what is left
    put("/proc/self/cgroup", "0::/docker/47110\n");
    assert_true(look().cgroup_bytes == 6);
    put("/proc/self/cgroup", "0::/\n");
    assert_true(look().cgroup_bytes == 6);
}

static void test_charge_of_a_group_that_is_gone_is_absent(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/gone\n");
    put("/proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cg rw\n");
    assert_true(look().cgroup_bytes == OH_USAGE_ABSENT);
    put("/proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n");
    assert_true(look().cgroup_bytes == OH_USAGE_ABSENT);
}

static void test_mount_behind_lines_of_any_length_is_found(void **state)
{
    (void)state;
    enum { LONG = 9000, MOUNTS = 200 };
    static char text[LONG + MOUNTS * 64 + 256];
    size_t used = (size_t)snprintf(text, sizeof text, "20 1 0:20 / /m rw - overlay overlay lower=");
    memset(text + used, 'x', LONG);
    used += LONG;
    for (int i = 0; i < MOUNTS; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "\n%d 1 0:9 / /m%d rw - tmpfs t rw", 100 + i, i);
    (void)snprintf(text + used, sizeof text - used,
                   "\n30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cg rw"); // Without an end of line.
    put("/proc/self/cgroup", "0::/a\n");
    put("/proc/self/mountinfo", text);
    put("/sys/fs/cgroup/a/memory.current", "31\n");
    assert_true(look().cgroup_bytes == 31);
}

static void test_own_process_has_a_resident_size_and_keeps_no_descriptor(void **state)
{
    (void)state;
    oh_usage_init(&source, "");
    int next = dup(0);
    assert_true(next >= 0);
    assert_int_equal(close(next), 0);
    struct oh_usage usage = look();
    assert_true(usage.resident_bytes > 100000 && usage.resident_bytes < UINT64_C(1) << 40);
    int after = dup(0);
    assert_int_equal(after, next);
    assert_int_equal(close(after), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_usage_of_a_process_without_proc_is_absent, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_resident_size_is_the_second_field, setup, teardown),
        cmocka_unit_test_setup_teardown(test_charge_is_that_of_the_group_of_version_2, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_charge_is_that_of_version_1_where_the_controller_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_charge_is_found_in_a_container, setup, teardown),
        cmocka_unit_test_setup_teardown(test_charge_of_a_group_that_is_gone_is_absent, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_mount_behind_lines_of_any_length_is_found, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_own_process_has_a_resident_size_and_keeps_no_descriptor, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
