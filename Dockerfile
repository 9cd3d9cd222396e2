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
# Asks the admin listener at 127.0.0.1:9900; where `admin.listen` says otherwise, set TICKETGATE_ADMIN to it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["ticketgate", "health"]
ENTRYPOINT ["ticketgate"]
CMD ["serve", "-c", "/etc/ticketgate/ticketgate.yaml"]
