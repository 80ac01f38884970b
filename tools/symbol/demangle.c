// SPDX-License-Identifier: Apache-2.0
//
// See demangle.h. libiberty gives the full name (without parameters it refuses local functions and
// lambdas); the rest is cut from the text here.

#include "symbol/demangle.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

#include "profile/clone.h"

// Generated code that carries the name of what it leads to.
static const char *const prefixes[] = {
    "non-virtual thunk to ",     "virtual thunk to ",          "covariant return thunk to ",
    "transaction clone for ",    "non-transaction clone for ", "TLS init function for ",
    "TLS wrapper function for ",
};

// Longest first where one begins another.
static const char *const operators[] = {
    "()", "[]", "<<=", "<=>", "<<", "<=", "<",  "->*", "->", "-=", "--", "-", ">>=",
    ">>", ">=", ">",   "==",  "=",  "!=", "!",  "+=",  "++", "+",  "*=", "*", "/=",
    "/",  "%=", "%",   "&&",  "&=", "&",  "||", "|=",  "|",  "^=", "^",  "~", ",",
};

// What may follow a parameter list.
static const char *const qualifiers[] = {" const", " volatile", " &&", " &", " noexcept"};

static size_t match_one(const char *text, const char *const *choices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(choices[i]);
        if (strncmp(text, choices[i], len) == 0)
            return len;
    }
    return 0;
}

#define MATCH_ONE(text, choices) match_one(text, choices, sizeof(choices) / sizeof(choices)[0])

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) != 0 || c == '_' || c == '$';
}

// How long the word "operator" and its sign at this place are; 0 when there is none. A conversion
// operator's type does not belong to it.
static size_t operator_len(const char *name, size_t at)
{
    static const char word[] = "operator";
    const size_t word_len = sizeof word - 1;
    if (strncmp(name + at, word, word_len) != 0 || is_name_char(name[at + word_len]) ||
        (at > 0 && is_name_char(name[at - 1])))
        return 0;
    return word_len + MATCH_ONE(name + at + word_len, operators);
}

// The place behind the bracket that closes the one at `at`; 0 when none does. Inside parentheses
// and braces a lone '<' or '>' is a comparison.
static size_t skip_brackets(const char *name, size_t at)
{
    enum { DEPTH_MAX = 256 };
    char open[DEPTH_MAX];
    size_t depth = 0;
    while (name[at] != '\0') {
        size_t sign_len = operator_len(name, at);
        char c = name[at];
        if (sign_len != 0) {
            at += sign_len;
            continue;
        }
        if (c == '-' && name[at + 1] == '>') {
            at += 2;
            continue;
        }
        if (c == '<' || c == '(' || c == '[' || c == '{') {
            if (depth == DEPTH_MAX)
                return 0;
            open[depth++] = c;
        } else if (c == ')' || c == ']' || c == '}') {
            char wanted = c == ')' ? '(' : c == ']' ? '[' : '{';
            while (depth > 0 && open[depth - 1] == '<')
                depth--;
            if (depth == 0 || open[--depth] != wanted)
                return 0;
        } else if (c == '>' && depth > 0 && open[depth - 1] == '<') {
            depth--;
        }
        at++;
        if (depth == 0)
            return at;
    }
    return 0;
}

static size_t skip_qualifiers(const char *name, size_t at)
{
    for (;;) {
        size_t len = MATCH_ONE(name + at, qualifiers);
        if (len == 0 || is_name_char(name[at + len]))
            return at;
        at += len;
    }
}

// Copies or cuts what stands at *at; the name is shortened in place, out never overtakes at.
static bool simplify_step(char *name, size_t *at, size_t *out, size_t start, bool *in_conversion)
{
    static const char anonymous[] = "(anonymous namespace)";
    size_t sign_len = operator_len(name, *at);
    size_t copied = 1;
    char c = name[*at];
    if (sign_len != 0) {
        static const size_t bare_len = sizeof "operator" - 1;
        *in_conversion = sign_len == bare_len;
        copied = sign_len;
    } else if (strncmp(name + *at, anonymous, sizeof anonymous - 1) == 0) {
        copied = sizeof anonymous - 1;
    } else if (c == '<' || c == '(') {
        size_t end = skip_brackets(name, *at);
        if (end == 0)
            return false;
        while (*out > start && name[*out - 1] == ' ')
            (*out)--;
        *at = c == '(' ? skip_qualifiers(name, end) : end;
        if (c == '(')
            *in_conversion = false;
        return true;
    } else if (c == '{' || c == '[') {
        size_t end = skip_brackets(name, *at);
        if (end == 0)
            return false;
        copied = end - *at;
    } else if (c == ' ' && !*in_conversion && name[*at + 1] != '<' && name[*at + 1] != '\0') {
        *out = start; // What came before is the return type of an enclosing template.
        (*at)++;
        return true;
    }
    memmove(name + *out, name + *at, copied);
    *out += copied;
    *at += copied;
    return true;
}

void oh_demangle_simplify(char *name)
{
    size_t start = MATCH_ONE(name, prefixes);
    char *whole = strdup(name);
    size_t at = start;
    size_t out = start;
    bool in_conversion = false;
    bool is_done = whole != NULL;
    while (is_done && name[at] != '\0')
        is_done = simplify_step(name, &at, &out, start, &in_conversion);
    if (is_done && out > start)
        name[out] = '\0';
    else if (whole != NULL)
        strcpy(name, whole);
    free(whole);
}

// Cuts the generic arguments of Rust's calls: `a::f::<i32>` -> `a::f`. Others, as in
// `<a::S<i32> as a::T>::f`, say which function it is.
static void simplify_rust(char *name)
{
    static const char impl[] = "::<impl ";
    for (char *at = strstr(name, "::<"); at != NULL; at = strstr(at, "::<")) {
        size_t end = skip_brackets(at, 2);
        if (end == 0 || strncmp(at, impl, sizeof impl - 1) == 0)
            at += 3;
        else
            memmove(at, at + end, strlen(at + end) + 1);
    }
}

bool oh_demangle_is_mangled(const char *symbol)
{
    return strncmp(symbol, "_Z", 2) == 0 || strncmp(symbol, "_R", 2) == 0;
}

char *oh_demangle(const char *symbol)
{
    char *base = strndup(symbol, oh_clone_base_length(symbol, strlen(symbol)));
    if (base == NULL || !oh_demangle_is_mangled(base))
        return base;
    char *name = rust_demangle(base, DMGL_NO_OPTS);
    if (name != NULL) {
        simplify_rust(name);
    } else {
        name = cplus_demangle_v3(base, DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP);
        if (name != NULL)
            oh_demangle_simplify(name);
    }
    if (name == NULL)
        return base;
    free(base);
    return name;
}
