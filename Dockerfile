FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/registry
WORKDIR /src
COPY . .
RUN /opt/registry/bin/pip install --constraint constraints.txt .

FROM python:3.12-slim
# The user is a number, so that a cluster that forbids root can tell without looking it up; a mounted /data must let it write.
RUN groupadd --system --gid 10001 registry \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin registry \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/registry /opt/registry
ENV PATH=/opt/registry/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    REGISTRY_DATA=/data \
    REGISTRY_HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Asked without a proxy, whatever the environment says: the address is the container's own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ.get(\"REGISTRY_PORT\", 8080)}/readyz', timeout=4)"]
ENTRYPOINT ["registry"]
CMD ["serve"]
