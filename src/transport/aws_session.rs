//! AWS sessions: one for each account, region and role, with bounded retries, all under one rate of requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_sts::config::{RuntimeComponents, SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::sync::Mutex;

use super::actions_oidc::{Federated, Identity};
use super::aws_received::Whole;
use super::budget::Budget;
use super::cloudtrail::LOOKUPS_PER_SECOND;
use crate::model::catalog::AwsSource;

/// Attempts for one request, the first included.
const ATTEMPTS: u32 = 4;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an answer may take to begin, from when the request was sent: waiting for the budget does not count.
const ANSWER: Duration = Duration::from_secs(15);
/// How long an operation may take with its retries and its waits for the budget.
const OPERATION: Duration = Duration::from_secs(300);

/// The sessions of one run. Each is made once and shared by everything that calls there, so that a role is assumed once.
pub struct Sessions {
    budget: Budget,
    http: SharedHttpClient,
    made: Mutex<Vec<Made>>,
    /// The pace of lookups in the log of calls of each account and region.
    lookups: Lock<BTreeMap<(String, String), Budget>>,
    /// The identity of a CI job and the role it takes, instead of the default credential chain.
    job: Option<(Arc<Identity>, String)>,
}

struct Made {
    source: AwsSource,
    region: String,
    role: Option<String>,
    name: String,
    config: SdkConfig,
}

impl Sessions {
    /// No session yet; every request of those to come takes from `budget`.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let http = SharedHttpClient::new(Paced { inner: client(), budget: budget.clone() });
        Self { budget, http, made: Mutex::default(), lookups: Lock::default(), job: None }
    }

    /// Where no profile is named, calls as `role`, which is taken by the identity of the CI job.
    #[must_use]
    pub fn as_job(mut self, identity: Identity, role: String) -> Self {
        self.job = Some((Arc::new(identity), role));
        self
    }

    /// The budget, for what else the run calls.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget.clone()
    }

    /// The pace at which the log of calls of `source` in `region` is asked, whoever asks it in this run.
    #[must_use]
    pub fn lookups(&self, source: &AwsSource, region: &str) -> Budget {
        let mut all = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (source.account.clone(), region.to_owned());
        all.entry(place).or_insert_with(|| Budget::per_second(LOOKUPS_PER_SECOND)).clone()
    }

    /// The session for `region` of `source`: the default credential chain or a profile, then `role` when given, assumed as `name`,
    /// which every request says in its user agent as well.
    pub async fn get(&self, source: &AwsSource, region: &str, role: Option<&str>, name: &str) -> SdkConfig {
        let mut made = self.made.lock().await;
        let same = |one: &&Made| one.source == *source && one.region == region && one.role.as_deref() == role && one.name == name;
        if let Some(found) = made.iter().find(same) {
            return found.config.clone();
        }
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        let mut loader = loader.http_client(self.http.clone());
        if let Some(job) = self.job.as_ref().filter(|_| source.profile.is_none()) {
            loader = loader.credentials_provider(self.federated(job, source, region, name).await);
        }
        let config = session_from(loader, source, region, role, name).await;
        let (region, role, name) = (region.to_owned(), role.map(str::to_owned), name.to_owned());
        made.push(Made { source: source.clone(), region, role, name, config: config.clone() });
        config
    }

    /// Credentials by the identity of the job. Its STS is asked under the same budget, and without any.
    async fn federated(
        &self,
        (identity, role): &(Arc<Identity>, String),
        source: &AwsSource,
        region: &str,
        name: &str,
    ) -> Federated {
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(self.http.clone()).no_credentials();
        let sts = aws_sdk_sts::Client::new(&session_from(loader, source, region, None, name).await);
        Federated { identity: Arc::clone(identity), role: role.clone(), session: name.to_owned(), sts }
    }
}

/// One session that calls as `name` on top of `loader`, whose credentials replace the default chain when it has any; under no budget but its own.
pub async fn session_from(loader: ConfigLoader, source: &AwsSource, region: &str, role: Option<&str>, name: &str) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(ANSWER).operation_timeout(OPERATION).build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(5));
    let loader = loader.region(Region::new(region.to_owned())).retry_config(retries).timeout_config(timeouts);
    // Assuming a role is a request like any other, and may have to wait.
    let mut loader = loader.identity_cache(IdentityCache::lazy().load_timeout(OPERATION).build());
    if let Some(profile) = &source.profile {
        // The default chain would take keys of the environment before the profile that was asked for.
        let place = ProviderConfig::without_region().with_region(Some(Region::new(region.to_owned())));
        let keys = ProfileFileCredentialsProvider::builder().configure(&place).profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(keys);
    }
    if let Some(endpoint) = &source.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    // A name that no user agent can carry is left out there.
    if let Ok(app) = AppName::new(name.to_owned()) {
        loader = loader.app_name(app);
    }
    let base = loader.load().await;
    let http = Whole(base.http_client().unwrap_or_else(client));
    let base = base.into_builder().http_client(http).build();
    let Some(role) = role else { return base };
    let provider =
        AssumeRoleProvider::builder(role).session_name(name).region(Region::new(region.to_owned())).configure(&base).build().await;
    base.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

/// The client the SDK takes by itself. It connects to nothing yet.
fn client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

/// A client whose every request, retries and assumed roles included, takes from the budget before it is sent.
#[derive(Debug)]
struct Paced<T> {
    inner: T,
    budget: Budget,
}

impl HttpClient for Paced<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Paced { inner, budget: self.budget.clone() })
    }
}

impl HttpConnector for Paced<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, budget) = (self.inner.clone(), self.budget.clone());
        HttpConnectorFuture::new(async move {
            budget.take().await;
            // What is asked is in this header where it is in no path; a body is never told.
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let host = request.uri().split('/').nth(2).unwrap_or_default();
            tracing::debug!(method = request.method(), host, target, "request");
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::config::Credentials;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    /// A network that is down.
    #[derive(Debug)]
    struct Down;

    impl HttpClient for Down {
        fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(Down)
        }
    }

    impl HttpConnector for Down {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::ready(Err(ConnectorError::io("down".into())))
        }
    }

    fn source() -> AwsSource {
        AwsSource {
            account: "123456789012".to_owned(),
            regions: vec!["eu-west-1".to_owned()],
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            ..AwsSource::default()
        }
    }

    async fn call(budget: &Budget, role: Option<&str>) {
        let http = SharedHttpClient::new(Paced { inner: SharedHttpClient::new(Down), budget: budget.clone() });
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "test", None, None, "test");
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).credentials_provider(credentials).http_client(http);
        let config = session_from(loader, &source(), "eu-west-1", role, "test").await;
        aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap_err();
    }

    #[tokio::test]
    async fn every_attempt_takes_from_the_budget_and_so_does_assuming_a_role() {
        let budget = Budget::slow(100);
        call(&budget, None).await;
        assert_eq!(budget.taken(), u64::from(ATTEMPTS));
        let budget = Budget::slow(100);
        call(&budget, Some("arn:aws:iam::123456789012:role/read")).await;
        assert!(budget.taken() >= 1, "nothing but assuming the role was tried");
    }

    #[tokio::test]
    async fn a_session_is_made_once_for_each_account_region_and_role() {
        let sessions = Sessions::new(Budget::per_second(1));
        for (region, role) in [("eu-west-1", None), ("eu-west-1", Some("r")), ("us-east-1", None), ("eu-west-1", None)] {
            let config = sessions.get(&source(), region, role, "test").await;
            assert_eq!(config.region().map(AsRef::as_ref), Some(region));
        }
        assert_eq!(sessions.made.lock().await.len(), 3);
    }

    #[tokio::test]
    async fn whoever_asks_the_log_of_an_account_and_region_does_so_at_one_pace() {
        let sessions = Sessions::new(Budget::per_second(1));
        for _ in 0..2 {
            sessions.lookups(&source(), "eu-west-1").take().await;
        }
        assert_eq!(sessions.lookups(&source(), "eu-west-1").taken(), 2);
        assert_eq!(sessions.lookups(&source(), "us-east-1").taken(), 0);
    }

    #[tokio::test]
    async fn a_session_says_its_name_in_the_user_agent_with_a_role_and_without_and_another_name_is_another_session() {
        let sessions = Sessions::new(Budget::per_second(1));
        for (role, name) in [(None, "slm-9f2c41d07ab3"), (Some("r"), "slm-9f2c41d07ab3"), (None, "slm-read")] {
            let config = sessions.get(&source(), "eu-west-1", role, name).await;
            assert_eq!(config.app_name().map(AsRef::as_ref), Some(name));
        }
        assert_eq!(sessions.made.lock().await.len(), 3);
        let odd = sessions.get(&source(), "eu-west-1", None, "no agent").await;
        assert_eq!(odd.app_name(), None, "what cannot be said there is left out");
    }
}
