//! What is other between two versions of a file of lines: lines that went and lines that came, in no more text than they are.

use std::collections::HashMap;

/// The lines of `old` that are not in `new`, each after a `-`, then those of `new` that are not in `old`, each after a `+`. Takes time in
/// the length of what lies between the first and the last difference, beside one comparison.
#[must_use]
pub fn between(old: &str, new: &str) -> String {
    let (old, new) = middle(old, new);
    let mut surplus: HashMap<&str, i64> = HashMap::new();
    old.lines().for_each(|line| *surplus.entry(line).or_default() -= 1);
    new.lines().for_each(|line| *surplus.entry(line).or_default() += 1);
    let mut text = String::new();
    for (sign, lines, step) in [('-', old, 1), ('+', new, -1)] {
        for line in lines.lines() {
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
    }

    proptest! {
        #[test]
        fn lines_that_went_and_came_lead_from_one_to_the_other(
            old in proptest::collection::vec("[abé]{0,2}", 0..8),
            new in proptest::collection::vec("[abé]{0,2}", 0..8),
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
