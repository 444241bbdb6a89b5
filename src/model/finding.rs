//! What `streamgauge check` finds: one statement for each thing that was looked at, and how to mend what is wrong.

use std::sync::Arc;

use super::fault::Fault;

/// Days before the end of a certificate from which on it is warned of.
const DAYS_TO_RENEW: i64 = 14;

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident = $label:literal, $of_redis:literal, $about:literal;)+) => {
        /// What is looked at, in order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check { $($(#[$doc])* $variant,)+ }

        impl Check {
            /// Every check, in order.
            pub const ALL: &'static [Check] = &[$(Check::$variant),+];

            /// How it is called.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Check::$variant => $label,)+ }
            }

            /// What it looks at, in words.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Check::$variant => $about,)+ }
            }

            /// Whether it is about a Redis server.
            #[must_use]
            pub fn is_of_redis(self) -> bool {
                match self { $(Check::$variant => $of_redis,)+ }
            }
        }
    };
}

checks! {
    /// The configuration.
    Config = "config", false, "flags, variables and the configuration file: every problem, with its place";
    /// Which processes there are.
    Topology = "topology", true, "the processes of a Sentinel service or of a cluster";
    /// The name of the host.
    Dns = "dns", true, "the addresses of the host";
    /// The connection to a host.
    Tcp = "tcp", true, "a connection, and how long it took";
    /// The connection to a socket.
    Socket = "socket", true, "a connection to the Unix socket";
    /// TLS.
    Tls = "tls", true, "the version, whom the certificate is for, when it ends (a warning from 14 days on), whether it was verified";
    /// The credentials.
    Auth = "auth", true, "the user and the password";
    /// Which server it is.
    Server = "server", true, "version, mode and role; a replica that has lost its primary fails";
    /// Its clock.
    Clock = "clock", true, "the difference between Redis's clock and that of this machine (a warning from 1 second on), and the time of a round trip";
    /// The rights of the user.
    Acl = "acl", true, "each command that the configuration uses, and each stream that it names or finds: whether the user may";
    /// The streams.
    Streams = "streams", true, "the streams that are named or found; names and globs with nothing behind them";
    /// The groups.
    Groups = "groups", true, "the groups that are found, and those that are expected and do not exist";
    /// The lags.
    Lag = "lag", true, "what the lags can be on this server, and how they were found now";
    /// The certificate of the adapter's port.
    Certificate = "certificate", false, "the certificate of the Kubernetes adapter, and when it ends";
    /// The API server.
    ApiServer = "api_server", false, "the Kubernetes API server, and its version";
    /// The CA of the front proxy.
    FrontProxy = "front_proxy", false, "the CA of the API server's front proxy, or the right that lacks to read it";
    /// Who serves the metrics APIs.
    ApiService = "api_service", false, "each APIService of the metrics APIs: whose it is, whether it is available, whether its caBundle fits the certificate";
    /// The rights in the cluster.
    Rbac = "rbac", false, "the right to list and watch pods, for HPAs with `type: Pods`";
    /// The metrics with names of the user's own.
    Metric = "metric", false, "each metric under `kubernetes.metrics`: its value now, or why it has none";
}

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Not looked at, since something before failed, or there is nothing to look at.
    Skip,
    /// It works, and may not be what was meant.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    /// Every status.
    pub const ALL: &'static [Status] = &[Status::Ok, Status::Skip, Status::Warn, Status::Fail];

    /// How it is called.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Skip => "skip",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the server in the configuration; `None` where it is about none.
    pub redis: Option<Arc<str>>,
    /// What was looked at.
    pub check: Check,
    /// How it was found.
    pub status: Status,
    /// What was found, for people. Never holds a secret.
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    fn new(check: Check, status: Status, message: impl Into<String>, advice: Option<String>) -> Finding {
        Finding { redis: None, check, status, message: message.into(), advice }
    }

    /// All is well.
    pub fn ok(check: Check, message: impl Into<String>) -> Finding {
        Finding::new(check, Status::Ok, message, None)
    }

    /// It was not looked at, and why.
    pub fn skip(check: Check, reason: impl Into<String>) -> Finding {
        Finding::new(check, Status::Skip, reason, None)
    }

    /// It works, and may not be what was meant.
    pub fn warn(check: Check, message: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding::new(check, Status::Warn, message, Some(advice.into()))
    }

    /// It does not work.
    pub fn fail(check: Check, message: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding::new(check, Status::Fail, message, Some(advice.into()))
    }

    /// A fault; this is how to mend it where the fault does not say.
    #[must_use]
    pub fn of_fault(check: Check, fault: &Fault, otherwise: &str) -> Finding {
        let (reason, advice) = fault.parts();
        Finding::fail(check, reason, advice.unwrap_or(otherwise))
    }

    /// A certificate that has so many days left.
    #[must_use]
    pub fn of_certificate(check: Check, message: &str, days_left: i64) -> Finding {
        let days = |days: i64| if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        if days_left < 0 {
            let message = format!("{message}, expired {} ago", days(-days_left));
            Finding::fail(check, message, "renew the certificate")
        } else if days_left < DAYS_TO_RENEW {
            let message = format!("{message}, expires in {}", days(days_left));
            Finding::warn(check, message, "renew the certificate: nothing works once it has expired")
        } else {
            Finding::ok(check, format!("{message}, expires in {}", days(days_left)))
        }
    }

    /// The same about a server.
    #[must_use]
    pub fn about(mut self, redis: &Arc<str>) -> Finding {
        self.redis = Some(redis.clone());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_in_time() {
        for (days, status, ending) in [
            (-3, Status::Fail, ", expired 3 days ago"),
            (-1, Status::Fail, ", expired 1 day ago"),
            (0, Status::Warn, ", expires in 0 days"),
            (13, Status::Warn, ", expires in 13 days"),
            (14, Status::Ok, ", expires in 14 days"),
        ] {
            let finding = Finding::of_certificate(Check::Tls, "it", days);
            assert_eq!((finding.status, &*finding.message), (status, &*format!("it{ending}")));
            assert_eq!(finding.advice.is_some(), status != Status::Ok);
        }
    }
}
