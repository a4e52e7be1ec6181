# Stands in for nats:2.15-alpine: the nats-server of a wheel, and busybox for its wget.
FROM headwater-offline/debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends busybox-static \
    && ln -s /bin/busybox /usr/local/bin/wget \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY nats-server /usr/local/bin/nats-server
EXPOSE 4222 6222 8222
CMD ["nats-server"]
