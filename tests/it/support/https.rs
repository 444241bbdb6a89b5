//! A client that speaks TLS, with or without a certificate of its own, in HTTP/1.1 or HTTP/2.

use std::{net::SocketAddr, sync::Arc};

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{http::Answer, pki::Pair, wait};

/// The protocol to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// A client of one server.
#[derive(Clone)]
pub struct Https {
    pub address: SocketAddr,
    pub protocol: Protocol,
    config: Arc<ClientConfig>,
}

impl Https {
    /// Takes any certificate of the server, as `insecureSkipTLSVerify` does, and shows one of its own if it has one.
    pub fn new(address: SocketAddr, own: Option<&Pair>) -> Https {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer));
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = CertificateDer::pem_slice_iter(own.certificate.as_bytes()).map(Result::unwrap);
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.collect(), key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Https { address, protocol: Protocol::Http1, config: Arc::new(config) }
    }

    pub fn over(mut self, protocol: Protocol) -> Https {
        let name = if protocol == Protocol::Http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() };
        Arc::make_mut(&mut self.config).alpn_protocols = vec![name];
        self.protocol = protocol;
        self
    }

    pub async fn connect(&self) -> Result<TlsStream<TcpStream>, String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        let name = ServerName::try_from("streamgauge").unwrap();
        TlsConnector::from(self.config.clone()).connect(name, stream).await.map_err(|error| error.to_string())
    }

    /// One request over a connection of its own.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let said = |error: hyper::Error| format!("{path}: {error:?}");
        let io = TokioIo::new(self.connect().await?);
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Empty::<Bytes>::new();
        let response = match self.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(io).await.map_err(said)?;
                tokio::spawn(connection);
                if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
                    request = request.header("host", "streamgauge");
                }
                let request = request.uri(path).body(body).map_err(|error| error.to_string())?;
                sender.send_request(request).await.map_err(said)?
            }
            Protocol::Http2 => {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.map_err(said)?;
                tokio::spawn(connection);
                let uri = format!("https://streamgauge{path}");
                let request = request.uri(uri).body(body).map_err(|error| error.to_string())?;
                sender.send_request(request).await.map_err(said)?
            }
        };
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        let body = response.into_body().collect().await.map_err(said)?.to_bytes().to_vec();
        Ok(Answer { status, headers, body })
    }

    /// One request, from a test that is not asynchronous. A guard against waiting for ever is all that its deadline is.
    #[track_caller]
    pub fn try_get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        runtime().block_on(async {
            tokio::time::timeout(wait::DEADLINE, self.send("GET", path, headers))
                .await
                .map_err(|_| format!("{path}: no answer in {:?}", wait::DEADLINE))?
        })
    }

    #[track_caller]
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.try_get(path, headers).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A runtime for one test.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[derive(Debug)]
struct AnyServer;

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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
