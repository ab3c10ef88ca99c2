//! TLS, with the certificates that the system trusts.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::health::outcome::Outcome;
use crate::health::target::Trust;

/// Whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A file of further certificates, PEM.
    pub ca_file: Option<PathBuf>,
    /// Trust whoever answers.
    pub insecure_skip_verify: bool,
}

/// What is spoken over it: who speaks gRPC wants to be told beforehand (ALPN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Http1,
    Http2,
}

/// One for each [`Over`].
type Connectors = [TlsConnector; 2];

#[derive(Clone)]
pub(super) struct Tls {
    certified: Option<Connectors>,
    anybody: Connectors,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certified", &self.certified.is_some()).finish_non_exhaustive()
    }
}

impl Tls {
    pub(super) fn new(settings: &TlsSettings) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut more = Vec::new();
        if let Some(file) = &settings.ca_file {
            let name = file.display();
            let read = CertificateDer::pem_file_iter(file).map_err(|e| format!("{name}: {e}"))?;
            let read: Result<Vec<_>, _> = read.collect();
            more = read.map_err(|error| format!("{name}: {error}"))?;
            if more.is_empty() {
                return Err(format!("{name} holds no certificate"));
            }
        }
        let anybody = connectors(&provider, Arc::new(Anybody(Arc::clone(&provider))))?;
        if settings.insecure_skip_verify {
            return Ok(Self { certified: Some(anybody.clone()), anybody });
        }
        let certified = match Verifier::new_with_extra_roots(more, Arc::clone(&provider)) {
            Ok(verifier) => Some(connectors(&provider, Arc::new(verifier))?),
            // A system without any is no reason not to start: not everybody checks over TLS.
            Err(error) => {
                tracing::warn!(%error, "no certificates to trust: checks over TLS fail");
                None
            }
        };
        Ok(Self { certified, anybody })
    }

    pub(super) async fn over(
        &self,
        stream: TcpStream,
        host: &str,
        (over, trust): (Over, Trust),
    ) -> Result<TlsStream<TcpStream>, Outcome> {
        let connectors = match trust {
            Trust::Certified => self.certified.as_ref(),
            Trust::Anybody => Some(&self.anybody),
        };
        let connector = connectors.map(|connectors| &connectors[over as usize]);
        let connector = connector.ok_or(Outcome::Hindered("the hub trusts no certificates"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Outcome::Tls)?;
        connector.connect(name, stream).await.map_err(|_| Outcome::Tls)
    }
}

fn connectors(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<Connectors, String> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let plain = TlsConnector::from(Arc::new(config.clone()));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok([plain, TlsConnector::from(Arc::new(config))])
}

/// Takes every certificate for good; that it has its key must still be shown.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
