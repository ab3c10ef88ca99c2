//! Eureka adapter: full and delta fetches over its REST API
