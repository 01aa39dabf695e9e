# Dumps all managed shards of a ChatCluster, begun at the same moment, into a folder that gets its name when it is whole.
# CLUSTER and NAMESPACE say whose they are, SHARDS which (names with blanks between), KEEP how many backups stay.
set -eu
umask 077
root=/backups/$CLUSTER
stamp=$(date -u +%Y%m%dT%H%M%SZ)
draft=$root/.unfinished-$stamp
mkdir -p "$root"
# No other runs: the CronJob forbids it.
rm -rf "$root"/.unfinished-*
mkdir "$draft"
export PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=30 PGSSLMODE=disable

at() {
    PGHOST=$CLUSTER-shard-$1
    PGPASSWORD=$(cat "/etc/chatcluster/secrets/shard-$1/password")
    export PGHOST PGPASSWORD
}

owners() {
    for shard in $SHARDS; do
        (
            at "$shard"
            exec psql -XAtq -v ON_ERROR_STOP=1 -c "select '$shard', slot, epoch, case when state in ('owned', 'moved') then 'rests' else 'moves' end
                from chat.slot_ownership order by slot"
        ) || exit 1
    done
}

dump() {
    running=
    for shard in $SHARDS; do
        (
            at "$shard"
            exec pg_dump --format=custom --schema=chat --no-owner --file="$draft/$shard.dump"
        ) &
        running="$running $!"
    done
    for one in $running; do wait "$one"; done
    for shard in $SHARDS; do pg_restore --list "$draft/$shard.dump" >/dev/null; done
}

# Shards of which one had a slot before it moved and another one after it would both own it, or neither.
tries=0
while :; do
    before=$(owners)
    case $before in
    *moves*) echo "slots are moving between shards: waiting" ;;
    *)
        dump
        after=$(owners)
        [ "$before" != "$after" ] || break
        echo "slots have moved between shards meanwhile: once more"
        ;;
    esac
    tries=$((tries + 1))
    if [ "$tries" -ge 40 ]; then
        echo "slots kept moving for too long: keep moves to times without backups by spec.database.rebalance.windows" >&2
        exit 1
    fi
    sleep 15
done

listed=
for shard in $SHARDS; do listed="$listed${listed:+, }\"$shard\""; done
echo "{\"chatCluster\": \"$NAMESPACE/$CLUSTER\", \"takenAt\": \"$stamp\", \"shards\": [$listed]}" >"$draft/backup.json"
(cd "$draft" && sha256sum ./*.dump >SHA256SUMS)
sync "$draft"/* "$draft"
mv -T "$draft" "$root/$stamp"
sync "$root"
echo "$CLUSTER/$stamp is whole: $(du -sh "$root/$stamp" | cut -f1)"

set -- "$root"/[0-9]*Z
while [ "$#" -gt "$KEEP" ]; do
    rm -rf "$1"
    echo "deleted $1"
    shift
done
