"""The Dockerfile of a package: it depends on the Python version and the names of the project's own code alone."""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from score.privacy import TELEMETRY_OFF

DOCKERFILE = "Dockerfile"
LIBRARIES = "libraries"  # the build stage that takes longest and changes least

_TEXT = Template(r"""# Serves this package: docker build -t NAME . && docker run -p 6789:6789 NAME
ARG BASE_IMAGE=python:$python-slim

# The libraries, in a stage of their own that is left behind with pip's settings and caches.
# Rebuilt only when requirements.txt or one of these arguments changes.
FROM $${BASE_IMAGE} AS libraries
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
COPY requirements.txt .
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check -r requirements.txt

FROM $${BASE_IMAGE}
ENV PATH=/opt/venv/bin:$$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 $telemetry_off
# A server needs no pip, and the base image brings one
RUN useradd --uid 10001 --home-dir /tmp --no-create-home score \
 && rm -rf /usr/lib/python3*/*-packages/pip* /usr/local/lib/python3*/*-packages/pip* /usr/bin/pip* /usr/local/bin/pip*
WORKDIR /package
USER 10001
EXPOSE 6789
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "\
import http.client; \
server = http.client.HTTPConnection('127.0.0.1', 6789, timeout=9); \
server.request('GET', '/'); \
raise SystemExit(server.getresponse().status != 200)"]
CMD ["python", "-m", "score.server", "--host", "0.0.0.0", "--port", "6789"]
# What changes comes last, owned by root, so that the server cannot write it
COPY --from=libraries /opt/venv /opt/venv
COPY score score
COPY about about
${own_code}COPY *.json model.* explanation.* ./
""")


def render_dockerfile(python: str, own_code: Iterable[str] = ()) -> str:
    """Return the Dockerfile of a package made with this version of Python, such as ``3.11.7``.

    ``own_code`` are the files and folders of the project's own code at the top of the package.
    """
    telemetry_off = " ".join(f"{name}={value}" for name, value in TELEMETRY_OFF.items())
    copies = "".join(f"COPY {name} {name}\n" for name in sorted(own_code))
    return _TEXT.substitute(python=".".join(python.split(".")[:2]), telemetry_off=telemetry_off, own_code=copies)
