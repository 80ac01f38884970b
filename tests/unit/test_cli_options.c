// SPDX-License-Identifier: Apache-2.0
//
// The tables of commands and options: what is parsed, what is refused and how, and that help and
// manual pages name everything that the tables have.

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/cli.h"
#include "cli/words.h"
#include "support/cmocka.h"
#include "support/scratch.h"

static char scratch[OH_SCRATCH_BYTES];
static char output[64 << 10];

static int setup(void **state)
{
    (void)state;
    oh_scratch_make(scratch, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_scratch_remove(scratch);
    return 0;
}

enum { ARGUMENTS_MAX = 8 };

// The command's whole life in a child: its exit status, both outputs in `output`.
static int run(const char *const arguments[ARGUMENTS_MAX])
{
    char path[OH_SCRATCH_BYTES + 16];
    (void)snprintf(path, sizeof path, "%s/output", scratch);
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    char *argv[ARGUMENTS_MAX + 2] = {strdup("offheap")};
    int argc = 1;
    for (; argc <= ARGUMENTS_MAX && arguments[argc - 1] != NULL; argc++) {
        argv[argc] = strdup(arguments[argc - 1]);
    }
    (void)fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        const int status = oh_cli_main(argc, argv);
        (void)fflush(NULL);
        _exit(status);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    const ssize_t len = pread(fd, output, sizeof output - 1, 0);
    assert_true(len >= 0);
    output[len] = '\0';
    (void)close(fd);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define RUN(...) run((const char *const[ARGUMENTS_MAX]){__VA_ARGS__})

static void has(const char *words)
{
    if (strstr(output, words) == NULL) {
        fail_msg("no \"%s\" in:\n%s", words, output);
    }
}

static void test_main_without_a_known_command_is_refused(void **state)
{
    (void)state;
    assert_int_equal(RUN(NULL), OH_EXIT_USAGE);
    has("try: offheap help");
    assert_int_equal(RUN("frobnicate"), OH_EXIT_USAGE);
    has("unknown command frobnicate");
    assert_int_equal(RUN("--frobnicate"), OH_EXIT_USAGE);
    has("unknown option --frobnicate");
}

static void test_main_help_and_version(void **state)
{
    (void)state;
    assert_int_equal(RUN("help"), OH_EXIT_OK);
    for (size_t i = 0; oh_cli_command_at(i) != NULL; i++) {
        has(oh_cli_command_at(i)->name);
        has(oh_cli_command_at(i)->help);
    }
    assert_int_equal(RUN("--help"), OH_EXIT_OK);
    assert_int_equal(RUN("version"), OH_EXIT_OK);
    has(OFFHEAP_VERSION);
    assert_int_equal(RUN("--version"), OH_EXIT_OK);
    assert_int_equal(RUN("help", "frobnicate"), OH_EXIT_USAGE);
}

static void test_every_command_explains_its_options(void **state)
{
    (void)state;
    for (size_t i = 0; oh_cli_command_at(i) != NULL; i++) {
        const struct oh_cli_command *const command = oh_cli_command_at(i);
        assert_int_equal(RUN(command->name, "--help"), OH_EXIT_OK);
        for (const struct oh_cli_option *o = command->options; o->name != NULL; o++) {
            has(o->name);
            has(o->help);
        }
        assert_int_equal(RUN("help", command->name), OH_EXIT_OK);
        has("usage: offheap");
        char page[64];
        (void)snprintf(page, sizeof page, "man %s\n", command->page);
        has(page);
        assert_null(strstr(output, " \n"));
        assert_int_equal(RUN(command->name, "--no-such-option"), OH_EXIT_USAGE);
        has("unknown or ambiguous option --no-such-option");
        assert_int_equal(RUN(command->name, "-Z"), OH_EXIT_USAGE);
        has("unknown option -Z");
    }
}

static void test_tables_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; oh_cli_command_at(i) != NULL; i++) {
        const struct oh_cli_option *const options = oh_cli_command_at(i)->options;
        size_t count = 0;
        for (; options[count].name != NULL; count++) {
            const struct oh_cli_option *const o = &options[count];
            assert_true(o->id != OH_CLI_HELP && o->id > 0);
            assert_true(o->id >= OH_CLI_LONG_ONLY || isalpha(o->id));
            for (size_t k = 0; k < count; k++) {
                assert_int_not_equal(options[k].id, o->id);
                assert_string_not_equal(options[k].name, o->name);
            }
        }
        assert_true(count <= OH_CLI_OPTIONS_MAX);
    }
}

// The page has ".Fl -name", as a word.
static bool names_option(const char *page, const char *name)
{
    char wanted[64];
    const int len = snprintf(wanted, sizeof wanted, "Fl -%s", name);
    for (const char *at = strstr(page, wanted); at != NULL; at = strstr(at + 1, wanted)) {
        if (isspace((unsigned char)at[len])) {
            return true;
        }
    }
    return false;
}

static void test_manual_pages_name_every_option(void **state)
{
    (void)state;
    for (size_t i = 0; oh_cli_command_at(i) != NULL; i++) {
        const struct oh_cli_command *const command = oh_cli_command_at(i);
        char path[512];
        char *page = NULL;
        size_t len = 0;
        (void)snprintf(path, sizeof path, "%s/man/%s.1", OH_TEST_SOURCE_DIR, command->page);
        assert_int_equal(oh_file_read(path, 1 << 20, &page, &len), 0);
        assert_true(names_option(page, "help"));
        for (const struct oh_cli_option *o = command->options; o->name != NULL; o++) {
            if (!names_option(page, o->name)) {
                fail_msg("%s does not name --%s", path, o->name);
            }
        }
        free(page);
    }
}

static bool has_word(const char *text, const char *word)
{
    const size_t len = strlen(word);
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        const char before = at == text ? ' ' : at[-1];
        if (strchr(" '|\n", before) != NULL && strchr(" ')|\n", at[len]) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_completion_names_every_word(void **state)
{
    (void)state;
    char *script = NULL;
    size_t len = 0;
    assert_int_equal(
        oh_file_read(OH_TEST_SOURCE_DIR "/tools/cli/offheap.bash", 1 << 20, &script, &len), 0);
    for (size_t i = 0; oh_cli_command_at(i) != NULL; i++) {
        const struct oh_cli_command *const command = oh_cli_command_at(i);
        assert_true(has_word(script, command->name));
        for (const struct oh_cli_option *o = command->options; o->name != NULL; o++) {
            char word[64];
            (void)snprintf(word, sizeof word, "--%s", o->name);
            if (!has_word(script, word)) {
                fail_msg("offheap.bash does not name %s", word);
            }
        }
    }
    free(script);
}

// What follows such an option is its value, and not the program.
static void test_completion_of_run_knows_options_with_a_value(void **state)
{
    (void)state;
    char *script = NULL;
    size_t len = 0;
    assert_int_equal(
        oh_file_read(OH_TEST_SOURCE_DIR "/tools/cli/offheap.bash", 1 << 20, &script, &len), 0);
    char *const skip = strstr(script, "i=$((i + 1))");
    assert_non_null(skip);
    *skip = '\0';
    const char *const line = strrchr(script, '\n');
    const struct oh_cli_command *const run_command = oh_cli_command_at(0);
    assert_string_equal(run_command->name, "run");
    for (const struct oh_cli_option *o = run_command->options; o->name != NULL; o++) {
        char word[64];
        (void)snprintf(word, sizeof word, "--%s", o->name);
        if (has_word(line, word) != (o->arg != NULL)) {
            fail_msg("offheap.bash, options of run with a value: %s", word);
        }
    }
    free(script);
}

static void test_run_refuses_wrong_values(void **state)
{
    (void)state;
    assert_int_equal(RUN("run"), OH_EXIT_USAGE);
    has("which PROGRAM?");
    assert_int_equal(RUN("run", "--sample", "0", "true"), OH_EXIT_USAGE);
    has("--sample 0: out of bounds");
    assert_int_equal(RUN("run", "--sample", "12x", "true"), OH_EXIT_USAGE);
    has("not a number");
    assert_int_equal(RUN("run", "--depth", "7", "true"), OH_EXIT_USAGE);
    assert_int_equal(RUN("run", "--max-bytes", "1M", "true"), OH_EXIT_USAGE);
    assert_int_equal(RUN("run", "--exact", "--sample", "1M", "true"), OH_EXIT_USAGE);
    has("exclude each other");
    assert_int_equal(RUN("run", "-o", "-", "true"), OH_EXIT_USAGE);
    assert_int_equal(RUN("run", "-o"), OH_EXIT_USAGE);
    has("needs a value");
    assert_int_equal(RUN("run", "--exact=1", "true"), OH_EXIT_USAGE);
    has("takes no value");
}

static void test_run_options_end_at_the_program(void **state)
{
    (void)state;
    assert_int_equal(RUN("run", "/nonexistent", "--exact", "--bogus"), OH_EXIT_NOT_FOUND);
    has("there is no /nonexistent");
    assert_int_equal(RUN("run", "--", "--exact"), OH_EXIT_NOT_FOUND);
    has("there is no program --exact in PATH");
}

static void test_others_refuse_wrong_operands(void **state)
{
    (void)state;
    assert_int_equal(RUN("export"), OH_EXIT_USAGE);
    assert_int_equal(RUN("export", "a", "b"), OH_EXIT_USAGE);
    assert_int_equal(RUN("export", "/nonexistent"), OH_EXIT_FAILED);
    assert_int_equal(RUN("report"), OH_EXIT_USAGE);
    assert_int_equal(RUN("report", "--diff", "a"), OH_EXIT_USAGE);
    has("--diff needs two");
    assert_int_equal(RUN("report", "--sort", "size", "a"), OH_EXIT_USAGE);
    has("inuse_space");
    assert_int_equal(RUN("report", "--phase", "late", "a"), OH_EXIT_USAGE);
    assert_int_equal(RUN("report", "--limit", "few", "a"), OH_EXIT_USAGE);
    assert_int_equal(RUN("report", "/nonexistent"), OH_EXIT_FAILED);
    assert_int_equal(RUN("list", "a"), OH_EXIT_USAGE);
}

static void check_quoted(const char *word, const char *wanted)
{
    char *const quoted = oh_words_quote(word);
    assert_string_equal(quoted, wanted);
    free(quoted);
}

static void test_quote_as_a_shell_reads(void **state)
{
    (void)state;
    check_quoted("/tmp/p-1.pb.gz", "/tmp/p-1.pb.gz");
    check_quoted("a b", "'a b'");
    check_quoted("it's", "'it'\\''s'");
    check_quoted("", "''");
    check_quoted("-x", "./'-x'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_main_without_a_known_command_is_refused),
        cmocka_unit_test(test_main_help_and_version),
        cmocka_unit_test(test_every_command_explains_its_options),
        cmocka_unit_test(test_tables_are_sound),
        cmocka_unit_test(test_manual_pages_name_every_option),
        cmocka_unit_test(test_completion_names_every_word),
        cmocka_unit_test(test_completion_of_run_knows_options_with_a_value),
        cmocka_unit_test(test_run_refuses_wrong_values),
        cmocka_unit_test(test_run_options_end_at_the_program),
        cmocka_unit_test(test_others_refuse_wrong_operands),
        cmocka_unit_test(test_quote_as_a_shell_reads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
