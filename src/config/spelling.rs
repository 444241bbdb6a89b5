//! What somebody meant who misspelled something.

/// The candidate that is closest to a word, by its last part where dots divide it: at most one letter in three is wrong,
/// and at most three.
pub fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = word.rsplit('.').next().unwrap_or(word);
    let most = last.len().div_ceil(3).min(3);
    candidates
        .map(|known| (strsim::damerau_levenshtein(known, word), known))
        .filter(|(distance, _)| *distance <= most && *distance < last.len())
        .min()
        .map(|(_, known)| known)
}
