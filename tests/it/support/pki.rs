//! Certificates of the tests: authorities, and what they sign.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    /// Writes both, as a mounted Secret has them.
    pub fn write(&self, directory: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
        std::fs::write(&key, &self.key).unwrap();
        std::fs::write(&certificate, &self.certificate).unwrap();
        (certificate, key)
    }
}

/// A certificate authority.
pub struct Authority {
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn of_server(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name = named(name).distinguished_name;
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = rcgen::date_time_ymd(1999, 1, 1);
    params.not_after = rcgen::date_time_ymd(2000, 1, 1);
    params
}

/// A private and a public key, both PEM, in the place of a pair.
#[allow(dead_code, reason = "for the tests behind a real control plane")]
pub fn signing_keys() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (key.serialize_pem(), key.public_key_pem())
}

impl Authority {
    pub fn new(common_name: &str) -> Authority {
        let mut params = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// A client's certificate.
    pub fn client(&self, common_name: &str) -> Pair {
        self.sign(named(common_name), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A client's certificate, as Kubernetes reads a user and a group from it.
    #[allow(dead_code, reason = "for the tests behind a real control plane")]
    pub fn member(&self, common_name: &str, organization: &str) -> Pair {
        let mut params = named(common_name);
        params.distinguished_name.push(DnType::OrganizationName, organization);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// One that was valid until the year 2000.
    pub fn expired_client(&self, common_name: &str) -> Pair {
        self.sign(expired(named(common_name)), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A server's certificate, for this DNS name or IP address.
    pub fn server(&self, name: &str) -> Pair {
        self.sign(of_server(name), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// One that was valid until the year 2000.
    #[allow(dead_code, reason = "not for the tests behind a real control plane")]
    pub fn expired_server(&self, name: &str) -> Pair {
        self.sign(expired(of_server(name)), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// One that has so many days and a half left.
    #[allow(dead_code, reason = "not for the tests behind a real control plane")]
    pub fn server_for_days(&self, name: &str, days: u64) -> Pair {
        let mut params = of_server(name);
        let end = std::time::SystemTime::now() + std::time::Duration::from_secs(days * 86_400 + 43_200);
        params.not_after = end.into();
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Pair {
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
