# The server as a container: locked dependencies, an unprivileged user, no compiler and no development tools.
# `docker build -t tenfold .`; what it serves is said by the environment, as for `make serve`.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/tenfold

# Before the code: a change of the code then installs nothing anew.
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock

# A number that an orchestrator can see to be nobody's (runAsNonRoot). The code stays root's: who takes the server over
# can't change it.
RUN useradd --system --uid 999 --no-create-home --home-dir /srv/tenfold --shell /usr/sbin/nologin tenfold \
    && install -d -o tenfold exports_files media_files
COPY manage.py pyproject.toml ./
COPY config config
COPY catalog catalog
COPY accounts accounts
COPY exports exports
USER 999

# Inside a container the loopback address would reach nobody.
ENV HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s --start-period=20s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=3)"]
# The exec form: SIGTERM reaches the launcher itself.
CMD ["python", "-m", "config.server"]
