//! Whose streams are looked for: all, those of a share, or those of other shards that somebody asks for.

use std::sync::Arc;

use super::{
    discover::Known,
    invited::{Invitation, Invited},
};
use crate::{
    config::RedisServer,
    model::{guests::Heard, name::Name, pattern::Glob, share::Share},
};

/// Which of the streams that the configuration names are measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope {
    /// Those of a share; all, where there is none.
    Own(Option<Share>),
    /// Those of others that somebody asks for.
    Guests(Arc<Invitation>),
}

/// The names of one database that come under a scope, kept between polls.
#[derive(Debug)]
pub enum Roll {
    /// Of a share, or all.
    Own(Known),
    /// Of others.
    Guests(Box<Invited>),
}

impl Scope {
    /// The share that it is, or that it leaves out.
    #[must_use]
    pub fn share(&self) -> Option<Share> {
        match self {
            Scope::Own(share) => *share,
            Scope::Guests(invitation) => Some(invitation.share),
        }
    }
}

impl Roll {
    /// What is named; nothing is found yet.
    #[must_use]
    pub fn new(server: &RedisServer, scope: &Scope) -> Roll {
        match scope {
            Scope::Own(share) => Roll::Own(Known::new(server, *share)),
            Scope::Guests(invitation) => Roll::Guests(Box::new(Invited::new(server, invitation))),
        }
    }

    /// Goes over to another scope, if nothing has to be searched for that was not before; says whether it did.
    pub fn goes_over_to(&mut self, scope: &Scope) -> bool {
        match (self, scope) {
            (Roll::Guests(invited), Scope::Guests(invitation)) => invited.goes_over_to(invitation),
            _ => false,
        }
    }

    /// What to look for.
    #[must_use]
    pub fn globs(&self) -> &[Glob] {
        match self {
            Roll::Own(known) => known.globs(),
            Roll::Guests(invited) => invited.globs(),
        }
    }

    /// All names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        match self {
            Roll::Own(known) => known.names(),
            Roll::Guests(invited) => invited.names(),
        }
    }

    /// Whether a name is configured: then its stream is shown even if it does not exist.
    #[must_use]
    pub fn is_configured(&self, name: &Name) -> bool {
        match self {
            Roll::Own(known) => known.is_configured(name),
            Roll::Guests(invited) => invited.is_configured(name),
        }
    }

    /// Streams were found. Returns how many are left out without anybody being told elsewhere.
    pub fn extend(&mut self, found: impl IntoIterator<Item = Name>) -> u64 {
        match self {
            Roll::Own(known) => known.extend(found),
            Roll::Guests(invited) => {
                invited.extend(found);
                0
            }
        }
    }

    /// Whether a stream was found, and need not be found again. Of guests none: what each glob means is counted anew.
    #[must_use]
    pub fn has_found(&self, name: &[u8]) -> bool {
        match self {
            Roll::Own(known) => known.has_found(name),
            Roll::Guests(_) => false,
        }
    }

    /// What was found of a share; of guests nothing, for each glob means what it found as a whole.
    pub fn take_found(&mut self) -> Vec<Name> {
        match self {
            Roll::Own(known) => known.take_found(),
            Roll::Guests(_) => Vec::new(),
        }
    }

    /// A stream that was found is gone.
    pub fn forget(&mut self, name: &Name) {
        match self {
            Roll::Own(known) => known.forget(name),
            Roll::Guests(invited) => invited.forget(name),
        }
    }

    /// What came of the wishes, where there are any.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        match self {
            Roll::Own(_) => Vec::new(),
            Roll::Guests(invited) => invited.heard(),
        }
    }
}
