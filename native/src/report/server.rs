//! Serves the built page and a checkpoint over HTTP, on this machine only.

use anyhow::{Context, Result, anyhow, bail};
use percent_encoding::percent_decode_str;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use tiny_http::{Header, Method, Request, Response};

/// Number of requests that are answered at a time; this bounds the number of threads.
const AT_ONCE: usize = 256;

/// A listening server.
pub struct Server {
    site: PathBuf,
    server: tiny_http::Server,
}

impl Server {
    /// Listens on `port` of 127.0.0.1 to serve the page in the directory `site`, as [`site_at`] returns it;
    /// port 0 takes a free one.
    pub fn listen(site: PathBuf, port: u16) -> Result<Self> {
        let server = tiny_http::Server::http((Ipv4Addr::LOCALHOST, port))
            .map_err(|e| anyhow!("--port {port}: cannot listen on 127.0.0.1 ({e}); choose another"))?;
        Ok(Self { site, server })
    }

    /// Address of the page.
    pub fn url(&self) -> String {
        format!("http://{}/", self.server.server_addr())
    }

    /// Answers requests until the process is stopped. A given `checkpoint` replaces the page's own. Each request has a
    /// thread of its own, so that a client that reads slowly keeps nobody waiting.
    pub fn run(&self, checkpoint: Option<&[u8]>) {
        let answering = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for request in self.server.incoming_requests() {
                if answering.load(Ordering::Relaxed) >= AT_ONCE {
                    let _ = request.respond(Response::from_string("too many requests at once\n").with_status_code(503));
                    continue;
                }
                answering.fetch_add(1, Ordering::Relaxed);
                scope.spawn(|| {
                    // A client that disconnects is not a failure of the server.
                    let _ = answer(request, &self.site, checkpoint);
                    answering.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
    }
}

/// The directory of a built page, with symbolic links resolved.
pub fn site_at(path: &Path) -> Result<PathBuf> {
    if !path.join("index.html").is_file() {
        bail!(
            "--site {}: no built page there (no index.html); in the repository build it with `web/build.sh && npm --prefix \
             web/site ci && npm --prefix web/site run build`",
            path.display()
        );
    }
    path.canonicalize().with_context(|| format!("--site {}", path.display()))
}

/// The resource that a path refers to.
enum Found<'a> {
    File(PathBuf),
    Checkpoint(&'a [u8]),
    Nothing,
}

/// Looks up `url`. Nothing outside `site` is found, and the run's `checkpoint` replaces the page's own.
fn find<'a>(url: &str, site: &Path, checkpoint: Option<&'a [u8]>) -> Found<'a> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let Ok(path) = percent_decode_str(path).decode_utf8() else { return Found::Nothing };
    if let Some(checkpoint) = checkpoint.filter(|_| path == "/checkpoint.safetensors") {
        return Found::Checkpoint(checkpoint);
    }
    let Ok(mut file) = site.join(path.trim_start_matches('/')).canonicalize() else { return Found::Nothing };
    if file.is_dir() {
        file.push("index.html");
    }
    match file.starts_with(site) && file.is_file() {
        true => Found::File(file),
        false => Found::Nothing,
    }
}

fn answer(request: Request, site: &Path, checkpoint: Option<&[u8]>) -> std::io::Result<()> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(Response::from_string("only GET and HEAD\n").with_status_code(405));
    }
    match find(request.url(), site, checkpoint) {
        Found::Checkpoint(checkpoint) => send(request, checkpoint, checkpoint.len(), "application/octet-stream"),
        Found::Nothing => request.respond(Response::from_string("not found\n").with_status_code(404)),
        Found::File(path) => {
            let file = std::fs::File::open(&path)?;
            let length = file.metadata()?.len() as usize;
            let kind = mime_guess::from_path(&path).first_or_octet_stream();
            send(request, file, length, kind.as_ref())
        }
    }
}

fn send(request: Request, body: impl Read, length: usize, kind: &str) -> std::io::Result<()> {
    let headers = [("content-type", kind), ("cache-control", "no-cache"), ("x-content-type-options", "nosniff")];
    let headers = headers.iter().filter_map(|(name, value)| Header::from_bytes(*name, *value).ok()).collect();
    request.respond(Response::new(200.into(), headers, body, Some(length), None))
}
