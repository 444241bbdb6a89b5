//! What an autoscaler is told of a group without a sample: a number that is as true, or why there is none.

use crate::model::{
    lag::{Lag, Policy, undelivered::Undelivered},
    snapshot::Group,
};

/// Of a metric that every series has.
pub(super) fn unmeasured(_: &Group) -> Result<f64, &str> {
    Err("it was not measured")
}

pub(super) fn unproved(group: &Group) -> Result<f64, &str> {
    Err(match group.lag {
        Lag::NoGroup { .. } => "the group does not exist",
        _ => "its lag is only known to lie between two bounds",
    })
}

const NO_TIMES: &str = "the IDs of its entries are not times";

pub(super) fn nothing_undelivered(group: &Group) -> Result<f64, &str> {
    match (&group.oldest_undelivered, group.lag) {
        (Err(fault), _) => Err(&fault.message),
        (Ok(Undelivered::Nothing), _) => Ok(0.0),
        (Ok(Undelivered::Oldest(_)), _) => Err(NO_TIMES),
        (Ok(Undelivered::Unknown), Lag::NoGroup { .. }) => Err("the group does not exist"),
        (Ok(Undelivered::Unknown), _) => {
            Err("its oldest undelivered entry was not found within the budget of the lag settings")
        }
    }
}

pub(super) fn nothing_pending(group: &Group) -> Result<f64, &str> {
    no_pending(group, NO_TIMES)
}

pub(super) fn pending_unjudged(group: &Group) -> Result<f64, &str> {
    no_pending(group, "whether its oldest pending entry still exists is not known")
}

/// That nothing is pending is a number; something that is has none for this reason.
fn no_pending<'a>(group: &'a Group, why: &'static str) -> Result<f64, &'a str> {
    match &group.oldest_pending {
        Err(fault) => Err(&fault.message),
        Ok(None) => Ok(0.0),
        Ok(Some(_)) => Err(why),
    }
}

pub(super) fn not_draining(group: &Group) -> Result<f64, &str> {
    match group.backlog(Policy::default()) {
        Some(0) => Ok(0.0),
        _ => Err("its backlog is not being worked off, or is not known"),
    }
}

pub(super) fn never_active(_: &Group) -> Result<f64, &str> {
    Err("a consumer never got an entry, or Redis is older than 7.2")
}
