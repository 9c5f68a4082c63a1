//! GraphQL answers: errors come with status 200, beside data that is missing what they speak of.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::github::Answer;
use super::github_failure::Failure;

/// Something a GraphQL answer leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omitted {
    /// The names on the way to it, without indices; empty for the whole answer.
    pub path: Vec<String>,
    /// [`Failure::Withheld`] or [`Failure::Partial`].
    pub failure: Failure,
}

#[derive(Deserialize)]
struct Envelope {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<Error>,
}

#[derive(Deserialize)]
struct Error {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    path: Vec<Value>,
}

impl Error {
    fn failure(&self) -> Failure {
        match self.kind.as_deref() {
            Some("FORBIDDEN" | "INSUFFICIENT_SCOPES" | "NOT_FOUND" | "UNAUTHORIZED") => Failure::Withheld,
            _ => Failure::Partial,
        }
    }

    fn omitted(&self) -> Omitted {
        let names = self.path.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Omitted { path: names, failure: self.failure() }
    }
}

impl Answer {
    /// The data of a GraphQL answer as `T`, and what it leaves out.
    ///
    /// # Errors
    /// No data, or data of another shape.
    pub fn graph<T: DeserializeOwned>(&self) -> Result<(T, Vec<Omitted>), Failure> {
        let answer: Envelope = self.read()?;
        let failure = answer.errors.first().map_or(Failure::Shape, Error::failure);
        let data = answer.data.filter(|data| !data.is_null()).ok_or(failure)?;
        let data = serde_json::from_value(data).map_err(|_| failure)?;
        Ok((data, answer.errors.iter().map(Error::omitted).collect()))
    }
}

/// True when the GraphQL answer `body` is that a limit is spent.
pub(super) fn limited(body: &str) -> bool {
    let limit = |error: &Error| matches!(error.kind.as_deref(), Some("RATE_LIMITED" | "RATE_LIMIT"));
    serde_json::from_str::<Envelope>(body).is_ok_and(|answer| answer.errors.iter().any(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<(Value, Vec<Omitted>), Failure> {
        Answer { body: body.to_owned(), next: None, scopes: None }.graph()
    }

    #[test]
    fn an_answer_without_data_is_a_failure_and_never_empty() {
        for (body, want) in [
            (r#"{"data":null,"errors":[{"type":"FORBIDDEN","message":"no"}]}"#, Failure::Withheld),
            (r#"{"errors":[{"message":"Something went wrong"}]}"#, Failure::Partial),
            (r#"{"data":null}"#, Failure::Shape),
            ("{}", Failure::Shape),
            ("[]", Failure::Shape),
        ] {
            assert_eq!(read(body).err(), Some(want), "{body}");
        }
    }

    #[test]
    fn what_an_answer_leaves_out_is_named_by_its_path() {
        let body = r#"{"data":{"a":[{"b":null}]},"errors":[{"type":"INSUFFICIENT_SCOPES","path":["a",0,"b"]}]}"#;
        let omitted = Omitted { path: vec!["a".to_owned(), "b".to_owned()], failure: Failure::Withheld };
        assert_eq!(read(body), Ok((serde_json::json!({"a":[{"b":null}]}), vec![omitted])));
    }

    #[test]
    fn a_spent_limit_is_told_from_other_errors() {
        assert!(limited(r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#));
        assert!(!limited(r#"{"data":{},"errors":[{"type":"FORBIDDEN"}]}"#));
        assert!(!limited(r#"{"data":{"type":"RATE_LIMITED"}}"#));
    }
}
