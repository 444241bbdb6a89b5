//! The way to a server: a stream of bytes over TCP, TLS or a Unix socket.

use std::{io, net::SocketAddr, path::Path};

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
    let place = match address {
        Address::Unix(path) => return Ok(Box::new(socket(path).await?)),
        Address::Tcp(place) => place,
    };
    let stream = tcp(&resolve(place).await?).await?;
    Ok(match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls::speak(stream, &place.host, tls, credentials).await?),
    })
}

/// The addresses of a host, at least one.
///
/// # Errors
/// It has none, or that cannot be found out.
pub async fn resolve(place: &HostPort) -> Result<Vec<SocketAddr>, Fault> {
    let found = lookup_host((place.host.as_str(), place.port)).await.map_err(refused)?;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() {
        return Err(Fault::new(FaultKind::Connect, "the name has no address"));
    }
    Ok(addresses)
}

/// A connection to one of the addresses of a host. All are tried at once: one that does not answer costs no time.
///
/// # Errors
/// None can be connected to.
pub async fn tcp(addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
    let attempts = addresses.iter().map(|address| Box::pin(TcpStream::connect(*address)));
    let (stream, _) = select_ok(attempts).await.map_err(refused)?;
    stream.set_nodelay(true).map_err(refused)?;
    Ok(stream)
}

/// A connection to a socket on this machine.
///
/// # Errors
/// Nobody listens there, or we may not.
pub async fn socket(path: &Path) -> Result<UnixStream, Fault> {
    UnixStream::connect(path).await.map_err(refused)
}

fn refused(error: io::Error) -> Fault {
    Fault::new(FaultKind::Connect, error.to_string())
}
