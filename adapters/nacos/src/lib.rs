//! Nacos adapter: gRPC push, with lists over its HTTP API
