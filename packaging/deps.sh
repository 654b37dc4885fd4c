#!/bin/sh
# Installs the Debian packages that a make target needs: deps.sh SET…
# Says what it installs, asks nothing, and ends with one clear line when it can't.
set -eu

packages_of() {
    case $1 in
    build) echo gcc make pkg-config git libc6-dev luajit libluajit-5.1-dev lua-luv-dev libuv1-dev \
        libcurl4-openssl-dev libgit2-dev libssl-dev zlib1g-dev lua-cjson lua-lpeg "$(http_parser)" ;;
    test) echo libcmocka-dev lua-busted curl faketime iproute2 netcat-openbsd openssl procps python3 fuse3 libfuse3-dev ;;
    lint) echo clang clang-tidy clang-format cppcheck lua-check luarocks shellcheck ;;
    fuzz) echo clang libclang-rt-dev ;;
    servers) echo chrony dnsmasq-base fcgiwrap influxdb influxdb-client iproute2 logrotate memcached monitoring-plugins-basic nginx-light openssh-server postgresql prometheus redis-server systemd unbound util-linux victoria-metrics ;;
    bench) echo collectd-core prometheus-node-exporter linux-perf strace wrk ;;
    *) echo "deps.sh: unknown set $1" >&2; exit 64 ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

known() {
    apt-cache show "$1" >/dev/null 2>&1
}

# Debian 13 has llhttp, Debian 12 its ancestor http-parser. A machine without package lists knows neither.
http_parser() {
    known libllhttp-dev || known libhttp-parser-dev || as_root apt-get update -q >/dev/null 2>&1 </dev/null || true
    if known libllhttp-dev; then echo libllhttp-dev; else echo libhttp-parser-dev; fi
}

missing=
for set in "$@"; do
    for package in $(packages_of "$set"); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || { echo "deps.sh: no apt-get here; install:$missing" >&2; exit 1; }
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# A package's service is neither started now nor at the next boot: tests start what they need themselves.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >"$log" && as_root install -m 0755 "$log" $policy
    trap 'rm -f "$log"; as_root rm -f $policy' EXIT
fi
disable_services() {
    command -v systemctl >/dev/null || return 0
    # shellcheck disable=SC2086
    for unit in $(dpkg -L $missing 2>/dev/null | sed -n 's|.*lib/systemd/system/\([^/@]*\.service\)$|\1|p'); do
        as_root systemctl disable "$unit" >/dev/null 2>&1 || true
    done
}

# shellcheck disable=SC2086
install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1 </dev/null
}
install || { as_root apt-get update -q >"$log" 2>&1 </dev/null && install; } || {
    tail -n 3 "$log" >&2
    echo "deps.sh: could not install:$missing" >&2
    exit 1
}
disable_services
