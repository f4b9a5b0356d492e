#!/bin/bash
# The session that docs/recording.svg shows: a build, a second run, and an edit that does not compile. All of it happens while it is recorded.
#   make recording
set -eu
project=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
export ANSIBLE_CONFIG="$place/ansible.cfg" ANSIBLE_HOME="$project/.ansible"
trap 'ansible-playbook -i "$place/inventory.yml" proven.go_service.remove >/dev/null 2>&1; rm -rf "$place"' EXIT
cp -r "$project/examples/cat-server" "$place"
cat >"$place/ansible.cfg" <<END
[defaults]
collections_path = $project/.ansible/collections:$project/collections
stdout_callback = proven.go_service.progress
callback_result_format = yaml
interpreter_python = auto_silent
[connection]
pipelining = true
END
cat >"$place/inventory.yml" <<END
all:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
      go_service_name: recorded
      go_service_source: cat-server
      go_service_publish: 127.0.0.1:8099
      go_service_work_dir: $place/work
      base_images_fallback: assemble
END
cd "$place"
ansible-playbook -i inventory.yml proven.go_service.build >/dev/null

# run COMMAND: show a command, then run it.
run() {
  printf '\e[32m$\e[0m %s\n' "$1"
  sleep 0.8
  eval "$1" || true
  echo
  sleep 1.5
}
echo 'var recorded = ", edited"; func init() { version += recorded }' >>cat-server/main.go
clear
run 'ansible-playbook -i inventory.yml proven.go_service.build   # after an edit'
clear
run 'ansible-playbook -i inventory.yml proven.go_service.build   # and again'
run 'curl -s http://127.0.0.1:8099/health'
clear
run 'echo "func broken( {" >>cat-server/main.go'
run 'ansible-playbook -i inventory.yml proven.go_service.build'
run 'curl -s http://127.0.0.1:8099/health   # what ran before runs on'
sleep 2
