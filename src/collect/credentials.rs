//! What a connection is opened with: who we are and whom to believe, as the configuration and its files have it now.

use std::path::Path;

use secrecy::ExposeSecret;

use crate::{
    config::{Credential, RedisServer, Tls},
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
    /// Those for the server itself, and all files read anew.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn read(server: &RedisServer) -> Result<Credentials, Fault> {
        Credentials::of(server.username.as_ref(), server.password.as_ref(), server.tls.as_ref())
    }

    /// The same for whoever has this user.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of(
        username: Option<&Credential>,
        password: Option<&Credential>,
        tls: Option<&Tls>,
    ) -> Result<Credentials, Fault> {
        let text = |credential: Option<&Credential>| {
            let read = credential.map(Credential::read).transpose();
            read.map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
                .map_err(|error| Fault::new(FaultKind::Auth, error.to_string()))
        };
        let mut credentials =
            Credentials { username: text(username)?, password: text(password)?, ca: None, client: None };
        if let Some(Tls { ca_file, client, .. }) = tls {
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
