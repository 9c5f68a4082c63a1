#!/bin/sh
# The AWS stand-ins the integration tests start by themselves.
#   scripts/emulators.sh install           make .cache/venv-moto, -roto and -mini when missing, MySQL and systemd in .cache, and sshd and PostgreSQL where it may
#   scripts/emulators.sh path moto|roto|ministack|mysql|github|emulate|systemd    print the server binary; exit 1 when it is not installed
set -eu
cache=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)/.cache

venv() { # NAME BINARY PACKAGE
    dir=$cache/venv-$1
    [ -x "$2" ] && return 0
    mkdir -p "$cache"
    [ -x "$dir/bin/pip" ] || python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check "$3"
}

# The locker over ssh is tested against a real server; without root or apt that test says that it is skipped.
sshd() {
    [ -x /usr/sbin/sshd ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || {
        apt-get update -qq && apt-get install -y -qq --no-install-recommends openssh-server
    } >/dev/null 2>&1 || echo "sshd could not be installed; its test is skipped" >&2
}

# Login roles are tested against a real server, run by the tests as the user the package makes; without it those tests are skipped.
postgres() {
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || {
        apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql
    } >/dev/null 2>&1 || echo "PostgreSQL could not be installed; its tests are skipped" >&2
}

# Accounts of MySQL are tested against a real server. Debian has one in its unstable suite alone: it and the libraries it needs, the C library
# among them, are unpacked below .cache and nothing is installed. With `data`, the folder of a new server, that each test copies.
mysql() {
    dir=$cache/mysql
    [ -d "$dir/data" ] && return 0
    command -v apt-get >/dev/null && unpack_mysql >/dev/null 2>"$cache/mysql.log" && return 0
    rm -rf "$dir"
    echo "MySQL could not be unpacked (.cache/mysql.log says why); its tests are skipped" >&2
}

unpack_mysql() {
    # From wherever this machine has Debian's packages.
    from=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' | sed -n 's/^Debian|Debian|//p' | sort -u | head -n 1) && [ -n "$from" ] &&
    rm -rf "$dir" && mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" "$dir/root" && : > "$dir/apt/status" &&
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from sid main" > "$dir/apt/sources.list" &&
    cat > "$dir/apt/conf" <<CONF &&
Dir::State "$dir/apt"; Dir::State::status "$dir/apt/status"; Dir::Cache "$dir/apt";
Dir::Etc::sourcelist "$dir/apt/sources.list"; Dir::Etc::sourceparts "$dir/apt/none"; Dir::Etc::preferencesparts "$dir/apt/none";
APT::Sandbox::User "root"; APT::Install-Recommends "false"; Acquire::Languages "none"; Debug::NoLocking "true";
CONF
    APT_CONFIG=$dir/apt/conf apt-get update -qq &&
    APT_CONFIG=$dir/apt/conf apt-get install -y -qq --download-only mysql-server-core &&
    for package in "$dir"/apt/archives/*.deb; do
        case $package in */perl*|*/libperl*) ;; *) dpkg -x "$package" "$dir/root" || return 1 ;; esac
    done &&
    rm -rf "$dir/apt" "$dir/root/usr/share/doc" "$dir/root/usr/share/man" &&
    cat > "$dir/mysqld" <<'RUN' &&
#!/bin/sh
root=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/root
exec "$(echo "$root"/usr/lib/*/ld-linux-*.so.*)" --library-path "$(echo "$root"/usr/lib/*-linux-gnu)" "$root/usr/sbin/mysqld" --no-defaults \
    --basedir="$root/usr" --lc-messages-dir="$root/usr/share/mysql" --user="$(id -un)" --secure-file-priv=NULL --mysqlx=OFF --skip-log-bin "$@"
RUN
    chmod +x "$dir/mysqld" &&
    "$dir/mysqld" --initialize-insecure --datadir="$dir/made" --innodb-redo-log-capacity=8M &&
    mv "$dir/made" "$dir/data"
}

# GitHub's published descriptions, and Prism, which checks requests against them; without npm those tests say that they are skipped.
github() {
    dir=$cache/node-github
    [ -f "$(server github)" ] && [ -d "$dir/node_modules/@octokit/openapi" ] && [ -d "$dir/node_modules/graphql" ] && return 0
    if command -v npm >/dev/null; then
        mkdir -p "$dir"
        [ -f "$dir/package.json" ] || echo '{"private":true}' > "$dir/package.json"
        (cd "$dir" && npm install --ignore-scripts --no-audit --no-fund --silent @stoplight/prism-cli@5.16.0 @octokit/openapi@23.0.2 \
            @octokit/graphql-schema@15.26.1 graphql@16) >/dev/null 2>&1 && return 0
    fi
    echo "GitHub's descriptions could not be installed with npm; their tests are skipped" >&2
}

# A GitHub with state of somebody else's making: the last version that runs on Node 20. It lists no repositories of an organisation and knows no
# GraphQL, which is what its test is about; without npm that test says that it is skipped.
emulate() {
    dir=$cache/node-emulate
    [ -f "$(server emulate)" ] && grep -q '"version": "0.11.2"' "$dir/node_modules/emulate/package.json" && return 0
    if command -v npm >/dev/null; then
        mkdir -p "$dir"
        [ -f "$dir/package.json" ] || echo '{"private":true}' > "$dir/package.json"
        (cd "$dir" && npm install --ignore-scripts --no-audit --no-fund --silent emulate@0.11.2) >/dev/null 2>&1 && return 0
    fi
    echo "the emulator of GitHub could not be installed with npm; its test is skipped" >&2
}

# The unit of the agent is judged by systemd itself, unpacked and not installed; without apt that test says that it is skipped.
systemd() {
    [ -x "$(server systemd)" ] && return 0
    if command -v apt-get >/dev/null; then
        mkdir -p "$cache/systemd"
        (cd "$cache/systemd" && { [ "$(id -u)" != 0 ] || apt-get update -qq; } && apt-get download -qq systemd libsystemd-shared &&
            for package in *.deb; do dpkg -x "$package" . || exit 1; done) >/dev/null 2>&1 && return 0
    fi
    echo "systemd could not be unpacked; the test of the agent's unit is skipped" >&2
}

server() { # NAME
    case $1 in
        moto) echo "$cache/venv-moto/bin/moto_server" ;;
        roto) echo "$cache/venv-roto/bin/roto-server" ;;
        ministack) echo "$cache/venv-mini/bin/ministack" ;;
        mysql) echo "$cache/mysql/mysqld" ;;
        github) echo "$cache/node-github/node_modules/@stoplight/prism-cli/dist/index.js" ;;
        emulate) echo "$cache/node-emulate/node_modules/emulate/dist/index.js" ;;
        systemd) echo "$cache/systemd/usr/bin/systemd-analyze" ;;
        *) echo "unknown emulator \`$1\`; there are \`moto\`, \`roto\`, \`ministack\`, \`mysql\`, \`github\`, \`emulate\` and \`systemd\`" >&2; exit 2 ;;
    esac
}

case ${1:-} in
    install)
        venv moto "$(server moto)" 'moto[server]==5.2.5'
        venv roto "$(server roto)" 'roto-aws==0.10.1'
        venv mini "$(server ministack)" 'ministack==1.5.33'
        sshd
        postgres
        mysql
        github
        emulate
        systemd
        ;;
    path)
        binary=$(server "${2:-}")
        [ -f "$binary" ] || { echo "$2 is not installed; run scripts/emulators.sh install" >&2; exit 1; }
        echo "$binary"
        ;;
    *) sed -n '2,4s/^# *//p' "$0" >&2; exit 2 ;;
esac
