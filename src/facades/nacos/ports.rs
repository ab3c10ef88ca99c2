//! Where clients of Nacos are waited for: those of 2.x and later reckon the port for gRPC from the one
//! they are told.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::grpc::PORT_OFFSET;
use crate::config::NacosConfig;

/// How often two free ports are looked for.
const PAIRS: usize = 100;

/// The listeners that there are besides the main one.
#[derive(Debug, Default)]
pub struct Ports {
    /// For HTTP.
    pub http: Option<TcpListener>,
    /// For gRPC.
    pub grpc: Option<TcpListener>,
    /// Where that is.
    pub grpc_address: Option<SocketAddr>,
}

impl Ports {
    /// The port of their own, if it is wanted, and the one above it; else the one above the main
    /// port, if it can be had: nobody asked for it.
    ///
    /// # Errors
    /// A port that was asked for, or the one above it, cannot be listened on.
    pub async fn bind(config: &NacosConfig, main: SocketAddr) -> Result<Self> {
        let (http, grpc) = match config.port {
            _ if !config.enabled => (None, None),
            None => (None, above_main(main).await),
            Some(0) => {
                let (http, grpc) = any_pair(&config.host).await?;
                (Some(http), Some(grpc))
            }
            Some(port) => {
                let http = bind(&config.host, port).await?;
                (Some(http), Some(bind(&config.host, above(port)?).await?))
            }
        };
        let grpc_address = grpc.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(Self { http, grpc, grpc_address })
    }
}

async fn above_main(main: SocketAddr) -> Option<TcpListener> {
    let bound = match above(main.port()) {
        Ok(port) => bind(&main.ip().to_string(), port).await,
        Err(error) => Err(error),
    };
    let told = |error: &Error| {
        tracing::warn!(%error, "clients of Nacos 2 and later are not answered: set facades.nacos.port");
    };
    bound.inspect_err(told).ok()
}

async fn any_pair(host: &str) -> Result<(TcpListener, TcpListener)> {
    for _ in 0..PAIRS {
        let http = bind(host, 0).await?;
        if let Ok(port) = above(http.local_addr()?.port())
            && let Ok(grpc) = bind(host, port).await
        {
            return Ok((http, grpc));
        }
    }
    Err(Error::new(ErrorKind::AddrInUse, "there are no two free ports 1000 apart"))
}

fn above(port: u16) -> Result<u16> {
    let none =
        || Error::new(ErrorKind::AddrNotAvailable, format!("no port is above {port} by 1000"));
    port.checked_add(PORT_OFFSET).ok_or_else(none)
}

async fn bind(host: &str, port: u16) -> Result<TcpListener> {
    let told =
        |error: Error| Error::new(error.kind(), format!("cannot listen on {host}:{port}: {error}"));
    TcpListener::bind((host, port)).await.map_err(told)
}
