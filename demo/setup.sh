#!/usr/bin/env bash
# setup.sh VENV: the environment with everything in it, from package registries alone; then Delta's jars.
set -euo pipefail
venv=$1
say() { echo "setup: $*" >&2; }
fail() { echo "error: $*" >&2; exit 1; }

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null ||
  fail "Python 3.11 or 3.12 is needed, found $("$python" -V 2>&1 || echo none): install python3.11 with its venv module, or name one: make PYTHON=/path/to/python3.11"

# Java: install it where that is possible, else say what to install. JAVA_HOME wins over the path, as for Spark.
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
if ! command -v "$java" >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing Java 17"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends openjdk-17-jre-headless; } >/dev/null ||
      fail "Java 17 could not be installed: apt-get install openjdk-17-jre-headless"
  else
    fail "Java 17 is needed: apt-get install openjdk-17-jre-headless (as root)"
  fi
fi

begun=$SECONDS
mkdir -p "$venv"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || fail "python's venv module is missing: apt-get install python3-venv"
say "installing packages (about 6 GB with PyTorch; a few minutes)"
# uv downloads in parallel; where it cannot be had or does not get through, pip does the same, slower.
"$venv/bin/python" -m pip install -q uv >/dev/null 2>&1 || true
wanted=(-c constraints.txt -e ".[dev]")
if [ -x "$venv/bin/uv" ] && "$venv/bin/uv" pip install -q --python "$venv/bin/python" "${wanted[@]}"; then :; else
  "$venv/bin/python" -m pip install -q "${wanted[@]}" || fail "the packages could not be installed: see the lines above"
fi
"$venv/bin/python" -m lakehouse.jars
echo $((SECONDS - begun)) >"$venv/ready"
