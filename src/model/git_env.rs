//! Which variables of our environment the program `git` gets. It talks to remotes as whoever runs slm does, and needs no token of ours.

/// Variables that git gets when they are there: where it finds programs, keys and settings, how it reaches a remote, and whom it trusts.
const KEPT: [&str; 41] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "GNUPGHOME",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_PROXY_COMMAND",
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "GIT_SSL_NO_VERIFY",
    "GIT_SSL_VERSION",
    "GIT_HTTP_LOW_SPEED_LIMIT",
    "GIT_HTTP_LOW_SPEED_TIME",
    "GIT_HTTP_USER_AGENT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// Variable that names more of them, with commas between, for a credential helper of this machine.
pub const MORE: &str = "SLM_GIT_ENV";

/// The names of all of them, `more` being what [`MORE`] holds.
pub fn names(more: Option<&str>) -> impl Iterator<Item = &str> {
    let more = more.into_iter().flat_map(|names| names.split(',')).map(str::trim);
    KEPT.into_iter().chain(more.filter(|name| !name.is_empty() && !name.contains('=')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_gets_what_reaches_a_remote_and_what_was_named_and_nothing_that_would_point_it_elsewhere() {
        let all: Vec<&str> = names(Some("GH_TOKEN, CI_JOB_TOKEN,,A=B")).collect();
        for name in ["HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "https_proxy", "SSL_CERT_FILE", "GH_TOKEN", "CI_JOB_TOKEN"] {
            assert!(all.contains(&name), "{name}");
        }
        // A hook runs with these, and they would have git work on another repository.
        for name in
            ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_TRACE_CURL", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "", "A=B"]
        {
            assert!(!all.contains(&name), "{name}");
        }
        assert_eq!(names(None).count(), KEPT.len());
    }
}
