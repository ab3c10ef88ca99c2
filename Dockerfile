FROM rust:1.95-bookworm AS builder
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin registry-server \
    && cp target/release/registry-server /usr/local/bin/ \
    # The names of functions stay, for the trace of a panic; the numbers of lines are four fifths of it.
    && strip --strip-debug /usr/local/bin/registry-server

FROM debian:bookworm-slim
# External registries with https are checked against the usual authorities; slim has none.
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=builder /usr/local/bin/registry-server /usr/local/bin/
COPY configs/registry.yaml.example /app/configs/registry.yaml
WORKDIR /app
# By number, so that Kubernetes can see that it is not root.
RUN mkdir data && chown 10001:10001 data
USER 10001:10001
VOLUME /app/data

# Security is on there: the first start prints a token to standard error. /health needs none.
# To use a file of your own set this variable, not --config: the health check reads it too.
ENV REGISTRY_CONFIG_FILE=/app/configs/registry.yaml
# HTTP, gRPC for clients of Nacos, metrics.
EXPOSE 8080 9080 9091
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["registry-server", "health"]
ENTRYPOINT ["registry-server"]
