#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_offline.sh WORK: `./run setup --download-only` fills a folder; from it alone setup, demo, test and install run in a
# copy of this tree, in a network namespace without interfaces.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
folder="$work/the folder" copy="$work/a copy" empty=$work/empty damaged=$work/damaged

fail() { printf 'check_offline: %s\n' "$*" >&2; exit 1; }

refused() {  # TEXT: --from refuses the damaged folder with TEXT, and names the next step
  local said
  if said=$("$root/run" setup --from "$damaged" 2>&1); then fail "a damaged folder was taken: $1"; fi
  [[ $said == *"$1"*--download-only* ]] || fail "want \"$1\" and the next step, got: $said"
}

what_is_damaged_comes_anew() {
  printf xxxx | dd of="$folder/$package" bs=1 seek=1000 conv=notrunc status=none
  "$root/run" setup --download-only "$folder" 2>&1 | tee "$work/again" >&2
  grep -q '^downloading 1 of ' "$work/again" || fail "not the damaged package alone was downloaded"
}

damage_is_named() {
  rm -rf "$damaged"
  cp -al "$folder" "$damaged"
  rm "$damaged/$package"
  refused "$package"
  cp "$folder/$package" "$damaged/$package"
  printf xxxx | dd of="$damaged/$package" bs=1 seek=1000 conv=notrunc status=none
  refused "$package"
  rm "$damaged/SHA256SUMS"
  refused SHA256SUMS
  rm -rf "$damaged"
}

packages_are_complete() {  # apt finds all that it needs in the folder where nothing at all is installed
  local line install code=0
  mkdir -p "$empty"
  : > "$empty/status"
  line=$(DPKG_ADMINDIR=$empty "$root/run" setup --no-install --from "$folder") || code=$?
  [[ $code == 2 ]] || fail "--no-install ended with $code"
  eval "install=(${line#sudo })"
  "${install[@]}" --simulate -o Dir::State::Status="$empty/status" > "$work/simulated" ||
    fail "the folder lacks packages that others in it need"
  grep -q '^Inst libc6 ' "$work/simulated" || fail "apt counted on what is installed here"
}

without_network() {  # COMMAND...
  if [[ $(id -u) == 0 ]]; then unshare --net "$@"; else unshare --user --map-root-user --net "$@"; fi
}

from_nothing() {  # what a user does who got the folder and the source
  [[ -z $(awk 'NR > 2 && $1 != "lo:"' /proc/net/dev) ]] || fail "there is a network"
  cd "$copy"
  ./run setup --from "$folder"
  ./run demo < /dev/null
  ./run test
  cmake --install build/release --prefix "$work/installed" > /dev/null
  "$work/installed/bin/ftlib" --version
}

"$root/run" setup --download-only "$folder"
package=$(cd "$folder" && echo debian/libeigen3-dev_*.deb)
what_is_damaged_comes_anew
rm -rf "$copy" "$work/installed" "$work/home"
export HOME=$work/home XDG_CACHE_HOME=$work/home/cache
mkdir -p "$copy" "$HOME"
damage_is_named
packages_are_complete
rm -rf "$XDG_CACHE_HOME"
git -C "$root" ls-files -z | tar -C "$root" --null -T - -c | tar -C "$copy" -x
export -f fail from_nothing
export copy folder work
without_network bash -euo pipefail -c from_nothing
