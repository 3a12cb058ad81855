# One image, three roles: `backtalk up` runs them all; `backtalk server|engine|learner` each alone (deploy/compose*.yaml).
#   docker build --target cpu  -t backtalk .        (the default)
#   docker build --target cuda -t backtalk:cuda .
FROM node:22-slim AS client
WORKDIR /build/client
COPY client/package.json client/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY client/ ./
RUN npm run build -- --outDir /build/web

FROM python:3.12-slim AS source
WORKDIR /build
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY backtalk/ backtalk/
COPY server/ server/
COPY learner/ learner/
COPY --from=client /build/web server/web/
RUN python -m venv /opt/backtalk

FROM source AS install-cpu
RUN /opt/backtalk/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    -c requirements.lock ".[parquet,otel]"

FROM source AS install-cuda
ARG TORCH_INDEX=https://download.pytorch.org/whl/cu130
RUN /opt/backtalk/bin/pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c requirements.lock ".[parquet,otel]"

FROM python:3.12-slim AS base
# `backtalk backup` asks pg_dump where the data is in Postgres.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home backtalk && mkdir -p /data/weights && chown -R 10001:10001 /data && chmod 700 /data
USER 10001
ENV PATH=/opt/backtalk/bin:$PATH \
    BACKTALK_DATA_DIR=/data \
    BACKTALK_HOST=0.0.0.0
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz')"]
CMD ["backtalk", "up"]

# The CUDA libraries come with torch's wheels; the host brings the driver (`--gpus all`).
FROM base AS cuda
COPY --from=install-cuda /opt/backtalk /opt/backtalk

FROM base AS cpu
COPY --from=install-cpu /opt/backtalk /opt/backtalk
