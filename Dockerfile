# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin ticketgate \
    && install -D target/release/ticketgate /out/ticketgate

FROM debian:12-slim
COPY --from=build /out/ticketgate /usr/local/bin/ticketgate
# For `file:` stores; nothing else is ever written, so the rest may be mounted read-only.
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/ticketgate
USER 65532:65532
VOLUME /var/lib/ticketgate
EXPOSE 8080
# No HEALTHCHECK: health and readiness are answered on the admin listener (/healthz, /readyz), which the orchestrator probes;
# the image holds no HTTP client.
ENTRYPOINT ["ticketgate"]
CMD ["serve", "-c", "/etc/ticketgate/ticketgate.yaml"]
