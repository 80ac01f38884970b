// SPDX-License-Identifier: Apache-2.0
//
// Phase, kind and package from names as they really look: of Go 1.19 to 1.26, glibc with and
// without symbols. A stack is written as one text, leaf first; a word begins with the frame's kind:
// g: Go, c: C, l: the dynamic loader, x: a module without names.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "offheap/format.h"
#include "profile/label.h"
#include "profile/symbols.h"

enum { FRAMES_MAX = 32 };

static uint32_t flags_of(char kind)
{
    switch (kind) {
    case 'g': return OH_FRAME_GO;
    case 'l': return OH_FRAME_LOADER | OH_FRAME_FALLBACK;
    case 'x': return OH_FRAME_FALLBACK;
    default: return 0;
    }
}

static struct oh_labels label(uint8_t phase, uint8_t end, const char *text)
{
    struct oh_label_frame frames[FRAMES_MAX];
    struct oh_label_stack stack = {
        .frames = frames, .phase = phase, .end = end, .kind = OH_KIND_MALLOC};
    struct oh_labels labels;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        struct oh_label_frame *frame = &frames[stack.count++];
        assert_true(stack.count <= FRAMES_MAX && length > 2 && text[1] == ':');
        *frame = (struct oh_label_frame){
            .name = text + 2, .length = (uint32_t)length - 2, .flags = flags_of(text[0])};
        frame->roles = oh_label_roles(frame->name, frame->length, frame->flags);
        text += length + strspn(text + length, " ");
    }
    oh_label_stack(&stack, &labels);
    return labels;
}

struct example {
    uint8_t recorded;
    const char *phase;
    const char *package;
    const char *stack;
};

static void check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct example *example = &examples[i];
        struct oh_labels labels = label(example->recorded, OH_STACK_END_CLEAN, example->stack);
        if (strcmp(labels.phase, example->phase) != 0 ||
            strcmp(labels.package, example->package) != 0)
            fail_msg("%s: %s %s", example->stack, labels.phase, labels.package);
        assert_int_equal(labels.package_len, strlen(example->package));
        assert_string_equal(labels.kind, "malloc");
    }
}

#define CHECK(examples) check(examples, sizeof(examples) / sizeof(examples)[0])

#define CGO "c:lib_leaf c:_cgo_0e6b_Cfunc_c g:runtime.asmcgocall g:runtime.cgocall "
#define INIT_119 " g:runtime.doInit g:runtime.doInit g:runtime.main"
#define INIT_121 " g:runtime.doInit1 g:runtime.doInit g:runtime.main"

static void test_label_package_initialiser_gives_its_package(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {OH_PHASE_BEFORE_MAIN, "init", "main", CGO "g:main._Cfunc_c g:main.init.0" INIT_121},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/db",
         CGO "g:example.com/db._Cfunc_c g:example.com/db.open g:example.com/db.init.1" INIT_119},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/db", CGO "g:example.com/db.init" INIT_121},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/db",
         CGO "g:example.com/db.glob..func1 g:example.com/db.init" INIT_119},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/db",
         CGO "g:example.com/db.init.0.func1 g:example.com/db.init.0" INIT_121},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/db",
         CGO "g:example.com/db.map.init.0 g:example.com/db.init" INIT_121},
        {OH_PHASE_BEFORE_MAIN, "init", "gopkg.in/yaml.v3",
         CGO "g:gopkg.in/yaml%2ev3.init" INIT_121},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/a.b/c.d.e",
         CGO "g:example.com/a.b/c%2ed%2ee.init.0" INIT_121},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/app/vendor/github.com/x/y",
         CGO "g:example.com/app/vendor/github.com/x/y.init" INIT_121},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/user",
         CGO "g:example.com/lib.Do[...] g:example.com/user.init.0" INIT_119},
        // A constructor of a library that init opens counts for the package.
        {OH_PHASE_BEFORE_MAIN, "init", "main",
         "c:ctor l:[ld.so] x:[libc.so.6] c:dlopen " CGO "g:main.init.0" INIT_121},
    };
    CHECK(examples);
}

static void test_label_initialiser_after_main_began_is_init(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {OH_PHASE_MAIN, "init", "example.com/plug",
         CGO "g:example.com/plug.init.0 g:runtime.doInit1 g:plugin.open g:plugin.Open g:main.main "
             "g:runtime.main"},
        {OH_PHASE_MAIN, "init", "example.com/shared", CGO "g:example.com/shared.init.0" INIT_121},
        {OH_PHASE_MAIN, "main", "", CGO "g:main.work g:main.main g:runtime.main"},
        {OH_PHASE_MAIN, "main", "", CGO "g:main.init.0.func1"}, // A goroutine that waited.
        {OH_PHASE_MAIN, "main", "", "c:doInit c:main"},         // C's own word.
    };
    CHECK(examples);
}

static void test_label_goroutine_of_init_gives_where_it_began(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/gor", CGO "g:example.com/gor.init.0.func1"},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/gor",
         CGO "g:other.org/x.Do g:example.com/gor.(*Pool).run g:runtime.goexit"},
        {OH_PHASE_BEFORE_MAIN, "init", "example.com/gor",
         CGO "g:example.com/gor.worker[go.shape.struct_{_example.com/z.T_}]"},
        {OH_PHASE_BEFORE_MAIN, "init", "main",
         "c:f g:runtime.cgocall g:main.inner g:main.back g:_cgoexp_0e6b_back "
         "g:runtime.cgocallbackg g:crosscall2 c:back c:body c:start_thread c:clone3"},
        {OH_PHASE_BEFORE_MAIN, "init", "runtime",
         "c:x_cgo_getstackbound g:runtime.asmcgocall g:runtime.schedinit"},
        {OH_PHASE_BEFORE_MAIN, "init", "runtime",
         "c:f g:runtime/cgo._cgo_init g:internal/runtime/maps.x g:runtime.mstart"},
    };
    CHECK(examples);
}

static void test_label_c_before_main_is_constructor_or_thread(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {OH_PHASE_BEFORE_MAIN, "init", "[constructor]", "c:ctor l:[ld.so] l:[ld.so]"},
        {OH_PHASE_BEFORE_MAIN, "init", "[constructor]",
         "c:Global::Global x:[libc.so.6] c:__libc_start_main c:_start"},
        {OH_PHASE_BEFORE_MAIN, "init", "[constructor]", "c:ctor c:__libc_csu_init c:_start"},
        {OH_PHASE_BEFORE_MAIN, "init", "[thread]", "c:body c:start_thread c:clone"},
        {OH_PHASE_BEFORE_MAIN, "init", "[thread]", "c:body x:[libc.so.6] x:[libc.so.6]"},
        {OH_PHASE_BEFORE_MAIN, "init", "[unknown]", "x:[app] x:[app]"},
        {OH_PHASE_BEFORE_MAIN, "init", "[unknown]", ""},
    };
    CHECK(examples);
    // A thread's stack that was cut does not tell where it began.
    struct oh_labels labels =
        label(OH_PHASE_BEFORE_MAIN, OH_STACK_END_BROKEN, "c:body x:[libc.so.6]");
    assert_string_equal(labels.package, "[unknown]");
}

static void test_label_constructor_in_dlopen_is_init(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {OH_PHASE_MAIN, "init", "[constructor]",
         "c:deep c:ctor l:[ld.so] x:[libc.so.6] l:[ld.so] x:[libc.so.6] c:dlopen c:load c:main "
         "c:__libc_start_main c:_start"},
        {OH_PHASE_MAIN, "init", "[constructor]",
         "c:ctor l:call_init l:_dl_init c:_dl_catch_exception l:dl_open_worker c:dlmopen c:main"},
        {OH_PHASE_MAIN, "init", "[constructor]",
         "c:ctor l:[ld.so] c:dlopen g:runtime.asmcgocall g:main.main g:runtime.main"},
        // A destructor in dlclose, also when the library was unloaded by a failing open further out.
        {OH_PHASE_MAIN, "main", "", "c:dtor l:[ld.so] x:[libc.so.6] c:dlclose c:main"},
        {OH_PHASE_MAIN, "main", "", "c:dtor l:[ld.so] c:dlclose c:f l:[ld.so] c:dlopen c:main"},
        {OH_PHASE_MAIN, "main", "", "c:dtor l:_dl_fini c:exit x:[libc.so.6] c:_start"},
        // What the loader allocates for itself is no constructor's.
        {OH_PHASE_MAIN, "main", "", "l:[ld.so] l:[ld.so] x:[libc.so.6] c:dlopen c:main"},
        {OH_PHASE_MAIN, "main", "", "c:callback c:dl_iterate_phdr c:main"},
    };
    CHECK(examples);
}

static void test_label_unknown_phase_goes_by_the_stack(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {OH_PHASE_UNKNOWN, "init", "main", CGO "g:main.init.0" INIT_121},
        {OH_PHASE_UNKNOWN, "main", "", CGO "g:main.work g:main.main g:runtime.main"},
        {OH_PHASE_UNKNOWN, "main", "", CGO "g:main.work g:main.main.func1"},
        {OH_PHASE_UNKNOWN, "unknown", "", CGO "g:main.worker"},
        {OH_PHASE_UNKNOWN, "unknown", "", CGO "g:main.mainly"},
        {OH_PHASE_UNKNOWN, "main", "", "c:f c:main x:[libc.so.6] c:__libc_start_main c:_start"},
        {OH_PHASE_UNKNOWN, "init", "[constructor]", "c:ctor l:[ld.so] l:[ld.so]"},
        {OH_PHASE_UNKNOWN, "init", "[constructor]", "c:ctor x:[libc.so.6] c:_start"},
        {OH_PHASE_UNKNOWN, "init", "[constructor]",
         "c:ctor l:[ld.so] x:[libc.so.6] c:dlopen x:[app]"},
        {OH_PHASE_UNKNOWN, "init", "runtime",
         "c:x_cgo_init g:runtime.rt0_go x:[libc.so.6] c:__libc_start_main"},
        {OH_PHASE_UNKNOWN, "unknown", "", "c:dtor l:_dl_fini c:exit c:_start"},
        {OH_PHASE_UNKNOWN, "unknown", "", "c:body c:start_thread c:clone3"},
        {OH_PHASE_UNKNOWN, "unknown", "", "x:[app] x:[libc.so.6] c:__libc_start_main x:[app]"},
        {OH_PHASE_UNKNOWN, "unknown", "", ""},
    };
    CHECK(examples);
}

static void test_label_thread_of_the_runtime_is_kind_thread(void **state)
{
    (void)state;
    static const char *const stacks[] = {
        "l:[ld.so] c:_dl_allocate_tls c:pthread_create c:_cgo_sys_thread_start "
        "g:runtime.asmcgocall g:runtime.newm1 g:runtime.newm g:runtime.startm g:runtime.wakep",
        "c:x_cgo_thread_start g:runtime.asmcgocall",
        "c:f g:runtime.newm1 g:runtime.newm g:main.init.0 g:runtime.doInit g:runtime.main",
    };
    for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++)
        assert_string_equal(label(OH_PHASE_MAIN, 0, stacks[i]).kind, "thread");
    assert_string_equal(label(OH_PHASE_MAIN, 0, "c:pthread_create c:main").kind, "malloc");
    assert_string_equal(label(OH_PHASE_MAIN, 0, "c:f g:main.newm").kind, "malloc");
}

static void test_go_package_of_any_shape_of_name(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"main.main", "main"},
        {"main.(*T).Method", "main"},
        {"main.(*T[...]).M", "main"},
        {"main.Alloc[go.shape.int]", "main"},
        {"main.Alloc[go.shape.struct { example.com/x.F int }]", "main"},
        {"main.(*T[example.com/a/b.C]).M.func1", "main"},
        {"example.com/a/b.(*C[d.org/e.F]).M-fm", "example.com/a/b"},
        {"example.com/a/b.F.func1.2", "example.com/a/b"},
        {"example.com/a/b.F.gowrap1", "example.com/a/b"},
        {"example.com/a/b.F.deferwrap1", "example.com/a/b"},
        {"example.com/store%2ev2.Open", "example.com/store.v2"},
        {"example.com/100%25.F", "example.com/100%"},
        {"github.com/mattn/go-sqlite3._Cfunc_open", "github.com/mattn/go-sqlite3"},
        {"golang.org/x/net/http2.(*Framer).ReadFrame", "golang.org/x/net/http2"},
        {"vendor/golang.org/x/net/dns.init", "vendor/golang.org/x/net/dns"},
        {"go/ast.Walk", "go/ast"},
        {"command-line-arguments.TestX", "command-line-arguments"},
        {"_cgoexp_0e6bc10b1c2b_goCallback", ""},
        {"crosscall2", ""},
        {"type:.eq.main.T", ""},
        {"type..hash.main.T", ""},
        {"go:buildid", ""},
        {"", ""},
    };
    char package[OH_LABEL_PACKAGE_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        package[0] = '\0';
        size_t length =
            oh_label_go_package(names[i][0], strlen(names[i][0]), package, sizeof package);
        assert_string_equal(package, names[i][1]);
        assert_int_equal(length, strlen(names[i][1]));
    }
    assert_int_equal(oh_label_go_package("main.main", 9, package, 4), 0);
    assert_int_equal(oh_label_go_package("main.main", 9, package, 5), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label_package_initialiser_gives_its_package),
        cmocka_unit_test(test_label_initialiser_after_main_began_is_init),
        cmocka_unit_test(test_label_goroutine_of_init_gives_where_it_began),
        cmocka_unit_test(test_label_c_before_main_is_constructor_or_thread),
        cmocka_unit_test(test_label_constructor_in_dlopen_is_init),
        cmocka_unit_test(test_label_unknown_phase_goes_by_the_stack),
        cmocka_unit_test(test_label_thread_of_the_runtime_is_kind_thread),
        cmocka_unit_test(test_go_package_of_any_shape_of_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
