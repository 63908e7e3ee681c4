//! `diffem export --web` and `diffem serve`: the files of a run that the browser gets.

mod common;

use burn::tensor::Device;
use common::{TINY, diffem, run, succeed, train};
use diffem::posterior::Bundle;
use diffem::{Observations, Posterior, Samples};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

/// Returns a directory with a finished run in `run`.
static TRAINED: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    train(dir.path(), TINY, "run", &[]);
    dir
});

/// Returns the arrays of a safetensors file that the command wrote.
fn arrays(path: &Path) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path).expect("a file");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let values = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    tensors.iter().map(|(name, view)| (name.to_string(), view.shape().to_vec(), values(view.data()))).collect()
}

fn array(path: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let found = arrays(path).into_iter().find(|(n, _, _)| n == name).expect("the array");
    (found.1, found.2)
}

fn open(bytes: &[u8]) -> Bundle {
    Bundle::open(bytes, &Device::flex()).expect("a bundle")
}

/// Posterior draws as in `diffem sample`: `[n, draws, d]`.
fn draws(posterior: &Posterior, seen: &Observations, count: usize, seed: u64) -> Vec<f32> {
    posterior.sample_seeded(seen, count, seed).expect("draws").into_vec()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn an_exported_posterior_draws_what_the_run_draws() {
    let at = TRAINED.path();
    let said = succeed(at, &["export", "run", "--web", "--f32", "--out", "whole.safetensors"]);
    assert!(said.starts_with("whole.safetensors: the posterior of lap "), "{said}");
    assert!(said.contains(" weights in 32 bits and 8 observations, "), "{said}");
    let rounded = succeed(at, &["export", "run", "--web", "--examples", "3"]);
    succeed(at, &["sample", "run", "--draws", "2", "--seed", "4", "--out", "draws.safetensors"]);
    let (shape, expected) = array(&at.join("draws.safetensors"), "x");
    assert_eq!(shape, [512, 2, 2]);

    let bytes = |name: &str| std::fs::read(at.join(name)).expect("a file");
    let whole = open(&bytes("whole.safetensors"));
    let half = open(&bytes("run/checkpoint.safetensors"));
    let rows = |name: &str| {
        let (shape, values) = array(&at.join("run/observations.safetensors"), name);
        Samples::new(values, shape[1..].iter().product())
    };
    let seen =
        Observations::new(whole.posterior.model().channel.as_ref(), rows("y"), Some(rows("a"))).expect("observations");
    assert_eq!(draws(&whole.posterior, &seen, 2, 4), expected);
    let difference = worst(&draws(&half.posterior, &seen, 2, 4), &expected);
    assert!(difference > 0.0 && difference < 0.02, "{difference}");
    // The export says what the rounding changes, in draws of its first two observations.
    let two = whole.examples.observations.first(2);
    let greatest = worst(&draws(&half.posterior, &two, 1, 0), &draws(&whole.posterior, &two, 1, 0));
    assert!(rounded.contains(&format!("at most by {greatest:.1e}; --f32 keeps all bits")), "{rounded} {greatest}");
    assert!(!said.contains("rounded"), "{said}");

    // These observations, with their truth, were not used in training.
    let (_, test) = array(&at.join("run/truth.safetensors"), "test_x");
    assert_eq!(half.examples.x.as_ref().expect("the truth").as_slice(), &test[..6]);
    assert_eq!((whole.examples.observations.n(), half.examples.observations.n()), (8, 3));
    succeed(at, &["export", "run", "--web", "--examples", "3", "--out", "again.safetensors"]);
    assert_eq!(bytes("again.safetensors"), bytes("run/checkpoint.safetensors"));
}

#[test]
fn the_golden_files_of_the_browser_s_tests_are_of_this_version() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/test/golden");
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["curve", "digits"] {
        let config = golden.join(format!("{name}.toml")).display().to_string();
        succeed(dir.path(), &["train", &config, "--out", name, "--progress", "quiet"]);
        succeed(dir.path(), &["export", name, "--web", "--f32", "--examples", "3", "--out", "bundle.safetensors"]);
        let read = |path: &Path| std::fs::read(path).expect("a file");
        let posterior = |path: &Path| open(&read(path));
        let (fresh, kept) =
            (posterior(&dir.path().join("bundle.safetensors")), posterior(&golden.join(format!("{name}.safetensors"))));
        assert_eq!(fresh.recipe, kept.recipe, "run web/test/golden/make.sh");
        // The order of summation differs between processors.
        let (_, draws) = array(&golden.join(format!("{name}-draws.safetensors")), "x");
        succeed(dir.path(), &["sample", name, "--draws", "3", "--seed", "7", "--out", "draws.safetensors"]);
        let difference = worst(&array(&dir.path().join("draws.safetensors"), "x").1, &draws);
        assert!(difference < 1e-2, "{name}: {difference}; run web/test/golden/make.sh");
    }
}

/// A process of `diffem serve`, which ends when this value is dropped.
struct Served(Child, String);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().expect("a process");
        self.0.wait().expect("its end");
    }
}

fn serve(at: &Path, args: &[&str]) -> Served {
    let args = [&["serve", "--port", "0"], args].concat();
    let mut child = diffem(at, &args).stdout(Stdio::piped()).spawn().expect("the command starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let address = line.strip_prefix("http://").and_then(|l| l.split_once("/:")).expect(&line).0.to_string();
    Served(child, address)
}

/// Status line, headers in lower case, and body of a request.
fn request(address: &str, line: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("headers");
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
}

#[test]
fn the_page_and_the_checkpoint_are_served() {
    let dir = tempfile::tempdir().expect("a directory");
    common::copy(&TRAINED.path().join("run"), &dir.path().join("run"));
    let site = dir.path().join("site");
    std::fs::create_dir_all(site.join("assets")).expect("a directory");
    std::fs::write(site.join("index.html"), "<p>page</p>").expect("a file");
    std::fs::write(site.join("assets/core file.wasm"), [0, 97, 115, 109]).expect("a file");
    std::fs::write(site.join("assets/main.js"), "1").expect("a file");
    std::fs::write(dir.path().join("secret"), "secret").expect("a file");
    let served = serve(dir.path(), &["run", "--site", "site"]);
    assert!(served.1.starts_with("127.0.0.1:"), "{}", served.1);
    for (line, kind, body) in [
        ("GET /", "text/html", &b"<p>page</p>"[..]),
        ("GET /index.html?a=b", "text/html", b"<p>page</p>"),
        ("GET /assets/main.js", "text/javascript", b"1"),
        ("GET /assets/core%20file.wasm", "application/wasm", &[0, 97, 115, 109]),
        ("HEAD /assets/main.js", "text/javascript", b""),
    ] {
        let (head, found) = request(&served.1, line);
        assert!(head.starts_with("http/1.1 200 "), "{line}: {head}");
        assert!(head.contains(&format!("content-type: {kind}")), "{line}: {head}");
        assert_eq!(found, body, "{line}");
    }
    let (head, body) = request(&served.1, "GET /checkpoint.safetensors");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    assert_eq!(open(&body).recipe.name, "tiny");
    for line in
        ["GET /../secret", "GET /%2e%2e/secret", "GET /assets/..%2f..%2fsecret", "GET /nothing.js", "GET /assets/"]
    {
        let (head, body) = request(&served.1, line);
        assert!(head.starts_with("http/1.1 404 "), "{line}: {head}");
        assert!(body.is_empty(), "{line}");
    }
    assert!(request(&served.1, "POST /").0.starts_with("http/1.1 405 "));
    // The port is now in use.
    let port = served.1.rsplit(':').next().expect("a port");
    let output = run(dir.path(), &["serve", "run", "--site", "site", "--port", port]);
    let message = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(message.starts_with(&format!("error: --port {port}: cannot listen on 127.0.0.1 (")), "{message}");
    assert!(message.ends_with("); choose another\n"), "{message}");
}

#[test]
fn without_a_run_the_page_shows_its_own_model() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("index.html"), "<p>page</p>").expect("a file");
    std::fs::write(dir.path().join("checkpoint.safetensors"), "the page's").expect("a file");
    let served = serve(dir.path(), &["--site", "."]);
    assert_eq!(request(&served.1, "GET /checkpoint.safetensors").1, b"the page's");
    let output = run(dir.path(), &["serve", "--site", ".", "--lap", "1"]);
    let message = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("required arguments were not provided"), "{message}");
}

/// Opens a connection that begins with `bytes` and then does nothing.
fn idle(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    // A server may close while it is still written to.
    let _ = stream.write_all(bytes);
    stream
}

/// Peak resident memory of a process in kB.
#[cfg(target_os = "linux")]
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[test]
#[cfg(target_os = "linux")]
fn idle_and_greedy_clients_keep_nobody_waiting() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("index.html"), "<p>page</p>").expect("a file");
    // More than the buffers of a connection hold.
    std::fs::write(dir.path().join("large.bin"), vec![7; 16 << 20]).expect("a file");
    let served = serve(dir.path(), &["--site", "."]);
    let long = ["GET / HTTP/1.1\r\nx: ".as_bytes(), &vec![b'a'; 100_000]].concat();
    let client = |i: usize| match i % 4 {
        0 => idle(&served.1, b"GET /large.bin HTTP/1.1\r\nhost: a\r\n\r\n"),
        1 => idle(&served.1, b"GET / HT"),
        2 => idle(&served.1, b""),
        _ => idle(&served.1, &long),
    };
    let clients: Vec<TcpStream> = (0..200).map(client).collect();
    for _ in 0..20 {
        assert!(request(&served.1, "GET /").0.starts_with("http/1.1 200 "));
    }
    let peak = peak(&served.0);
    assert!(peak < 200_000, "{peak} kB");
    drop(clients);
    // Large files come in pieces, whose lengths are part of the answer.
    assert!(request(&served.1, "GET /large.bin").1.len() >= 16 << 20);
}

#[test]
fn a_state_is_no_bundle() {
    let state = TRAINED.path().join("run/lap-001/ema.safetensors");
    let error = Bundle::<diffem::network::NetworkConfig>::open(&std::fs::read(state).expect("a file"), &Device::flex())
        .err()
        .expect("an error");
    assert_eq!(error.to_string(), "checkpoint: expected a file of bundle, found weights");
}
