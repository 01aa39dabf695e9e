#!/bin/sh
# Starts Redis on /data. Arguments go to redis-server, after our own settings.
set -eu

umask 077
settings=/tmp/redis.conf

# The passwords of the file, a line each, as rules of an access list: each of them lets somebody in.
passwords() {
    rules=
    while read -r password || [ -n "$password" ]; do
        case $password in
        '') continue ;;
        *[!A-Za-z0-9_.~-]*)
            rules=
            break
            ;;
        esac
        rules="$rules >$password"
    done <"$REDIS_PASSWORD_FILE"
    if [ -z "$rules" ]; then
        echo "the password in $REDIS_PASSWORD_FILE must consist of letters, digits and _ . ~ -; several stand one a line" >&2
        return 1
    fi
    echo "$rules"
}

# Takes changed passwords while the server runs; who is connected stays. Ends with the server, whose process this shell's becomes.
follow() {
    known=$1
    while sleep "$REDIS_FOLLOW_SECONDS" && kill -0 $$; do
        now=$(passwords) || continue
        [ "$now" != "$known" ] || continue
        password=${known# >}
        # Through the standard input, because an argument would show the passwords in the process list.
        said=$(echo "ACL SETUSER default resetpass$now" | REDISCLI_AUTH=${password%% *} redis-cli) || continue
        if [ "$said" = OK ]; then
            known=$now
            echo "took the passwords that are in $REDIS_PASSWORD_FILE now"
        else
            echo "failed to take the passwords that are in $REDIS_PASSWORD_FILE now: $said" >&2
        fi
    done
}

cat >"$settings" <<'END'
bind * -::*
port 6379
dir /data
daemonize no
END
# A file, because an argument would show the password in the process list.
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then
    given=$(passwords)
    echo "user default on ~* &* +@all$given" >>"$settings"
    [ -z "${REDIS_FOLLOW_SECONDS:-}" ] || follow "$given" &
fi

exec redis-server "$settings" "$@"
