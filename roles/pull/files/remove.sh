#!/bin/sh
# Removes what role pull has set up. A run that is at work keeps its environment: what waits for its end outlives the run, which may be the one that calls this.
# Arguments: the directory of ansible-pull; `all`, or `directory` to keep the timer; `wait` to wait for the end of a run.
set -eu
directory="$1"
units=/etc/systemd/system
unit=go-service-pull
at_work() {
  state="$(systemctl show --property=ActiveState --value "$unit.service")"
  test "$state" != inactive && test "$state" != failed
}

stop() { test "$2" != all || systemctl stop "$unit.timer" 2>/dev/null || true; }

stop "$@"
if test "${3:-}" = wait; then
  # The run may have started the timer once more.
  while at_work; do sleep 1; stop "$@"; done
elif at_work; then
  if ! systemctl is-active --quiet "$unit-removal.service"; then
    cp "$0" "/run/$unit-removal"
    systemd-run --quiet --collect --unit="$unit-removal" /bin/sh "/run/$unit-removal" "$directory" "$2" wait
  fi
  echo "removed when ansible-pull, which is at work, has ended"
  exit 0
fi

if cd "$directory" 2>/dev/null; then
  for environment in venv venv-*; do
    test ! -e "$environment/pyvenv.cfg" || rm -rf "$environment"
  done
  rm -rf checkout
  rm -f current current.new requirements.txt installed lock credentials gitconfig pull .go-service-pull
  cd /
  rmdir --ignore-fail-on-non-empty "$directory"
fi
if test "$2" = all; then
  systemctl disable --now --quiet "$unit.timer" 2>/dev/null || true
  rm -f "$units/$unit.timer"
  # The last one, since the service tells what there is to remove.
  rm -f "$units/$unit.service"
  systemctl daemon-reload
  systemctl reset-failed "$unit.service" "$unit.timer" 2>/dev/null || true
fi
rm -f "/run/$unit-removal"
