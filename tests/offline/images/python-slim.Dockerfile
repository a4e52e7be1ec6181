# Stands in for python:3.11-slim: Debian's Python under the names and places of the public image, and tini.
FROM headwater-offline/debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends python3.11 tini \
    && ln -s /usr/bin/python3.11 /usr/local/bin/python3.11 \
    && ln -s python3.11 /usr/local/bin/python3 \
    && ln -s python3.11 /usr/local/bin/python \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/doc /usr/share/man /usr/share/locale
CMD ["python3"]
