# Stands in for python:3.11, which builds: the slim one with pip and strip, and with the wheels of our lock as its only
# index.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
COPY wheels /opt/wheels
RUN python -m zipfile -e /opt/wheels/pip-*.whl /usr/local/lib/python3.11/dist-packages
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/opt/wheels
