# Stands in for prefecthq/prefect:1.4.1: the very packages of `deploy.clients`, which are PyPI's, and the command.
FROM python:3.11-slim
COPY site-packages /opt/prefect
COPY prefect /usr/local/bin/prefect
# A folder of site packages wherever this Python has its own, so that its .pth files count.
RUN python -c "import site, pathlib; \
    pathlib.Path(site.getsitepackages()[0], 'prefect.pth').write_text('import site; site.addsitedir(\"/opt/prefect\")')"
CMD ["prefect"]
