//! What a connection is opened with: who we are and whom to believe, as the configuration and its files have it now.

use std::path::Path;

use secrecy::ExposeSecret;

use crate::{
    config::{Address, Credential, RedisServer, Tls},
    files,
    model::fault::{Fault, FaultKind},
};

/// The credentials of one moment. They compare, and never show: there is no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// ACL user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Whom to believe, in PEM; `None` is whom the system believes.
    pub ca: Option<Vec<u8>>,
    /// Certificate and private key to show, both PEM.
    pub client: Option<[Vec<u8>; 2]>,
}

impl Credentials {
    /// Reads all files anew.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn read(server: &RedisServer) -> Result<Credentials, Fault> {
        let text = |credential: &Option<Credential>| {
            let read = credential.as_ref().map(Credential::read).transpose();
            read.map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
                .map_err(|error| Fault::new(FaultKind::Auth, error.to_string()))
        };
        let mut credentials = Credentials {
            username: text(&server.username)?,
            password: text(&server.password)?,
            ca: None,
            client: None,
        };
        if let Address::Tls(_, Tls { ca_file, client, .. }) = &server.address {
            credentials.ca = ca_file.as_deref().map(file).transpose()?;
            if let Some(client) = client {
                credentials.client = Some([file(&client.certificate)?, file(&client.private_key)?]);
            }
        }
        Ok(credentials)
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Fault> {
    let contents = files::read(&[path]).map_err(|error| {
        let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Fault::new(FaultKind::Connect, format!("{error}: {reason}"))
    })?;
    Ok(contents.into_iter().next().unwrap_or_default())
}
