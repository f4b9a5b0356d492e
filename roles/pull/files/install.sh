#!/bin/sh
# Installs Ansible in an environment of its own, and lets ansible-pull use it when it is complete: a failure leaves the one in use alone.
# Arguments: the directory of ansible-pull, and the Python of the run that calls this, which may be in one of the environments.
set -eu
cd "$1"
exec 9>lock
flock 9

wanted="venv-$( (cat requirements.txt; python3 --version) | sha256sum | cut -c 1-16)"
if ! { test -e "$wanted/installed" && test -x "$wanted/bin/ansible-pull"; }; then
  rm -rf "$wanted"
  if ! { python3 -m venv "$wanted" && "$wanted/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt; }; then
    rm -rf "$wanted"
    exit 1
  fi
  if ! test -x "$wanted/bin/ansible-pull"; then
    echo "What pull_packages names has no ansible-pull in it." >&2
    rm -rf "$wanted"
    exit 1
  fi
  touch "$wanted/installed"
  echo installed
fi
if test "$(readlink current)" != "$wanted"; then
  ln -sfn "$wanted" current.new
  mv -T current.new current
  echo installed
fi

# An environment may still be at work: the one of this very run, or of a run that the timer has started.
inside=no
case "$2" in "$1"/* | "$(pwd -P)"/*) inside=yes ;; esac
state="$(systemctl show --property=ActiveState --value go-service-pull.service)"
if test "$inside" = no && test "$state" != inactive && test "$state" != failed; then
  exit 0
fi
for old in venv venv-*; do
  test -e "$old/pyvenv.cfg" && test "$old" != "$wanted" || continue
  case "$2" in */"$old"/bin/*) continue ;; esac
  rm -rf "$old"
done
# The mark of earlier versions of this role.
rm -f installed
