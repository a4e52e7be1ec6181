#!/bin/sh
# What the public image's entrypoint does, as far as we rely on it: make the cluster once, then run what was asked.
set -eu
[ "$(id -u)" != 0 ] || {
    mkdir -p "$PGDATA"
    chown -R postgres:postgres /var/lib/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
}
[ "$1" = postgres ] || exec "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=${POSTGRES_PASSWORD:-$(cat "${POSTGRES_PASSWORD_FILE:-/dev/null}")}
    [ -n "$password" ] || { echo "POSTGRES_PASSWORD is not set" >&2; exit 1; }
    user=${POSTGRES_USER:-postgres}
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    umask 077
    printf %s "$password" > /tmp/password
    # shellcheck disable=SC2086 # the arguments of initdb are words
    initdb --pgdata "$PGDATA" --username "$user" --pwfile /tmp/password --auth-local trust \
        --auth-host scram-sha-256 --encoding UTF8 ${POSTGRES_INITDB_ARGS:-}
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    database=${POSTGRES_DB:-$user}
    [ "$database" = postgres ] \
        || echo "CREATE DATABASE \"$database\"" | postgres --single -D "$PGDATA" -c log_min_messages=warning postgres
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
