#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tools/setup.sh [--tests]
#
# Brings what the build needs: Debian packages; a static, position-independent libunwind with our
# patches in build/deps/libunwind (Debian's own archive is not position-independent); and the decoder
# of Zydis, a disassembler, in build/deps/zydis (Debian has no archive of it). With --tests, also what
# the tests need. Run it as often as you like: what is there is left alone.
#
# Packages come through apt, with a private list of sources that is derived from the machine's own:
# only its Debian main suites, with source packages added. /etc/apt is read, never written, and
# other repositories of the machine need not answer.
#
#   --print-sources DIR CODENAME   only prints the private list derived from the apt directory DIR

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
deps=$root/build/deps
patches=$root/preload/capture/libunwind

build_packages="gcc libc6-dev binutils make patch cmake ninja-build dpkg-dev zlib1g-dev
    libiberty-dev libzycore-dev"
test_packages="g++ clang-format-14 shellcheck groff-base libcmocka-dev golang-1.19-go
    protobuf-compiler musl-tools valgrind libjemalloc2 libjemalloc-dev libtcmalloc-minimal4 libmimalloc2.0"

# What libunwind is built with. It ends up inside liboffheap.so: no thread-local storage by call, no
# symbol that could be preempted, and sections that the linker drops where nothing reaches them.
libunwind_configure="--with-pic --enable-static --disable-shared --disable-minidebuginfo
    --disable-cxx-exceptions --disable-tests --disable-block-signals --disable-conservative-checks
    --disable-coredump --disable-ptrace --disable-setjmp --disable-documentation"
libunwind_cflags="-O2 -g -fvisibility=hidden -ftls-model=initial-exec -fno-semantic-interposition
    -fno-stack-protector -ffunction-sections -fdata-sections"

# The decoder alone, in its smallest form: tables and lengths, no names. It calls nothing.
zydis_cflags="-O2 -g -fPIC -fvisibility=hidden -fno-stack-protector -ffunction-sections
    -fdata-sections -DZYAN_NO_LIBC -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -DZYDIS_MINIMAL_MODE
    -DZYDIS_DISABLE_KNC"
zydis_objects="Decoder DecoderData SharedData"

say()
{
    printf '%s\n' "setup: $*"
}

fail()
{
    printf '%s\n' "setup: $*" >&2
    exit 1
}

# --- the private list of sources ---------------------------------------------------------------

# One-line form: reads a .list file, prints the lines of the given suites that have the component
# main, as "deb" and as "deb-src". Options in [] stay as they are.
one_line_sources()
{
    awk -v suites="$2" '
        function is_ours(suite,    n, i, names) {
            n = split(suites, names, " ")
            for (i = 1; i <= n; i++)
                if (suite == names[i])
                    return 1
            return 0
        }
        { sub(/#.*/, "") }
        $1 == "deb" {
            options = ""
            rest = $0
            sub(/^[ \t]*deb[ \t]+/, "", rest)
            if (rest ~ /^\[/) {
                options = substr(rest, 1, index(rest, "]")) " "
                rest = substr(rest, index(rest, "]") + 1)
            }
            n = split(rest, word, /[ \t]+/)
            first = (word[1] == "") ? 2 : 1
            if (word[first] ~ /^cdrom:/ || !is_ours(word[first + 1]))
                next
            for (i = first + 2; i <= n; i++)
                if (word[i] == "main") {
                    print "deb " options word[first] " " word[first + 1] " main"
                    print "deb-src " options word[first] " " word[first + 1] " main"
                }
        }' "$1"
}

# Stanza form: reads a .sources file, prints its stanzas for the given suites with both types. Every
# other field (keys, validity) stays as it is.
stanza_sources()
{
    awk -v suites="$2" '
        function is_ours(suite,    n, i, names) {
            n = split(suites, names, " ")
            for (i = 1; i <= n; i++)
                if (suite == names[i])
                    return 1
            return 0
        }
        function flush_stanza(    n, i, words, kept, found) {
            n = split(types, words, /[ \t]+/)
            for (i = 1; i <= n; i++)
                found += (words[i] == "deb") * 1
            n = split(suite_names, words, /[ \t]+/)
            for (i = 1; i <= n; i++)
                if (is_ours(words[i]))
                    kept = kept " " words[i]
            if (found && kept != "" && !disabled && components ~ /(^|[ \t])main([ \t]|$)/ &&
                uris !~ /^[ \t]*cdrom:/) {
                print "Types: deb deb-src"
                print "URIs:" uris
                print "Suites:" kept
                print "Components: main"
                printf "%s\n", others
            }
            types = suite_names = components = uris = others = ""
            disabled = 0
        }
        /^#/ { next }
        /^[ \t]*$/ { flush_stanza(); next }
        {
            value = $0
            if (value !~ /^[ \t]/) {
                field = tolower(value)
                sub(/[ \t]*:.*/, "", field)
                sub(/^[^:]*:/, "", value)
            }
            if (field == "types")
                types = types " " value
            else if (field == "suites")
                suite_names = suite_names " " value
            else if (field == "components")
                components = components " " value
            else if (field == "uris")
                uris = uris " " value
            else if (field == "enabled")
                disabled = value ~ /^[ \t]*(no|false|without|off|disable)/
            else if (field != "architectures")
                others = others $0 "\n"
        }
        END { flush_stanza() }' "$1"
}

# Derives from the apt directory $1 the entries of the suites $2, into the directory $3.
derive_suites()
{
    : >"$3/private.list"
    : >"$3/private.sources"
    for file in "$1/sources.list" "$1"/sources.list.d/*.list; do
        if [ -f "$file" ]; then
            one_line_sources "$file" "$2" >>"$3/private.list"
        fi
    done
    for file in "$1"/sources.list.d/*.sources; do
        if [ -f "$file" ]; then
            stanza_sources "$file" "$2" >>"$3/private.sources"
        fi
    done
    [ -s "$3/private.list" ] || [ -s "$3/private.sources" ]
}

# A release is named by its codename ($2), or, on some machines, by its place. The second kind of
# name is looked for only when there is none of the first: other vendors use "stable" too.
derive_sources()
{
    for name in "$2" stable oldstable; do
        if derive_suites "$1" "$name $name-updates $name-security $name/updates" "$3"; then
            return 0
        fi
    done
    return 1
}

if [ "${1-}" = --print-sources ]; then
    [ $# -eq 3 ] || fail "--print-sources needs a directory and a codename"
    derived=$(mktemp -d)
    derive_sources "$2" "$3" "$derived" || true
    cat "$derived/private.list" "$derived/private.sources"
    rm -rf "$derived"
    exit 0
fi

# --- packages ----------------------------------------------------------------------------------

index_dir=$deps/apt
index_ready=
as_root=

# apt-get with the private list and its own index files; as root where as_root says how.
private_apt()
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$index_dir/parts" \
        -o Dir::State::Lists="$index_dir/lists" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none -o Acquire::Retries=1 \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

update_index()
{
    if [ -n "$index_ready" ]; then
        return 0
    fi
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME-}")
    [ -n "$codename" ] || fail "/etc/os-release names no VERSION_CODENAME; Debian 12 is expected"
    rm -rf "$index_dir"
    mkdir -p "$index_dir/parts" "$index_dir/lists/partial" "$index_dir/archives/partial"
    derive_sources /etc/apt "$codename" "$index_dir/parts" ||
        fail "no source in /etc/apt names a main suite of $codename; add one and try again"
    say "reading the package index of $codename"
    # What cannot be read is named here and missed, if at all, further down.
    private_apt -o Dir::Cache::archives="$index_dir/archives" update ||
        say "some of the index could not be read; going on with the rest"
    index_ready=1
}

missing_packages()
{
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        if [ "$status" != installed ]; then
            printf '%s ' "$package"
        fi
    done
}

# Installs what is missing of the packages named.
install_packages()
{
    missing=$(missing_packages "$@")
    if [ -z "$missing" ]; then
        return 0
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        fail "neither root nor sudo; as root, run: apt-get install $missing"
    fi
    update_index
    say "installing $missing"
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
    fi
    # The list is words on purpose.
    # shellcheck disable=SC2086
    private_apt -y install --no-install-recommends $missing ||
        fail "apt could not install: $missing"
    as_root=
}

# --- source packages ---------------------------------------------------------------------------

# The newest version of the source package $1 in an index that says it is Debian's.
debian_source_version()
{
    # shellcheck disable=SC2016
    private_apt indextargets --format '$(FILENAME)' 'Created-By: Sources' 'Origin: Debian' |
        while read -r file; do
            /usr/lib/apt/apt-helper cat-file "$file" |
                awk -v name="$1" '$1 == "Package:" { ours = $2 == name }
                     $1 == "Version:" && ours { print $2 }'
        done | sort -V | tail -n 1
}

# Fetches the source package $1 into the directory $2, unless it is there.
fetch_source()
{
    if ls "$2/$1"_*.dsc >/dev/null 2>&1; then
        return 0
    fi
    update_index
    version=$(debian_source_version "$1")
    [ -n "$version" ] || fail "no source package $1 in the Debian index of this machine"
    say "fetching the source package of $1 $version"
    rm -rf "$2" "$2.new"
    mkdir -p "$2.new"
    (cd "$2.new" && private_apt -o Dir::Cache::archives="$index_dir/archives" \
        -o APT::Sandbox::User=root --download-only source "$1=$version") ||
        fail "apt could not fetch the source package $1=$version"
    mv "$2.new" "$2"
}

# --- libunwind ---------------------------------------------------------------------------------

prefix=$deps/libunwind
source_dir=$deps/source

# What the build depends on: source, flags, compiler, patches. Equal text means nothing to do.
recipe()
{
    (cd "$source_dir" && sha256sum ./*.dsc)
    printf '%s\n' "$libunwind_configure" "$libunwind_cflags"
    gcc --version | head -n 1
    for patch in "$patches"/*.patch; do
        if [ -f "$patch" ]; then
            (cd "$patches" && sha256sum "./${patch##*/}")
        fi
    done
}

build_libunwind()
{
    work=$deps/work
    log=$deps/libunwind.log
    rm -rf "$work"
    mkdir -p "$work"
    (cd "$work" && dpkg-source --no-check -x "$source_dir"/libunwind_*.dsc libunwind) \
        >"$log" 2>&1 || fail "libunwind's source package cannot be unpacked; see $log"
    for patch in "$patches"/*.patch; do
        if [ -f "$patch" ]; then
            patch -d "$work/libunwind" -p1 --batch --forward --fuzz=0 <"$patch" >>"$log" 2>&1 ||
                fail "$(basename "$patch") does not apply to libunwind; see $log"
        fi
    done
    say "building libunwind (log: $log)"
    # shellcheck disable=SC2086
    (
        cd "$work/libunwind"
        ./configure --prefix="$prefix" $libunwind_configure \
            CFLAGS="$(printf '%s ' $libunwind_cflags)-ffile-prefix-map=$work/=" &&
            make -j"$(nproc)" &&
            make install DESTDIR="$work/stage"
    ) >>"$log" 2>&1 || fail "libunwind does not build: $(tail -n 5 "$log")"
    recipe >"$work/stage$prefix/stamp"
    rm -rf "$prefix"
    mv "$work/stage$prefix" "$prefix"
    rm -rf "$work"
}

# --- Zydis -------------------------------------------------------------------------------------

zydis_prefix=$deps/zydis
zydis_source=$deps/source-zydis

zydis_recipe()
{
    (cd "$zydis_source" && sha256sum ./*.dsc)
    printf '%s\n' "$zydis_cflags" "$zydis_objects"
    gcc --version | head -n 1
    dpkg-query -W -f '${Version}\n' libzycore-dev
}

build_zydis()
{
    work=$deps/work-zydis
    log=$deps/zydis.log
    rm -rf "$work"
    mkdir -p "$work/stage/lib"
    (cd "$work" && dpkg-source --no-check -x "$zydis_source"/zydis_*.dsc zydis) >"$log" 2>&1 ||
        fail "the source package of Zydis cannot be unpacked; see $log"
    say "building the decoder of Zydis (log: $log)"
    (
        cd "$work/zydis"
        for object in $zydis_objects; do
            # shellcheck disable=SC2046,SC2086
            gcc $(printf '%s ' $zydis_cflags) "-ffile-prefix-map=$work/=" -Iinclude -Isrc \
                -c "src/$object.c" -o "$object.o" || exit 1
        done
        # shellcheck disable=SC2046,SC2086
        ar rcs "$work/stage/lib/libzydis.a" $(printf '%s.o ' $zydis_objects) &&
            cp -R include "$work/stage/include"
    ) >>"$log" 2>&1 || fail "the decoder of Zydis does not build: $(tail -n 5 "$log")"
    zydis_recipe >"$work/stage/stamp"
    rm -rf "$zydis_prefix"
    mv "$work/stage" "$zydis_prefix"
    rm -rf "$work"
}

# --- the parts in order ------------------------------------------------------------------------

case "${1-}" in
'') packages=$build_packages ;;
--tests) packages="$build_packages $test_packages" ;;
*) fail "unknown option: $1 (sh tools/setup.sh [--tests])" ;;
esac
command -v apt-get >/dev/null 2>&1 ||
    fail "no apt-get here; Debian 12 is expected"

mkdir -p "$deps"
exec 9>"$deps/lock"
flock 9
# shellcheck disable=SC2086
install_packages $packages
fetch_source libunwind "$source_dir"
fetch_source zydis "$zydis_source"
if [ ! -f "$prefix/stamp" ] || [ "$(recipe)" != "$(cat "$prefix/stamp")" ]; then
    build_libunwind
fi
if [ ! -f "$zydis_prefix/stamp" ] || [ "$(zydis_recipe)" != "$(cat "$zydis_prefix/stamp")" ]; then
    build_zydis
fi
rm -rf "$index_dir"
say "ready"
