# A node as a container. The first stage has the compiler, the second has not; what goes from one to the
# other is an environment of locked packages and respram with its native engine, without which the build
# fails. It listens on all addresses, so it starts only with a password (or --unprotected):
#
#   docker build -t respram .
#   docker run -p 6379:6379 -v ./password:/run/secrets/respram:ro \
#       -e RESPRAM_REQUIREPASS_FILE=/run/secrets/respram respram
#
# It has scripts, metrics and the gateway: `docker run respram gateway --help`. Snapshots belong on the volume /data
# (`-e RESPRAM_SNAPSHOT_DIR=/data`). Both base images are for amd64 and arm64, and nothing below names either:
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t respram .
#
# Both stages have one base, named by its digest, and what apt installs comes from a snapshot of one day: a build
# next year has the same inputs. To move on, take a new digest and a day after it was made.
#
# Where neither can be reached: `--build-arg BASE=...` takes another base that has Python 3.11 or newer with its
# headers, `--build-arg DEBIAN_SNAPSHOT=` leaves the base's own package sources. `make image` does so.

ARG BASE=python:3.12-slim-bookworm@sha256:34386ef0cb081344d7ec1c103ba398e6e9f64e9ab3a1509accc92a4e24a07258

FROM ${BASE} AS build
ARG DEBIAN_SNAPSHOT=20261125T000000Z
RUN if [ -n "$DEBIAN_SNAPSHOT" ]; then \
        rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*; \
        for suite in "debian bookworm" "debian bookworm-updates" "debian-security bookworm-security"; do \
            set -- $suite; \
            echo "deb [check-valid-until=no] http://snapshot.debian.org/archive/$1/$DEBIAN_SNAPSHOT $2 main" \
                >> /etc/apt/sources.list; \
        done; \
    fi \
    && apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/respram
WORKDIR /src
COPY requirements-image.lock ./
RUN /opt/respram/bin/pip install --no-cache-dir --require-hashes -r requirements-image.lock
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY respram respram
RUN RESPRAM_REQUIRE_NATIVE=1 /opt/respram/bin/pip install --no-cache-dir --no-build-isolation --no-deps . \
    && /opt/respram/bin/pip uninstall -y setuptools Cython pip
# From another directory, so that the installed package is asked and not the sources.
RUN cd / && /opt/respram/bin/python -c "import respram.engine.native._native"

FROM ${BASE}
LABEL org.opencontainers.image.title=respram \
    org.opencontainers.image.description="A server that speaks the Redis protocol and forgets on schedule" \
    org.opencontainers.image.licenses=Apache-2.0
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin respram \
    && install -d -m 700 -o 10001 -g 10001 /data
COPY --from=build /opt/respram /opt/respram
ENV PATH=/opt/respram/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RESPRAM_BIND=0.0.0.0 \
    RESPRAM_ENGINE=native
USER 10001
VOLUME /data
EXPOSE 6379 6380 8080 9464 16379
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["respram", "ping"]
ENTRYPOINT ["respram"]
CMD ["serve"]
