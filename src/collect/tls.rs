//! TLS with a server: whom to believe, what to show, and what to mend where it fails.
//!
//! Not by the redis crate, which can neither be told the name to expect nor say why a handshake failed.

use std::sync::Arc;

use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::credentials::Credentials;
use crate::{
    config::Tls,
    model::fault::{Fault, FaultKind},
    pem,
};

/// Speaks TLS on a connection.
///
/// # Errors
/// A file is of no use, or one of both sides does not believe the other.
pub async fn speak(
    stream: TcpStream,
    host: &str,
    tls: &Tls,
    credentials: &Credentials,
) -> Result<TlsStream<TcpStream>, Fault> {
    let connector = TlsConnector::from(Arc::new(client(tls, credentials)?));
    let name = tls.name_of(host).ok_or_else(|| {
        fault(format!("{host:?} is no name that a certificate can have: set tls.server_name"))
    })?;
    connector.connect(name, stream).await.map_err(|error| {
        let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let mend = match reason {
            Some(reason) => mend(reason, tls),
            None => Some(ENDED.to_owned()),
        };
        let fault = fault(error.to_string());
        match mend {
            Some(mend) => fault.advising(mend),
            None => fault,
        }
    })
}

const ENDED: &str = "is this the TLS port of the server?";

fn fault(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Connect, message)
}

/// What to do where a handshake failed for this reason.
fn mend(reason: &rustls::Error, tls: &Tls) -> Option<String> {
    let ca = tls.ca_file.as_ref().map(|file| file.display().to_string());
    Some(match reason {
        rustls::Error::InvalidCertificate(wrong) => match (wrong, ca) {
            (CertificateError::UnknownIssuer, Some(ca)) => {
                format!("no CA in {ca} (tls.ca_file) has signed the server's certificate")
            }
            (CertificateError::UnknownIssuer, None) => {
                "set tls.ca_file to the CA that has signed the server's certificate".to_owned()
            }
            (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }, _) => {
                "set tls.server_name to a name that the certificate is for".to_owned()
            }
            (CertificateError::Expired | CertificateError::ExpiredContext { .. }, _) => {
                "the server's certificate must be renewed".to_owned()
            }
            (CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }, _) => {
                "the server's certificate is not valid yet: are the clocks right?".to_owned()
            }
            _ => return None,
        },
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server needs TLS 1.2 or 1.3".to_owned()
        }
        rustls::Error::AlertReceived(_) => refused(tls),
        rustls::Error::InvalidMessage(_) => ENDED.to_owned(),
        _ => return None,
    })
}

/// What to do where the server ends a connection that has just begun.
#[must_use]
pub fn refused(tls: &Tls) -> String {
    match &tls.client {
        Some(files) => format!(
            "does the server not accept the certificate in {} (tls.cert_file)?",
            files.certificate.display()
        ),
        None => "if the server asks for a client certificate, set tls.cert_file and tls.key_file".to_owned(),
    }
}

fn client(tls: &Tls, credentials: &Credentials) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(error.to_string()))?;
    let config = if tls.verify {
        config.with_root_certificates(roots(tls, credentials)?)
    } else {
        config.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
    };
    let (Some(files), Some([chain, key])) = (&tls.client, &credentials.client) else {
        return Ok(config.with_no_client_auth());
    };
    let (certificate_file, key_file) = (files.certificate.display(), files.private_key.display());
    let chain = pem::certificates(chain).map_err(|error| fault(format!("{certificate_file} {error}")))?;
    let key = pem::private_key(key).map_err(|error| fault(format!("{key_file} {error}")))?;
    config.with_client_auth_cert(chain, key).map_err(|error| {
        fault(format!("the certificate {certificate_file} cannot be used with the key {key_file}: {error}"))
    })
}

fn roots(tls: &Tls, credentials: &Credentials) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let (Some(file), Some(text)) = (&tls.ca_file, &credentials.ca) else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(fault("the system has no CA certificates: install them, or set tls.ca_file"));
        }
        return Ok(roots);
    };
    let file = file.display();
    for certificate in pem::certificates(text).map_err(|error| fault(format!("{file} {error}")))? {
        roots
            .add(certificate)
            .map_err(|error| fault(format!("{file} holds what is no certificate: {error}")))?;
    }
    Ok(roots)
}

/// Believes every server that has the key of the certificate that it shows. Only where the user asks for it.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
