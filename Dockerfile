# One image for every service: which of them runs is the command's to say (see docker-compose.yml).
ARG PYTHON=3.11
FROM python:${PYTHON}-slim

ENV PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ROTA_CONFIG=/etc/rota/rota.toml

# The folder of the reports belongs to Rota, so that a new volume laid over it does too.
RUN groupadd --gid 10001 rota \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin rota \
    && mkdir -p /etc/rota/reports \
    && chown 10001:10001 /etc/rota/reports

COPY requirements.lock /tmp/requirements.lock
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes -r /tmp/requirements.lock \
    && rm /tmp/requirements.lock

WORKDIR /app
COPY shared/ shared/
COPY services/ services/
COPY simulator/ simulator/
COPY cli/ cli/
RUN python -m compileall -q shared services simulator cli

USER 10001:10001
ENTRYPOINT ["python", "-m"]
CMD ["cli.main", "--help"]
