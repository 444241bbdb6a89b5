//! The way to a server: a stream of bytes over TCP, TLS or a Unix socket.

use std::io;

use futures_util::future::select_ok;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
};

use super::{credentials::Credentials, tls};
use crate::{
    config::{Address, HostPort, Tls},
    model::fault::{Fault, FaultKind},
};

/// A stream of bytes, whatever is below it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Opens the way to a server.
///
/// # Errors
/// There is nobody, or nobody who can be believed.
pub async fn dial(
    address: &Address,
    tls: Option<&Tls>,
    credentials: &Credentials,
) -> Result<Box<dyn Stream>, Fault> {
    let refused = |error: io::Error| Fault::new(FaultKind::Connect, error.to_string());
    Ok(match (address, tls) {
        (Address::Unix(path), _) => Box::new(UnixStream::connect(path).await.map_err(refused)?),
        (Address::Tcp(place), None) => Box::new(tcp(place).await.map_err(refused)?),
        (Address::Tcp(place), Some(tls)) => {
            let stream = tcp(place).await.map_err(refused)?;
            Box::new(tls::speak(stream, &place.host, tls, credentials).await?)
        }
    })
}

/// All addresses of a name are tried at once: one that does not answer costs no time.
async fn tcp(place: &HostPort) -> io::Result<TcpStream> {
    let addresses = lookup_host((place.host.as_str(), place.port)).await?;
    let attempts: Vec<_> = addresses.map(|address| Box::pin(TcpStream::connect(address))).collect();
    if attempts.is_empty() {
        return Err(io::Error::other("the name has no address"));
    }
    let (stream, _) = select_ok(attempts).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
