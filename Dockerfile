# asr-serve with the English model. Needs PyPI to build, and nothing to run.
# docker build -t asr . && docker run --rm -p 127.0.0.1:8000:8000 --read-only --tmpfs /tmp asr
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY asr asr
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir '.[serve,media]'
# numba compiles the search now. It uses a cache only in a folder that it can write, so it gets a copy.
RUN NUMBA_CACHE_DIR=/venv/numba /venv/bin/asr-transcribe --format json asr/samples/quickstart.flac

FROM python:3.11-slim
RUN useradd --system --no-create-home --uid 10001 asr
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH NUMBA_CACHE_DIR=/tmp/numba PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER asr
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["sh", "-c", "cp -r /venv/numba /tmp/ && exec asr-serve \"$@\"", "asr-serve"]
CMD ["--host", "0.0.0.0", "--open"]
