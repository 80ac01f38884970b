# SPDX-License-Identifier: Apache-2.0
#
# read_format.py RECORDING: what is live in a recording and what is mapped, a line "KIND OBJECTS BYTES"
# for each kind of stacks. Written from FORMAT.md alone, sharing nothing with format.h or with the code
# that writes and reads recordings: where this agrees with them, the page is enough to write a reader.
# For recordings that nobody writes any more.

import math
import struct
import sys

HEADER_BYTES, SECTIONS_AT, SECTION_BYTES = 4096, 576, 40
MAPS, MAP_LOG, STACKS, LIVE = 6, 7, 4, 5
STACK_BYTES, STACK_ALIGN = 128, 64
MAP_TABLES, MAP_EVENTS, MAP_TABLE_BYTES, RANGE_BYTES = 4, 512, 64, 32
RESERVE = 3
KINDS = {1: "malloc", 2: "mmap", 3: "reserve", 4: "shm", 5: "file", 6: "go-runtime", 7: "allocator"}

data = open(sys.argv[1], "rb").read()


def at(form, offset):
    return struct.unpack_from("<" + form, data, offset)


def sections():
    (count,) = at("I", 20)
    for i in range(count):
        number, level, offset, length, state = at("IIQQQ", SECTIONS_AT + SECTION_BYTES * i)
        if state == 1 and number in (MAPS, MAP_LOG, STACKS, LIVE):
            assert offset % 4096 == 0 and offset + length <= len(data), "a section is cut"
            yield number, level, offset, length


def kind_of(reference):
    offset = reference * STACK_ALIGN
    assert any(n == STACKS and begin <= offset and offset + STACK_BYTES <= begin + length
               for n, _, begin, length in found), "a reference to no stack"
    return at("B", offset + 20)[0]


def weight(size, mean, shift):
    if mean <= 1:
        return 1 << shift
    return 0 if size == 0 else int((1 << shift) / (1 - math.exp(-size / mean)) + 0.5)


# {kind: [objects in units, bytes]}
def live_blocks(shift, means):
    sums = {}
    for number, _, begin, length in found:
        if number != LIVE:
            continue
        for offset in range(begin, begin + length, 16):
            place, facts = at("QQ", offset)
            if place < 2:  # Empty, or being written.
                continue
            size = facts >> 32
            if facts >> 31 & 1:
                size |= (place & 0x7FFF) << 32
            units = weight(size, means[place >> 15 & 31], shift)
            kind = sums.setdefault(kind_of(facts & (1 << 30) - 1), [0, 0])
            kind[0] += units
            kind[1] += size * units >> shift
    return sums


# Cuts [begin, end) out of those ranges that `takes`: what stays, and the pieces that went.
def cut(ranges, begin, end, takes=lambda facts: True):
    stay, gone = [], []
    for b, e, facts, call in ranges:
        low, high = max(b, begin), min(e, end)
        if low >= high or not takes(facts):
            stay.append((b, e, facts, call))
            continue
        gone.append((low, high))
        stay += [(x, y, facts, call) for x, y in ((b, low), (high, e)) if x < y]
    return stay, gone


def ranges_of_table(log):
    (current,) = at("Q", log)
    generation, number = current >> 8, current & 255
    begin, length = next((o, n) for s, level, o, n in found
                         if s == MAPS and level == number // MAP_TABLES)
    table = begin + length // MAP_TABLES * (number % MAP_TABLES)
    table_generation, count, first = at("QQQ", table)
    assert table_generation == generation, "the table that holds is not whole"
    first_range = table + MAP_TABLE_BYTES
    return [at("QQQQ", first_range + RANGE_BYTES * i) for i in range(count)], first


def mapped_ranges():
    log = next((o for s, _, o, _ in found if s == MAP_LOG), None)
    if log is None:
        return []
    ranges, first = ranges_of_table(log)
    for ticket in range(first, at("Q", log + 64)[0]):
        event = log + 128 + 64 * (ticket % MAP_EVENTS)
        (state,) = at("Q", event)
        if state >> 3 != ticket or state & 7 not in (2, 3):  # DONE, PENDING.
            continue
        begin, end, facts, call = at("QQQQ", event + 8)
        if at("Q", event + 40)[0] == 1:  # SET.
            ranges, _ = cut(ranges, begin, end)
            if facts & 0xFFFFFFFF:
                ranges.append((begin, end, facts, call))
        else:  # COMMIT.
            ranges, gone = cut(ranges, begin, end, lambda f: kind_of(f & 0xFFFFFFFF) == RESERVE)
            ranges += [(b, e, facts, call) for b, e in gone]
    return ranges


assert data[:8] == b"OFFHEAP\n" and at("I", 8)[0] == 0x01020304, "no recording"
assert at("H", 12)[0] == 2 and at("I", 16)[0] == HEADER_BYTES, "another version"
found = list(sections())
(weight_shift,) = at("I", 108)
for kind, (units, total) in sorted(live_blocks(weight_shift, at("32Q", 3136)).items()):
    print(KINDS[kind], round(units / 2**weight_shift), total)
maps = {}
for begin, end, facts, call in mapped_ranges():
    calls, total = maps.get(kind_of(facts & 0xFFFFFFFF), (set(), 0))
    maps[kind_of(facts & 0xFFFFFFFF)] = (calls | {call}, total + end - begin)
for kind, (calls, total) in sorted(maps.items()):
    print(KINDS[kind], len(calls), total)
