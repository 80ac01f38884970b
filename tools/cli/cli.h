// SPDX-License-Identifier: Apache-2.0
//
// What the commands share: the table of commands, option tables and their parsing, help texts, and
// the only functions that print messages. Every command is one file, cmd_<name>.c, with its table
// of options; parsing, --help, completion and the checks of the man pages derive from these tables.

#ifndef OH_CLI_CLI_H
#define OH_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "base/list.h"

// Exit statuses. `run` returns its program's own, but for these and 125 to 127.
enum oh_cli_exit {
    OH_EXIT_OK = 0,
    OH_EXIT_FAILED = 1,
    OH_EXIT_USAGE = 2,
    OH_EXIT_NOT_STARTED = 125,    // run: the program could not be recorded, and was not started.
    OH_EXIT_NOT_EXECUTABLE = 126, // run: as a shell has it.
    OH_EXIT_NOT_FOUND = 127,
};

struct oh_cli_option {
    int id;           // Its letter, or a number from OH_CLI_LONG_ONLY on.
    const char *name; // The long form.
    const char *arg;  // What the value is called, NULL: takes none.
    const char *help; // One line.
};

enum { OH_CLI_LONG_ONLY = 256, OH_CLI_HELP = 'h', OH_CLI_OPTIONS_MAX = 32 };

struct oh_cli_command {
    const char *name;
    const char *help;                    // One line, for the list of commands.
    const char *synopsis;                // What follows "offheap NAME"; "" for nothing.
    const char *page;                    // The manual page that explains it.
    const struct oh_cli_option *options; // Ends with an entry without a name.
    bool stops_at_operand;               // What follows the first operand is not ours (run).
    int (*run)(const struct oh_cli_command *command, int argc, char **argv);
};

// Each command's table entry; its file defines it.
const struct oh_cli_command *oh_cmd_run(void);
const struct oh_cli_command *oh_cmd_export(void);
const struct oh_cli_command *oh_cmd_report(void);
const struct oh_cli_command *oh_cmd_memory(void);
const struct oh_cli_command *oh_cmd_list(void);
const struct oh_cli_command *oh_cmd_help(void);
const struct oh_cli_command *oh_cmd_version(void);

// The i-th command in the order of the help, NULL after the last.
const struct oh_cli_command *oh_cli_command_at(size_t i);
const struct oh_cli_command *oh_cli_find_command(const char *name);

// The whole program: argv[0] is ours.
int oh_cli_main(int argc, char **argv);

// Goes through the options of argv, where argv[0] is the command's name. Returns the option's id
// with its value in *value, 0 when only operands are left (they begin at argv[*first]), or -1 when
// the command is over, with *status its exit status: an unknown option was told, or help printed.
struct oh_cli_parse {
    const struct oh_cli_command *command;
    int argc;
    char **argv;
    int first;
    int status;
    bool is_begun;
};
int oh_cli_next(struct oh_cli_parse *parse, const char **value);

void oh_cli_print_help(const struct oh_cli_command *command, FILE *out);

// "offheap: ..." on the standard error, one line per line of the text.
void oh_cli_print_error(const struct oh_err *err);
void oh_cli_print_warnings(const struct oh_list *warnings);
__attribute__((format(printf, 1, 2))) void oh_cli_note(const char *fmt, ...);

// A wrong use of a command: the message, and where the right use stands. Returns OH_EXIT_USAGE.
__attribute__((format(printf, 2, 3))) int oh_cli_usage(const struct oh_cli_command *command,
                                                       const char *fmt, ...);

// Reads a size option ("64K"): true, or false after telling that it must lie within the bounds.
bool oh_cli_parse_bytes(const struct oh_cli_command *command, const char *option, const char *value,
                        unsigned long long least, unsigned long long most,
                        unsigned long long *bytes);

#endif
