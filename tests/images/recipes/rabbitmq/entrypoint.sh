#!/bin/sh
# Starts one RabbitMQ node on /var/lib/rabbitmq. The first start makes the user that the two files name.
set -eu

# Users and their passwords, as the lines of the two files pair them.
accounts() {
    paste -d ' ' "$RABBITMQ_DEFAULT_USER_FILE" "$RABBITMQ_DEFAULT_PASS_FILE" | while read -r user password; do
        case "$user:$password" in
        :* | *: | *[!A-Za-z0-9_.~:-]*)
            echo "$RABBITMQ_DEFAULT_USER_FILE and $RABBITMQ_DEFAULT_PASS_FILE must consist of letters, digits and _ . ~ -;" \
                "several users stand one a line, each with a password" >&2
            exit 1
            ;;
        esac
        echo "$user $password"
    done
}

# Lets in those whom the files name, and nobody else. The node reads them itself, so no argument shows a password in the process list. Who is connected
# stays: a user who is not named any more loses the password only.
let_in() {
    rabbitmqctl -q eval '
        Lines = fun(Variable) ->
            {ok, Text} = file:read_file(os:getenv(Variable)),
            string:lexemes(Text, "\r\n")
        end,
        Accounts = lists:zip(Lines("RABBITMQ_DEFAULT_USER_FILE"), Lines("RABBITMQ_DEFAULT_PASS_FILE")),
        By = <<"files">>,
        lists:foreach(fun({User, Password}) ->
            case rabbit_auth_backend_internal:exists(User) of
                true -> ok = rabbit_auth_backend_internal:change_password(User, Password, By);
                false ->
                    ok = rabbit_auth_backend_internal:add_user(User, Password, By),
                    All = <<".*">>,
                    ok = rabbit_auth_backend_internal:set_permissions(User, <<"/">>, All, All, All, By)
            end
        end, Accounts),
        Known = [proplists:get_value(user, Info) || Info <- rabbit_auth_backend_internal:list_users()],
        lists:foreach(fun(User) ->
            ok = rabbit_auth_backend_internal:clear_password(User, By)
        end, Known -- [User || {User, _} <- Accounts]).
    ' </dev/null
}

# Takes changed users while the node runs. Ends with the node, whose process this shell's becomes.
follow() {
    taken=$1
    while sleep "$RABBITMQ_FOLLOW_SECONDS" && kill -0 $$; do
        now=$(accounts) || continue
        [ "$now" != "$taken" ] || continue
        if let_in; then
            taken=$now
            echo "took the users that are in $RABBITMQ_DEFAULT_USER_FILE now"
        fi
    done
}

umask 077
: "${RABBITMQ_DEFAULT_USER_FILE:?names the file that holds the name of the first user}"
: "${RABBITMQ_DEFAULT_PASS_FILE:?names the file that holds the password of the first user}"
first=$(accounts | head -n 1)
# Without a pair the message is there already.
[ -n "$first" ]
user=${first% *}
password=${first#* }

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

if [ -n "${RABBITMQ_FOLLOW_SECONDS:-}" ]; then
    # A node that has run before knows the users of that time.
    if [ -e "$RABBITMQ_MNESIA_BASE" ]; then made=; else made=$first; fi
    follow "$made" &
fi

exec /usr/lib/rabbitmq/bin/rabbitmq-server
