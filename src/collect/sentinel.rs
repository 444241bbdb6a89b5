//! Sentinels: which process of a service is the primary, and which ones are its replicas.
//!
//! One Sentinel is asked at the beginning and at the end of each poll, over a connection that is kept. Where its answer is
//! of no use, all are asked side by side, and the latest configuration among their answers counts: a Sentinel that was
//! cut off or restarted may not have heard of a failover yet. What they say is held against what the process itself says
//! (`Role`), and where the process is not what it should be, they are asked again within the same poll.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt as _},
};
use tokio::time::{Instant, timeout, timeout_at};

use self::service::Answer;
use super::{connect::Link, journal::Journal, locate::Located, trust::Role};
use crate::{
    config::{Address, HostPort, ReadFrom},
    model::fault::{Fault, FaultKind},
};

mod service;

pub use service::Service;

/// Longest time to wait for the one Sentinel that is asked alone before the others are asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time that the other Sentinels have after the first one has answered.
const GRACE: Duration = Duration::from_millis(200);

/// The Sentinels of one server, and what they said last.
#[derive(Default)]
pub struct Sentinels {
    /// The one that is asked alone.
    kept: Option<Link>,
    /// Those that the latest answer tells of: they may be there when all that are configured have moved.
    others: BTreeSet<HostPort>,
    latest: Option<Answer>,
    /// Why no Sentinel can be asked at the moment.
    outage: Option<Fault>,
    /// The process that is polled.
    current: Option<HostPort>,
    /// Replicas that could not be read in this poll, and why.
    failed: Vec<(HostPort, Fault)>,
    /// Commands sent, until somebody counts them.
    pub commands: u64,
}

impl Sentinels {
    /// The process to poll.
    ///
    /// # Errors
    /// No Sentinel knows, or none ever said.
    pub async fn locate(&mut self, service: Service<'_>, journal: &mut Journal) -> Result<Located, Fault> {
        self.failed.clear();
        if !self.ask_kept(service).await {
            self.ask_all(service, journal).await?;
        }
        self.process(service, journal)
    }

    /// Asks every Sentinel that is configured or heard of, for a look at once; `None` from one that does not watch the
    /// service.
    pub async fn each(service: Service<'_>) -> BTreeMap<HostPort, Result<Option<Answer>, Fault>> {
        let mut said = BTreeMap::new();
        let mut open: BTreeSet<_> = service.sentinel.seeds.iter().cloned().collect();
        while !open.is_empty() {
            let asked = open.into_iter().map(async |place| (service.open(&place).await, place));
            let answers = join_all(asked).await;
            said.extend(answers.into_iter().map(|(said, place)| (place, said.map(|(_, answer)| answer))));
            let known = said.values().filter_map(|said| said.as_ref().ok()?.as_ref());
            let heard = known.flat_map(|answer| answer.sentinels.iter().map(|other| other.place.clone()));
            open = heard.filter(|place| !said.contains_key(place)).collect();
        }
        said
    }

    /// The process to poll in place of one that was just polled, with this fault or with none; `None` if it was the right
    /// one.
    ///
    /// # Errors
    /// There is no better one: the fault, with what the Sentinels say.
    pub async fn check(
        &mut self,
        service: Service<'_>,
        journal: &mut Journal,
        polled: &Located,
        fault: Option<&Fault>,
    ) -> Result<Option<Located>, Fault> {
        match fault {
            // If it hung in the midst of the poll, another one may have taken its place since.
            None if self.ask_kept(service).await => {}
            // A Sentinel that was there a moment ago is looked for with the next poll.
            None if self.outage.is_some() => return Ok(None),
            None => self.ask_all(service, journal).await?,
            Some(fault) if !may_be_elsewhere(fault) => return Ok(None),
            Some(fault) => {
                self.ask_all(service, journal).await?;
                self.failed.extend(self.current.iter().map(|place| (place.clone(), fault.clone())));
            }
        }
        let process = self.process(service, journal)?;
        match fault {
            _ if process != *polled => Ok(Some(process)),
            Some(fault) => Err(self.explained(fault.clone())),
            None => Ok(None),
        }
    }

    /// Whether the Sentinel that was asked before has an answer, and none that is older than what is known.
    async fn ask_kept(&mut self, service: Service<'_>) -> bool {
        let Some(mut link) = self.kept.take() else { return false };
        let said = timeout(PATIENCE, service.ask(&mut link)).await;
        self.commands += link.sent.take();
        match said {
            Ok(Ok(Some(answer))) if !self.is_ahead_of(&answer) => self.take_in(link, answer),
            _ => return false,
        }
        true
    }

    /// Asks all Sentinels. If none of them can be asked, what was said last still holds: that they are away does not make
    /// the numbers of the server wrong.
    async fn ask_all(&mut self, service: Service<'_>, journal: &mut Journal) -> Result<(), Fault> {
        self.kept = None;
        let mut silent: BTreeSet<_> = service.sentinel.seeds.iter().chain(&self.others).cloned().collect();
        let all = silent.len();
        let asked = silent.clone().into_iter().map(async |place| (service.open(&place).await, place));
        let mut asked: FuturesUnordered<_> = asked.collect();
        let (mut best, mut unaware, mut faults) = (None::<(Link, Answer)>, None, Vec::new());
        // Where something is known already, the poll does not wait for it to be said again.
        let mut until = self.latest.is_some().then(|| Instant::now() + PATIENCE);
        loop {
            let next = match until {
                None => asked.next().await,
                Some(until) => timeout_at(until, asked.next()).await.unwrap_or(None),
            };
            let Some((said, place)) = next else { break };
            silent.remove(&place);
            let (link, answer) = match said {
                Ok(said) => said,
                Err(fault) => {
                    faults.push((place, fault));
                    continue;
                }
            };
            self.commands += link.sent.take();
            let Some(answer) = answer else {
                unaware = Some(link);
                continue;
            };
            let grace = Instant::now() + GRACE;
            until = Some(until.map_or(grace, |until| until.min(grace)));
            if best.as_ref().is_none_or(|(_, best)| best.is_before(&answer)) {
                best = Some((link, answer));
            }
        }
        drop(asked);
        // What a few say counts for less than what is known.
        let are_most = (all - silent.len() - faults.len()) * 2 > all;
        faults.extend(silent.into_iter().map(|place| {
            let fault = Fault::new(FaultKind::Timeout, "no answer").during(&place);
            (place, fault)
        }));
        let fault = match (best, unaware) {
            (Some((link, answer)), _) if are_most || !self.is_ahead_of(&answer) => {
                self.take_in(link, answer);
                journal.sentinels(None);
                return Ok(());
            }
            (Some(_), _) => {
                let message = "only Sentinels that have not heard of the latest failover can be asked";
                Fault::new(FaultKind::Connect, message)
            }
            (None, Some(link)) => {
                if are_most {
                    self.latest = None;
                }
                service.not_watched(link).await
            }
            (None, None) => service.out_of_reach(faults),
        };
        if self.latest.is_none() {
            return Err(fault);
        }
        journal.sentinels(Some(&fault));
        self.outage = Some(fault);
        Ok(())
    }

    /// Whether one of them has answered when it was asked last.
    pub fn are_in_reach(&self) -> bool {
        self.latest.is_some() && self.outage.is_none()
    }

    /// Whether more is known already than an answer tells.
    fn is_ahead_of(&self, answer: &Answer) -> bool {
        self.latest.as_ref().is_some_and(|latest| answer.is_before(latest))
    }

    fn take_in(&mut self, link: Link, answer: Answer) {
        self.others = answer.sentinels.iter().map(|other| other.place.clone()).collect();
        (self.kept, self.latest, self.outage) = (Some(link), Some(answer), None);
    }

    /// The process to poll, by the latest answer.
    fn process(&mut self, service: Service<'_>, journal: &Journal) -> Result<Located, Fault> {
        let Some(latest) = &self.latest else { return Err(service.out_of_reach(Vec::new())) };
        let (place, role) = match service.server.read_from {
            ReadFrom::Primary => (&latest.primary.place, Role::Primary),
            ReadFrom::Replica => {
                let chosen = latest.replica(self.current.as_ref(), &self.failed);
                (chosen.ok_or_else(|| latest.no_replica(&self.failed))?, Role::Replica)
            }
        };
        let place = place.clone();
        journal.process(self.current.as_ref(), &place, role);
        self.current = Some(place.clone());
        Ok(Located { addresses: vec![Address::Tcp(place)], role: Some(role) })
    }

    /// The fault of a process, with what the Sentinels say of it.
    fn explained(&self, fault: Fault) -> Fault {
        let troubles = self.latest.as_ref().and_then(|latest| latest.primary.troubles());
        match (&self.outage, troubles) {
            (Some(outage), _) => {
                fault.advising(format!("whether another one is the primary now is not known: {outage}"))
            }
            (None, Some(troubles)) => fault.advising(format!(
                "the Sentinels say that it is down ({troubles}), and name no other primary yet"
            )),
            (None, None) if fault.kind == FaultKind::WrongRole => {
                fault.advising("the Sentinels name no other primary yet")
            }
            (None, None) => fault,
        }
    }
}

/// Whether a fault of a process may come from its having another role now, or none.
fn may_be_elsewhere(fault: &Fault) -> bool {
    use FaultKind::{Connect, Disconnected, Loading, MasterDown, Timeout, WrongRole};
    matches!(fault.kind, Connect | Disconnected | Loading | MasterDown | Timeout | WrongRole)
}
