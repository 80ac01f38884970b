// SPDX-License-Identifier: Apache-2.0
//
// C++ and Rust linker symbols as people write them, in the short form that pprof shows: no
// parameters, no template arguments. `_ZNSt6vectorIiSaIiEE9push_backERKi` -> `std::vector::push_back`.
// Names that are not mangled are returned as they are, without gcc's clone suffixes.

#ifndef OH_SYMBOL_DEMANGLE_H
#define OH_SYMBOL_DEMANGLE_H

#include <stdbool.h>

// The name to show for a linker symbol; the caller frees it. NULL only without memory.
char *oh_demangle(const char *symbol);

bool oh_demangle_is_mangled(const char *symbol);

// Cuts parameters and template arguments from an already demangled C++ name, in place.
void oh_demangle_simplify(char *name);

#endif
