//! Whether those who are declared to read a secret were seen to read its version in force, in the event history of `CloudTrail`.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::model::id::VersionId;
use crate::model::readers::Readers;
use crate::model::time::Timestamp;
use crate::model::usage::Calls;
use crate::transport::cloudtrail::{By, History};

/// How long an answer is good for: `CloudTrail` is minutes late, and lets an account ask twice a second.
const GOOD: Duration = Duration::from_mins(1);

/// Readers of one secret.
pub struct CloudTrailReaders {
    history: History,
    principals: Vec<String>,
    asked: Mutex<Option<Asked>>,
}

/// What was answered, and when.
struct Asked {
    at: Instant,
    version: VersionId,
    calls: Calls,
}

impl CloudTrailReaders {
    /// Looks for `principals` in `history`, that of the region the secret is in.
    #[must_use]
    pub fn new(history: History, principals: Vec<String>) -> Self {
        Self { history, principals, asked: Mutex::default() }
    }

    /// Who was seen to read `version`, in force, of the secret with this name and ARN, which was written at `made`. It is asked once a
    /// minute at most, so that within it what is answered is what was so then.
    pub(super) async fn seen(&self, (name, arn): (&str, &str), version: &VersionId, made: Timestamp) -> Readers {
        let mut asked = self.asked.lock().await;
        let good = asked.as_ref().is_some_and(|asked| asked.at.elapsed() < GOOD);
        if !good {
            let calls = self.history.calls(By::Version(name, arn, version.as_str()), made).await;
            *asked = Some(Asked { at: Instant::now(), version: version.clone(), calls });
        }
        match asked.as_ref().filter(|asked| asked.version == *version) {
            Some(asked) => Readers::of(&self.principals, &asked.calls),
            None => self.unseen("CloudTrail was asked of the version before less than a minute ago"),
        }
    }

    /// Nobody was seen, for this reason.
    pub(super) fn unseen(&self, why: &str) -> Readers {
        Readers::of(&self.principals, &Calls { unseen: vec![why.to_owned()], ..Calls::default() })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_sts::config::Credentials;
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::transport::budget::Budget;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf";
    /// Who reads.
    pub const APP: &str = "arn:aws:iam::123456789012:role/app";
    const JOB: &str = "arn:aws:iam::123456789012:role/job";

    /// A log that says the same whatever it is asked, and counts how often it is.
    #[derive(Clone, Debug)]
    struct Log {
        status: u16,
        body: String,
        asked: Arc<AtomicUsize>,
    }

    impl HttpClient for Log {
        fn http_connector(
            &self,
            _: &HttpConnectorSettings,
            _: &aws_smithy_runtime_api::client::runtime_components::RuntimeComponents,
        ) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Log {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let body = SdkBody::from(self.body.as_str());
            HttpConnectorFuture::ready(Ok(HttpResponse::new(self.status.try_into().unwrap(), body)))
        }
    }

    /// A reading by `principal` at this second, of what `more` asks for.
    pub fn reading(principal: &str, second: i64, more: &str) -> String {
        let record = format!(
            r#"{{"userIdentity":{{"sessionContext":{{"sessionIssuer":{{"arn":"{principal}"}}}}}},"requestParameters":{{"secretId":"prod/db"{more}}}}}"#
        );
        let record = serde_json::Value::from(record);
        format!(
            r#"{{"EventName":"GetSecretValue","EventId":"{principal} {second}","EventTime":{second},"CloudTrailEvent":{record}}}"#
        )
    }

    /// Readers for whom the log answers with `body`, and how often it was asked.
    pub async fn readers(status: u16, body: &str) -> (CloudTrailReaders, Arc<AtomicUsize>) {
        let log = Log { status, body: body.to_owned(), asked: Arc::default() };
        let asked = Arc::clone(&log.asked);
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "test", None, None, "test");
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).credentials_provider(credentials).http_client(log);
        let config = loader.region(Region::new("eu-west-1")).load().await;
        let history = History::new(&config, "eu-west-1", Budget::per_second(1_000));
        (CloudTrailReaders::new(history, vec![APP.to_owned(), JOB.to_owned()]), asked)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    async fn seen(readers: &CloudTrailReaders, version: &str) -> Readers {
        readers.seen(("prod/db", ARN), &version.into(), at(50)).await
    }

    #[tokio::test]
    async fn each_is_told_by_the_last_reading_of_the_version_and_one_of_another_is_none() {
        let all = [
            reading(APP, 101, ""),
            reading(APP, 140, r#","versionStage":"AWSCURRENT""#),
            reading(APP, 160, r#","versionStage":"AWSPREVIOUS""#),
            reading(JOB, 150, r#","versionId":"v1""#),
            reading(JOB, 130, r#","versionId":"v2""#),
        ];
        let (readers, _) = readers(200, &format!(r#"{{"Events":[{}]}}"#, all.join(","))).await;
        let found = seen(&readers, "v2").await;
        assert_eq!(found.last, [(APP.to_owned(), Some(at(140))), (JOB.to_owned(), Some(at(130)))].into());
        assert_eq!((found.unseen.len(), found.unread(Some(at(130)))), (0, vec![JOB]));
    }

    #[tokio::test]
    async fn it_is_asked_once_a_minute_and_what_was_said_of_one_version_is_said_of_no_other() {
        let (readers, asked) = readers(200, &format!(r#"{{"Events":[{}]}}"#, reading(APP, 101, ""))).await;
        let first = seen(&readers, "v1").await;
        assert_eq!((seen(&readers, "v1").await, asked.load(Ordering::SeqCst)), (first, 2), "by its ARN and by its name");
        let other = seen(&readers, "v2").await;
        assert_eq!((other.unread(Some(at(1))), asked.load(Ordering::SeqCst)), (vec![APP, JOB], 2));
        assert_eq!(other.unseen, ["CloudTrail was asked of the version before less than a minute ago"]);
        readers.asked.lock().await.as_mut().unwrap().at -= GOOD;
        assert_eq!((seen(&readers, "v2").await.unread(Some(at(1))), asked.load(Ordering::SeqCst)), (vec![JOB], 4));
    }

    #[tokio::test]
    async fn a_log_that_refuses_or_goes_on_for_ever_has_shown_nobody() {
        for (status, body, why) in [
            (400, r#"{"__type":"AccessDeniedException"}"#, "CloudTrail of eu-west-1: AccessDeniedException (HTTP 400)"),
            (400, r#"{"__type":"ThrottlingException"}"#, "CloudTrail of eu-west-1: ThrottlingException (HTTP 400)"),
            (200, r#"{"Events":[],"NextToken":"same"}"#, "CloudTrail of eu-west-1: it repeats a page token"),
        ] {
            let (readers, _) = readers(status, body).await;
            let found = seen(&readers, "v1").await;
            assert_eq!((found.unread(Some(at(1))), &found.unseen[..]), (vec![APP, JOB], &[why.to_owned()][..]));
        }
    }
}
