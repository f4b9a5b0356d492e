#!/bin/sh
# What a careful person writes: build, replace the container where the image is another one, ask until it answers.
#   deploy.sh <name> <directory> <host port>
set -eu
name=$1 directory=$2 port=$3

docker build --tag "$name" "$directory"
wanted=$(docker image inspect --format '{{.Id}}' "$name")
running=$(docker container inspect --format '{{if .State.Running}}{{.Image}}{{end}}' "$name" 2>/dev/null || true)
if [ "$wanted" != "$running" ]; then
  docker rm --force "$name" >/dev/null 2>&1 || true
  docker run --detach --name "$name" --publish "127.0.0.1:$port:8080" "$name"
fi
for _ in $(seq 300); do
  if curl --fail --silent --output /dev/null --noproxy '*' "http://127.0.0.1:$port/health"; then
    exit 0
  fi
  sleep 0.1
done
echo "$name does not answer on port $port." >&2
docker logs --tail 20 "$name" >&2
exit 1
