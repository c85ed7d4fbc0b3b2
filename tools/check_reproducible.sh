#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_reproducible.sh WORK: builds this tree in two paths, with another umask, locale and time zone, and compares all
# that `cmake --install` writes, byte by byte. CXX chooses the compiler.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
one=$work/one two="$work/another/path of two"
rm -rf "$one" "$two"
# A cache of the compiler's would give both builds the objects of one; a given date hides that a build depends on it.
export CCACHE_DISABLE=1
unset CMAKE_CXX_COMPILER_LAUNCHER CMAKE_C_COMPILER_LAUNCHER SOURCE_DATE_EPOCH

fail() { printf 'check_reproducible: %s\n' "$*" >&2; exit 1; }

build() {  # SOURCE FOLDER PREFIX VARIABLE=VALUE...
  mkdir -p "$1" &&
    git -C "$root" ls-files -z | tar -C "$root" --null -T - -c | tar -C "$1" -x &&
    env "${@:4}" cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=Release &&
    env "${@:4}" cmake --build "$2" --parallel &&
    env "${@:4}" cmake --install "$2" --prefix "$3"
}

quietly() {  # LOG COMMAND...
  local log=$1
  shift
  "$@" > "$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
}

mkdir -p "$work/locales"
localedef -i tr_TR -f UTF-8 "$work/locales/tr_TR.UTF-8" > /dev/null 2>&1 || true  # warnings count as failure
(umask 022; quietly "$work/one.log" build "$one/source" "$one/source/build/release" "$one/installed" LC_ALL=C TZ=UTC)
(umask 077; quietly "$work/two.log" build "$two/source" "$two/build" "$two/installed" \
  LOCPATH="$work/locales" LC_ALL=tr_TR.UTF-8 TZ=UTC-14)
for name in ftlib libftlib.a 'libftlib_c.so.0.*'; do
  [[ $(find "$one/installed" -type f -name "$name") ]] || fail "no $name is installed"
done
diff -r "$one/installed" "$two/installed" || fail "the builds differ"
if grep -rlF "$work" "$one/installed"; then fail "these name the folder of their build"; fi
echo "check_reproducible: two builds installed the same $(find "$one/installed" -type f | wc -l) files"
