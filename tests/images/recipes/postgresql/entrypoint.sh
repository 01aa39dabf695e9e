#!/bin/sh
# Starts PostgreSQL on $PGDATA, making the database first when there is none. Arguments go to postgres, after our own.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD_FILE:?names the file that holds the password of the superuser postgres}"
    # initdb works beside the final place and the finished database is renamed into it: a container that dies half
    # way leaves no half-made database that the next start would take for a real one.
    fresh="$PGDATA.initdb"
    rm -rf "$fresh"
    initdb --pgdata="$fresh" --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 \
        --data-checksums --encoding=UTF8 --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8
    echo 'host all all all scram-sha-256' >>"$fresh/pg_hba.conf"
    sync "$fresh/pg_hba.conf"
    # -T refuses to move into a folder, and to replace one that holds anything.
    mv -T "$fresh" "$PGDATA"
    sync "$(dirname "$PGDATA")"
fi

exec postgres -D "$PGDATA" -c listen_addresses='*' -c port=5432 -c unix_socket_directories=/tmp -c timezone=UTC \
    -c log_timezone=UTC "$@"
