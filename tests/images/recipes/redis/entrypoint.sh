#!/bin/sh
# Starts Redis on /data. Arguments go to redis-server, after our own settings.
set -eu

umask 077
settings=/tmp/redis.conf
cat >"$settings" <<'END'
bind * -::*
port 6379
dir /data
daemonize no
END
# A file, because an argument would show the password in the process list.
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then
    password=$(cat "$REDIS_PASSWORD_FILE")
    case $password in
    '' | *[!A-Za-z0-9_.~-]*)
        echo "the password in $REDIS_PASSWORD_FILE must consist of letters, digits and _ . ~ -" >&2
        exit 1
        ;;
    esac
    echo "requirepass $password" >>"$settings"
fi

exec redis-server "$settings" "$@"
