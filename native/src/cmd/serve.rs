//! `diffem serve`: the built page and a run's posterior over HTTP, on this machine only.

use crate::args::Serve;
use crate::run::export::Bundle;
use crate::run::session::Session;
use anyhow::{Context, Result, anyhow, bail};
use diffem::checkpoint::Precision;
use percent_encoding::percent_decode_str;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use tiny_http::{Header, Method, Request, Response, Server};

/// Observations that travel along.
const EXAMPLES: usize = 16;

/// Runs the command; it ends when the process is stopped.
pub fn run(args: &Serve) -> Result<()> {
    let site = site(&args.site)?;
    let bundle = args.run.as_deref().map(|run| open(run, args.lap)).transpose()?;
    let server = Server::http((Ipv4Addr::LOCALHOST, args.port))
        .map_err(|e| anyhow!("--port {}: cannot listen on 127.0.0.1 ({e}); choose another", args.port))?;
    let of_run = match (&bundle, &args.run) {
        (Some(bundle), Some(run)) => format!(" with the posterior of lap {} of {}", bundle.lap, run.display()),
        _ => String::new(),
    };
    super::print(&format!("http://{}/: {}{of_run}; stop it with Ctrl-C\n", server.server_addr(), args.site.display()))?;
    let checkpoint = bundle.as_ref().map(|bundle| bundle.bytes.as_slice());
    for request in server.incoming_requests() {
        // A reader that goes away is no failure of the server.
        let _ = answer(request, &site, checkpoint);
    }
    Ok(())
}

fn open(run: &Path, lap: Option<usize>) -> Result<Bundle> {
    Bundle::of(&Session::open(run, &[], "auto")?, lap, EXAMPLES, Precision::F16)
}

/// The directory of the page, without links in its name.
fn site(path: &Path) -> Result<PathBuf> {
    if !path.join("index.html").is_file() {
        bail!(
            "--site {}: no built page there (no index.html); in the repository build it with `web/build.sh && npm --prefix \
             web/site ci && npm --prefix web/site run build`",
            path.display()
        );
    }
    path.canonicalize().with_context(|| format!("--site {}", path.display()))
}

/// What a path stands for.
enum Found<'a> {
    File(PathBuf),
    Checkpoint(&'a [u8]),
    Nothing,
}

/// Looks `url` up; nothing outside `site` is found. The run's `checkpoint` stands in for the page's own.
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
