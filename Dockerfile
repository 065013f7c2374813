# One image for every process of Watchbill; docker-compose.yml says which command each container runs.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements/run.lock requirements/run.lock
RUN python -m venv /opt/watchbill \
    && /opt/watchbill/bin/pip install --no-cache-dir --require-hashes -r requirements/run.lock
COPY . .
# Not editable: the packages live in the environment, and the image carries no second copy of them.
RUN /opt/watchbill/bin/pip install --no-cache-dir --no-index --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin watchbill \
    && install -d -o watchbill -g watchbill -m 0700 /data
COPY --from=build /opt/watchbill /opt/watchbill
COPY manage.py /app/manage.py
ENV PATH=/opt/watchbill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    WATCHBILL_DATA=/data
WORKDIR /app
USER watchbill
VOLUME /data
EXPOSE 8000
# No secret is baked in: SECRET_KEY, DATABASE_URL, REDIS_URL and S3_* come with the container.
CMD ["uvicorn", "config.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--no-access-log", "--lifespan", "off", "--timeout-graceful-shutdown", "10"]
