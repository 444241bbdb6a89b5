//! The steps to one process: its name, the connection, TLS, credentials, which server it is, its clock, and our rights.

use std::time::{Duration, Instant, SystemTime};

use super::{Terms, acl, in_time, mend, others, skipped};
use crate::{
    collect::{
        connect::{Link, Peer, no_answer, opening_fault},
        credentials::Credentials,
        dial::{self, Stream},
        tls,
        trust::ServerInfo,
    },
    config::{Address, Credential, HostPort, RedisServer, Tls, Topology},
    model::{
        fault::{Fault, FaultKind},
        finding::{Check, Finding, Status},
        time::UnixMicros,
    },
    x509::Facts,
};

const MEND_NAME: &str = "check the host in redis[].url, and that this machine can resolve it (in Kubernetes: \
                         service.namespace.svc)";
const MEND_TCP: &str = "check host and port in redis[].url, that Redis runs and listens there (bind), and that no firewall or \
                        NetworkPolicy stands between";
const MEND_SOCKET: &str = "check the path in redis[].url, and that Redis has it (unixsocket) and lets this user in \
                           (unixsocketperm)";
const MEND_TLS: &str = "check redis[].tls, and that this is the TLS port of the server";

/// Difference of clocks from which on it is warned of, in microseconds.
const CLOCK_DIFFERENCE: u64 = 1_000_000;

/// Takes the steps, as far as they lead. What the lags can be there; `None` where it cannot be polled.
pub async fn steps(server: &RedisServer, peer: &Peer, terms: Terms) -> (Vec<Finding>, Option<&'static str>) {
    let mut findings = Vec::new();
    let promise = way(server, peer, terms, &mut findings).await.unwrap_or_else(|failed| {
        findings.push(failed);
        None
    });
    let place = match (&peer.address, &server.tls) {
        (Address::Unix(_), _) => &[Check::Socket][..],
        (Address::Tcp(_), None) => &[Check::Dns, Check::Tcp],
        (Address::Tcp(_), Some(_)) => &[Check::Dns, Check::Tcp, Check::Tls],
    };
    skipped(&mut findings, &[place, &[Check::Auth, Check::Server, Check::Clock, Check::Acl]].concat());
    findings.sort_by_key(|finding| finding.check);
    (findings, promise)
}

/// The same; an error is the step after which none leads on.
async fn way(
    server: &RedisServer,
    peer: &Peer,
    terms: Terms,
    findings: &mut Vec<Finding>,
) -> Result<Option<&'static str>, Finding> {
    let credentials =
        Credentials::read(server).map_err(|fault| failed(Check::Auth, &fault, "let it be read"))?;
    let stream: Box<dyn Stream> = match &peer.address {
        Address::Unix(path) => {
            let stream = in_time(server, dial::socket(path)).await;
            let stream = stream.map_err(|fault| failed(Check::Socket, &fault, MEND_SOCKET))?;
            findings.push(Finding::ok(Check::Socket, format!("connected to {}", path.display())));
            Box::new(stream)
        }
        Address::Tcp(place) => host(server, place, &credentials, findings).await?,
    };
    let has_credentials = credentials.password.is_some() || credentials.username.is_some();
    let refused = |fault: &Fault| failed(Check::Auth, fault, mend(fault.kind));
    let mut link = in_time(server, Link::login(server, server.protocol, &peer.address, credentials, stream))
        .await
        .map_err(|fault| refused(&fault))?;
    let (began, wall) = (Instant::now(), SystemTime::now());
    let identified = link.identify().await;
    let round_trip = began.elapsed();
    let (info, time) = match identified {
        Ok(identified) => identified,
        Err(fault) => {
            let fault = match fault.kind {
                // The library's words would not say how long was waited.
                FaultKind::Timeout => no_answer(server),
                _ => opening_fault(fault, server, &peer.address),
            };
            // Without credentials nothing was sent before: what is wrong with the connection shows only now.
            let is_proven = has_credentials && fault.kind != FaultKind::Auth;
            if is_proven || matches!(fault.kind, FaultKind::Loading | FaultKind::Busy | FaultKind::MasterDown)
            {
                findings.push(logged_in(server));
                return Err(failed(Check::Server, &fault, mend(fault.kind)));
            }
            return Err(refused(&fault));
        }
    };
    findings.push(logged_in(server));
    let which = which(&info, matches!(server.topology, Topology::Single(_)));
    let is_of_use = which.status != Status::Fail;
    let is_sentinel = info.is_sentinel();
    if is_sentinel {
        return Err(which);
    }
    findings.push(which);
    findings.extend(others::stand_ins(server, &info).await);
    findings.push(match time {
        Ok(time) => clock(time, wall, round_trip),
        Err(fault) => Finding::skip(Check::Clock, format!("not known: {}", fault.parts().0)),
    });
    match acl::findings(&mut link, &info, server, peer, terms).await {
        Ok(found) => findings.extend(found),
        // It answers nobody now, whatever one's rights are.
        Err(fault) => return Err(failed(Check::Server, &fault, mend(fault.kind))),
    }
    Ok(is_of_use.then(|| info.promise()))
}

fn failed(check: Check, fault: &Fault, otherwise: &str) -> Finding {
    Finding::of_fault(check, fault, otherwise)
}

/// Name, connection and TLS.
async fn host(
    server: &RedisServer,
    place: &HostPort,
    credentials: &Credentials,
    findings: &mut Vec<Finding>,
) -> Result<Box<dyn Stream>, Finding> {
    let addresses = in_time(server, dial::resolve(place)).await;
    let addresses = addresses.map_err(|fault| {
        let (reason, _) = fault.parts();
        Finding::fail(Check::Dns, format!("{} cannot be resolved: {reason}", place.host), MEND_NAME)
    })?;
    let mut shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    shown.dedup();
    findings.push(Finding::ok(
        Check::Dns,
        match &shown[..] {
            [only] if *only == place.host => format!("{only} is an address"),
            shown => format!("{} resolves to {}", place.host, shown.join(", ")),
        },
    ));
    let began = Instant::now();
    let stream = in_time(server, dial::tcp(&addresses)).await;
    let stream = stream.map_err(|fault| {
        // The mend of TLS is not for this step.
        let (reason, _) = fault.parts();
        Finding::fail(Check::Tcp, format!("cannot connect to {place}: {reason}"), MEND_TCP)
    })?;
    findings.push(Finding::ok(Check::Tcp, format!("connected to {place} in {}", took(began.elapsed()))));
    let Some(settings) = &server.tls else { return Ok(Box::new(stream)) };
    let stream = in_time(server, tls::speak(stream, &place.host, settings, credentials)).await;
    let stream = stream.map_err(|fault| failed(Check::Tls, &fault, MEND_TLS))?;
    findings.push(of_tls(stream.get_ref().1, settings));
    Ok(Box::new(stream))
}

fn of_tls(connection: &rustls::ClientConnection, settings: &Tls) -> Finding {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS 1.3",
    };
    let shown = connection.peer_certificates().and_then(|all| Facts::of(all.first()?));
    let Some(facts) = shown else {
        return Finding::ok(Check::Tls, format!("{version}, with a certificate that cannot be read"));
    };
    let message = format!("{version}, certificate for {facts}");
    let finding = Finding::of_certificate(Check::Tls, &message, facts.days_left(SystemTime::now()));
    if settings.verify {
        return finding;
    }
    let message = format!("{}, not verified", finding.message);
    Finding::warn(
        Check::Tls,
        message,
        "anybody could be at the other end: set tls.ca_file in place of tls.insecure_skip_verify",
    )
}

/// Who one is there. A name that is kept in a file stays there.
fn logged_in(server: &RedisServer) -> Finding {
    let with = if server.password.is_some() { "with" } else { "without" };
    let user = match &server.username {
        None => "the default user".to_owned(),
        Some(Credential::File(path)) => format!("the user in {}", path.display()),
        Some(inline) => match inline.read() {
            Ok(name) => format!("{:?}", secrecy::ExposeSecret::expose_secret(&name)),
            Err(_) => "the configured user".to_owned(),
        },
    };
    Finding::ok(Check::Auth, format!("logged in as {user}, {with} a password"))
}

/// Which server it is, and whether it is one to measure. A node of a cluster may be meant as such only in a cluster.
fn which(info: &ServerInfo, is_single: bool) -> Finding {
    const CHECK: Check = Check::Server;
    let product = if info.is_valkey { "valkey" } else { "redis" };
    let Some(mode) = &info.mode else {
        let message = "it does not say which server it is: INFO is refused or unusual";
        return Finding::warn(CHECK, message, "grant +info (docs/redis-acl.md)");
    };
    let message = |role: &str| format!("{product} {}, {mode}, {role}", info.version);
    if mode == "sentinel" {
        let mend =
            "name what it watches: redis+sentinel://host:26379/service in redis[].url, or the primary itself";
        return Finding::fail(
            CHECK,
            format!("{product} {}: a Sentinel, which has no streams", info.version),
            mend,
        );
    }
    let primary = info.primary.as_deref().unwrap_or("an unknown primary");
    if info.is_stale_replica {
        let message =
            message(&format!("replica that has lost {primary}: its data may be old, so nothing is measured"));
        return Finding::fail(CHECK, message, mend(FaultKind::MasterDown));
    }
    if info.is_replica() {
        let message = message(&format!(
            "replica of {primary}: what it has not yet received is missing from lags, and its own counters are not used"
        ));
        return Finding::warn(CHECK, message, "measure the primary, unless the load is to be kept from it");
    }
    if mode == "cluster" && is_single {
        let message = message("primary: streams on other nodes of the cluster are not measured");
        return Finding::warn(CHECK, message, "name the cluster: redis+cluster://host:port in redis[].url");
    }
    Finding::ok(CHECK, message("primary"))
}

/// How far apart the clocks are: Redis's was read at some moment of the round trip.
fn clock(time: UnixMicros, asked: SystemTime, round_trip: Duration) -> Finding {
    let ours = UnixMicros::of(asked + round_trip / 2);
    let difference = time.0.abs_diff(ours.0);
    let shown = took(Duration::from_micros(difference));
    let side = if time.0 > ours.0 { "ahead of" } else { "behind" };
    let trip = took(round_trip);
    let message = format!("{shown} {side} this machine's clock; round trip {trip}");
    let half = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX) / 2;
    if difference < CLOCK_DIFFERENCE.saturating_add(half) {
        return Finding::ok(Check::Clock, message);
    }
    Finding::warn(
        Check::Clock,
        message,
        "let NTP set both clocks. Lags and ages are right all the same, since they follow Redis's clock; the times of polls \
         follow this machine's, and what Prometheus computes from the timestamp of an entry is wrong by the difference",
    )
}

/// A time for people.
fn took(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        1.0..100.0 => format!("{seconds:.1} s"),
        _ => humantime::format_duration(Duration::from_secs(time.as_secs())).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_a_second_and_half_a_round_trip() {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = |offset: i64| {
            let time = UnixMicros(u64::try_from(1_800_000_000_000_000 + offset).unwrap());
            clock(time, asked, Duration::from_millis(200))
        };
        for (offset, status, start) in [
            (100_000, Status::Ok, "0.0 ms behind this"),
            (-800_000, Status::Ok, "900.0 ms behind this"),
            (1_150_000, Status::Ok, "1.1 s ahead of this"),
            (1_250_000, Status::Warn, "1.1 s ahead of this"),
            (-3_600_000_000, Status::Warn, "1h behind this"),
        ] {
            let finding = at(offset);
            assert_eq!(finding.status, status, "{finding:?}");
            assert!(finding.message.starts_with(start), "{finding:?}");
        }
    }
}
