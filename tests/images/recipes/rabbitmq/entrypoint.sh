#!/bin/sh
# Starts one RabbitMQ node on /var/lib/rabbitmq. The first start makes the user that the two files name.
set -eu

secret() {
    value=$(cat "$1")
    case $value in
    '' | *[!A-Za-z0-9_.~-]*)
        echo "$1 must consist of letters, digits and _ . ~ -" >&2
        exit 1
        ;;
    esac
    echo "$value"
}

umask 077
user=$(secret "${RABBITMQ_DEFAULT_USER_FILE:?names the file that holds the name of the first user}")
password=$(secret "${RABBITMQ_DEFAULT_PASS_FILE:?names the file that holds the password of the first user}")

# HOME is not on the volume: Erlang refuses a cookie that anyone but the owner may read, and a volume with fsGroup
# makes every file readable by the group. A single node needs no cookie that outlives it.
mkdir -p "$HOME"
cat >"$HOME/rabbitmq.conf" <<END
listeners.tcp.default = 5672
default_user = $user
default_pass = $password
loopback_users = none
vm_memory_high_watermark.absolute = ${RABBITMQ_VM_MEMORY:-268435456}
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 32000000
log.console = true
log.console.level = ${RABBITMQ_LOG_LEVEL:-info}
log.console.use_colors = off
log.file = false
END
: >"$HOME/no-environment-file"
echo "[${RABBITMQ_PLUGINS:-}]." >"$HOME/enabled_plugins"

export RABBITMQ_CONFIG_FILE="$HOME/rabbitmq.conf"
export RABBITMQ_CONF_ENV_FILE="$HOME/no-environment-file"
export RABBITMQ_ENABLED_PLUGINS_FILE="$HOME/enabled_plugins"
export RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia
export RABBITMQ_LOG_BASE="$HOME/log"
export RABBITMQ_PID_FILE="$HOME/rabbitmq.pid"
# Distribution is for the node's own tools in the same container, and for nobody outside. No busy waiting: an idle broker
# should cost no CPU.
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
# Makes the script replace itself with the Erlang machine, which then gets the signals of the container itself.
export RUNNING_UNDER_SYSTEMD=1

exec /usr/lib/rabbitmq/bin/rabbitmq-server
