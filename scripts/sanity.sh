#!/usr/bin/env bash
# Holds the collection's archive to what Ansible's own tools ask of one: the documents, ansible-test's sanity tests, the checks of Galaxy.
#   make sanity            all of it
#   scripts/sanity.sh docs   the documents alone, as make lint does
# Works in .cache/sanity. Exceptions are in tests/sanity/ignore-*.txt, each with its reason.
set -euo pipefail
cd "$(dirname "$0")/.."

place=$PWD/.cache/sanity
importer=$PWD/.venv/galaxy-importer/bin
collection=$place/ansible_collections/proven/go_service
packaged=$(python -c 'import ansible_collections; print(list(ansible_collections.__path__)[0])')

rm -rf "$place/archive" "$place/ansible_collections"
mkdir -p "$place/archive" "$collection" "$place/.ansible/test/cache"
ansible-galaxy collection build --output-path "$place/archive"
tar -xzf "$place"/archive/*.tar.gz -C "$collection"
# ansible-test looks at what git knows, and finds the collections that this one needs beside it.
mkdir "$collection/tests"
cp -r tests/config.yml tests/sanity "$collection/tests/"
git -C "$collection" init --quiet
git -C "$collection" add --all
for needed in community/docker community/library_inventory_filtering_v1 ansible/posix; do
  mkdir -p "$place/ansible_collections/${needed%/*}"
  ln -s "$packaged/$needed" "$place/ansible_collections/$needed"
done

echo "== antsibull-docs"
# Of the collections that are installed it would read all the others as well.
ANSIBLE_COLLECTIONS_SCAN_SYS_PATH=false ANSIBLE_COLLECTIONS_PATH=$place \
  antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all "$collection"
if [ "${1:-}" = docs ]; then exit; fi

echo "== ansible-test sanity"
# It would fetch pip from a site of its own; Python brings one.
cat >"$place/.ansible/test/cache/get_pip_24_2.py" <<'END'
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", *wanted])
END
# It looks for all Pythons of controllers and targets in PATH, where pyenv has stand-ins also for those that are not there.
path=$(tr ':' '\n' <<<"$PATH" | grep -v '/\.pyenv/shims$' | paste -sd:)
for python in ~/.pyenv/versions/3.*/bin; do path+=:$python; done
(cd "$collection" && HOME=$place PATH=$path ansible-test sanity --local --requirements --color no)

echo "== galaxy-importer"
cd "$place"
export GALAXY_IMPORTER_CHECK_REQUIRED_TAGS=true GALAXY_IMPORTER_REQUIRE_V1_OR_GREATER=true
PATH=$importer:$PATH "$importer/python" -m galaxy_importer.main archive/*.tar.gz 2>&1 | tee galaxy-importer.log
if grep -E '^(ERROR|WARNING)' galaxy-importer.log; then
  echo "galaxy-importer found something."
  exit 1
fi
