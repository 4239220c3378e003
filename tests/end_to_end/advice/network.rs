//! Names, servers, certificates, credentials and ports.

use super::build;
use crate::workspace::assert_run;

/// A server of HTTP that answers everybody with this status, and a client that asks it.
fn asking(status: u16) -> String {
    format!(
        "import http.server, threading, urllib.request\n\
         class Answer(http.server.BaseHTTPRequestHandler):\n\
         \x20   def do_GET(self):\n\
         \x20       self.send_response({status})\n\
         \x20       self.end_headers()\n\
         \x20   def log_message(self, *_):\n\
         \x20       pass\n\
         server = http.server.HTTPServer((\"127.0.0.1\", 0), Answer)\n\
         threading.Thread(target=server.serve_forever, daemon=True).start()\n\
         urllib.request.urlopen(f\"http://127.0.0.1:{{server.server_port}}/\")\n"
    )
}

/// A server with a certificate of its own, and a client that does not know it.
const TLS: &str = "import socket, ssl, threading\n\
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
    context.load_cert_chain(\"/tmp/cert\", \"/tmp/key\")\n\
    server = socket.create_server((\"127.0.0.1\", 0))\n\
    def serve():\n\
    \x20   try:\n\
    \x20       context.wrap_socket(server.accept()[0], server_side=True)\n\
    \x20   except ssl.SSLError:\n\
    \x20       pass\n\
    threading.Thread(target=serve, daemon=True).start()\n\
    client = socket.create_connection(server.getsockname())\n\
    ssl.create_default_context().wrap_socket(client, server_hostname=\"localhost\")\n";

/// Shows the beginning of the last line alone of what Python says: the rest is another version's.
const LAST: &str = "python3 -B a.py 2>&1 | tail -n1 | cut -d'(' -f1\nexit 1";

#[test]
fn a_name_that_is_asked_for_without_a_network() {
    let script = "curl --silent --show-error http://shop.invalid/ > out";
    assert_run!(build(script, "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 6
     |
     = note: the command has no network, and asks for another machine
     = help: if it is to fetch something, say so: `network = true`; an access that hangs or breaks off is then tried again with `retry = { attempts = 3 }`

    app: last lines of "run the script"
      | curl: (6) Could not resolve host: shop.invalid
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'curl --silent --show-error http://shop.invalid/ > out'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_name_that_is_not_found() {
    let script = "curl --silent --show-error http://shop.invalid/ > out";
    let settings = "network = true\nretry = { attempts = 2, initial_delay_seconds = 0 }";
    assert_run!(build(script, settings, &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
         retry app: run the script: attempt 1 of 2 failed (the name `shop.invalid` was not found); again in [TIME]
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 6
     |
     = note: it was tried 2 times
     = note: the name `shop.invalid` was not found
     = help: look whether the name is right and this machine finds it: `getent hosts NAME`
     = help: where there is a proxy, set `HTTPS_PROXY`

    app: last lines of "run the script"
      | curl: (6) Could not resolve host: shop.invalid
      | [attempt 1 of 2 failed (the name `shop.invalid` was not found); the next one begins in [TIME]]
      | curl: (6) Could not resolve host: shop.invalid
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'curl --silent --show-error http://shop.invalid/ > out'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_connection_that_is_refused() {
    let script = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 1))' 2>&1 | tail -n1\nexit 1";
    assert_run!(build(script, "network = true", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: nothing answers there: the connection was refused
     = help: look whether the server runs, at that address and port, and whether a firewall or proxy is between

    app: last lines of "run the script"
      | ConnectionRefusedError: [Errno 111] Connection refused
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 1))' 2>&1 | tail -n1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_server_of_ones_own_that_does_not_run() {
    let script = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 1))' 2>&1 | tail -n1\nexit 1";
    assert_run!(build(script, "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: nothing answers there: the connection was refused; it has no network, that of this machine included: it does not say that it uses one
     = help: say so where its kind lets you (`synth schema` lists the settings), or bring in what it needs in a step that may fetch
     = help: a server that a test needs is to be started by the test itself

    app: last lines of "run the script"
      | ConnectionRefusedError: [Errno 111] Connection refused
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 1))' 2>&1 | tail -n1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn credentials_that_are_refused() {
    assert_run!(build(LAST, "network = true", &[("a.py", &asking(401))]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: the server does not let it in: there are no credentials, or they are wrong or out of date
     = help: log in again, or set the variable that has the token, and let the action see it: variables of your own are handed on only where a kind says so (`pass_environment`)

    app: last lines of "run the script"
      | urllib.error.HTTPError: HTTP Error 401: Unauthorized
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "python3 -B a.py 2>&1 | tail -n1 | cut -d'(' -f1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_server_that_is_busy() {
    assert_run!(build(LAST, "network = true", &[("a.py", &asking(503))]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: the server is busy, or broken
     = help: try again later, or from a mirror; `[retry]` in synth.toml says how often synth tries again

    app: last lines of "run the script"
      | urllib.error.HTTPError: HTTP Error 503: Service Unavailable
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "python3 -B a.py 2>&1 | tail -n1 | cut -d'(' -f1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_certificate_that_nobody_knows() {
    let script = format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/key -out /tmp/cert -subj /CN=localhost 2> /dev/null\n{LAST}"
    );
    assert_run!(build(&script, "network = true", &[("a.py", TLS)]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: the certificate of the server is none that this machine trusts
     = help: where the network has an authority of its own, install its certificate (`update-ca-certificates`), or name its file in `SSL_CERT_FILE`, `PIP_CERT` or `NODE_EXTRA_CA_CERTS`
     = help: a clock that is wrong makes every certificate look out of date: `date`

    app: last lines of "run the script"
      | ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate 
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/key -out /tmp/cert -subj /CN=localhost 2> /dev/null
    python3 -B a.py 2>&1 | tail -n1 | cut -d'(' -f1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_port_that_is_taken() {
    let code = "import socket\n\
        first = socket.create_server((\"127.0.0.1\", 0))\n\
        socket.create_server(first.getsockname())\n";
    assert_run!(build(LAST, "network = true", &[("a.py", code)]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: another program has the port that it wants
     = help: `ss -ltnp` tells which; a test does best with port 0, for which the system chooses a free one

    app: last lines of "run the script"
      | OSError: [Errno 98] Address already in use 
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "python3 -B a.py 2>&1 | tail -n1 | cut -d'(' -f1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}
