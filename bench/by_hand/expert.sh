#!/bin/sh
# What a good engineer writes: BuildKit with caches, the new container tried beside the old one, its health asked every 50 ms, then the place changed.
#   expert.sh <name> <directory> <host port>
set -eu
name=$1 directory=$2 port=$3

healthy() {
  for _ in $(seq 600); do
    if curl --fail --silent --output /dev/null --noproxy '*' "http://$1/health"; then
      return 0
    fi
    sleep 0.05
  done
  echo "$name does not answer at $1." >&2
  docker logs --tail 20 "$2" >&2
  return 1
}

DOCKER_BUILDKIT=1 docker build --tag "$name" "$directory"
wanted=$(docker image inspect --format '{{.Id}}' "$name")
running=$(docker container inspect --format '{{if .State.Running}}{{.Image}}{{end}}' "$name" 2>/dev/null || true)
if [ "$wanted" != "$running" ]; then
  docker rm --force "$name-new" >/dev/null 2>&1 || true
  docker run --detach --name "$name-new" "$name"
  healthy "$(docker container inspect --format '{{.NetworkSettings.IPAddress}}' "$name-new"):8080" "$name-new"
  docker rm --force "$name-new" "$name" >/dev/null 2>&1 || true
  docker run --detach --name "$name" --publish "127.0.0.1:$port:8080" "$name"
fi
healthy "127.0.0.1:$port" "$name"
