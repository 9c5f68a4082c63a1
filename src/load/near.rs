//! The near-miss name in a complaint.

/// Greatest edit distance at which two names count as near.
const DISTANCE: usize = 2;
/// Least Jaro similarity at which two names count as near.
const SIMILARITY: f64 = 0.85;

/// The candidate nearest to `wrong`, when one is near enough.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = candidates.into_iter().map(|name| (strsim::damerau_levenshtein(wrong, name), strsim::jaro(wrong, name), name));
    ranked
        .filter(|(distance, jaro, name)| (*distance <= DISTANCE && *distance < name.chars().count()) || *jaro > SIMILARITY)
        .min_by(|a, b| (a.0, a.2).cmp(&(b.0, b.2)))
        .map(|(.., name)| name)
}

/// The question that proposes the nearest candidate.
pub fn did_you_mean<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(wrong, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// Names in backticks with commas, or a dash when there are none.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_proposed_and_a_far_one_is_not() {
        assert_eq!(nearest("craeted", ["created", "active"]), Some("created"));
        assert_eq!(nearest("CC6.11", ["CC6.1", "CC7.1"]), Some("CC6.1"));
        assert_eq!(nearest("zebra", ["created", "active"]), None);
        assert_eq!(nearest("x", ["y", "z"]), None);
    }
}
