// SPDX-License-Identifier: Apache-2.0
//
// Control groups of both versions, as hosts and containers show them (fixtures/cgroup): where a
// process's group is, what is charged to it, and what is said when it cannot be seen.

#include <stdio.h>
#include <string.h>

#include "process/cgroup.h"
#include "support/cmocka.h"

static struct oh_cgroup group;

static void read_case(const char *name)
{
    char root[512];
    (void)snprintf(root, sizeof root, "%s/fixtures/cgroup/%s", OH_TEST_SOURCE_DIR, name);
    assert_int_equal(oh_cgroup_read(root, 100, &group), 0);
}

static int teardown(void **state)
{
    (void)state;
    oh_cgroup_fini(&group);
    return 0;
}

static void test_v2_of_a_service(void **state)
{
    (void)state;
    read_case("v2");
    assert_int_equal(group.version, 2);
    assert_string_equal(group.name, "/system.slice/app.service");
    assert_string_equal(group.reason, "");
    assert_int_equal(group.current, 268435456);
    assert_int_equal(group.peak, 300000000);
    assert_int_equal(group.max, 1073741824);
    assert_int_equal(group.limit, 805306368); // Of the slice above.
    assert_int_equal(group.high, 536870912);
    assert_int_equal(group.swap, 0);
    assert_int_equal(group.anonymous, 201326592);
    assert_int_equal(group.shmem, 4194304);
    assert_int_equal(group.file, 54525952 - 4194304);
    assert_int_equal(group.kernel, 12582912);
    assert_int_equal(group.reclaimable, 41943040 + 8388608 + 6291456);
    assert_int_equal(oh_cgroup_unreclaimable(&group), 268435456 - group.reclaimable);
    assert_int_equal(group.high_events, 7);
    assert_int_equal(group.max_events, 3);
    assert_int_equal(group.oom_events, 2);
    assert_int_equal(group.oom_kills, 1);
}

static void test_v2_own_limit_is_the_least(void **state)
{
    (void)state;
    read_case("v2_wide");
    assert_int_equal(group.max, 1073741824);
    assert_int_equal(group.limit, 1073741824); // The slice above allows more.
}

static void test_v2_from_inside_of_its_namespace(void **state)
{
    (void)state;
    read_case("v2_inside");
    assert_int_equal(group.version, 2);
    assert_int_equal(group.current, 104857600);
    assert_int_equal(group.limit, 134217728);
    assert_int_equal(group.high, OH_CGROUP_NO_LIMIT);
    assert_int_equal(group.peak, OH_CGROUP_ABSENT);
    // An older kernel: the sum of what it does tell.
    assert_int_equal(group.kernel, 163840 + 2097152 + 8192 + 2097152);
}

static void test_v2_of_another_container_by_its_own_mounts(void **state)
{
    (void)state;
    read_case("v2_beside");
    assert_int_equal(group.version, 2);
    assert_int_equal(group.current, 73400320);
    assert_int_equal(group.limit, OH_CGROUP_NO_LIMIT);
}

// A mount of the whole hierarchy shows no group beside ours: its files are the whole machine's.
static void test_v2_of_another_container_is_not_the_whole_machine(void **state)
{
    (void)state;
    read_case("v2_above");
    assert_int_equal(group.version, 0);
    assert_non_null(strstr(group.reason, "/../other"));
}

static void test_v1_with_a_blank_in_its_name(void **state)
{
    (void)state;
    read_case("v1");
    assert_int_equal(group.version, 1);
    assert_string_equal(group.name, "/jobs/a b");
    assert_int_equal(group.current, 94371840);
    assert_int_equal(group.max, 104857600);
    assert_int_equal(group.limit, 67108864);
    assert_int_equal(group.high, OH_CGROUP_NO_LIMIT);
    assert_int_equal(group.anonymous, 62914560);
    assert_int_equal(group.shmem, 4194304);
    assert_int_equal(group.file, 25165824 - 4194304);
    assert_int_equal(group.kernel, 5242880);
    assert_int_equal(oh_cgroup_unreclaimable(&group), 94371840 - 16777216 - 4194304);
    assert_int_equal(group.max_events, 41);
    assert_int_equal(group.oom_kills, 2);
    assert_int_equal(group.high_events, OH_CGROUP_ABSENT);
}

static void test_v1_whose_mount_begins_at_the_group(void **state)
{
    (void)state;
    read_case("v1_container");
    assert_int_equal(group.version, 1);
    assert_int_equal(group.current, 20971520);
    assert_int_equal(group.limit, OH_CGROUP_NO_LIMIT);
}

static void check_nothing(const char *name, const char *reason)
{
    read_case(name);
    assert_int_equal(group.version, 0);
    assert_non_null(strstr(group.reason, reason));
    assert_int_equal(oh_cgroup_unreclaimable(&group), OH_CGROUP_ABSENT);
    oh_cgroup_fini(&group);
}

static void test_what_cannot_be_shown_has_a_reason(void **state)
{
    (void)state;
    check_nothing("v2_root", "root group, which counts no memory");
    check_nothing("v2_no_memory", "controller is off");
    check_nothing("gone", "it is gone");
    check_nothing("none", "no control groups");
    check_nothing("no_such_directory", "the process is gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_v2_of_a_service, teardown),
        cmocka_unit_test_teardown(test_v2_own_limit_is_the_least, teardown),
        cmocka_unit_test_teardown(test_v2_from_inside_of_its_namespace, teardown),
        cmocka_unit_test_teardown(test_v2_of_another_container_by_its_own_mounts, teardown),
        cmocka_unit_test_teardown(test_v2_of_another_container_is_not_the_whole_machine, teardown),
        cmocka_unit_test_teardown(test_v1_with_a_blank_in_its_name, teardown),
        cmocka_unit_test_teardown(test_v1_whose_mount_begins_at_the_group, teardown),
        cmocka_unit_test(test_what_cannot_be_shown_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
