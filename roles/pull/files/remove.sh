#!/bin/sh
# Removes what role pull has set up. A run that is at work keeps its environment: what waits for its end outlives the run, which may be the one that calls this.
# Arguments: `wait` to wait for the end of a run; the directory that stays in use, and the timer with it, or "" to remove everything; the directories to remove.
set -eu
units=/etc/systemd/system
unit=go-service-pull
known=/var/lib/go-service-pull.directories
waits=no
if test "$1" = wait; then
  waits=yes
  shift
fi
in_use="$1"
shift
at_work() {
  state="$(systemctl show --property=ActiveState --value "$unit.service")"
  test "$state" != inactive && test "$state" != failed
}

stop() { test -n "$in_use" || systemctl stop "$unit.timer" 2>/dev/null || true; }

stop
if test "$waits" = yes; then
  # The run may have started the timer once more.
  while at_work; do sleep 1; stop; done
else
  # One that an earlier run has left waiting knows less of what there is to remove.
  systemctl stop "$unit-removal.service" 2>/dev/null || true
  if at_work; then
    cp "$0" "/run/$unit-removal"
    systemd-run --quiet --collect --unit="$unit-removal" /bin/sh "/run/$unit-removal" wait "$in_use" "$@"
    echo "removed when ansible-pull, which is at work, has ended"
    exit 0
  fi
fi

test -n "$in_use" || systemctl disable --now --quiet "$unit.timer" 2>/dev/null || true
for directory; do
  # The one in use may have another name, by a link.
  if ! test "$directory" -ef "$in_use" && cd "$directory" 2>/dev/null; then
    if test -e .go-service-pull || grep -qs 'Written by proven.go_service.pull' pull; then
      rm -f credentials gitconfig
      for environment in venv venv-*; do
        test ! -e "$environment/pyvenv.cfg" || rm -rf "$environment"
      done
      rm -rf checkout trial
      # The mark is the last one, since without it nothing in the directory would be removed.
      rm -f current current.new requirements.txt installed lock unfinished pull .go-service-pull
    fi
    cd /
    # What has other files in it stays, and so do a link and the root of a file system.
    rmdir "$directory" 2>/dev/null || true
  fi
done
if test -n "$in_use"; then
  echo "$in_use" >"$known.new"
  mv "$known.new" "$known"
else
  rm -f "$units/$unit.timer" "$units/$unit.service"
  systemctl daemon-reload
  systemctl reset-failed "$unit.service" "$unit.timer" 2>/dev/null || true
  # The last one, since it tells a later run what there is to remove.
  rm -f "$known" "$known.new"
fi
rm -f "/run/$unit-removal"
