//! Certificates and private keys in PEM form. No error quotes the text: it may be a key whose lines were lost.

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject as _},
};

/// The certificates of a text, in order; at least one.
///
/// # Errors
/// There is none, or one is malformed.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match all {
        Ok(all) if all.is_empty() => Err("holds no certificate (in PEM form, -----BEGIN CERTIFICATE-----)"),
        Ok(all) => Ok(all),
        Err(error) => Err(in_words(&error)),
    }
}

/// The first private key of a text.
///
/// # Errors
/// There is none, or it is malformed.
pub fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        Error::NoItemsFound => "holds no private key (in PEM form, -----BEGIN PRIVATE KEY-----)",
        error => in_words(&error),
    })
}

fn in_words(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => {
            "is not PEM: a section has no end; its line breaks may have been lost"
        }
        Error::IllegalSectionStart { .. } => {
            "is not PEM: the line that begins a section is malformed; its line breaks may have been lost"
        }
        Error::Base64Decode(_) => "is not PEM: what stands between BEGIN and END is no base 64",
        _ => "is not PEM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_quotes_the_text() {
        let made = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
        let (key, certificate) = (made.signing_key.serialize_pem(), made.cert.pem());
        assert!(private_key(key.as_bytes()).is_ok());
        assert_eq!(certificates(certificate.as_bytes()).unwrap().len(), 1);
        assert_eq!(certificates((certificate.clone() + &certificate).as_bytes()).unwrap().len(), 2);
        let secret = key.lines().nth(1).unwrap();
        for text in [
            key.replace('\n', ""),
            key.replace('\n', " "),
            key.replace('\n', "\\n"),
            key.replace("-----END", "----END"),
            key.replace(secret, "%%%"),
            secret.to_owned(),
            String::new(),
        ] {
            let said =
                [private_key(text.as_bytes()).err().unwrap(), certificates(text.as_bytes()).err().unwrap()];
            for said in said {
                assert!(said.starts_with("holds no ") || said.starts_with("is not PEM"), "{said}");
            }
        }
    }
}
