#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sources.sh TREE: the private list of package sources that tools/setup.sh derives has Debian's
# main suites in both forms of apt's files, with source packages added, and nothing else.

. "$(dirname "$0")/common.sh"
setup=$1/tools/setup.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Gives file $1 of an empty apt directory the text on standard input.
apt_directory()
{
    rm -rf "$scratch/apt"
    mkdir -p "$scratch/apt/sources.list.d"
    cat >"$scratch/apt/$1"
}

# The list derived for the codename bookworm equals standard input; $1 says what is shown.
derives()
{
    cat >"$scratch/expected"
    sh "$setup" --print-sources "$scratch/apt" bookworm >"$scratch/derived"
    if ! diff -u "$scratch/expected" "$scratch/derived"; then
        fault "setup.sh: $1"
    fi
}

apt_directory sources.list <<'E2'
# deb http://comment.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib non-free-firmware # a remark
deb	[signed-by=/k.gpg arch=amd64]  http://mirror.example/debian/  bookworm-updates  main
deb-src http://mirror.example/debian bookworm main
deb http://security.example/debian-security bookworm-security main
deb mirror+file:///etc/apt/mirrors/debian.list bookworm main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb http://vendor.example/apt cloud-bookworm main
deb http://vendor.example/docker bookworm stable
deb http://vendor.example/flat ./
deb http://mirror.example/debian bookworm-backports main
deb http://vendor.example/browser stable main
E2
derives 'one-line form' <<'E2'
deb http://mirror.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian/ bookworm-updates main
deb-src [signed-by=/k.gpg arch=amd64] http://mirror.example/debian/ bookworm-updates main
deb http://security.example/debian-security bookworm-security main
deb-src http://security.example/debian-security bookworm-security main
deb mirror+file:///etc/apt/mirrors/debian.list bookworm main
deb-src mirror+file:///etc/apt/mirrors/debian.list bookworm main
E2

apt_directory sources.list.d/debian.sources <<'E2'
Types: deb
# http://snapshot.example/archive
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

types: deb deb-src
uris: http://security.example/debian-security
 http://other.example/debian-security
suites: bookworm-security
components: main
check-valid-until: no
architectures: amd64

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://vendor.example/node
Suites: nodistro
Components: main
E2
derives 'stanza form' <<'E2'
Types: deb deb-src
URIs:  http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs:  http://security.example/debian-security  http://other.example/debian-security
Suites: bookworm-security
Components: main
check-valid-until: no

E2

apt_directory sources.list <<'E2'
deb http://mirror.example/debian stable main
deb http://mirror.example/debian stable-updates main
E2
derives 'a release named by its place' <<'E2'
deb http://mirror.example/debian stable main
deb-src http://mirror.example/debian stable main
deb http://mirror.example/debian stable-updates main
deb-src http://mirror.example/debian stable-updates main
E2

apt_directory sources.list.d/keyed.sources <<'E2'
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBFx
 -----END PGP PUBLIC KEY BLOCK-----
E2
derives 'a key inside the stanza' <<'E2'
Types: deb deb-src
URIs:  http://mirror.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBFx
 -----END PGP PUBLIC KEY BLOCK-----

E2
finish
