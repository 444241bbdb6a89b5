//! A small HTTP client: a new connection for every request, every status an answer.

use std::{io::Read as _, net::SocketAddr, time::Duration};

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(key, _)| key == name);
        header.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The text of a body that came gzipped, in one member: not every client reads more.
    pub fn gunzipped(&self) -> String {
        let (mut text, mut member) = (String::new(), flate2::bufread::GzDecoder::new(&self.body[..]));
        member.read_to_string(&mut text).expect("the body is gzip");
        assert!(member.into_inner().is_empty(), "the body is more than one member of gzip");
        text
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

pub fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
    request("GET", address, path, headers)
}

pub fn request(
    method: &str,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).map_err(|error| error.to_string())?;
    let mut response = agent.run(request).map_err(|error| format!("{path}: {error}"))?;
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec();
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body.map_err(|error| format!("{path}: {error}"))?,
    })
}
