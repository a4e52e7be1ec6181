# Stands in for haproxy:2.6: Debian's HAProxy with the public image's user and place of the configuration.
FROM headwater-offline/debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends haproxy \
    && mkdir -p /usr/local/etc/haproxy \
    && ln -s /usr/sbin/haproxy /usr/local/sbin/haproxy \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
USER haproxy
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
