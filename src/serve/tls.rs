//! TLS for the adapter: its certificate, from files that may be renewed or made in memory, and clients that may show one.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use rcgen::generate_simple_self_signed;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerifier as _},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::{
        ClientHello, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};

use crate::{
    files::{self, FileError},
    pem,
};

/// Most certificates that a client may show besides its own, and most bytes of all of them. A front proxy shows one or none;
/// whoever is made to look for a path through hundreds is kept busy for minutes.
const MAX_INTERMEDIATES: usize = 3;
const MAX_CHAIN_BYTES: usize = 16 * 1024;

/// Names of the certificate that is made where none is given. Whoever connects to it does not verify it.
const SELF_SIGNED_FOR: [&str; 2] = ["streamgauge", "localhost"];

/// The certificate in use; it can be replaced while connections are served.
#[derive(Debug)]
pub struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    /// A certificate that nobody has signed, made in memory.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn self_signed() -> Result<Certificate, FileError> {
        let unusable = |error: &dyn std::fmt::Display| {
            FileError::Content(format!("cannot make a self-signed certificate: {error}"))
        };
        let made =
            generate_simple_self_signed(SELF_SIGNED_FOR.map(str::to_owned)).map_err(|e| unusable(&e))?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|e| unusable(&e))?;
        let certified = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &ring::default_provider());
        Ok(Certificate(RwLock::new(Arc::new(certified.map_err(|e| unusable(&e))?))))
    }

    /// From the contents of two files, certificate chain and private key, both PEM.
    ///
    /// # Errors
    /// They are no such things, or do not belong together.
    pub fn from_pem(paths: [&Path; 2], contents: &[Vec<u8>]) -> Result<Certificate, FileError> {
        Ok(Certificate(RwLock::new(certified(paths, contents)?)))
    }

    /// Takes the contents of the two files in use.
    ///
    /// # Errors
    /// See [`Certificate::from_pem`]; what was in use stays.
    pub fn replace(&self, paths: [&Path; 2], contents: &[Vec<u8>]) -> Result<(), FileError> {
        let new = certified(paths, contents)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

fn certified(paths: [&Path; 2], contents: &[Vec<u8>]) -> Result<Arc<CertifiedKey>, FileError> {
    let [certificate_file, key_file] = paths.map(|path| path.display());
    let unusable = |message: String| FileError::Content(message);
    let [chain, key] = contents else { return Err(unusable("two files are needed".into())) };
    let chain = pem::certificates(chain).map_err(|error| unusable(format!("{certificate_file} {error}")))?;
    let key = pem::private_key(key).map_err(|error| unusable(format!("{key_file} {error}")))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map(Arc::new).map_err(|error| {
        unusable(format!(
            "the certificate {certificate_file} cannot be used with the key {key_file}: {error}"
        ))
    })
}

impl Certificate {
    /// The certificate and its chain, as they are shown.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).cert.clone()
    }
}

/// Whether a client that believes these CAs (PEM) would believe a server of this name which shows this chain.
///
/// # Errors
/// Why not.
pub fn verify(chain: &[CertificateDer<'_>], ca: &[u8], name: &str) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(ca)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let (own, others) = chain.split_first().ok_or("there is no certificate")?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let verified = verifier.verify_server_cert(own, others, &name, &[], UnixTime::now());
    verified.map(|_| ()).map_err(|error| error.to_string())
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, with this certificate.
///
/// # Errors
/// None in practice: the protocol versions are those that the provider has.
pub fn server(certificate: Arc<Certificate>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyClient(provider)))
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Lets a client show a certificate and prove that it has its key; who signed it is judged with each request, since a
/// wrong one is answered (401), and since the CA may be replaced while the connection lives.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let bytes = own.len() + others.iter().map(|other| other.len()).sum::<usize>();
        if others.len() > MAX_INTERMEDIATES || bytes > MAX_CHAIN_BYTES {
            return Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ClientCertVerified::assertion())
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

/// Reads the two files of a certificate.
///
/// # Errors
/// One cannot be read, or they are of no use.
pub fn load(paths: [&Path; 2]) -> Result<(Certificate, Vec<Vec<u8>>), FileError> {
    let contents = files::read(&paths)?;
    Ok((Certificate::from_pem(paths, &contents)?, contents))
}
