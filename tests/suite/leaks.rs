//! Looks for secrets where none may be, in every form they could take: what is said and logged, git, what is sent, process lists.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use slm::host::clock::SystemClock;
use slm::model::catalog::SecretRef;
use slm::transport::vault::Vault;
use slm::world::SecretStore;

use crate::aws::config;
use crate::support::{Ran, Server, World};

/// What is shorter than this could stand somewhere by chance.
const SHORT: usize = 8;

/// Every text that tells `secret`, or half of it.
pub fn forms(secret: &str) -> BTreeSet<String> {
    let bytes = secret.as_bytes();
    let each = |of: &dyn Fn(u8) -> String| bytes.iter().map(|byte| of(*byte)).collect::<String>();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let but_plain = |of: &dyn Fn(u8) -> String| each(&|byte| if plain(byte) { char::from(byte).to_string() } else { of(byte) });
    let json = serde_json::to_string(secret).unwrap();
    let json = &json[1..json.len() - 1];
    let mut all = vec![
        secret.to_owned(),
        each(&|byte| format!("{byte:02x}")),
        each(&|byte| format!("{byte:02X}")),
        each(&|byte| format!("%{byte:02X}")),
        each(&|byte| format!("%{byte:02x}")),
        but_plain(&|byte| format!("%{byte:02X}")),
        but_plain(&|byte| format!("%{byte:02x}")),
        but_plain(&|byte| if byte == b' ' { "+".to_owned() } else { format!("%{byte:02X}") }),
        json.to_owned(),
        json.replace('/', "\\/"),
        each(&|byte| format!("\\u{byte:04x}")),
        each(&|byte| format!("\\x{byte:02x}")),
        each(&|byte| format!("\\{byte:03o}")),
        but_plain(&|byte| format!("\\{}", char::from(byte))),
        secret.replace('\'', r"'\''"),
        format!("{:?}", bytes).trim_matches(['[', ']']).to_owned(),
        secret.escape_debug().to_string(),
    ];
    for before in 0..3 {
        let text = base64(bytes, before);
        all.push(text.replace('+', "-").replace('/', "_"));
        all.push(text);
    }
    let middle = secret.len() / 2;
    if middle >= SHORT && secret.is_char_boundary(middle) {
        all.extend([secret[..middle].to_owned(), secret[middle..].to_owned()]);
    }
    all.into_iter().filter(|form| form.len() >= SHORT.min(secret.len())).collect()
}

/// The characters of base64 that `bytes` alone decides when `before` others stand before them.
fn base64(bytes: &[u8], before: usize) -> String {
    let text = STANDARD.encode([vec![0; before].as_slice(), bytes].concat());
    let first = (before * 8).div_ceil(6);
    let last = (before + bytes.len()) * 8 / 6;
    text[first..last].to_owned()
}

#[test]
fn a_secret_is_found_in_whatever_form_and_company_it_stands() {
    let secret = "Va/l+ue'of a \"key\"\n%1";
    let all = forms(secret);
    let within = |text: &str| all.iter().any(|form| text.contains(form));
    for company in ["", "a", "ab", "abc", "user:"] {
        let bytes = format!("{company}{secret}{company}");
        assert!(within(&STANDARD.encode(&bytes)) && within(&URL_SAFE.encode(&bytes)), "{company}");
        assert!(within(&serde_json::json!({ "k": [bytes] }).to_string()), "{company}");
        assert!(within(&format!("{bytes:?}")) && within(&format!("{:?}", bytes.as_bytes())), "{company}");
    }
    let (url, hex) = ("Va%2Fl%2Bue%27of%20a%20%22key%22%0A%251", "56612f6c2b7565276f66206120226b6579220a2531");
    for text in [url, hex, &hex.to_uppercase(), "Va/l+ue'of", &secret.replace('\'', r"'\''")] {
        assert!(within(text), "{text}");
    }
    assert!(!within("Va/l+ue") && !within("some other text"), "a shorter part is no find");
    assert_eq!(forms("short").iter().map(String::len).min(), Some(5));
}

/// What is written to it by anybody.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// No level of `-v` lets them log; this is what stands behind that.
#[test]
fn the_clients_of_aws_tell_no_value_at_trace_either() {
    let (server, written) = (Server::moto(), Written::default());
    let shared = written.clone();
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let all = all.with_writer(move || shared.clone()).finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(all, || {
        runtime.block_on(async {
            let client = aws_sdk_secretsmanager::Client::new(&config(&server.endpoint, "eu-west-1", None).await);
            client.create_secret().name("one").secret_string("canary-of-the-wire-5d1c").send().await.unwrap();
            client.get_secret_value().secret_id("one").send().await.unwrap();
        });
    });
    let text = String::from_utf8_lossy(&written.0.lock().unwrap()).into_owned();
    assert!(text.contains("TRACE") && text.contains("secretsmanager"), "they log");
    untold("what they log", &text, &["canary-of-the-wire-5d1c"]);
}

/// Asserts that `text` tells none of `secrets`; `what` says what it is of.
#[track_caller]
pub fn untold(what: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!secret.is_empty());
        for form in forms(secret) {
            assert!(
                !text.contains(&form),
                "{what}: a secret is told, in the form that begins with `{}`",
                &form[..form.len().min(3)]
            );
        }
    }
}

/// Asserts that no form of any of `secrets` was said or logged in `said`, was seen of a process meanwhile, or is in any object of git.
#[track_caller]
pub fn never_told(world: &World, said: &[Ran], secrets: &[&str]) {
    let objects = world.git_objects();
    assert!(!said.is_empty() && !objects.is_empty());
    untold("git", &String::from_utf8_lossy(&objects), secrets);
    assert!(said.iter().any(|ran| ran.processes.contains("-vvv")), "no process was looked at");
    for ran in said {
        untold("standard output", &ran.out, secrets);
        untold("standard error", &ran.err, secrets);
        untold("a list of processes", &ran.processes, secrets);
    }
}

/// Every value that the vault of a scaffolded `world` keeps under `name`, whatever its version.
pub fn kept(world: &World, name: &str) -> Vec<String> {
    let vault = Vault::open(world.root().join("vault.age"), world.outside("slm.age-identity"), Arc::new(SystemClock));
    let secret = SecretRef { source: "local".into(), region: ".".to_owned(), name: name.to_owned() };
    futures::executor::block_on(async {
        let versions = vault.describe(&secret).await.unwrap().versions;
        let read = versions.keys().map(|version| vault.read(&secret, version));
        let values = futures::future::try_join_all(read).await.unwrap();
        values.iter().map(|value| String::from_utf8(value.expose().to_vec()).unwrap()).collect()
    })
}

/// Looks at a process and all it starts while it runs: their words, and what it adds to the environment of what it starts.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<String>,
}

impl Watch {
    /// Begins to look at `process`.
    pub fn of(process: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                look(process, None, &mut seen);
                std::thread::sleep(Duration::from_millis(2));
            }
            seen.into_iter().collect::<Vec<_>>().join("\n")
        });
        Self { stop, thread }
    }

    /// Everything that was seen.
    pub fn end(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// What `process` shows of itself. What the test gave to the first one in its environment is passed over in those it starts, which
/// inherit it; so is all of a child that is not yet another program than `parent`.
fn look(process: u32, parent: Option<(&str, &BTreeSet<String>)>, seen: &mut BTreeSet<String>) {
    let read = |file: &str| {
        let bytes = fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', "\n")
    };
    let words = read("cmdline");
    let own: BTreeSet<String> = read("environ").lines().map(str::to_owned).collect();
    if let Some((_, given)) = parent.filter(|(before, _)| *before != words) {
        seen.extend(own.difference(given).cloned());
    }
    let given = parent.map_or(&own, |(_, given)| given);
    for task in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
            look(child, Some((&words, given)), seen);
        }
    }
    seen.insert(words);
}
