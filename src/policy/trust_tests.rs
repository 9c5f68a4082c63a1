//! Trust policies against the two forms of `sub`, and everything that people get wrong in them.

use proptest::prelude::*;

use super::*;

const HOST: &str = "token.actions.githubusercontent.com";
const PLAIN: &str = "repo:octocat/my-repo:ref:refs/heads/main";
const NUMBERED: &str = "repo:octocat@123456/my-repo@456789:ref:refs/heads/main";

fn claims(sub: &str) -> Claims {
    Claims::of(&json!({
        "iss": format!("https://{HOST}"), "aud": "sts.amazonaws.com", "sub": sub, "repository": "octocat/my-repo",
        "repository_owner_id": "123456", "repository_id": "456789", "exp": 1_800_000_000,
    }))
}

fn policy(conditions: &Json) -> Json {
    json!({ "Statement": {
        "Effect": "Allow", "Action": ACTION, "Condition": conditions,
        "Principal": { "Federated": format!("arn:aws:iam::123456789012:oidc-provider/{HOST}") },
    } })
}

fn key(claim: &str) -> String {
    format!("{HOST}:{claim}")
}

/// What does not match.
fn wrong(policy: &Json, sub: &str) -> Vec<String> {
    let explained = explain(policy, &claims(sub));
    let wrong: Vec<String> = explained.lines.iter().filter(|line| !line.matches).map(|line| line.what.clone()).collect();
    assert_eq!(explained.matches, wrong.is_empty(), "{explained:?}");
    wrong
}

#[test]
fn the_policy_that_is_proposed_lets_both_forms_in_and_no_other_repository() {
    for sub in [PLAIN, NUMBERED] {
        let proposed = wanted("aws", "123456789012", &claims(sub));
        for form in [PLAIN, NUMBERED] {
            assert_eq!(wrong(&proposed, form), Vec::<String>::new());
        }
        for other in [
            "repo:octocat/my-repo:pull_request",
            "repo:octocat@1/my-repo@456789:ref:refs/heads/main",
            "repo:octocat/my-repo2:ref:refs/heads/main",
        ] {
            assert_eq!(wrong(&proposed, other).len(), 1, "{other}");
        }
    }
    let custom = wanted("aws", "123456789012", &claims("environment:production"));
    assert_eq!(wrong(&custom, "environment:production"), Vec::<String>::new());
    let provider = |partition| wanted(partition, "123456789012", &claims(PLAIN))["Statement"][0]["Principal"]["Federated"].clone();
    assert_eq!(provider("aws-us-gov"), format!("arn:aws-us-gov:iam::123456789012:oidc-provider/{HOST}"));
}

#[test]
fn where_the_numbers_are_not_told_the_form_of_the_token_alone_is_proposed() {
    let mut told = claims(PLAIN);
    assert!(told.has_both_forms());
    told.0.remove("repository_id");
    assert!(!told.has_both_forms());
    let subs = &wanted("aws", "123456789012", &told)["Statement"][0]["Condition"]["StringEquals"][key("sub")];
    assert_eq!(*subs, json!([PLAIN]));
}

#[test]
fn a_policy_of_the_other_form_is_told_as_that() {
    let plain = policy(&json!({ "StringLike": { key("sub"): "repo:octocat/my-repo:*" } }));
    assert_eq!(wrong(&plain, PLAIN), Vec::<String>::new());
    assert_eq!(
        wrong(&plain, NUMBERED),
        [format!(
            "statement 1: `StringLike` of `{HOST}:sub`: `repo:octocat/my-repo:*` does not match `{NUMBERED}`; the token names owner and repository with their numbers, as for repositories made, renamed or moved since 2026-07-15"
        )]
    );
    let numbered = policy(&json!({ "StringEquals": { key("sub"): [NUMBERED] } }));
    assert!(
        wrong(&numbered, PLAIN)[0]
            .ends_with("; the token names owner and repository without their numbers, as for repositories of before 2026-07-15")
    );
}

#[test]
fn what_people_get_wrong_is_named() {
    for (conditions, said) in [
        (json!({ "StringEquals": { key("sub"): "repo:octocat/*" } }), "stand for themselves there: write `StringLike`"),
        (json!({ "StringEquals": { key("aud"): "https://github.com/octocat" } }), "; ask for the token with this audience"),
        (json!({ "StringEquals": { key("sub"): "repo:OctoCat/my-repo:ref:refs/heads/main" } }), "; capitals matter"),
        (json!({ "StringLike": { key("sub"): "repo:octocat/my-repo:environment:*" } }), "says what set the job going"),
        (
            json!({ "StringEquals": { "githubusercontent.com:sub": PLAIN } }),
            "the key must begin with `token.actions.githubusercontent.com:`",
        ),
        (json!({ "StringEquals": { key("team"): "x" } }), "the token has no claim `team`"),
        (json!({ "DateLessThan": { key("sub"): "2026" } }), "slm cannot judge this operator"),
        (json!({ "StringNotLike": { key("sub"): "repo:octocat/*" } }), "does not match"),
    ] {
        let wrong = wrong(&policy(&conditions), PLAIN);
        assert!(wrong.len() == 1 && wrong[0].contains(said), "{wrong:?} has no `{said}`");
    }
    let other = json!({ "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": "ec2.amazonaws.com" } }] });
    assert_eq!(
        wrong(&other, PLAIN),
        [
            format!("statement 1: the action must be `{ACTION}`, not `sts:AssumeRole`"),
            format!("statement 1: the principal must be `Federated`, an ARN that ends in `:oidc-provider/{HOST}`"),
        ]
    );
    assert_eq!(wrong(&json!({}), PLAIN), ["the policy has no statement"]);
}

#[test]
fn one_statement_that_matches_is_enough_unless_another_denies() {
    let good = policy(&json!({ "StringEquals": { key("sub"): PLAIN } }))["Statement"].clone();
    let bad = policy(&json!({ "StringEquals": { key("sub"): "repo:x/y:z" } }))["Statement"].clone();
    assert!(explain(&json!({ "Statement": [bad, good] }), &claims(PLAIN)).matches);
    let mut deny = good.clone();
    deny["Effect"] = json!("Deny");
    let explained = explain(&json!({ "Statement": [good, deny] }), &claims(PLAIN));
    assert!(!explained.matches && explained.lines.last().unwrap().what == "statement 2: it matches, and denies");
}

proptest! {
    #[test]
    fn a_pattern_is_matched_as_a_regular_expression_would(pattern in "[ab*?]{0,7}", text in "[ab]{0,7}") {
        // The same by the plainest means: every way to read the pattern.
        fn slow(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.first(), text.first()) {
                (None, None) => true,
                (Some(b'*'), _) => slow(&pattern[1..], text) || (!text.is_empty() && slow(pattern, &text[1..])),
                (Some(b'?'), Some(_)) => slow(&pattern[1..], &text[1..]),
                (Some(one), Some(other)) if one == other => slow(&pattern[1..], &text[1..]),
                _ => false,
            }
        }
        prop_assert_eq!(like(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn what_is_proposed_for_any_token_lets_that_token_in(owner in "[a-zA-Z0-9-]{1,12}", name in "[a-zA-Z0-9._-]{1,12}", rest in "[ -~]{0,30}", numbers in any::<bool>()) {
        let repo = if numbers { format!("{owner}@1/{name}@2") } else { format!("{owner}/{name}") };
        let payload = json!({
            "iss": "https://ghe.example.com/_services/token", "aud": "sts.amazonaws.com", "sub": format!("repo:{repo}:{rest}"),
            "repository": format!("{owner}/{name}"), "repository_owner_id": 1, "repository_id": 2,
        });
        let claims = Claims::of(&payload);
        prop_assert!(explain(&wanted("aws", "123456789012", &claims), &claims).matches);
    }
}
