//! The trust policy of an IAM role, as IAM tells it.

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use serde_json::Value as Json;

use super::aws::Failure;
use crate::world::{ErrorClass, WorldError};

/// A role, by the parts of its ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The whole of it.
    pub arn: String,
    /// `aws`, or that of another part of AWS: `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// Twelve digits.
    pub account: String,
    /// Its name, without the path before it.
    pub name: String,
}

impl Role {
    /// The role that `arn` names; `None` when it names none.
    #[must_use]
    pub fn of(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, role] = parts[..] else { return None };
        let name = role.strip_prefix("role/")?.rsplit('/').next()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
        let whole = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let named = (1..=64).contains(&name.len()) && name.bytes().all(plain);
        let (arn, partition) = (arn.to_owned(), partition.to_owned());
        let known = ["aws", "aws-cn", "aws-us-gov"].contains(&partition.as_str());
        (known && whole && named).then(|| Self { arn, partition, account: account.to_owned(), name: name.to_owned() })
    }

    /// A region in which its part of AWS answers for IAM.
    #[must_use]
    pub fn region(&self) -> &'static str {
        match self.partition.as_str() {
            "aws-cn" => "cn-north-1",
            "aws-us-gov" => "us-gov-west-1",
            _ => "us-east-1",
        }
    }

    /// Its trust policy, asked of IAM by `config`.
    ///
    /// # Errors
    /// When IAM does not tell it, or tells of another role: the credentials are of another account.
    pub async fn trust_policy(&self, config: &SdkConfig) -> Result<Json, WorldError> {
        let operation = format!("read the trust policy of `{}`", self.arn);
        let wrong =
            |cause: &str| WorldError { class: ErrorClass::Permanent, operation: operation.clone(), cause: cause.to_owned() };
        let answer = Client::new(config).get_role().role_name(&self.name).send().await;
        let answer = answer.map_err(|error| Failure::of(&error).during(operation.clone()))?;
        let role = answer.role().ok_or_else(|| wrong("the answer has no role"))?;
        if role.arn() != self.arn {
            return Err(wrong(&format!("the credentials are of another account or path, whose role is `{}`", role.arn())));
        }
        let text = role.assume_role_policy_document().ok_or_else(|| wrong("the answer has no policy"))?;
        read(text).ok_or_else(|| wrong("the policy is no JSON"))
    }
}

/// A policy as IAM writes it: JSON, with most of it percent-encoded.
fn read(text: &str) -> Option<Json> {
    if let Ok(plain) = serde_json::from_str(text) {
        return Some(plain);
    }
    serde_json::from_str(&decoded(text)?).ok()
}

/// `text` without percent encoding.
#[must_use]
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_a_role_with_its_account_and_part_of_aws_or_none() {
        let role = Role::of("arn:aws-us-gov:iam::123456789012:role/ci/team/slm-apply").unwrap();
        assert_eq!((role.account.as_str(), role.name.as_str()), ("123456789012", "slm-apply"));
        assert_eq!((role.partition.as_str(), role.region()), ("aws-us-gov", "us-gov-west-1"));
        assert_eq!(Role::of("arn:aws-cn:iam::123456789012:role/a").map(|role| role.region()), Some("cn-north-1"));
        assert_eq!(Role::of("arn:aws:iam::123456789012:role/a").map(|role| role.region()), Some("us-east-1"));
        for wrong in [
            "",
            "slm-ci",
            "arn:aws:iam::123456789012:user/slm",
            "arn:aws:iam::1234:role/slm",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:sts::123456789012:assumed-role/slm/x",
            "arn:elsewhere:iam::123456789012:role/slm",
        ] {
            assert_eq!(Role::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_policy_is_read_as_it_is_and_as_iam_encodes_it() {
        let policy = serde_json::json!({ "Statement": [{ "Effect": "Allow" }] });
        assert_eq!(read(&policy.to_string()), Some(policy.clone()));
        assert_eq!(read("%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%7D%5D%7D"), Some(policy));
        for wrong in ["", "%7", "%zz", "%7B"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
