//! What several suites start: emulators, the built binary, git.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use slm::world::{Collected, ConsumerView, ErrorClass, WorldError};

use crate::leaks::Watch;

/// An emulator on a port of its own, ended on drop.
pub struct Server {
    child: Child,
    pub endpoint: String,
}

impl Server {
    pub fn moto() -> Self {
        Self::start("moto", &["-H", "127.0.0.1", "-p"], &[], &[])
    }

    pub fn moto_that_checks_credentials() -> Self {
        Self::start("moto", &["-H", "127.0.0.1", "-p"], &[], &[("INITIAL_NO_AUTH_ACTION_COUNT", "0")])
    }

    pub fn roto() -> Self {
        Self::start("roto", &["--host", "127.0.0.1", "--port"], &["--ephemeral"], &[])
    }

    /// The one that logs every call as CloudTrail does.
    pub fn ministack() -> Self {
        let port = free_port();
        let env =
            [("BIND_HOST", "127.0.0.1"), ("GATEWAY_PORT", port.as_str()), ("CLOUDTRAIL_RECORDING", "1"), ("IOT_MTLS_ENABLED", "0")];
        Self::spawn(
            "ministack",
            port.parse().unwrap(),
            &[],
            &[env.as_slice(), &[("MINISTACK_ACCOUNT_ID", "123456789012")]].concat(),
        )
    }

    fn start(name: &str, before: &[&str], after: &[&str], env: &[(&str, &str)]) -> Self {
        let port = free_port();
        Self::spawn(name, port.parse().unwrap(), &[before, &[port.as_str()], after].concat(), env)
    }

    fn spawn(name: &str, port: u16, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/emulators.sh");
        let path = Command::new(script).args(["path", name]).output().unwrap();
        assert!(path.status.success(), "{name} is not installed: run `scripts/emulators.sh install`");
        let binary = String::from_utf8(path.stdout).unwrap();
        let mut command = Command::new(binary.trim());
        command.args(arguments).envs(env.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, endpoint: format!("http://127.0.0.1:{port}") };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "{name} did not start listening");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How one call of the binary ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
    /// What was to be seen of its processes, when somebody looked.
    pub processes: String,
}

impl Ran {
    /// Its output as JSON.
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }

    /// Asserts the exit code, and shows what was said when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    /// Asserts that `text` was said on standard output or standard error.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "`{text}` is not in {}{}", self.out, self.err);
        self
    }
}

/// One HTTP request, whole.
pub struct Request {
    /// The request line, then the headers.
    pub lines: Vec<String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn read(stream: impl Read) -> std::io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut request = Self { lines: Vec::new(), body: Vec::new() };
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? <= 2 {
                break;
            }
            request.lines.push(line.trim_end().to_owned());
        }
        let length = request.header("content-length").and_then(|length| length.parse().ok());
        request.body.resize(length.unwrap_or(0), 0);
        reader.read_exact(&mut request.body)?;
        Ok(request)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// What `server` answers to it: status and JSON.
    pub fn forwarded(&self, server: &str) -> (u16, Json) {
        let mut stream = TcpStream::connect(server).unwrap();
        let head: Vec<&str> = self.lines.iter().map(String::as_str).filter(|line| !line.starts_with("connection:")).collect();
        write!(stream, "{}\r\nconnection: close\r\n\r\n", head.join("\r\n")).unwrap();
        stream.write_all(&self.body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// Method and address.
    pub fn asked(&self) -> &str {
        self.lines.first().map_or("", |line| line.trim_end_matches(" HTTP/1.1"))
    }
}

/// What a consumer says that is between two versions.
pub fn at(stored: Option<&str>, running: Option<&str>) -> ConsumerView {
    ConsumerView { stored: stored.map(Into::into), running: running.map(Into::into), ..ConsumerView::default() }
}

/// Class and cause of an error that says no planted secret.
pub fn shown<T>(result: Result<T, WorldError>) -> (ErrorClass, String) {
    let error = result.err().expect("an error");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");
    (error.class, error.cause)
}

/// Runs the built binary in `at`, without the environment of the caller.
pub fn slm(at: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Ran {
    ran(command(at, arguments, env).output().unwrap())
}

/// The same, with `seen` told its process id while it runs; `None` when it was killed.
pub fn slm_watched(at: &Path, arguments: &[&str], env: &[(&str, &str)], seen: impl FnOnce(u32)) -> Option<Ran> {
    let child = command(at, arguments, env).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    seen(child.id());
    let output = child.wait_with_output().unwrap();
    output.status.code().is_some().then(|| ran(output))
}

/// What `child`, which was started by [`World::start`], came to.
pub fn ended(child: Child) -> Ran {
    ran(child.wait_with_output().unwrap())
}

/// The same, and the most memory it held at any time, in MB of a million bytes. `SLM_BIN` names another binary to run.
pub fn slm_measured(at: &Path, arguments: &[&str], env: &[(&str, &str)]) -> (Ran, f64) {
    let child = command(at, arguments, env).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0.0_f64;
        // The line is gone as soon as the process has ended.
        while let Some(kb) = fs::read_to_string(&status).ok().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok())
        }) {
            peak = peak.max(kb * 1024.0 / 1e6);
            std::thread::sleep(Duration::from_millis(1));
        }
        peak
    });
    let output = child.wait_with_output().unwrap();
    (ran(output), watch.join().unwrap())
}

fn command(at: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::var_os("SLM_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_slm").into()));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", at).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.current_dir(at).args(arguments).envs(env.iter().copied());
    command
}

fn ran(Output { status, stdout, stderr }: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr), processes: String::new() }
}

/// Runs git in `at`, where it must succeed.
#[track_caller]
pub fn git(at: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("git").current_dir(at).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The content of every object of the repository at `at`, reachable or not.
pub fn git_objects(at: &Path) -> Vec<u8> {
    git(at, &["cat-file", "--batch-all-objects", "--batch", "--unordered"])
}

/// True when `needle` is in `hay`.
pub fn contains(hay: &[u8], needle: &str) -> bool {
    assert!(!needle.is_empty());
    hay.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// What was recorded of the life of each version of `credential`.
pub fn lives(world: &World, credential: &str) -> Vec<Json> {
    let root = world.root();
    let folder = format!("rotations/{credential}/");
    let listed = String::from_utf8(git(&root, &["ls-tree", "-r", "--name-only", "slm/evidence", &folder])).unwrap();
    let read = |path: &str| serde_json::from_slice(&git(&root, &["show", &format!("slm/evidence:{path}")])).unwrap();
    listed.lines().map(read).collect()
}

/// A config repo of its own; what is kept outside the repo lies beside it.
pub struct World {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl World {
    /// An empty folder.
    pub fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), env: Vec::new() };
        fs::create_dir(world.root()).unwrap();
        world
    }

    /// What `slm init` makes, committed.
    pub fn scaffolded() -> Self {
        let world = Self::new();
        world.slm(&["init"]).exits(0).says("Wrote slm.toml");
        world.commit();
        world
    }

    /// Sets a variable for every later call.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn slm(&self, arguments: &[&str]) -> Ran {
        let env: Vec<(&str, &str)> = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        slm(&self.root(), arguments, &env)
    }

    /// Runs it with everything it can log, and looks at its processes meanwhile.
    pub fn heard(&self, arguments: &[&str]) -> Ran {
        let mut watch = None;
        let loud = [arguments, &["-vvv", "--log-json"]].concat();
        let ran = self.slm_watched(&loud, |process| watch = Some(Watch::of(process)));
        let processes = watch.unwrap().end();
        Ran { processes, ..ran.expect("nobody kills it") }
    }

    /// Runs it with `seen` told its process id; `None` when it was killed.
    pub fn slm_watched(&self, arguments: &[&str], seen: impl FnOnce(u32)) -> Option<Ran> {
        let env: Vec<(&str, &str)> = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        slm_watched(&self.root(), arguments, &env, seen)
    }

    /// Starts it in a group of its own, as a shell does.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let env: Vec<(&str, &str)> = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut command = command(&self.root(), arguments, &env);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces `from`, which must be there, in the file at `path`.
    #[track_caller]
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "`{from}` is not in {path}");
        self.write(path, &text.replace(from, to));
    }

    /// Has it look at the account that moto has at `endpoint`, by the shipped ROT-01.
    pub fn looks_at(&self, endpoint: &str) {
        self.ship(&["ROT-01"]);
        let source = "account = \"123456789012\", regions = [\"eu-west-1\"]";
        self.write(
            "slm.toml",
            &format!(
                "[source.prod]\naws = {{ {source}, endpoint = \"{endpoint}\" }}\n\n\
                 [tiers]\ndefault = \"standard\"\nlimits = {{ standard = \"60d\" }}\n"
            ),
        );
    }

    /// Writes the shipped controls `ids` with their rules, the guards, and what these need of the schema: reading all of it takes a
    /// debug build a second.
    pub fn ship(&self, ids: &[&str]) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = |path: &str| fs::read_to_string(here.join(path)).unwrap();
        copy(&here.join("controls/frameworks"), &self.root().join("controls/frameworks"));
        self.write("policies/guards.cedar", &shipped("policies/guards.cedar"));
        let mut wanted = vec!["Slm::Collector".to_owned(), "Slm::Runner".to_owned(), "Slm::Credential".to_owned()];
        let mut rules = String::new();
        for id in ids {
            let family = id.split('-').next().unwrap().to_lowercase();
            let control = shipped(&format!("controls/{family}/{id}.toml"));
            let table: toml::Table = toml::from_str(&control).unwrap();
            wanted.extend(table["population"]["entities"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()));
            self.write(&format!("controls/{family}/{id}.toml"), &control);
            let all = shipped(&format!("policies/{family}.cedar"));
            let rule = &all[all.find(&format!("@id(\"{id}\")")).unwrap()..];
            rules.push_str(&rule[..rule.find("};\n").unwrap() + 3]);
        }
        self.write("policies/rules.cedar", &rules);
        self.write("policies/schema.cedarschema", &part_of_schema(&shipped("policies/schema.cedarschema"), &wanted, ids));
    }

    pub fn commit(&self) {
        let root = self.root();
        git(&root, &["init", "-q", "-b", "main"]);
        git(&root, &["add", "-A"]);
        git(&root, &["-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "--allow-empty", "-m", "change"]);
    }

    pub fn git_objects(&self) -> Vec<u8> {
        git_objects(&self.root())
    }
}

/// Copies the folder `from` of this repository to `to`.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The entity types `wanted` and the actions `ids` of `schema`, and every guard.
fn part_of_schema(schema: &str, wanted: &[String], ids: &[&str]) -> String {
    let (mut text, mut namespace, mut keep) = (String::new(), "", true);
    for line in schema.lines() {
        let word = |start: &str| line.strip_prefix(start).map(|rest| rest.split([' ', ';', '"']).next().unwrap());
        if let Some(name) = word("namespace ") {
            (namespace, keep) = (name, true);
        } else if let Some(name) = word("  entity ") {
            keep = wanted.contains(&format!("{namespace}::{name}"));
        } else if let Some(name) = word("  action \"") {
            keep = namespace != "Control" || ids.contains(&name);
        } else if line == "}" {
            keep = true;
        }
        if keep && !line.trim_start().starts_with("//") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Asserts that what was collected is what collectors declare, by which `slm check` tells what nothing observes.
#[track_caller]
pub fn declared(seen: Collected) -> Collected {
    let all = || slm::collectors::EMITS.iter().copied().flatten();
    for population in &seen.populations {
        let known: Vec<&str> = all()
            .filter(|(entity, _)| *entity == population.entity.as_str())
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        assert!(!known.is_empty(), "nothing declares {}", population.entity);
        for (name, _) in population.resources.iter().flat_map(|resource| resource.facts()) {
            assert!(known.contains(&name.as_ref()), "{name} of {} is not declared", population.entity);
        }
    }
    seen
}
