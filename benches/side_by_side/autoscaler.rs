//! Requests as the API server's aggregator sends those of an HPA: over one HTTP/2 connection that stays open, with the
//! certificate of a front proxy.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::{
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use crate::{
    Result,
    data::{Data, GROUPS, name},
    series::Series,
};

/// The name on its certificate.
pub const FRONT_PROXY: &str = "front-proxy-client";

/// The client of one run.
pub struct Autoscaler {
    /// The certificate of who signs for it.
    pub authority: String,
    tls: Arc<ClientConfig>,
}

impl Autoscaler {
    pub fn new() -> Result<Autoscaler> {
        let mut params = named("front-proxy-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let mut params = named(FRONT_PROXY);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer))
            .with_client_auth_cert(chain, key)?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Autoscaler { authority, tls: Arc::new(tls) })
    }

    /// So many requests a second, each when it is due, whether or not those before are answered. Returns the times from
    /// then to the last byte.
    pub fn ask(&self, address: SocketAddr, data: Data, per_second: u32, lasts: Duration) -> Result<Series> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            let stream = connector.connect(ServerName::try_from("streamgauge")?, stream).await?;
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let (mut answers, mut times) = (JoinSet::new(), Series::default());
            let mut dues = clock(Duration::from_secs(1) / per_second, lasts);
            // A generator of Lehmer's: any order will do, as long as it is the same in each run.
            let mut number = 1_u64;
            while let Some(due) = dues.recv().await {
                number = number * 48_271 % 0x7fff_ffff;
                let stream = name(number as usize % data.streams);
                let group = GROUPS[number as usize / data.streams % data.groups];
                answers.spawn(ask_once(sender.clone(), stream, group, due));
                while let Some(answer) = answers.try_join_next() {
                    times.push(answer??);
                }
            }
            while let Some(answer) = answers.join_next().await {
                times.push(answer??);
            }
            Ok(times)
        })
    }
}

/// The moments at which requests are due, each when it has come: told by a thread, since tokio's own timers are late by up
/// to a millisecond.
fn clock(every: Duration, lasts: Duration) -> UnboundedReceiver<Instant> {
    let (told, dues) = unbounded_channel();
    thread::spawn(move || {
        let (mut due, end) = (Instant::now(), Instant::now() + lasts);
        while due < end {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if told.send(due).is_err() {
                break;
            }
            due += every;
        }
    });
    dues
}

/// How many seconds an answer takes from when it is due; an error never comes.
async fn ask_once(
    mut sender: http2::SendRequest<Empty<Bytes>>,
    stream: String,
    group: &str,
    due: Instant,
) -> Result<f64> {
    let uri = format!(
        "https://streamgauge/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/redis_stream_group_backlog?labelSelector=stream%3D{}%2Cgroup%3D{group}",
        stream.replace(':', "%3A"),
    );
    let request = Request::get(uri)
        .header("Accept", "application/vnd.kubernetes.protobuf, */*")
        .header("X-Remote-User", "system:serviceaccount:kube-system:horizontal-pod-autoscaler")
        .body(Empty::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    Ok(if status == 200 { due.elapsed().as_secs_f64() } else { f64::INFINITY })
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// Takes any certificate of the adapter, as `insecureSkipTLSVerify` does.
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
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
