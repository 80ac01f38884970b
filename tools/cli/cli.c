// SPDX-License-Identifier: Apache-2.0
//
// Option tables, help texts and messages.

#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "offheap/bytes.h"

// What getopt_long wants, made from a command's table. --help is everybody's.
struct oh_getopt_tables {
    struct option longs[OH_CLI_OPTIONS_MAX + 2];
    char letters[2 * OH_CLI_OPTIONS_MAX + 8];
};

static void make_tables(const struct oh_cli_command *command, struct oh_getopt_tables *tables)
{
    size_t count = 0;
    char *letter = tables->letters;
    if (command->stops_at_operand) {
        *letter++ = '+';
    }
    *letter++ = ':'; // A missing value is told apart from an unknown option.
    *letter++ = OH_CLI_HELP;
    for (const struct oh_cli_option *o = command->options; o->name != NULL; o++) {
        tables->longs[count++] =
            (struct option){.name = o->name,
                            .has_arg = o->arg != NULL ? required_argument : no_argument,
                            .val = o->id};
        if (o->id < OH_CLI_LONG_ONLY) {
            *letter++ = (char)o->id;
            if (o->arg != NULL) {
                *letter++ = ':';
            }
        }
    }
    tables->longs[count++] = (struct option){.name = "help", .val = OH_CLI_HELP};
    tables->longs[count] = (struct option){0};
    *letter = '\0';
}

static int refuse_option(struct oh_cli_parse *parse, int code)
{
    const char *const word = parse->argv[optind - 1];
    if (code == ':') {
        parse->status = oh_cli_usage(parse->command, "option %s needs a value", word);
    } else if (optopt != 0 && optopt < OH_CLI_LONG_ONLY && strncmp(word, "--", 2) != 0) {
        parse->status = oh_cli_usage(parse->command, "unknown option -%c", optopt);
    } else if (optopt != 0) {
        parse->status = oh_cli_usage(parse->command, "option %s takes no value", word);
    } else {
        parse->status = oh_cli_usage(parse->command, "unknown or ambiguous option %s", word);
    }
    return -1;
}

int oh_cli_next(struct oh_cli_parse *parse, const char **value)
{
    struct oh_getopt_tables tables;
    make_tables(parse->command, &tables);
    if (!parse->is_begun) {
        parse->is_begun = true;
        optind = 0; // Begins anew, also when another command was parsed before.
        opterr = 0;
    }
    const int id = getopt_long(parse->argc, parse->argv, tables.letters, tables.longs, NULL);
    if (id == '?' || id == ':') {
        return refuse_option(parse, id);
    }
    if (id == OH_CLI_HELP) {
        oh_cli_print_help(parse->command, stdout);
        parse->status = OH_EXIT_OK;
        return -1;
    }
    if (id == -1) {
        parse->first = optind;
        return 0;
    }
    *value = optarg;
    return id;
}

static void print_option(const struct oh_cli_option *option, FILE *out)
{
    char left[64];
    (void)snprintf(left, sizeof left, "%c%c%s--%s%s%s", option->id < OH_CLI_LONG_ONLY ? '-' : ' ',
                   option->id < OH_CLI_LONG_ONLY ? option->id : ' ',
                   option->id < OH_CLI_LONG_ONLY ? ", " : "  ", option->name,
                   option->arg != NULL ? " " : "", option->arg != NULL ? option->arg : "");
    (void)fprintf(out, "  %-26s %s\n", left, option->help);
}

void oh_cli_print_help(const struct oh_cli_command *command, FILE *out)
{
    (void)fprintf(out, "usage: offheap %s%s%s\n\n%s.\n\n", command->name,
                  command->synopsis[0] != '\0' ? " " : "", command->synopsis, command->help);
    for (const struct oh_cli_option *o = command->options; o->name != NULL; o++) {
        print_option(o, out);
    }
    const struct oh_cli_option help = {OH_CLI_HELP, "help", NULL, "print this text"};
    print_option(&help, out);
    (void)fprintf(out, "\nMore is in the manual page: man %s\n", command->page);
}

// The text's lines with the command's name before the first; the others are indented.
static void print_lines(const char *prefix, const char *text)
{
    (void)fprintf(stderr, "offheap: %s", prefix);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\n') {
            (void)fputs("\n         ", stderr);
        } else {
            (void)fputc(*at, stderr);
        }
    }
    (void)fputc('\n', stderr);
}

void oh_cli_print_error(const struct oh_err *err)
{
    print_lines("", err->text);
}

void oh_cli_print_warnings(const struct oh_list *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        print_lines("warning: ", warnings->texts[i]);
    }
}

void oh_cli_note(const char *fmt, ...)
{
    struct oh_err text;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text.text, sizeof text.text, fmt, args);
    va_end(args);
    print_lines("", text.text);
}

int oh_cli_usage(const struct oh_cli_command *command, const char *fmt, ...)
{
    struct oh_err text;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text.text, sizeof text.text, fmt, args);
    va_end(args);
    print_lines("", text.text);
    (void)fprintf(stderr, "         try: offheap %s --help\n", command->name);
    return OH_EXIT_USAGE;
}

bool oh_cli_parse_bytes(const struct oh_cli_command *command, const char *option, const char *value,
                        unsigned long long least, unsigned long long most,
                        unsigned long long *bytes)
{
    uint64_t number = 0;
    const int result = oh_bytes_parse(value, &number);
    if (result < 0 || number < least || number > most) {
        (void)oh_cli_usage(command,
                           "%s %s: %s; it must be a number from %llu to %llu (64K, 1M and 2G are "
                           "understood)",
                           option, value, result == -EINVAL ? "not a number" : "out of bounds",
                           least, most);
        return false;
    }
    *bytes = number;
    return true;
}
