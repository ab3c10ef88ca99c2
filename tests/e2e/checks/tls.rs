//! Checks over TLS.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{SOON, register};
use crate::hub::Hub;

/// A server that shows a certificate for `localhost` and `127.0.0.1`; who vouches for it stands in
/// the file.
pub(super) async fn server(authority: &Path) -> u16 {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(authority, params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(
        vec![certificate.der().clone()],
        PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    )
    .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 1024];
                if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer).await.ok();
                    stream.shutdown().await.ok();
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_as_configured() {
    let dir = tempfile::tempdir().unwrap();
    let authority = dir.path().join("ca.pem");
    let port = server(&authority).await;
    let with = |more: &str| format!("healthCheck:\n  interval: 500ms\n{more}");
    let trusting = with(&format!("  caFile: {}\n", authority.display()));
    let (strict, blind) = (with(""), with("  insecureSkipVerify: true\n"));
    // By its name, its address, and one that is not in the certificate.
    for (config, trusts) in [
        (trusting, [true, true, false]),
        (strict, [false, false, false]),
        (blind, [true, true, true]),
    ] {
        let hub = Hub::with_config(&config).await;
        let hosts = ["localhost", "127.0.0.1", "127.0.0.2"];
        for (host, trusts) in hosts.into_iter().zip(trusts) {
            let output = match trusts {
                true => "HTTP 200",
                false => "TLS failed: no TLS there, or a certificate not trusted",
            };
            let name = host.replace('.', "-");
            let service = json!({ "serviceName": name, "protocolType": "HTTPS" });
            let instance =
                json!({ "hostAddress": host, "portNumber": port, "healthCheckType": "HTTP" });
            let path = register(&hub, &service, &instance).await;
            hub.until(&path, SOON, |_, body| {
                body["healthStatus"] == if trusts { "HEALTHY" } else { "UNHEALTHY" }
                    && body["healthCheck"]["output"] == output
                    && body["healthCheck"]["asked"] == format!("GET https://{host}:{port}/health")
            })
            .await;
        }
    }
}
