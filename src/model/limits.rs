//! Limits on what is measured and shown, and what they leave out: counted, told, and never taken for zero.

use super::fault::{Fault, FaultKind};

macro_rules! limits {
    ($($(#[$doc:meta])* $variant:ident = $label:literal, $setting:literal, $flag:literal;)+) => {
        /// A limit: the `limit` label of `streamgauge_limit_dropped_total`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit { $($(#[$doc])* $variant,)+ }

        impl Limit {
            /// Every limit, in the order of the counters.
            pub const ALL: &'static [Limit] = &[$(Limit::$variant),+];

            /// The label's value, and what is limited.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Limit::$variant => $label,)+ }
            }

            /// The setting that raises it.
            #[must_use]
            pub fn setting(self) -> &'static str {
                match self { $(Limit::$variant => $setting,)+ }
            }

            /// The same on the command line.
            fn flag(self) -> &'static str {
                match self { $(Limit::$variant => $flag,)+ }
            }
        }
    };
}

limits! {
    /// Streams of a database.
    Streams = "streams", "redis[].limits.streams", "--limits.streams";
    /// Groups of a stream.
    Groups = "groups", "redis[].limits.groups_per_stream", "--limits.groups-per-stream";
    /// Consumers of a group.
    Consumers = "consumers", "redis[].limits.consumers_per_group", "--limits.consumers-per-group";
}

/// What a limit leaves out in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The limit.
    pub limit: Limit,
    /// How many it leaves out.
    pub left_out: u64,
    /// The same in words, with the mend.
    pub fault: Fault,
}

impl Cut {
    /// `what` says what is there and what becomes of it.
    #[must_use]
    pub fn new(limit: Limit, left_out: u64, what: &str) -> Self {
        let message = format!("{what} (raise {} or {})", limit.setting(), limit.flag());
        Cut { limit, left_out, fault: Fault::new(FaultKind::TooMany, message) }
    }
}

/// Which items of a list are kept, where there may be at most so many: those that must be, and then the first ones in
/// order. It is the same ones at every poll, as long as the list stays the same.
#[must_use]
pub fn keep<T: Ord>(items: &[T], must: impl Fn(&T) -> bool, most: usize) -> Vec<bool> {
    let mut kept: Vec<bool> = items.iter().map(must).collect();
    let room = most.saturating_sub(kept.iter().filter(|kept| **kept).count());
    let mut others: Vec<usize> = (0..items.len()).filter(|place| !kept[*place]).collect();
    others.sort_unstable_by(|a, b| items[*a].cmp(&items[*b]));
    others.into_iter().take(room).for_each(|place| kept[place] = true);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(items: &[&'static str], must: &[&str], most: usize) -> Vec<&'static str> {
        let kept = keep(items, |item| must.contains(item), most);
        items.iter().zip(kept).filter(|(_, kept)| *kept).map(|(item, _)| *item).collect()
    }

    #[test]
    fn the_first_ones_are_kept_and_those_that_must_be() {
        assert_eq!(kept(&["c", "a", "b"], &[], 3), ["c", "a", "b"]);
        assert_eq!(kept(&["c", "a", "b"], &[], 2), ["a", "b"]);
        assert_eq!(kept(&["c", "a", "b"], &["c"], 2), ["c", "a"]);
        assert_eq!(kept(&["c", "a", "b"], &["c", "b"], 1), ["c", "b"]);
    }

    #[test]
    fn a_cut_names_its_mend() {
        let cut = Cut::new(Limit::Groups, 3, "it has 4 groups, more than 1: 3 left out");
        let mend = "(raise redis[].limits.groups_per_stream or --limits.groups-per-stream)";
        assert_eq!(cut.fault.message, format!("it has 4 groups, more than 1: 3 left out {mend}"));
    }
}
