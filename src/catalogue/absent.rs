//! What an autoscaler is told of a group that has no sample of a metric.

use crate::model::{
    lag::{Lag, Policy},
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

pub(super) fn nothing_pending(group: &Group) -> Result<f64, &str> {
    match &group.oldest_pending {
        Err(fault) => Err(&fault.message),
        Ok(None) => Ok(0.0),
        Ok(Some(_)) => Err("the IDs of its entries are not times"),
    }
}

pub(super) fn not_draining(group: &Group) -> Result<f64, &str> {
    match group.backlog(Policy::default()) {
        Some(0) => Ok(0.0),
        _ => Err("its backlog does not shrink, or is not known"),
    }
}

pub(super) fn never_active(_: &Group) -> Result<f64, &str> {
    Err("a consumer never got an entry, or Redis is older than 7.2")
}
