//! What a certificate says of itself: whom it is for, and how long it is valid. Whether to believe that is for others.

use std::{
    fmt,
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use x509_cert::{
    Certificate,
    der::{Decode as _, oid::db::rfc4519},
    ext::pkix::{
        SubjectAltName,
        name::{DirectoryString, GeneralName},
    },
};

use crate::model::name::Name;

/// Most names that are shown of one.
const MOST_NAMES: usize = 5;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whom it is for: the common name of its subject.
    pub common_name: Option<String>,
    /// The DNS names and IP addresses that it is for.
    pub names: Vec<String>,
    /// Whether it names itself as its issuer.
    pub is_self_signed: bool,
    /// When it ends, in seconds since the Unix epoch.
    not_after: u64,
}

impl Facts {
    /// Reads a certificate in DER; `None` where it is none.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Facts> {
        let parsed = Certificate::from_der(certificate).ok()?;
        let own = parsed.tbs_certificate();
        let alternatives = own.get_extension::<SubjectAltName>().ok().flatten();
        let names = alternatives.iter().flat_map(|(_, names)| &names.0).filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            GeneralName::IpAddress(bytes) => ip_address(bytes.as_bytes()),
            _ => None,
        });
        Some(Facts {
            common_name: common_name(certificate),
            names: names.collect(),
            is_self_signed: own.issuer() == own.subject(),
            not_after: own.validity().not_after.to_unix_duration().as_secs(),
        })
    }

    /// Whole days until it ends; negative once it has.
    #[must_use]
    pub fn days_left(&self, now: SystemTime) -> i64 {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let seconds = i128::from(self.not_after) - i128::from(now);
        i64::try_from(seconds.div_euclid(86_400)).unwrap_or(i64::MAX)
    }
}

/// Whom it is for. A stranger chose the names: they are shown as names are.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &str| Name::from(name).to_string();
        let mut names: Vec<_> = self.names.iter().take(MOST_NAMES).map(|name| shown(name)).collect();
        if self.names.len() > MOST_NAMES {
            names.push(format!("and {} more", self.names.len() - MOST_NAMES));
        }
        let subject = self.common_name.as_ref().map(|name| format!("CN={}", shown(name)));
        match (subject, &names[..]) {
            (None, []) => f.write_str("nobody"),
            (None, names) => f.write_str(&names.join(", ")),
            (Some(subject), []) => f.write_str(&subject),
            (Some(subject), names) => write!(f, "{subject} ({})", names.join(", ")),
        }
    }
}

/// The common name of the subject. Of several, the last one counts, as for the API server's own front proxy.
#[must_use]
pub fn common_name(certificate: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let names = certificate.tbs_certificate().subject().iter();
    let last = names.filter(|attribute| attribute.oid == rfc4519::COMMON_NAME).last()?;
    Some(DirectoryString::try_from(&last.value).ok()?.value().into_owned())
}

fn ip_address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()?;
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_says_whom_it_is_for_and_how_long() {
        let mut params =
            rcgen::CertificateParams::new(vec!["a.example".to_owned(), "::1".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "a\x1b");
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let facts = Facts::of(made.der()).unwrap();
        assert_eq!(facts.to_string(), "CN=a\\x1b (a.example, ::1)");
        assert!(facts.is_self_signed);
        let end = UNIX_EPOCH + Duration::from_secs(facts.not_after);
        let day = Duration::from_secs(86_400);
        assert_eq!(facts.days_left(end - 3 * day), 3);
        assert_eq!(facts.days_left(end + Duration::from_secs(1)), -1);
        assert_eq!(Facts::of(b"nonsense"), None);
    }
}
