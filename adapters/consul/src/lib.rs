//! Consul adapter: blocking queries over its HTTP API
