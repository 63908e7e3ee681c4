//! Serves the built page and a checkpoint over HTTP, on this machine only.

use anyhow::{Context, Result, anyhow, bail};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::get;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// Headers of every answer. A browser asks each time whether a file has changed, because the page may be built anew.
const HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// A listening server.
pub struct Server {
    site: PathBuf,
    runtime: Runtime,
    listener: TcpListener,
}

impl Server {
    /// Listens on `port` of 127.0.0.1 to serve the page in the directory `site`, as [`site_at`] returns it;
    /// port 0 takes a free one.
    pub fn listen(site: PathBuf, port: u16) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .map_err(|e| anyhow!("--port {port}: cannot listen on 127.0.0.1 ({e}); choose another"))?;
        Ok(Self { site, runtime, listener })
    }

    /// Address of the page.
    ///
    /// # Errors
    ///
    /// If the system does not tell the address of the socket.
    pub fn url(&self) -> Result<String> {
        Ok(format!("http://{}/", self.listener.local_addr()?))
    }

    /// Answers requests until the process is stopped. A given `checkpoint` replaces the page's own. All
    /// connections are served side by side, so a client that is slow or says nothing keeps nobody waiting.
    ///
    /// # Errors
    ///
    /// If the listening socket fails.
    pub fn run(self, checkpoint: Option<Vec<u8>>) -> Result<()> {
        let router = router(&self.site, checkpoint.map(Bytes::from));
        self.runtime.block_on(async { axum::serve(self.listener, router).await })?;
        Ok(())
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

/// The files in `site`, and `checkpoint` in place of the page's own.
fn router(site: &Path, checkpoint: Option<Bytes>) -> Router {
    let mut router = Router::new().fallback_service(ServeDir::new(site));
    if let Some(checkpoint) = checkpoint {
        let answer = || async { ([(header::CONTENT_TYPE, "application/octet-stream")], checkpoint) };
        router = router.route("/checkpoint.safetensors", get(answer));
    }
    HEADERS
        .into_iter()
        .fold(router, |router, (name, value)| router.layer(SetResponseHeaderLayer::overriding(name, value)))
}
