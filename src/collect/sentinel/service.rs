//! One question to one Sentinel, and what follows from its answer.

use super::super::{
    ask,
    commands::{self, Command},
    connect::{Link, opening_fault},
    credentials::Credentials,
    decode::sentinel::{Watched, all_watched, primary, watched},
    request::Requests,
    resp::Reply,
};
use crate::{
    config::{Address, HostPort, Protocol, ReadFrom, RedisServer, Sentinel},
    model::fault::{Fault, FaultKind},
};

/// Whom to ask for what.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    /// The server as configured.
    pub server: &'a RedisServer,
    /// Its Sentinels.
    pub sentinel: &'a Sentinel,
}

/// What a Sentinel says of a service.
pub struct Answer {
    /// The primary, or the one that is about to be.
    pub primary: Watched,
    /// None where they are not asked for.
    pub replicas: Vec<Watched>,
    /// The other Sentinels.
    pub sentinels: Vec<Watched>,
}

impl Answer {
    /// Whether another answer is of a later configuration.
    pub fn is_before(&self, other: &Answer) -> bool {
        self.primary.epoch < other.primary.epoch
    }

    /// The replica to read: the one that was read before, unless it is down or has failed. A Sentinel's doubts about it
    /// may be of the Sentinel's making.
    pub fn replica(&self, current: Option<&HostPort>, failed: &[(HostPort, Fault)]) -> Option<&HostPort> {
        let is_fit = |replica: &&Watched| {
            !replica.is_down()
                && replica.place != self.primary.place
                && failed.iter().all(|(place, _)| *place != replica.place)
        };
        let fit = self.replicas.iter().filter(is_fit);
        let best = fit
            .min_by_key(|replica| (Some(&replica.place) != current, replica.is_doubtful(), &replica.place));
        best.map(|replica| &replica.place)
    }

    /// Why there is no replica to read.
    pub fn no_replica(&self, failed: &[(HostPort, Fault)]) -> Fault {
        let service = &self.primary.name;
        let others =
            self.replicas.iter().filter(|replica| failed.iter().all(|(place, _)| *place != replica.place));
        let troubles = others.filter_map(|other| Some(format!("{} is {}", other.place, other.troubles()?)));
        let reasons =
            failed.iter().map(|(_, fault)| fault.message.clone()).chain(troubles).collect::<Vec<_>>();
        let kind = failed.last().map_or(FaultKind::Connect, |(_, fault)| fault.kind);
        match &reasons[..] {
            [] => Fault::new(
                kind,
                format!(
                    "the Sentinels know no replica of {service:?}: start one, or set read_from to primary"
                ),
            ),
            reasons => {
                Fault::new(kind, format!("no replica of {service:?} can be read: {}", reasons.join("; ")))
            }
        }
    }
}

impl Service<'_> {
    /// Connects to a Sentinel and asks it. What it says is `None` where it does not watch the service.
    pub async fn open(self, place: &HostPort) -> Result<(Link, Option<Answer>), Fault> {
        let (server, sentinel, address) = (self.server, self.sentinel, Address::Tcp(place.clone()));
        let credentials =
            Credentials::of(sentinel.username.as_ref(), sentinel.password.as_ref(), server.tls.as_ref());
        let credentials = credentials.map_err(|fault| fault.during(format!("cannot connect to {place}")))?;
        // RESP3 would begin with HELLO, and bring nothing here.
        let advised = |fault| advised(fault, sentinel);
        let mut link = Link::reach(server, Protocol::Resp2, &address, credentials).await.map_err(advised)?;
        let said = self.ask(&mut link).await.map_err(|fault| {
            advised(if fault.kind == FaultKind::Disconnected {
                opening_fault(fault, server, &address)
            } else {
                fault
            })
            .during(place)
        })?;
        Ok((link, said))
    }

    /// Asks a Sentinel.
    pub async fn ask(self, link: &mut Link) -> Result<Option<Answer>, Fault> {
        // During a failover only the first tells of the primary to be; only the second has flags and an epoch.
        let mut questions = vec![
            &commands::SENTINEL_GET_MASTER_ADDR_BY_NAME,
            &commands::SENTINEL_MASTER,
            &commands::SENTINEL_SENTINELS,
        ];
        if self.server.read_from == ReadFrom::Replica {
            questions.push(&commands::SENTINEL_REPLICAS);
        }
        let mut requests = Requests::default();
        questions.iter().for_each(|question| requests.add(question, &[(&self.sentinel.service).into()]));
        let replies = link.request(&requests).await?;
        let Some(place) = ask::answer(replies[0], questions[0], None, primary)? else { return Ok(None) };
        let mut primary = ask::answer(replies[1], questions[1], None, watched)?;
        if primary.place != place {
            // The flags are those of the one before.
            (primary.place, primary.flags) = (place, String::new());
        }
        let list = |reply: &Reply<'_>, question: &&Command| ask::answer(*reply, question, None, all_watched);
        Ok(Some(Answer {
            primary,
            sentinels: list(&replies[2], &questions[2]).unwrap_or_default(),
            replicas: replies.get(3).map(|reply| list(reply, &questions[3])).transpose()?.unwrap_or_default(),
        }))
    }

    /// What a Sentinel that does not watch the service watches instead.
    pub async fn not_watched(self, mut link: Link) -> Fault {
        let others = link.single(&commands::SENTINEL_MASTERS, &[], all_watched).await;
        let names =
            others.unwrap_or_default().iter().map(|other| format!("{:?}", other.name)).collect::<Vec<_>>();
        let others = if names.is_empty() { "another" } else { &names.join(", ") };
        let message = format!("the Sentinels do not watch {:?}", self.sentinel.service);
        Fault::new(FaultKind::Connect, message).advising(format!("write {others} in the URL"))
    }

    /// Why no Sentinel has answered: what each of them had, in order.
    pub fn out_of_reach(self, mut faults: Vec<(HostPort, Fault)>) -> Fault {
        faults.sort_by(|(a, _), (b, _)| a.cmp(b));
        // What can be mended here comes before what may pass.
        let is_telling = |fault: &&Fault| matches!(fault.kind, FaultKind::Auth | FaultKind::NoPerm);
        let all = || faults.iter().map(|(_, fault)| fault);
        let kind =
            all().find(is_telling).or_else(|| all().next()).map_or(FaultKind::Connect, |fault| fault.kind);
        let reasons = all().map(|fault| fault.parts().0).collect::<Vec<_>>().join("; ");
        let advice = all().filter(|fault| fault.kind == kind).find_map(|fault| fault.parts().1);
        let fault =
            Fault::new(kind, format!("no Sentinel says where {:?} is: {reasons}", self.sentinel.service));
        match advice {
            Some(advice) => fault.advising(advice),
            None => fault,
        }
    }
}

/// The fault of a Sentinel, with what to mend.
fn advised(fault: Fault, sentinel: &Sentinel) -> Fault {
    match fault.kind {
        FaultKind::Auth if sentinel.password.is_some() => {
            fault.without_advice().advising("check redis[].sentinel.username and .password")
        }
        FaultKind::Auth => fault.without_advice().advising(
            "the Sentinels have users of their own: set redis[].sentinel.password_file, and username where they have one",
        ),
        FaultKind::Server if fault.message.contains("unknown command") => {
            fault.advising("this is no Sentinel: write its port, or redis:// for a single server")
        }
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(port: u16) -> HostPort {
        HostPort { host: "h".into(), port }
    }

    fn process(port: u16, flags: &str, has_lost_primary: bool) -> Watched {
        Watched { name: "shop".into(), place: place(port), flags: flags.into(), epoch: 1, has_lost_primary }
    }

    fn answer(replicas: &[Watched]) -> Answer {
        Answer { primary: process(1, "master", false), replicas: replicas.to_vec(), sentinels: Vec::new() }
    }

    #[test]
    fn a_replica_is_kept_until_it_fails() {
        let [two, three] = [2, 3].map(|port| process(port, "slave", false));
        let both = answer(&[three.clone(), two.clone()]);
        assert_eq!(both.replica(None, &[]), Some(&place(2)));
        assert_eq!(both.replica(Some(&place(3)), &[]), Some(&place(3)));
        let fault = Fault::new(FaultKind::Timeout, "h:3 hangs");
        assert_eq!(both.replica(Some(&place(3)), &[(place(3), fault)]), Some(&place(2)));
        let down = answer(&[two, process(3, "s_down,slave", false)]);
        assert_eq!(down.replica(Some(&place(3)), &[]), Some(&place(2)));
        for doubtful in [process(2, "slave,disconnected", false), process(2, "slave", true)] {
            let both = answer(&[doubtful.clone(), three.clone()]);
            assert_eq!(both.replica(None, &[]), Some(&place(3)));
            assert_eq!(both.replica(Some(&place(2)), &[]), Some(&place(2)));
            assert_eq!(answer(&[doubtful]).replica(None, &[]), Some(&place(2)));
        }
        // After a failover the old primary is listed as a replica, and the new one no more: or not yet.
        assert_eq!(answer(&[process(1, "slave", false)]).replica(Some(&place(1)), &[]), None);
    }

    #[test]
    fn what_is_told_of_replicas_names_each() {
        let message = answer(&[]).no_replica(&[]).message.clone();
        assert_eq!(
            message,
            "the Sentinels know no replica of \"shop\": start one, or set read_from to primary"
        );
        let fault = Fault::new(FaultKind::Timeout, "h:2 hangs");
        let down = answer(&[process(2, "slave", false), process(3, "s_down,slave,disconnected", false)]);
        let fault = down.no_replica(&[(place(2), fault)]);
        assert_eq!(fault.kind, FaultKind::Timeout);
        assert_eq!(
            fault.message,
            "no replica of \"shop\" can be read: h:2 hangs; h:3 is s_down, disconnected"
        );
    }
}
