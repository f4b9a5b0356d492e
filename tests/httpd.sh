#!/bin/sh
# httpd [-f] -p [ADDRESS:]PORT -h DIRECTORY: serves the files of a directory by HTTP, with the nc of Alpine's BusyBox, which has no httpd. -f: in the foreground.
while getopts fp:h: option; do
  case $option in
    f) foreground=yes ;;
    p) port=$OPTARG ;;
    h) root=$OPTARG ;;
    *) exit 2 ;;
  esac
done
case $port in
  *:*) set -- -s "${port%:*}" -p "${port##*:}" ;;
  *) set -- -p "$port" ;;
esac
# The last word is the answer's $0.
answer='
read -r _method path _version
while read -r line && [ "$line" != "$(printf "\r")" ]; do :; done
if [ -f "$0$path" ]; then
  printf "HTTP/1.0 200 OK\r\nContent-Length: %s\r\nConnection: close\r\n\r\n" "$(stat -c %s "$0$path")"
  cat "$0$path"
else
  printf "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
fi'
if [ "${foreground:-}" ]; then
  exec nc -lk "$@" -e sh -c "$answer" "$root"
fi
nc -lk "$@" -e sh -c "$answer" "$root" &
