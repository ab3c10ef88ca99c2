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
#[derive(Clone)]
pub(super) struct Tls(Option<[TlsConnector; 2]>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.0.is_some()).finish()
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
        let verifier: Arc<dyn ServerCertVerifier> = if settings.insecure_skip_verify {
            Arc::new(Anybody(Arc::clone(&provider)))
        } else {
            match Verifier::new_with_extra_roots(more, Arc::clone(&provider)) {
                Ok(verifier) => Arc::new(verifier),
                // A system without any is no reason not to start: not everybody checks over TLS.
                Err(error) => {
                    tracing::warn!(%error, "no certificates to trust: checks over TLS fail");
                    return Ok(Self(None));
                }
            }
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let plain = TlsConnector::from(Arc::new(config.clone()));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(Some([plain, TlsConnector::from(Arc::new(config))])))
    }

    pub(super) async fn over(
        &self,
        stream: TcpStream,
        host: &str,
        over: Over,
    ) -> Result<TlsStream<TcpStream>, Outcome> {
        let connector = self.0.as_ref().map(|connectors| &connectors[over as usize]);
        let connector = connector.ok_or(Outcome::Hindered("the hub trusts no certificates"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Outcome::Tls)?;
        connector.connect(name, stream).await.map_err(|_| Outcome::Tls)
    }
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
