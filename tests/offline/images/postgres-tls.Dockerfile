# PostgreSQL 15 of Debian, which speaks TLS: the wheel behind the stand-in for postgres:18 was built without it.
FROM headwater-offline/debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-15 \
    && usermod --uid 999 postgres && groupmod --gid 999 postgres \
    && chown -R postgres:postgres /var/lib/postgresql /var/run/postgresql \
    && rm -rf /var/lib/postgresql/15 /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin \
    PGDATA=/var/lib/postgresql/15/docker
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
