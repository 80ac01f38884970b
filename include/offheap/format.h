// SPDX-License-Identifier: Apache-2.0
//
// The recording: the one contract between the library that writes it inside a process and the
// readers (the command, and the library's own profile writer). FORMAT.md tells the same in prose.
//
// A recording is a file that is mapped MAP_SHARED by its process and written with plain atomic
// stores; it is valid after a kill between any two of them. All numbers are little-endian
// fixed-width integers, all references are file offsets, nothing is a pointer of the reader.
//
// Version rule. `major` changes when an old reader would misread the file: a reader refuses a major
// that is not its own. `minor` changes when something is added that an old reader may skip: new
// section ids, new counters at the end of counters.def, new values of reserved fields, new flag
// bits, new off-reasons, new kinds of stacks. A reader accepts any minor and skips what it does not
// know. Offsets and sizes of the structures below never change within a major.
//
// Growth. Tables are cut into levels; a level is a section of its own whose place in the file is
// fixed when the file is made. Its space is reserved on the disk (fallocate) before its state
// becomes OH_SECTION_READY, and no byte of it is touched before. A level that is not ready may lie
// beyond the end of the file.

#ifndef OFFHEAP_FORMAT_H
#define OFFHEAP_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define OH_FORMAT_MAGIC "OFFHEAP\n"
#define OH_FORMAT_SECTIONS 64
#define OH_FORMAT_COUNTERS 32
#define OH_FORMAT_NOTES 16
#define OH_FORMAT_BUILD_ID_BYTES 64
#define OH_FORMAT_BUCKET_SLOTS 8
#define OH_FORMAT_MEANS 32
#define OH_FORMAT_MAP_EVENTS 512
#define OH_FORMAT_STEP_RUNGS 8
#define OH_FORMAT_STEP_KINDS 8

enum oh_format_version {
    OH_FORMAT_MAJOR = 2,
    OH_FORMAT_MINOR = 2,
    OH_FORMAT_ENDIAN_TAG = 0x01020304,
};

enum oh_format_limits {
    OH_FORMAT_HEADER_BYTES = 4096,
    OH_FORMAT_MODULE_BYTES = 256,
    OH_FORMAT_STACK_BYTES = 128, // Without its frames.
    OH_FORMAT_STACK_ALIGN = 64,
    OH_FORMAT_MAX_DEPTH = 512,
    OH_FORMAT_MAX_LEVELS = 32,
    OH_FORMAT_MAP_TABLES = 4,   // In one level of MAPS.
    OH_FORMAT_STEP_PLACES = 64, // In one ring of STEPS.
};

// What the process does with its recording now.
enum oh_format_state {
    OH_STATE_STARTING = 0,
    OH_STATE_RECORDING = 1,
    OH_STATE_OFF = 2,   // Switched off for good: `off_reason` says why.
    OH_STATE_ENDED = 3, // The process ended in a way that let the library write so.
};

// Why nothing is recorded (any more). The texts stand in offreasons.def.
enum oh_format_off_reason {
#define OH_OFF_REASON(id, text) OH_OFF_##id,
#include "offheap/offreasons.def"
#undef OH_OFF_REASON
    OH_OFF_REASON_COUNT
};

enum oh_format_counter {
#define OH_COUNTER(id, text) OH_COUNTER_##id,
#include "offheap/counters.def"
#undef OH_COUNTER
    OH_COUNTER_COUNT
};

enum oh_format_mode { OH_MODE_SAMPLED = 1, OH_MODE_EXACT = 2 };

enum oh_format_section_id {
    OH_SECTION_NONE = 0,
    OH_SECTION_STRINGS = 1, // Bytes, referred to by struct oh_format_text.
    OH_SECTION_MODULES = 2, // struct oh_format_module[].
    OH_SECTION_INDEX = 3,   // uint64_t[]: a hash table of stacks, OH_INDEX_* below.
    OH_SECTION_STACKS = 4,  // struct oh_format_stack records with their frames.
    OH_SECTION_LIVE = 5,    // struct oh_format_block[]: a hash table of live blocks.
    OH_SECTION_MAPS = 6,    // OH_FORMAT_MAP_TABLES tables of mapped ranges, of one size.
    OH_SECTION_MAP_LOG = 7, // struct oh_format_map_log: which table holds, and what came after.
    OH_SECTION_STEPS = 8,   // struct oh_format_step[OH_FORMAT_STEP_RUNGS][OH_FORMAT_STEP_PLACES].
    OH_SECTION_ID_COUNT
};

enum oh_format_section_state {
    OH_SECTION_UNRESERVED = 0,
    OH_SECTION_READY = 1,
    OH_SECTION_FAILED = 2, // Its space could not be had; it stays unused.
};

struct oh_format_section {
    uint32_t id;
    uint32_t level;
    uint64_t offset; // In the file, a multiple of 4096.
    uint64_t bytes;  // A multiple of 4096.
    uint64_t state;  // enum oh_format_section_state, stored with release.
    uint64_t cursor; // Bytes handed out (STRINGS, MODULES, STACKS), else 0. May run past the end
                     // of the section: what is past it was refused.
};

struct oh_format_text {
    uint32_t offset; // In the file, inside a section STRINGS.
    uint32_t length; // Bytes; 0: absent. No terminating NUL is counted, one stands there.
};

// What jemalloc says of itself (its statistics of the same names, in bytes), as of time_ns since
// start_monotonic_ns: when a reader wants it, and at the end by C's exit. All 0 when there is none, or
// it was never asked. Each number is stored by itself, time_ns last. A reader that wants them of now
// stores a number into `wanted` that was not there before: they follow when something is recorded,
// within a second of that.
struct oh_format_jemalloc {
    uint64_t allocated; // By the program.
    uint64_t active;    // In pages that hold some of it.
    uint64_t metadata;
    uint64_t resident; // At most: pages that may be in memory.
    uint64_t mapped;
    uint64_t retained; // Given back to the kernel, but not the addresses.
    uint64_t time_ns;
    uint64_t wanted; // The one word of a recording that readers write.
};

// What a recording with a budget (OFFHEAP_MAX_OVERHEAD) tells of it; all 0 without one. The numbers
// are those of the controller's last step, each stored by itself.
struct oh_format_budget {
    uint64_t ppm;      // The share of the processor time that samples may take, in millionths.
    uint64_t spent_ns; // What they took, as the library measured it,
    uint64_t cpu_ns;   // of this processor time of the process.
    uint32_t changes;  // Of the mean.
    uint32_t mean;     // The mean of now, and the extremes that there were: indices into means.
    uint32_t finest;
    uint32_t coarsest;
};

struct oh_format_header {
    char magic[8]; // OH_FORMAT_MAGIC; written last, so that a file without it was never begun.
    uint32_t endian_tag;
    uint16_t major;
    uint16_t minor;
    uint32_t header_bytes;
    uint32_t section_count;
    uint64_t max_bytes; // OFFHEAP_MAX_BYTES: the file never grows past it.
    char writer[32];    // "offheap 0.1.0", NUL-padded.

    uint32_t pid;
    uint32_t ppid;
    uint64_t start_ticks;       // Field 22 of /proc/PID/stat: tells a reused pid.
    uint64_t start_realtime_ns; // CLOCK_REALTIME when the recording began.
    uint64_t start_monotonic_ns;
    uint64_t run_token; // OFFHEAP_RUN_TOKEN of `offheap run`, or 0.

    uint32_t mode;         // enum oh_format_mode.
    uint32_t weight_shift; // Objects are counted in units of 2^-weight_shift.
    uint64_t sample_bytes; // Mean of the sampling intervals at the start; 1 in exact mode.
    uint32_t max_depth;
    uint32_t flags; // enum oh_format_flag.

    uint32_t state;      // enum oh_format_state.
    uint32_t off_reason; // enum oh_format_off_reason.
    uint64_t off_errno;  // The system's reason, when there is one.
    uint64_t end_realtime_ns;
    uint64_t epoch; // Current module epoch, see struct oh_format_module.

    struct oh_format_text exe;     // Path of the executable.
    struct oh_format_text args;    // The command line, words separated by NUL.
    struct oh_format_text profile; // OFFHEAP_PROFILE with %p replaced, when given.
    struct oh_format_text reserved_text;
    struct oh_format_text notes[OH_FORMAT_NOTES]; // What the user should know, one sentence each.

    uint64_t counters[OH_FORMAT_COUNTERS];
    struct oh_format_section sections[OH_FORMAT_SECTIONS];
    // The means under which blocks were taken, by the number that a live block has. Without a
    // budget the first is sample_bytes and the others are 0; with one, sample_bytes is one of them.
    // Stored before any block refers to it, and never changed.
    uint64_t means[OH_FORMAT_MEANS];
    struct oh_format_budget budget;
    struct oh_format_jemalloc jemalloc;
    uint8_t reserved[OH_FORMAT_HEADER_BYTES - 3496];
};

enum oh_format_flag {
    OH_FLAG_PHASE_KNOWN = 1 << 0,  // The begin of main (Go's or C's) is seen: see oh_stack_phase.
    OH_FLAG_NO_FALLOCATE = 1 << 1, // The file system cannot reserve: tables do not grow.
    OH_FLAG_GO_MAIN = 1 << 2,      // The executable is a Go program.
    OH_FLAG_EXIT_PATCHED = 1 << 3, // Go's exit passes through the library.
    OH_FLAG_JEMALLOC = 1 << 4,     // jemalloc was there at the start, and its blocks are recorded.
    OH_FLAG_REDIRECTED = 1 << 5,   // Functions of an allocator have jumps to the library.
    OH_FLAG_SANDBOX = 1 << 6,      // The process has confined itself: tables grow no more.
    OH_FLAG_UNSEEN = 1 << 7,       // Of an allocator some blocks cannot be recorded: notes tell.
};

enum oh_format_module_state {
    OH_MODULE_FREE = 0,
    OH_MODULE_CLAIMED = 1, // Being written; a reader skips it.
    OH_MODULE_READY = 2,
};

enum oh_format_module_flag {
    OH_MODULE_MAIN = 1 << 0,
    OH_MODULE_GO = 1 << 1,
    OH_MODULE_SELF = 1 << 2, // liboffheap.so.
    OH_MODULE_VDSO = 1 << 3,
    OH_MODULE_LOADER = 1 << 4, // The dynamic loader.
};

enum oh_format_id_kind { OH_ID_NONE = 0, OH_ID_GNU = 1, OH_ID_GO = 2 };

// A loaded file. A stack of epoch e meets the modules with first_epoch <= e <= last_epoch; at most
// one of them holds a given address. The epoch rises when a module comes to lie where another,
// different one lay before: only then does an address change its meaning.
struct oh_format_module {
    uint64_t state;
    uint64_t first_epoch;
    uint64_t last_epoch; // UINT64_MAX while nothing has taken its place.
    uint64_t base;       // Load bias: run-time address minus the address in the file.
    uint64_t start;      // The whole mapping, [start, end).
    uint64_t end;
    uint64_t text_start; // Its first executable segment, page-aligned as in /proc/PID/maps.
    uint64_t text_end;
    uint64_t text_offset;   // File offset of text_start.
    uint64_t file_bytes;    // Size, modification time, inode and device of the file when loaded;
    uint64_t file_mtime_ns; // all 0 when the file could not be looked at.
    uint64_t file_inode;
    uint64_t file_device;
    struct oh_format_text path;
    uint32_t flags;         // enum oh_format_module_flag.
    uint16_t build_id_kind; // enum oh_format_id_kind.
    uint16_t build_id_bytes;
    uint8_t build_id[OH_FORMAT_BUILD_ID_BYTES]; // A longer Go build id: its last 64 bytes.

    uint64_t go_text; // Go's own code, [go_text, go_text_end), 0 when the module has none.
    uint64_t go_text_end;
    uint64_t go_pclntab; // Run-time address of the pcHeader.
    uint64_t go_gofunc;  // Run-time address of moduledata.gofunc.
    uint64_t go_moduledata;
    uint8_t reserved[32];
};

// What was known of the moment of an allocation.
enum oh_stack_phase {
    OH_PHASE_UNKNOWN = 0, // The begin of main cannot be seen in this process.
    OH_PHASE_BEFORE_MAIN = 1,
    OH_PHASE_MAIN = 2,
};

// What a stack allocated. The last two are address space that is not the program's own doing: they
// have no frames, and stand in no profile.
enum oh_stack_kind {
    OH_KIND_MALLOC = 1,  // Blocks of the malloc family; the others are ranges.
    OH_KIND_MMAP = 2,    // Private memory, by mmap or sbrk.
    OH_KIND_RESERVE = 3, // Private and without access: address space, not memory.
    OH_KIND_SHM = 4,     // Shared memory: anonymous, System V's, and files that lie in memory.
    OH_KIND_FILE = 5,    // Files, and devices.
    OH_KIND_GO_RUNTIME = 6,
    OH_KIND_ALLOCATOR = 7, // What the allocator behind malloc maps to cut blocks from.
    OH_KIND_COUNT
};

enum oh_stack_end {
    OH_STACK_END_CLEAN = 0,
    OH_STACK_END_DEPTH = 1,  // Cut at max_depth.
    OH_STACK_END_BROKEN = 2, // Cut where no unwind information or no readable memory was found.
};

// An interned call stack with what was allocated by it. Immutable once the index refers to it, but
// for the counters, which stand alone in a cache line, and its steps, which change once a second at
// most. Objects are in units of 2^-weight_shift, bytes in bytes. What of it is in use is what its
// live blocks add up to. The two variances are those of the estimated allocations (SAMPLING.md),
// summed: IEEE doubles in a 64-bit word, 0 in exact mode.
struct oh_format_stack {
    uint64_t hash; // oh_hash_stack() over epoch, kind, phase, end, shard, depth and frames.
    uint64_t epoch;
    uint32_t depth;
    uint8_t kind;  // enum oh_stack_kind.
    uint8_t phase; // enum oh_stack_phase.
    uint8_t end;   // enum oh_stack_end.
    uint8_t shard; // Tells apart records of one stack that threads would fight over; 0 is common.
    uint64_t first_ns;                    // Since start_monotonic_ns.
    uint32_t steps[OH_FORMAT_STEP_RUNGS]; // What was in use then: see step.h.

    uint64_t alloc_objects;
    uint64_t alloc_bytes;
    uint64_t samples; // Recorded allocations, unweighted; 0 in exact mode: as alloc_objects.
    uint64_t alloc_objects_variance;
    uint64_t alloc_bytes_variance;
    uint64_t
        step_word; // The second of steps[0] above a check of them all; stored last. 0: none yet.
    uint64_t reserved2[2];
    // uint64_t pc[depth] follows: return addresses, leaf first. A frame that was interrupted by a
    // signal has its pc plus one, so that pc - 1 always lies in the instruction that was running.
};

// An index word: the upper half is the upper half of the stack's hash, the lower half its place
// in the file in units of OH_FORMAT_STACK_ALIGN bytes. 0: empty. Stored with release.
enum { OH_INDEX_REF_BITS = 32 };

// A live block's word `place`: 0 empty, 1 being written (left so for ever by a killed writer: a
// reader skips it), else the address and what else the word holds. block.h packs and unpacks both.
enum { OH_LIVE_EMPTY = 0, OH_LIVE_BUSY = 1 };

enum oh_format_block_bits {
    // Of place, lowest first: the time as oh_block_pack_time() has it, the number of its mean in
    // the header's means, and the address without its three lowest bits.
    OH_BLOCK_TIME_BITS = 15,
    OH_BLOCK_MEAN_BITS = 5,
    OH_BLOCK_ADDRESS_SHIFT = 3,
    // Of facts, lowest first: the stack as in an index word, a bit that is 0, one that tells that
    // the size has its upper 15 bits where the time would stand, and its lower 32 bits.
    OH_BLOCK_STACK_BITS = 30,
    OH_BLOCK_LARGE_BIT = 31,
    OH_BLOCK_SIZE_SHIFT = 32,
};

struct oh_format_block {
    uint64_t place; // Stored with release when `facts` is there.
    uint64_t facts;
};

// A mapped range and the call that it is left of. Ranges do not overlap.
struct oh_format_range {
    uint64_t begin;
    uint64_t end;   // The byte after the last.
    uint64_t facts; // Lower half: its stack, as in an index word; upper half: seconds since
                    // start_monotonic_ns. A stack of 0: nothing is mapped (events only).
    uint64_t call;  // Number of the call: what is left of one call has one number.
};

// A table of ranges in the order of their addresses: this, then range[count].
struct oh_format_map_table {
    uint64_t generation; // As in `current` of the log, if this is the table that holds; all ones
                         // while it is written.
    uint64_t count;
    uint64_t first; // Ticket of the first event that the table does not hold yet.
    uint64_t reserved[5];
};

enum oh_map_op {
    OH_MAP_SET = 1,    // The range is this now, whatever was there.
    OH_MAP_COMMIT = 2, // The same, but only where it was of kind OH_KIND_RESERVE.
};

// An event's `state` is its ticket above OH_MAP_PHASE_BITS bits of phase. Only DONE and PENDING
// events count, those of the tickets from `first` of the table to `next` of the log, in their
// order.
enum oh_map_phase {
    OH_MAP_UNUSED = 0,
    OH_MAP_WRITING = 1,
    OH_MAP_DONE = 2,
    OH_MAP_PENDING = 3, // Counts, but the system has not yet said whether it succeeded.
    OH_MAP_VOID = 4,    // It failed.
    OH_MAP_SKIPPED = 5,
    OH_MAP_ABANDONED = 6, // Skipped while its writer was late; in use until that gives it back.
};
enum { OH_MAP_PHASE_BITS = 3, OH_MAP_TABLE_BITS = 8 };

struct oh_format_map_event {
    uint64_t state; // The event of ticket t stands in place t % OH_FORMAT_MAP_EVENTS.
    struct oh_format_range range;
    uint64_t op; // enum oh_map_op.
    uint64_t reserved[2];
};

struct oh_format_map_log {
    uint64_t current; // A generation above OH_MAP_TABLE_BITS bits of the number of the table that
                      // holds: its level times OH_FORMAT_MAP_TABLES plus its place in the level.
    uint64_t reserved1[7];
    uint64_t next; // The next event's ticket.
    uint64_t reserved2[7];
    struct oh_format_map_event events[OH_FORMAT_MAP_EVENTS];
};

// The process at one moment. Numbers that could not be had are OH_FORMAT_STEP_ABSENT.
struct oh_format_step {
    uint64_t check;   // Of all that follows, oh_step_check(): what does not agree was torn.
    uint64_t time_ns; // When it was begun, since start_monotonic_ns; not 0.
    uint64_t took_ns; // Until all was looked at: a value is of some moment between.
    uint64_t resident_bytes;
    uint64_t cgroup_bytes; // The charge of the process's control group.
    uint64_t reserved[3];
    uint64_t inuse_bytes[OH_FORMAT_STEP_KINDS]; // By enum oh_stack_kind.
    uint64_t alloc_bytes[OH_FORMAT_STEP_KINDS];
};
#define OH_FORMAT_STEP_ABSENT UINT64_MAX

_Static_assert(sizeof(struct oh_format_section) == 40, "section");
_Static_assert(offsetof(struct oh_format_section, level) == 4, "section");
_Static_assert(offsetof(struct oh_format_section, offset) == 8, "section");
_Static_assert(offsetof(struct oh_format_section, bytes) == 16, "section");
_Static_assert(offsetof(struct oh_format_section, state) == 24, "section");
_Static_assert(offsetof(struct oh_format_section, cursor) == 32, "section");
_Static_assert(sizeof(struct oh_format_text) == 8, "text");
_Static_assert(sizeof(struct oh_format_header) == OH_FORMAT_HEADER_BYTES, "header");
_Static_assert(offsetof(struct oh_format_header, endian_tag) == 8, "header");
_Static_assert(offsetof(struct oh_format_header, major) == 12, "header");
_Static_assert(offsetof(struct oh_format_header, minor) == 14, "header");
_Static_assert(offsetof(struct oh_format_header, header_bytes) == 16, "header");
_Static_assert(offsetof(struct oh_format_header, section_count) == 20, "header");
_Static_assert(offsetof(struct oh_format_header, max_bytes) == 24, "header");
_Static_assert(offsetof(struct oh_format_header, writer) == 32, "header");
_Static_assert(offsetof(struct oh_format_header, pid) == 64, "header");
_Static_assert(offsetof(struct oh_format_header, start_ticks) == 72, "header");
_Static_assert(offsetof(struct oh_format_header, run_token) == 96, "header");
_Static_assert(offsetof(struct oh_format_header, mode) == 104, "header");
_Static_assert(offsetof(struct oh_format_header, weight_shift) == 108, "header");
_Static_assert(offsetof(struct oh_format_header, sample_bytes) == 112, "header");
_Static_assert(offsetof(struct oh_format_header, max_depth) == 120, "header");
_Static_assert(offsetof(struct oh_format_header, flags) == 124, "header");
_Static_assert(offsetof(struct oh_format_header, state) == 128, "header");
_Static_assert(offsetof(struct oh_format_header, off_errno) == 136, "header");
_Static_assert(offsetof(struct oh_format_header, end_realtime_ns) == 144, "header");
_Static_assert(offsetof(struct oh_format_header, epoch) == 152, "header");
_Static_assert(offsetof(struct oh_format_header, exe) == 160, "header");
_Static_assert(offsetof(struct oh_format_header, args) == 168, "header");
_Static_assert(offsetof(struct oh_format_header, profile) == 176, "header");
_Static_assert(offsetof(struct oh_format_header, notes) == 192, "header");
_Static_assert(offsetof(struct oh_format_header, counters) == 320, "header");
_Static_assert(offsetof(struct oh_format_header, sections) == 576, "header");
_Static_assert(offsetof(struct oh_format_header, means) == 3136, "header");
_Static_assert(offsetof(struct oh_format_header, budget) == 3392, "header");
_Static_assert(offsetof(struct oh_format_header, jemalloc) == 3432, "header");
_Static_assert(sizeof(struct oh_format_jemalloc) == 64, "jemalloc");
_Static_assert(offsetof(struct oh_format_jemalloc, time_ns) == 48, "jemalloc");
_Static_assert(offsetof(struct oh_format_jemalloc, wanted) == 56, "jemalloc");
_Static_assert(sizeof(struct oh_format_budget) == 40, "budget");
_Static_assert(offsetof(struct oh_format_budget, spent_ns) == 8, "budget");
_Static_assert(offsetof(struct oh_format_budget, cpu_ns) == 16, "budget");
_Static_assert(offsetof(struct oh_format_budget, changes) == 24, "budget");
_Static_assert(offsetof(struct oh_format_budget, coarsest) == 36, "budget");
_Static_assert(sizeof(struct oh_format_module) == OH_FORMAT_MODULE_BYTES, "module");
_Static_assert(offsetof(struct oh_format_module, base) == 24, "module");
_Static_assert(offsetof(struct oh_format_module, text_start) == 48, "module");
_Static_assert(offsetof(struct oh_format_module, text_offset) == 64, "module");
_Static_assert(offsetof(struct oh_format_module, path) == 104, "module");
_Static_assert(offsetof(struct oh_format_module, flags) == 112, "module");
_Static_assert(offsetof(struct oh_format_module, build_id) == 120, "module");
_Static_assert(offsetof(struct oh_format_module, go_text) == 184, "module");
_Static_assert(offsetof(struct oh_format_module, go_moduledata) == 216, "module");
_Static_assert(sizeof(struct oh_format_stack) == OH_FORMAT_STACK_BYTES, "stack");
_Static_assert(offsetof(struct oh_format_stack, depth) == 16, "stack");
_Static_assert(offsetof(struct oh_format_stack, kind) == 20, "stack");
_Static_assert(offsetof(struct oh_format_stack, first_ns) == 24, "stack");
_Static_assert(offsetof(struct oh_format_stack, alloc_objects) == 64, "stack");
_Static_assert(offsetof(struct oh_format_stack, shard) == 23, "stack");
_Static_assert(offsetof(struct oh_format_stack, samples) == 80, "stack");
_Static_assert(offsetof(struct oh_format_stack, alloc_bytes_variance) == 96, "stack");
_Static_assert(offsetof(struct oh_format_stack, steps) == 32, "stack");
_Static_assert(offsetof(struct oh_format_stack, step_word) == 104, "stack");
_Static_assert(sizeof(struct oh_format_step) == 192, "step");
_Static_assert(offsetof(struct oh_format_step, resident_bytes) == 24, "step");
_Static_assert(offsetof(struct oh_format_step, inuse_bytes) == 64, "step");
_Static_assert(offsetof(struct oh_format_step, alloc_bytes) == 128, "step");
_Static_assert((int)OH_KIND_COUNT <= OH_FORMAT_STEP_KINDS, "a step has room for every kind");
_Static_assert(sizeof(struct oh_format_block) == 16, "block");
_Static_assert(offsetof(struct oh_format_block, facts) == 8, "block");
_Static_assert(sizeof(struct oh_format_range) == 32, "range");
_Static_assert(offsetof(struct oh_format_range, end) == 8, "range");
_Static_assert(offsetof(struct oh_format_range, facts) == 16, "range");
_Static_assert(offsetof(struct oh_format_range, call) == 24, "range");
_Static_assert(sizeof(struct oh_format_map_table) == 64, "map table");
_Static_assert(offsetof(struct oh_format_map_table, first) == 16, "map table");
_Static_assert(sizeof(struct oh_format_map_event) == 64, "map event");
_Static_assert(offsetof(struct oh_format_map_event, range) == 8, "map event");
_Static_assert(offsetof(struct oh_format_map_event, op) == 40, "map event");
_Static_assert(sizeof(struct oh_format_map_log) == 128 + 64 * OH_FORMAT_MAP_EVENTS, "map log");
_Static_assert(offsetof(struct oh_format_map_log, next) == 64, "map log");
_Static_assert(offsetof(struct oh_format_map_log, events) == 128, "map log");

// What threads write shares no cache line (64 bytes) with what others read all the time: the
// header's counters, the table of sections (cursors), a stack's counters, and the constants.
_Static_assert(offsetof(struct oh_format_header, counters) % 64 == 0, "lines of the header");
_Static_assert(offsetof(struct oh_format_header, sections) % 64 == 0, "lines of the header");
_Static_assert(offsetof(struct oh_format_header, means) % 64 == 0, "lines of the header");
_Static_assert(offsetof(struct oh_format_stack, alloc_objects) % 64 == 0, "lines of a stack");
_Static_assert(OH_FORMAT_STACK_BYTES - offsetof(struct oh_format_stack, alloc_objects) == 64,
               "lines of a stack");
_Static_assert(64 % sizeof(struct oh_format_block) == 0, "a block stands in one line");
_Static_assert((int)OH_COUNTER_COUNT <= OH_FORMAT_COUNTERS, "counters");

#endif
