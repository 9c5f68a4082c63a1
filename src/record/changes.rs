//! What is other between two versions of a file of lines: lines that went and lines that came, in no more text than they are.

use std::collections::HashMap;

/// How many lines may have come or gone at one place for what follows to be found again at once.
const NEAR: usize = 8;

/// The lines of `old` that are not in `new`, each after a `-`, then those of `new` that are not in `old`, each after a `+`. Lines that stand
/// across from each other are compared and no more; only what is left is looked for elsewhere.
#[must_use]
pub fn between(old: &str, new: &str) -> String {
    let (old, new) = middle(old, new);
    let [old, new] = apart([old.lines().collect(), new.lines().collect()]);
    let mut surplus: HashMap<&str, i64> = HashMap::new();
    old.iter().for_each(|line| *surplus.entry(line).or_default() -= 1);
    new.iter().for_each(|line| *surplus.entry(line).or_default() += 1);
    let mut text = String::new();
    for (sign, lines, step) in [('-', old, 1), ('+', new, -1)] {
        for line in lines {
            if let Some(rest) = surplus.get_mut(line).filter(|rest| **rest * step < 0) {
                *rest += step;
                text.push(sign);
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

/// Both without the lines that stand across from each other, as far as they come and go.
fn apart([old, new]: [Vec<&str>; 2]) -> [Vec<&str>; 2] {
    let (mut left, mut right) = (0, 0);
    let mut rest = [Vec::new(), Vec::new()];
    while left < old.len() && right < new.len() {
        if old[left] == new[right] {
            (left, right) = (left + 1, right + 1);
            continue;
        }
        let (gone, come) = until_alike(&old[left..], &new[right..]);
        rest[0].extend_from_slice(&old[left..left + gone]);
        rest[1].extend_from_slice(&new[right..right + come]);
        (left, right) = (left + gone, right + come);
    }
    rest[0].extend_from_slice(&old[left..]);
    rest[1].extend_from_slice(&new[right..]);
    rest
}

/// The fewest lines of each after which both go on alike; one of each where that is not near.
fn until_alike(old: &[&str], new: &[&str]) -> (usize, usize) {
    let places = (1..=NEAR).flat_map(|both| (0..=both).map(move |gone| (gone, both - gone)));
    let alike = |(gone, come): &(usize, usize)| matches!((old.get(*gone), new.get(*come)), (Some(one), Some(two)) if one == two);
    places.into_iter().find(alike).unwrap_or((1, 1))
}

/// Both without the whole lines that they begin and end with alike.
fn middle<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let (before, after) = (old.as_bytes(), new.as_bytes());
    let alike = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let start = before[..alike].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (before, after) = (&before[start..], &after[start..]);
    let alike = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    // What the common end begins with is no whole line unless a line ends right before it.
    let whole = |bytes: &[u8]| bytes.len() == alike || bytes[bytes.len() - alike - 1] == b'\n';
    let end = if whole(before) && whole(after) {
        alike
    } else {
        let common = &before[before.len() - alike..];
        common.iter().position(|byte| *byte == b'\n').map_or(0, |at| alike - at - 1)
    };
    (&old[start..old.len() - end], &new[start..new.len() - end])
}

/// The lines of what [`between`] made: true and a line that came, or false and one that went.
pub fn lines(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.lines().filter_map(|line| match line.as_bytes().first() {
        Some(b'+') => Some((true, &line[1..])),
        Some(b'-') => Some((false, &line[1..])),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_lines_that_differ_are_told() {
        assert_eq!(between("a\nb\nc\n", "a\nB\nc\n"), "-b\n+B\n");
        assert_eq!(between("", "a\n"), "+a\n");
        assert_eq!(between("a\nab\n", "ab\n"), "-a\n");
        assert_eq!(between("xa\n", "a\n"), "-xa\n+a\n");
        assert_eq!(between("a\na\n", "a\n"), "-a\n");
        assert_eq!(between("é\n", "è\n"), "-é\n+è\n");
        assert_eq!(between("a\n", "a\n"), "");
        // What moved is not told, however far.
        let lines: Vec<String> = (0..40).map(|line| format!("{line}\n")).collect();
        let (all, rest) = (lines.concat(), lines[1..].concat());
        assert_eq!(between(&all, &(rest.clone() + "0\n")), "");
        assert_eq!(between(&all, &(rest + "x\n")), "-0\n+x\n");
    }

    proptest! {
        #[test]
        fn lines_that_went_and_came_lead_from_one_to_the_other(
            old in proptest::collection::vec("[abé]{0,2}", 0..30),
            new in proptest::collection::vec("[abé]{0,2}", 0..30),
        ) {
            let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let mut have = old.clone();
            for (came, line) in lines(&between(&text(&old), &text(&new))) {
                if came {
                    have.push(line.to_owned());
                } else {
                    let at = have.iter().position(|one| one == line);
                    prop_assert!(at.is_some(), "{line} went and was not there");
                    have.swap_remove(at.unwrap());
                }
            }
            let (mut wanted, shared) = (new.clone(), new.iter().filter(|line| old.contains(line)).count());
            have.sort();
            wanted.sort();
            prop_assert_eq!(have, wanted);
            prop_assert!(shared > 0 || lines(&between(&text(&old), &text(&new))).count() == old.len() + new.len());
        }
    }
}
