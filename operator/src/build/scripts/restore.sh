# Fills the volume of a shard from a backup, if it is empty. BACKUP is a folder of the volume with backups, SHARD the shard, IDENTITY the
# `namespace/name` of the ChatCluster that the shard is to belong to.
set -eu
if [ -s "$PGDATA/PG_VERSION" ]; then
    echo "the volume has a database already: nothing is restored"
    exit 0
fi
dump=/backups/$BACKUP/$SHARD.dump
if [ ! -s "$dump" ]; then
    echo "spec.database.shards[$SHARD].managed.restore: the volume has no $BACKUP/$SHARD.dump; it has: $(cd /backups && echo */*/*.dump)" >&2
    exit 1
fi
if ! (cd "/backups/$BACKUP" && sha256sum --check --quiet --ignore-missing SHA256SUMS); then
    echo "spec.database.shards[$SHARD].managed.restore: $BACKUP is damaged; name another backup" >&2
    exit 1
fi
# Beside the final place, so that a half-restored database is never taken for a whole one.
fresh=$PGDATA.restore
rm -rf "$fresh"
PGDATA=$fresh /entrypoint.sh -c listen_addresses= -c max_connections=20 &
server=$!
PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
export PGPASSWORD PGHOST=/tmp PGUSER=postgres PGDATABASE=postgres
until pg_isready -q; do
    kill -0 "$server"
    sleep 0.2
done
# What the dump grants is granted to it; the migration gives it a password.
psql -Xq -v ON_ERROR_STOP=1 -c 'create role chat_gateway'
pg_restore --exit-on-error --single-transaction --no-owner --dbname=postgres "$dump"
psql -Xq -v ON_ERROR_STOP=1 -v identity="$IDENTITY" -v shard="$SHARD" <<'SQL'
update chat.settings set cluster = :'identity' where shard = :'shard';
select 1 / count(*) from chat.settings where cluster = :'identity' \g /dev/null
-- What tells gateways that run whose session or membership has ended: they count by transactions of the server that was.
truncate chat.endings, chat.removals;
analyze;
SQL
kill -INT "$server"
wait "$server"
mv -T "$fresh" "$PGDATA"
sync "$PGDATA" "$(dirname "$PGDATA")"
echo "restored $BACKUP/$SHARD.dump"
