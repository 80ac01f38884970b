// SPDX-License-Identifier: Apache-2.0
//
// What a Go program says of itself, over HTTP from a server of this test; and the report as text and
// as JSON.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memory/json.h"
#include "memory/table.h"
#include "process/gostats.h"
#include "process/http.h"
#include "support/cmocka.h"

static const char memstats[] =
    "heap profile: 0: 0 [0: 0] @ heap/1048576\n\n# runtime.MemStats\n# Alloc = 1000\n"
    "# TotalAlloc = 2000\n# Sys = 9000000\n# Lookups = 0\n# Mallocs = 5\n# Frees = 2\n"
    "# HeapAlloc = 1000\n# HeapSys = 7000000\n# HeapIdle = 5000000\n# HeapInuse = 2000000\n"
    "# HeapReleased = 4000000\n# HeapObjects = 3\n# Stack = 300000 / 400000\n"
    "# MSpan = 10 / 16000\n# MCache = 20 / 15000\n# BuckHashSys = 4000\n# GCSys = 3000\n"
    "# OtherSys = 2000\n# NextGC = 4194304\n# LastGC = 0\n";

static void test_memstats_are_read(void **state)
{
    (void)state;
    struct oh_gostats stats;
    assert_int_equal(oh_gostats_parse(memstats, &stats), 0);
    assert_int_equal(stats.sys, 9000000);
    assert_int_equal(stats.heap_inuse, 2000000);
    assert_int_equal(stats.stack_sys, 400000);
    assert_int_equal(stats.metadata, 16000 + 15000 + 4000 + 3000 + 2000);
    assert_int_equal(stats.next_gc, 4194304);
    assert_int_equal(oh_gostats_held(&stats), 5000000);
    assert_int_equal(oh_gostats_parse("heap profile: 1: 2\n", &stats), -EINVAL);
    assert_int_equal(oh_gostats_parse("", &stats), -EINVAL);
}

// A server for one request: answers with the text, and keeps what it was asked.
struct server {
    int fd;
    char url[64];
    char request[512];
    const char *answer; // NULL: closes without one.
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct server *const server = arg;
    const int fd = accept(server->fd, NULL, NULL);
    if (fd >= 0) {
        const ssize_t got = recv(fd, server->request, sizeof server->request - 1, 0);
        server->request[got > 0 ? got : 0] = '\0';
        if (server->answer != NULL) {
            (void)send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
        }
        (void)close(fd);
    }
    return NULL;
}

static void start(struct server *server, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *server =
        (struct server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .answer = answer};
    assert_int_equal(bind(server->fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server->fd, 1), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_int_equal(close(server->fd), 0);
}

static void test_a_server_is_asked(void **state)
{
    (void)state;
    struct server server;
    struct oh_gostats stats;
    struct oh_err err;
    char answer[2048];
    (void)snprintf(answer, sizeof answer, "HTTP/1.0 200 OK\r\nX: y\r\n\r\n%s", memstats);
    start(&server, answer);
    assert_int_equal(oh_gostats_fetch(server.url, &stats, &err), 0);
    stop(&server);
    assert_int_equal(stats.sys, 9000000);
    assert_non_null(strstr(server.request, "GET /debug/pprof/heap?debug=1 HTTP/1.0\r\n"));
    assert_non_null(strstr(server.request, "Host: 127.0.0.1\r\n"));
    // A path that was given whole is asked for as it is.
    start(&server, answer);
    (void)snprintf(server.url + strlen(server.url), sizeof server.url - strlen(server.url),
                   "/x/debug/pprof/heap?debug=1");
    assert_int_equal(oh_gostats_fetch(server.url, &stats, &err), 0);
    stop(&server);
    assert_non_null(strstr(server.request, "GET /x/debug/pprof/heap?debug=1 HTTP/1.0\r\n"));
}

static void check_refused(const char *answer, int code, const char *words)
{
    struct server server;
    struct oh_gostats stats;
    struct oh_err err;
    start(&server, answer);
    assert_int_equal(oh_gostats_fetch(server.url, &stats, &err), code);
    stop(&server);
    if (strstr(err.text, words) == NULL) {
        fail_msg("%s", err.text);
    }
}

static void test_other_answers_are_told(void **state)
{
    (void)state;
    struct oh_err err;
    struct oh_gostats stats;
    check_refused("HTTP/1.1 404 Not Found\r\n\r\n", -ENOENT, "status 404");
    check_refused("HTTP/1.1 200 OK\r\n\r\nhello", -EINVAL, "no runtime.MemStats");
    check_refused("hello", -EINVAL, "not one of HTTP");
    static const char *const wrong[] = {"localhost:6060", "https://localhost", "http://",
                                        "http://[::1",    "http://a:b/",       "http://a:123456/"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(oh_gostats_fetch(wrong[i], &stats, &err), -EINVAL);
        assert_non_null(strstr(err.text, "is not a URL"));
    }
    assert_true(oh_gostats_fetch("http://[::1]:1/", &stats, &err) < 0);
    assert_non_null(strstr(err.text, "cannot connect to ::1 port 1"));
    // Nobody listens there any more.
    struct server server;
    start(&server, "HTTP/1.0 404 Gone\r\n\r\n");
    (void)oh_gostats_fetch(server.url, &stats, &err);
    stop(&server);
    assert_int_equal(oh_gostats_fetch(server.url, &stats, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.text, "cannot connect"));
}

// --- The report ------------------------------------------------------------------------------------

static struct oh_look look;
static struct oh_cgroup group;
static struct oh_gostats stats;
static struct oh_verdict verdict;
static struct oh_advice advice;
static char *note_texts[1];
static struct oh_list notes = {.texts = note_texts, .count = 1};

static struct oh_memory_report make_report(void)
{
    memset(&group, 0xff, sizeof group);
    group.version = 2;
    group.name = (char *)(uintptr_t) "/a \"b\"";
    group.current = 1 << 20;
    group.max = group.limit = OH_CGROUP_NO_LIMIT;
    group.oom_kills = 1;
    look = (struct oh_look){.pid = 12,
                            .resident = 3 << 20,
                            .is_go = true,
                            .free_pages = -1,
                            .has_recording = true,
                            .is_exact = true};
    look.parts[OH_PART_GO] = 2 << 20;
    look.parts[OH_PART_C_LIVE] = 1 << 20;
    look.live.allocated = 5 << 20;
    look.jemalloc = (struct oh_format_jemalloc){.allocated = 5 << 20,
                                                .active = 6 << 20,
                                                .metadata = 7 << 20,
                                                .resident = 8 << 20,
                                                .retained = 9 << 20,
                                                .time_ns = 1};
    look.jemalloc_age_s = 3;
    look.live.objects = 12345;
    assert_int_equal(oh_gostats_parse(memstats, &stats), 0);
    oh_verdict_find(&look, 1, &verdict);
    advice = (struct oh_advice){.bytes = 5 << 20, .text = "GOMEMLIMIT=5MiB: because"};
    note_texts[0] = (char *)(uintptr_t) "a \"note\"\n\x01\xff\xc3\xa4";
    return (struct oh_memory_report){.title = "Memory of x",
                                     .what = "12",
                                     .look = &look,
                                     .group = &group,
                                     .stats = &stats,
                                     .verdict = &verdict,
                                     .advice = &advice,
                                     .notes = &notes};
}

static char *print(void (*fn)(FILE *out, const struct oh_memory_report *report),
                   const struct oh_memory_report *report)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    assert_non_null(out);
    fn(out, report);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void check_has(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL) {
        fail_msg("no '%s' in:\n%s", wanted, text);
    }
}

static void test_the_table(void **state)
{
    (void)state;
    struct oh_memory_report report = make_report();
    char *text = print(oh_table_print, &report);
    check_has(text, "Memory of x\n");
    check_has(text, "    2.00 MiB   66.7%  Go runtime ");
    check_has(text, "MemStats: Sys less HeapReleased is 4.77 MiB");
    check_has(text, "    1.00 MiB   33.3%  C live                 offheap report 12\n");
    check_has(text, "of 5.00 MiB allocated in 12,345 blocks");
    check_has(text, "jemalloc says (3 s ago): allocated 5.00 MiB, active 6.00 MiB,\n");
    check_has(text, "metadata 7.00 MiB, resident 8.00 MiB, retained 9.00 MiB\n");
    check_has(text, "    3.00 MiB  100.0%  RSS (smaps_rollup)\n");
    check_has(text, "        none  limit (memory.max)");
    check_has(text, "events: oom_kill 1\n");
    check_has(text, "Verdict:   one look");
    check_has(text, "Advice:    GOMEMLIMIT=5MiB");
    assert_null(strstr(text, "swapped out"));
    assert_null(strstr(text, "groups above"));
    free(text);
    group.limit = 3 << 20;
    text = print(oh_table_print, &report);
    check_has(text, "    3.00 MiB  the least limit of the groups above\n");
    free(text);
    group.version = 0;
    (void)snprintf(group.reason, sizeof group.reason, "there is none");
    look.swapped = 4096;
    look.jemalloc.time_ns = 0;
    look.huge_bytes = 2 << 20;
    report.stats = NULL;
    text = print(oh_table_print, &report);
    check_has(text, "Control group: there is none\n");
    check_has(text, "4.00 KiB          swapped out");
    check_has(text, "2.00 MiB          in hugetlb pages");
    free(text);
}

static void test_json(void **state)
{
    (void)state;
    const struct oh_memory_report report = make_report();
    char *const text = print(oh_json_print, &report);
    check_has(text, "\"rss\": 3145728");
    check_has(text, "\"go_runtime\": 2097152");
    check_has(text, "\"unclaimed\": 0");
    check_has(text, "\"name\": \"/a \\\"b\\\"\"");
    check_has(text, "\"max\": null");
    assert_null(strstr(text, "\"anon\""));
    check_has(text, "\"jemalloc_allocated\": 5242880, \"active\": 6291456");
    check_has(text, "\"age_s\": 3}");
    check_has(text, "\"kind\": \"one_look\"");
    check_has(text, "\"gomemlimit\": 5242880");
    check_has(text, "[\"a \\\"note\\\"\\u000a\\u0001\\ufffd\xc3\xa4\"]");
    free(text);
}

static char *print_title(const char *title)
{
    const struct oh_memory_report report = {.title = title};
    return print(oh_json_print, &report);
}

// No byte of it is what a reader of JSON refuses: halves of a pair, overlong forms, beyond the last.
static void test_json_of_bytes_that_are_no_text(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\xed\xa0\x80",     "\xe0\x80\xaf", "\xf4\x90\x80\x80",
                                        "\xf0\x8f\xbf\xbf", "\xc0\xaf",     "\xe2\x82"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *const text = print_title(wrong[i]);
        check_has(text, "\"\\ufffd");
        free(text);
    }
    char *const text = print_title("\xed\x9f\xbf \xf4\x8f\xbf\xbf \xe2\x82\xac");
    check_has(text, "\"\xed\x9f\xbf \xf4\x8f\xbf\xbf \xe2\x82\xac\"");
    free(text);
}

// What may not be looked into is not nothing.
static void test_a_report_without_a_look(void **state)
{
    (void)state;
    struct oh_memory_report report = make_report();
    const struct oh_status status = {.has_sizes = true,
                                     .resident = 5 << 20,
                                     .anonymous = 4096,
                                     .has_score = true,
                                     .score = 700,
                                     .adjustment = -100};
    report = (struct oh_memory_report){
        .title = "Memory of x", .group = &group, .status = &status, .error = "not yours"};
    char *text = print(oh_table_print, &report);
    check_has(text, "    5.00 MiB  resident (VmRSS)\n");
    check_has(text, "    1.00 MiB  charged (memory.current)\n");
    check_has(text, "         700  the process's OOM score (adjustment -100)");
    free(text);
    text = print(oh_json_print, &report);
    check_has(text, "\"status\": {\"resident\": 5242880, \"anon\": 4096,");
    check_has(text, "\"oom\": {\"score\": 700, \"adjustment\": -100}");
    check_has(text, "\"error\": \"not yours\"");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memstats_are_read),
        cmocka_unit_test(test_a_server_is_asked),
        cmocka_unit_test(test_other_answers_are_told),
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_of_bytes_that_are_no_text),
        cmocka_unit_test(test_a_report_without_a_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
